//! The settings that count for one host, and the reader of what `ssh -G` prints.

use std::time::Duration;

use super::asked::destination;
use super::error::ConfigError;
use super::native::{Obstacle, obstacle};

/// The port of sshd when none is named.
pub(super) const PORT_DEFAULT: u16 = 22;
/// Key files that are tried when none is named: OpenSSH's list without those kinds that it made and
/// we cannot read.
pub(super) const USUAL_KEYS: [&str; 3] = ["~/.ssh/id_rsa", "~/.ssh/id_ecdsa", "~/.ssh/id_ed25519"];
/// Key files that OpenSSH tries, of which we cannot read any: keys in hardware, XMSS, DSA.
const UNREADABLE_KEYS: [&str; 4] = [
    "~/.ssh/id_ecdsa_sk",
    "~/.ssh/id_ed25519_sk",
    "~/.ssh/id_xmss",
    "~/.ssh/id_dsa",
];
/// The operator's known hosts files when none is named.
pub(super) const USER_KNOWN_HOSTS: [&str; 2] = ["~/.ssh/known_hosts", "~/.ssh/known_hosts2"];
/// The machine's known hosts files when none is named.
pub(super) const GLOBAL_KNOWN_HOSTS: [&str; 2] =
    ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"];
/// Smallest RSA key, in bits, when nothing is said: OpenSSH's own.
const RSA_BITS_MIN: u32 = 1024;

/// Which kinds of addresses a name may stand for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Family {
    /// Both.
    #[default]
    Any,
    /// Version 4.
    Inet,
    /// Version 6.
    Inet6,
}

/// How one host is reached: every setting that counts for us, in OpenSSH's terms. Names of files may
/// hold tokens and `~`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "each field is the keyword of ssh_config(5) of that name"
)]
pub struct Resolved {
    pub host: String,
    pub hostname: String,
    pub user: String,
    pub port: u16,
    pub identity_files: Vec<String>,
    pub certificate_files: Vec<String>,
    pub identities_only: bool,
    pub identity_agent: Option<String>,
    pub user_known_hosts: Vec<String>,
    pub global_known_hosts: Vec<String>,
    pub revoked_host_keys: Option<String>,
    pub host_key_alias: Option<String>,
    pub proxy_jump: Option<String>,
    pub proxy_command: Option<String>,
    pub connect_timeout: Option<Duration>,
    pub bind_address: Option<String>,
    pub family: Family,
    pub host_key_algorithms: Option<Vec<String>>,
    pub kex_algorithms: Option<Vec<String>>,
    pub ciphers: Option<Vec<String>>,
    pub macs: Option<Vec<String>>,
    pub ca_signature_algorithms: Option<Vec<String>>,
    pub pubkey_accepted_algorithms: Option<Vec<String>>,
    pub required_rsa_size: u32,
    /// What our own client cannot do.
    pub obstacles: Vec<Obstacle>,
}

