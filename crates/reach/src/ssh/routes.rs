//! From a host of the inventory to a connection: what the configuration says, carried out.
//!
//! Everything is read when it is first needed, once, and shared: settings, key files, known hosts,
//! agents, and the connections to jump hosts.

use std::collections::HashMap;
use std::future::Future;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::agent::Agent;
use super::config::{Asked, ConfigError, Resolved, Resolver, Tokens};
use super::error::SshError;
use super::jump::Jumps;
use super::keyring::{FileKey, Keyring};
use super::known_hosts::KnownHosts;
use super::limits::Limits;
use super::passphrases::Passphrases;
use super::revoked::RevokedKeys;
use super::session::{Session, Target, connect};
use super::via::Via;

/// Jump hosts behind each other; OpenSSH has no bound, people use two.
const JUMPS_MAX: usize = 8;

/// The bounds of every connection.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// See [`Target::connect_timeout`]; `ConnectTimeout` of the configuration takes its place.
    pub connect_timeout: Duration,
    /// See [`Target::keepalive_interval`].
    pub keepalive_interval: Duration,
    /// See [`Target::keepalive_max`].
    pub keepalive_max: usize,
}

/// What the inventory says about one host.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The host's name in messages.
    pub name: String,
    /// What one would write behind `ssh`.
    pub asked: Asked,
    /// Files that take the place of all known hosts files of the configuration.
    pub known_hosts: Vec<String>,
}

type Loaded<K, V> = Mutex<HashMap<K, V>>;

/// The ways to all hosts.
#[derive(Debug)]
pub struct Routes {
    resolver: Resolver,
    bounds: Bounds,
    passphrases: Passphrases,
    now: fn() -> Timestamp,
    keys: Loaded<PathBuf, Arc<FileKey>>,
    known_hosts: Loaded<Vec<PathBuf>, Arc<KnownHosts>>,
    revoked: Loaded<PathBuf, Arc<RevokedKeys>>,
    agents: Loaded<PathBuf, Arc<Agent>>,
    jumps: Jumps,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Routes {
    /// Reads and connects to nothing yet.
    pub fn new(resolver: Resolver, bounds: Bounds, passphrases: Passphrases) -> Self {
        Self {
            resolver,
            bounds,
            passphrases,
            now: Timestamp::now,
            keys: Mutex::default(),
            known_hosts: Mutex::default(),
            revoked: Mutex::default(),
            agents: Mutex::default(),
            jumps: Jumps::default(),
        }
    }

    /// Connects to a host by the way that the configuration names for it.
    ///
    /// # Errors
    /// When the configuration, a file that it names, a jump host or the host itself stands against it.
    pub async fn connect(&self, wanted: &Wanted) -> Result<Session, SshError> {
        self.way_ends(wanted).await?;
        self.connect_on(wanted).await
    }

    /// Follows the way to its end before anybody waits on it: in a circle, each jump host would wait for
    /// the other.
    async fn way_ends(&self, wanted: &Wanted) -> Result<(), SshError> {
        let config = |error| SshError::Config {
            host: wanted.name.clone(),
            error,
        };
        let mut asked = wanted.asked.clone();
        for _ in 0..=JUMPS_MAX {
            let resolved = self.resolver.resolve(&asked).await.map_err(config)?;
            match &resolved.proxy_jump {
                None => return Ok(()),
                Some(list) => asked = asked.jump(list).map_err(config)?,
            }
        }
        Err(config(ConfigError::TooManyJumps { max: JUMPS_MAX }))
    }

    /// Where a host listens, when it is reached without a jump host or a command.
    pub async fn address(&self, wanted: &Wanted) -> Option<(String, u16)> {
        let resolved = self.resolver.resolve(&wanted.asked).await.ok()?;
        let direct = resolved.proxy_jump.is_none() && resolved.proxy_command.is_none();
        direct.then(|| (resolved.hostname.clone(), resolved.port))
    }

    /// The recursion over jump hosts needs a type of known size.
    fn connect_on<'a>(
        &'a self,
        wanted: &'a Wanted,
    ) -> Pin<Box<dyn Future<Output = Result<Session, SshError>> + Send + 'a>> {
        Box::pin(async move {
            let target = self.target(wanted).await?;
            connect(&target).await
        })
    }

    async fn target(&self, wanted: &Wanted) -> Result<Target, SshError> {
        let config = |error| SshError::Config {
            host: wanted.name.clone(),
            error,
        };
        let resolved = self.resolver.resolve(&wanted.asked).await.map_err(config)?;
        if let Some(obstacle) = resolved.obstacles.first() {
            return Err(SshError::NotNative {
                host: wanted.name.clone(),
                setting: obstacle.to_string(),
            });
        }
        let via = self.via(wanted, &resolved).await?;
        let files = Files {
            routes: self,
            tokens: Tokens {
                account: self.resolver.account(),
                resolved: &resolved,
            },
        };
        Ok(Target {
            name: wanted.name.clone(),
            address: resolved.hostname.clone(),
            port: resolved.port,
            user: resolved.user.clone(),
            host_key_alias: resolved.host_key_alias.clone(),
            via,
            keyring: Arc::new(files.keyring().map_err(config)?),
            identities_only: resolved.identities_only,
            passphrases: self.passphrases.clone(),
            agent: files.agent().map_err(config)?,
            known_hosts: files.known_hosts(wanted)?,
            revoked: files.revoked(wanted)?,
            limits: limits(&resolved),
            now: self.now,
            connect_timeout: resolved
                .connect_timeout
                .unwrap_or(self.bounds.connect_timeout),
            keepalive_interval: self.bounds.keepalive_interval,
            keepalive_max: self.bounds.keepalive_max,
        })
    }

    async fn via(&self, wanted: &Wanted, resolved: &Resolved) -> Result<Via, SshError> {
        let host = || wanted.name.clone();
        let config = |error| SshError::Config {
            host: host(),
            error,
        };
        if let Some(list) = &resolved.proxy_jump {
            let asked = wanted.asked.jump(list).map_err(config)?;
            let jump = Wanted {
                name: asked.host.clone(),
                asked,
                known_hosts: Vec::new(),
            };
            let seat = self.jumps.seat(&jump.asked, || self.connect_on(&jump));
            let seat = seat.await.map_err(|error| SshError::Jump {
                host: host(),
                error: Box::new(error),
            })?;
            return Ok(Via::Jump(seat));
        }
        if let Some(command) = &resolved.proxy_command {
            let tokens = Tokens {
                account: self.resolver.account(),
                resolved,
            };
            return Ok(Via::Command(tokens.expand(command).map_err(config)?));
        }
        let bind = match &resolved.bind_address {
            None => None,
            Some(text) => Some(text.parse::<IpAddr>().map_err(|_| SshError::NotNative {
                host: host(),
                setting: format!("bindaddress {text}: a name instead of a number"),
            })?),
        };
        Ok(Via::Network {
            family: resolved.family,
            bind,
        })
    }
}

