//! From an inventory's hosts to what is needed to reach them.

use crate::error::SetupError;
use crate::settings::Settings;
use crate::ssh::{Agent, Become, Keyring, KnownHosts, Secret, Target};
use overhaul_model::fleet;
use overhaul_model::id::HostName;
use overhaul_model::secret::Secret as Password;
use std::collections::{BTreeMap, HashMap};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Arc;

/// Key files that are tried when none is named, as other SSH clients do.
const USUAL_KEYS: [&str; 3] = ["~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa"];
/// The port of sshd when none is named.
const PORT_DEFAULT: u16 = 22;
/// Known hosts files when none is named.
const USUAL_KNOWN_HOSTS: [&str; 4] = [
    "~/.ssh/known_hosts",
    "~/.ssh/known_hosts2",
    "/etc/ssh/ssh_known_hosts",
    "/etc/ssh/ssh_known_hosts2",
];

/// Makes targets; keys and known hosts are read once for all hosts that name the same files.
pub(crate) struct Targets<'a> {
    settings: &'a Settings,
    agent: Option<Arc<Agent>>,
    home: Option<PathBuf>,
    account: Option<String>,
    keyrings: HashMap<Vec<String>, Arc<Keyring>>,
    known_hosts: HashMap<Vec<String>, Arc<KnownHosts>>,
}

impl<'a> Targets<'a> {
    pub(crate) fn new(settings: &'a Settings) -> Self {
        Self {
            settings,
            agent: Agent::from_environment().map(Arc::new),
            home: std::env::var_os("HOME")
                .filter(|home| !home.is_empty())
                .map(PathBuf::from),
            account: own_account(),
            keyrings: HashMap::new(),
            known_hosts: HashMap::new(),
        }
    }

    pub(crate) fn of(&mut self, host: &fleet::Host) -> Result<Target, SetupError> {
        let connection = &host.connection;
        let user = connection
            .user
            .clone()
            .or_else(|| self.account.clone())
            .ok_or_else(|| SetupError::NoAccount {
                host: host.name.clone(),
            })?;
        Ok(Target {
            name: host.name.as_str().to_owned(),
            address: connection.address.clone(),
            port: connection.port.unwrap_or(PORT_DEFAULT),
            user,
            host_key_alias: None,
            keyring: self.keyring(&connection.identity_files),
            agent: self.agent.clone(),
            known_hosts: self.known_hosts(&connection.known_hosts)?,
            connect_timeout: self.settings.connect_timeout,
            keepalive_interval: self.settings.keepalive_interval,
            keepalive_max: self.settings.keepalive_max,
        })
    }

    fn keyring(&mut self, named: &[String]) -> Arc<Keyring> {
        if let Some(known) = self.keyrings.get(named) {
            return Arc::clone(known);
        }
        let files: Vec<_> = if named.is_empty() {
            // That a usual file is absent is no failure; that a named one is absent is.
            USUAL_KEYS
                .iter()
                .map(|file| self.path(file))
                .filter(|path| path.exists())
                .collect()
        } else {
            named.iter().map(|file| self.path(file)).collect()
        };
        let keyring = Arc::new(Keyring::load(&files, &|_| None));
        self.keyrings.insert(named.to_vec(), Arc::clone(&keyring));
        keyring
    }

    fn known_hosts(&mut self, named: &[String]) -> Result<Arc<KnownHosts>, SetupError> {
        if let Some(known) = self.known_hosts.get(named) {
            return Ok(Arc::clone(known));
        }
        let files: Vec<_> = if named.is_empty() {
            USUAL_KNOWN_HOSTS
                .iter()
                .map(|file| self.path(file))
                .collect()
        } else {
            named.iter().map(|file| self.path(file)).collect()
        };
        let known = Arc::new(KnownHosts::load(&files)?);
        self.known_hosts.insert(named.to_vec(), Arc::clone(&known));
        Ok(known)
    }

    fn path(&self, file: &str) -> PathBuf {
        match (file.strip_prefix("~/"), &self.home) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => PathBuf::from(file),
        }
    }
}

/// The operator's own name.
fn own_account() -> Option<String> {
    let named = |name| std::env::var(name).ok().filter(|user| !user.is_empty());
    named("USER").or_else(|| named("LOGNAME")).or_else(|| {
        // Service units have no USER, and are root as a rule.
        let own = std::fs::metadata("/proc/self").ok()?;
        (own.uid() == 0).then(|| "root".to_owned())
    })
}

/// As whom work runs on a host.
pub(crate) fn become_of(host: &fleet::Host, passwords: &BTreeMap<HostName, Password>) -> Become {
    match &host.connection.become_user {
        fleet::Become::No => Become::None,
        fleet::Become::Sudo { user } => Become::Sudo {
            user: user.clone(),
            password: passwords
                .get(&host.name)
                .map(|password| Secret::new(password.reveal())),
        },
    }
}