impl Resolved {
    /// What holds for a host of which nothing is said. The user is left empty.
    pub fn plain(host: impl Into<String>) -> Self {
        let host = host.into();
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            hostname: host.to_lowercase(),
            host,
            user: String::new(),
            port: PORT_DEFAULT,
            identity_files: list(&USUAL_KEYS),
            certificate_files: Vec::new(),
            identities_only: false,
            identity_agent: None,
            user_known_hosts: list(&USER_KNOWN_HOSTS),
            global_known_hosts: list(&GLOBAL_KNOWN_HOSTS),
            revoked_host_keys: None,
            host_key_alias: None,
            proxy_jump: None,
            proxy_command: None,
            connect_timeout: None,
            bind_address: None,
            family: Family::Any,
            host_key_algorithms: None,
            kex_algorithms: None,
            ciphers: None,
            macs: None,
            ca_signature_algorithms: None,
            pubkey_accepted_algorithms: None,
            required_rsa_size: RSA_BITS_MIN,
            obstacles: Vec::new(),
        }
    }

    /// Whether a key file is one that is tried when none is named.
    pub fn is_usual_key(name: &str) -> bool {
        USUAL_KEYS.contains(&name)
    }

    /// Reads what `ssh -G` prints: lines of keyword and value. Keywords that do not count for us are
    /// passed over.
    pub fn parse(host: &str, output: &[u8]) -> Result<Self, ConfigError> {
        let odd = |reason: String| ConfigError::Odd { reason };
        let text = std::str::from_utf8(output).map_err(|_| odd("it is not UTF-8".to_owned()))?;
        let mut found = Self {
            hostname: String::new(),
            identity_files: Vec::new(),
            ..Self::plain(destination(host).1)
        };
        for line in text.lines() {
            let (keyword, value) = line.split_once(' ').unwrap_or((line, ""));
            found
                .set(&keyword.to_ascii_lowercase(), value)
                .map_err(odd)?;
        }
        found
            .identity_files
            .retain(|file| !UNREADABLE_KEYS.contains(&file.as_str()));
        match (found.hostname.is_empty(), found.user.is_empty()) {
            (false, false) => Ok(found),
            (true, _) => Err(odd("it names no hostname".to_owned())),
            (_, true) => Err(odd("it names no user".to_owned())),
        }
    }

    fn set(&mut self, keyword: &str, value: &str) -> Result<(), String> {
        let some = || (value != "none").then(|| value.to_owned());
        let list = || Some(value.split(',').map(str::to_owned).collect());
        match keyword {
            "host" => self.host = value.to_owned(),
            "hostname" => self.hostname = value.to_owned(),
            "user" => self.user = value.to_owned(),
            "port" => self.port = number(keyword, value)?,
            "identityfile" if value != "none" => self.identity_files.push(value.to_owned()),
            "certificatefile" if value != "none" => self.certificate_files.push(value.to_owned()),
            "identitiesonly" => self.identities_only = matches!(value, "yes" | "true"),
            "identityagent" => self.identity_agent = Some(value.to_owned()),
            "userknownhostsfile" => self.user_known_hosts = files(keyword, value)?,
            "globalknownhostsfile" => self.global_known_hosts = files(keyword, value)?,
            "revokedhostkeys" => self.revoked_host_keys = some(),
            "hostkeyalias" => self.host_key_alias = Some(value.to_lowercase()),
            "proxyjump" => self.proxy_jump = some(),
            "proxycommand" => self.proxy_command = some(),
            "connecttimeout" if value != "none" => {
                let seconds = number(keyword, value)?;
                self.connect_timeout = (seconds > 0).then(|| Duration::from_secs(seconds));
            }
            "bindaddress" => self.bind_address = Some(value.to_owned()),
            "addressfamily" => self.family = family(value)?,
            "hostkeyalgorithms" => self.host_key_algorithms = list(),
            "kexalgorithms" => self.kex_algorithms = list(),
            "ciphers" => self.ciphers = list(),
            "macs" => self.macs = list(),
            "casignaturealgorithms" => self.ca_signature_algorithms = list(),
            "pubkeyacceptedalgorithms" => self.pubkey_accepted_algorithms = list(),
            "requiredrsasize" => self.required_rsa_size = number(keyword, value)?,
            _ => self.obstacles.extend(obstacle(keyword, value)),
        }
        Ok(())
    }

    /// The host of the first jump, as the token `%j` names it.
    pub(super) fn jump_host(&self) -> String {
        let list = self.proxy_jump.as_deref().unwrap_or_default();
        let last = list.rsplit(',').next().unwrap_or_default();
        destination(last).1.to_owned()
    }
}

fn number<T: std::str::FromStr>(keyword: &str, value: &str) -> Result<T, String> {
    value
        .parse()
        .map_err(|_| format!("{keyword} {value:?} is no number"))
}

fn family(value: &str) -> Result<Family, String> {
    match value {
        "any" => Ok(Family::Any),
        "inet" => Ok(Family::Inet),
        "inet6" => Ok(Family::Inet6),
        other => Err(format!("addressfamily {other:?} is not known")),
    }
}

/// Names of several files. `ssh -G` does not quote them, so a name with a space cannot be told from two
/// names; passing one over could hide a revoked key.
fn files(keyword: &str, value: &str) -> Result<Vec<String>, String> {
    if value == "none" {
        return Ok(Vec::new());
    }
    let names: Vec<_> = value.split(' ').map(str::to_owned).collect();
    if names.iter().all(|name| name.starts_with(['/', '~'])) {
        return Ok(names);
    }
    Err(format!(
        "{keyword} {value:?}: name these files with whole paths and without spaces"
    ))
}