fn limits(resolved: &Resolved) -> Limits {
    Limits {
        host_keys: resolved.host_key_algorithms.clone(),
        kex: resolved.kex_algorithms.clone(),
        ciphers: resolved.ciphers.clone(),
        macs: resolved.macs.clone(),
        ca_signatures: resolved.ca_signature_algorithms.clone(),
        keys: resolved.pubkey_accepted_algorithms.clone(),
        rsa_bits_min: resolved.required_rsa_size,
    }
}

/// The files that the settings of one host name.
struct Files<'a> {
    routes: &'a Routes,
    tokens: Tokens<'a>,
}

impl Files<'_> {
    fn keyring(&self) -> Result<Keyring, ConfigError> {
        let mut keyring = Keyring::default();
        for name in &self.tokens.resolved.identity_files {
            let path = self.tokens.path(name)?;
            let key = self.key(&path);
            // That a usual file is absent is no failure; that a named one is absent is.
            if key.is_ok() || !is_absent(&path) || !Resolved::is_usual_key(name) {
                keyring.add(key);
            }
        }
        for name in &self.tokens.resolved.certificate_files {
            keyring.add_certificate(&self.tokens.path(name)?);
        }
        Ok(keyring)
    }

    fn key(&self, path: &Path) -> Result<Arc<FileKey>, SshError> {
        if let Some(key) = locked(&self.routes.keys).get(path) {
            return Ok(Arc::clone(key));
        }
        let key = Arc::new(FileKey::load(path)?);
        // Whoever was first counts: a person may be about to open that one.
        let mut keys = locked(&self.routes.keys);
        Ok(Arc::clone(keys.entry(path.to_owned()).or_insert(key)))
    }

    fn agent(&self) -> Result<Option<Arc<Agent>>, ConfigError> {
        let from_environment = |name: &str| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let socket = match self.tokens.resolved.identity_agent.as_deref() {
            Some("none") => None,
            None | Some("SSH_AUTH_SOCK") => from_environment("SSH_AUTH_SOCK"),
            Some(text) => match text.strip_prefix('$') {
                Some(name) if !name.starts_with('{') => from_environment(name),
                _ => Some(self.tokens.path(text)?),
            },
        };
        Ok(socket.map(|socket| {
            let mut agents = locked(&self.routes.agents);
            let agent = agents.entry(socket);
            let at = agent.key().clone();
            Arc::clone(agent.or_insert_with(|| Arc::new(Agent::at(at))))
        }))
    }

    fn known_hosts(&self, wanted: &Wanted) -> Result<Arc<KnownHosts>, SshError> {
        let resolved = self.tokens.resolved;
        let names: Vec<_> = if wanted.known_hosts.is_empty() {
            let user = resolved.user_known_hosts.iter();
            user.chain(&resolved.global_known_hosts).collect()
        } else {
            wanted.known_hosts.iter().collect()
        };
        let paths: Result<Vec<_>, _> = names
            .into_iter()
            .map(|name| self.tokens.home(name))
            .collect();
        let paths = paths.map_err(|error| SshError::Config {
            host: wanted.name.clone(),
            error,
        })?;
        if let Some(known) = locked(&self.routes.known_hosts).get(&paths) {
            return Ok(Arc::clone(known));
        }
        let known = Arc::new(KnownHosts::load(&paths)?);
        locked(&self.routes.known_hosts).insert(paths, Arc::clone(&known));
        Ok(known)
    }

    fn revoked(&self, wanted: &Wanted) -> Result<Option<Arc<RevokedKeys>>, SshError> {
        let Some(name) = &self.tokens.resolved.revoked_host_keys else {
            return Ok(None);
        };
        let path = self.tokens.path(name).map_err(|error| SshError::Config {
            host: wanted.name.clone(),
            error,
        })?;
        if let Some(revoked) = locked(&self.routes.revoked).get(&path) {
            return Ok(Some(Arc::clone(revoked)));
        }
        let revoked = Arc::new(RevokedKeys::load(&path)?);
        locked(&self.routes.revoked).insert(path, Arc::clone(&revoked));
        Ok(Some(revoked))
    }
}

fn is_absent(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound)
}
