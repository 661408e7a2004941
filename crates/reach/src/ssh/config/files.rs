//! Our own reader of OpenSSH's configuration files.
//!
//! It has two uses: to see that the files say nothing that matters, which makes asking `ssh` needless,
//! and to stand in for `ssh` where it is not installed. It never guesses: what it does not know is an
//! error.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::account::Account;
use super::asked::{Asked, destination, options};
use super::error::ConfigError;
use super::lines::{Line, read};
use super::resolved::{Family, PORT_DEFAULT, Resolved};
use super::tokens::home;
use crate::ssh::error::Place;
use crate::ssh::known_hosts::wildcard;

/// The machine's configuration.
const SYSTEM_FILE: &str = "/etc/ssh/ssh_config";
/// Where a relative `Include` of the machine's configuration begins.
const SYSTEM_FOLDER: &str = "/etc/ssh";
/// Largest file: some 20,000 hosts.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// Files within files; also OpenSSH's bound.
const DEPTH_MAX: usize = 16;
/// Files in all: an `Include` of a folder with thousands of them is a mistake.
const FILES_MAX: usize = 1_000;

/// Keywords that change nothing for us: what a session shows, forwards, sends or reuses, and what only
/// loosens the check of host keys, which we never loosen. Listed for people in `docs/ssh.md`.
const WITHOUT_EFFECT: [&str; 55] = [
    "addkeystoagent",
    "batchmode",
    "channeltimeout",
    "checkhostip",
    "clearallforwardings",
    "compression",
    "connectionattempts",
    "controlmaster",
    "controlpath",
    "controlpersist",
    "dynamicforward",
    "enableescapecommandline",
    "enablesshkeysign",
    "escapechar",
    "exitonforwardfailure",
    "fingerprinthash",
    "forkafterauthentication",
    "forwardagent",
    "forwardx11",
    "forwardx11timeout",
    "forwardx11trusted",
    "gatewayports",
    "gssapiauthentication",
    "gssapidelegatecredentials",
    "gssapikeyexchange",
    "gssapirenewalforcesrekey",
    "gssapitrustdns",
    "hashknownhosts",
    "hostbasedauthentication",
    "ipqos",
    "kbdinteractiveauthentication",
    "localcommand",
    "localforward",
    "loglevel",
    "nohostauthenticationforlocalhost",
    "numberofpasswordprompts",
    "obscurekeystroketiming",
    "passwordauthentication",
    "permitlocalcommand",
    "permitremoteopen",
    "rekeylimit",
    "remoteforward",
    "requesttty",
    "sendenv",
    "serveralivecountmax",
    "serveraliveinterval",
    "setenv",
    "stdinnull",
    "stricthostkeychecking",
    "syslogfacility",
    "tcpkeepalive",
    "updatehostkeys",
    "verifyhostkeydns",
    "visualhostkey",
    "xauthlocation",
];
/// Options of `ssh` that change nothing for us, for the same reasons.
const FLAGS_WITHOUT_EFFECT: &str = "aACfgkKMnNqtTvxXyY";

/// A line with its place, and the lines of the files that it includes.
#[derive(Debug)]
struct Directive {
    place: Place,
    text: String,
    line: Line,
    included: Vec<Vec<Directive>>,
}

impl Directive {
    fn not_ours(&self, reason: &str) -> ConfigError {
        ConfigError::NotOurs {
            place: self.place.clone(),
            line: self.text.clone(),
            reason: reason.to_owned(),
        }
    }
}

/// The configuration files that count, as they were when they were read.
#[derive(Debug, Default)]
pub struct Files {
    files: Vec<Vec<Directive>>,
}

impl Files {
    /// Reads the operator's file and the machine's, or the one that `-F` names.
    ///
    /// # Errors
    /// When a file is there and cannot be read or understood.
    pub fn load(account: &Account, named: Option<&str>) -> Result<Self, ConfigError> {
        let own_folder = account.home.as_ref().map(|home| home.join(".ssh"));
        let own_folder = own_folder.unwrap_or_default();
        let mut reading = Reading { account, files: 0 };
        let mut files = Vec::new();
        match named {
            Some("none") => {}
            Some(file) => files.push(reading.file(Path::new(file), &own_folder, true, 0)?),
            None => {
                files.push(reading.file(&own_folder.join("config"), &own_folder, false, 0)?);
                let folder = Path::new(SYSTEM_FOLDER);
                files.push(reading.file(Path::new(SYSTEM_FILE), folder, false, 0)?);
            }
        }
        Ok(Self { files })
    }

    /// Whether nothing in the files changes how any host is reached.
    pub fn say_nothing(&self) -> bool {
        fn nothing(files: &[Vec<Directive>]) -> bool {
            files.iter().flatten().all(|directive| {
                let keyword = directive.line.keyword.as_str();
                let harmless = matches!(keyword, "host" | "include");
                (harmless || WITHOUT_EFFECT.contains(&keyword)) && nothing(&directive.included)
            })
        }
        nothing(&self.files)
    }

    /// What holds for a host.
    ///
    /// # Errors
    /// When a line that counts for it is not known to us.
    pub fn resolve(&self, asked: &Asked, account: &Account) -> Result<Resolved, ConfigError> {
        let (user, host, port) = destination(&asked.host);
        if host.is_empty() || host.starts_with('-') {
            return Err(ConfigError::NoHost {
                host: asked.host.clone(),
            });
        }
        let mut draft = Draft {
            user: asked.user.clone().or_else(|| user.map(str::to_owned)),
            port: asked.port.or(port),
            identity_files: asked.identity_files.clone(),
            ..Draft::default()
        };
        draft.words(&asked.args)?;
        draft.files(&self.files, host)?;
        draft.finish(host, account)
    }
}

struct Reading<'a> {
    account: &'a Account,
    files: usize,
}

impl Reading<'_> {
    fn file(
        &mut self,
        path: &Path,
        folder: &Path,
        must: bool,
        depth: usize,
    ) -> Result<Vec<Directive>, ConfigError> {
        let unreadable = |reason: String| ConfigError::Unreadable {
            path: path.to_owned(),
            reason,
        };
        self.files += 1;
        if depth > DEPTH_MAX || self.files > FILES_MAX {
            return Err(unreadable("too many files include each other".to_owned()));
        }
        let content = match read_capped(path) {
            Ok(content) => content,
            Err(error) if error.kind() == ErrorKind::NotFound && !must => return Ok(Vec::new()),
            Err(error) => return Err(unreadable(error.to_string())),
        };
        let mut directives = Vec::new();
        for (index, text) in content.lines().enumerate() {
            let place = Place {
                file: path.to_owned(),
                line: index + 1,
            };
            let line = match read(text) {
                Ok(Some(line)) => line,
                Ok(None) => continue,
                Err(reason) => {
                    return Err(ConfigError::NotOurs {
                        place,
                        line: text.to_owned(),
                        reason: reason.to_owned(),
                    });
                }
            };
            let mut directive = Directive {
                place,
                text: text.trim().to_owned(),
                line,
                included: Vec::new(),
            };
            if directive.line.keyword == "include" {
                directive.included = self.included(&directive, folder, depth)?;
            }
            directives.push(directive);
        }
        Ok(directives)
    }

    fn included(
        &mut self,
        directive: &Directive,
        folder: &Path,
        depth: usize,
    ) -> Result<Vec<Vec<Directive>>, ConfigError> {
        let mut found = Vec::new();
        for word in &directive.line.words {
            let path = folder.join(home(word, self.account)?);
            for file in matching(&path).map_err(|reason| directive.not_ours(&reason))? {
                found.push(self.file(&file, folder, false, depth + 1)?);
            }
        }
        Ok(found)
    }
}

/// The files that a pattern names, in the order of their names. Patterns in folders are left to `ssh`.
fn matching(path: &Path) -> Result<Vec<PathBuf>, String> {
    let wild = |text: &str| text.contains(['*', '?', '[', '{']);
    let (Some(folder), Some(name)) = (
        path.parent().and_then(Path::to_str),
        path.file_name().and_then(|name| name.to_str()),
    ) else {
        return Err("this Include names no file".to_owned());
    };
    if wild(folder) || name.contains(['[', '{']) {
        return Err("this pattern of Include".to_owned());
    }
    if !wild(name) {
        return Ok(vec![path.to_owned()]);
    }
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Ok(Vec::new());
    };
    let mut files: Vec<_> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|file| {
            let own = file.file_name().and_then(|own| own.to_str());
            // A star does not stand for a leading dot.
            own.is_some_and(|own| {
                !own.starts_with('.') && wildcard(name.as_bytes(), own.as_bytes())
            })
        })
        .collect();
    files.sort();
    Ok(files)
}

fn read_capped(path: &Path) -> std::io::Result<String> {
    let mut content = Vec::new();
    File::open(path)?
        .take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut content)?;
    if content.len() as u64 > FILE_BYTES_MAX {
        return Err(std::io::Error::other(format!(
            "larger than {FILE_BYTES_MAX} bytes"
        )));
    }
    String::from_utf8(content).map_err(|_| std::io::Error::other("not UTF-8"))
}

/// Settings as they are found; the first value of each counts.
#[derive(Debug, Default)]
struct Draft {
    hostname: Option<String>,
    user: Option<String>,
    port: Option<u16>,
    identity_files: Vec<String>,
    certificate_files: Vec<String>,
    identities_only: Option<bool>,
    identity_agent: Option<String>,
    user_known_hosts: Option<Vec<String>>,
    global_known_hosts: Option<Vec<String>>,
    host_key_alias: Option<String>,
    /// `ProxyJump` and `ProxyCommand` exclude each other: whichever comes first counts.
    proxy: Option<Proxy>,
    connect_timeout: Option<Duration>,
    family: Option<Family>,
}

#[derive(Debug)]
enum Proxy {
    Jump(String),
    Command(String),
}

impl Draft {
    fn words(&mut self, args: &[String]) -> Result<(), ConfigError> {
        for (letter, value) in options(args)? {
            let value = value.unwrap_or_default();
            let not_ours = ConfigError::OptionNotOurs { letter };
            match letter {
                'F' => {}
                '4' => self.family = self.family.or(Some(Family::Inet)),
                '6' => self.family = self.family.or(Some(Family::Inet6)),
                'p' => self.line("port", &[value], "").map_err(|_| not_ours)?,
                'l' => self.line("user", &[value], "").map_err(|_| not_ours)?,
                'i' => self.identity_files.push(value),
                'J' => self.line("proxyjump", &[], &value).map_err(|_| not_ours)?,
                'o' => {
                    let line = read(&value).ok().flatten().ok_or(not_ours.clone())?;
                    self.line(&line.keyword, &line.words, &line.rest)
                        .map_err(|_| not_ours)?;
                }
                letter if FLAGS_WITHOUT_EFFECT.contains(letter) => {}
                _ => return Err(not_ours),
            }
        }
        Ok(())
    }

    fn files(&mut self, files: &[Vec<Directive>], host: &str) -> Result<(), ConfigError> {
        files.iter().try_for_each(|file| self.file(file, host))
    }

    /// The lines before the first `Host` hold for all hosts, in each file anew.
    fn file(&mut self, file: &[Directive], host: &str) -> Result<(), ConfigError> {
        let mut active = true;
        for directive in file {
            let line = &directive.line;
            match line.keyword.as_str() {
                "host" => active = host_matches(&line.words, host),
                "match" if line.words == ["all"] => active = true,
                "match" => return Err(directive.not_ours("Match is not read by our own reader")),
                _ if !active => {}
                "include" => self.files(&directive.included, host)?,
                keyword => self
                    .line(keyword, &line.words, &line.rest)
                    .map_err(|reason| directive.not_ours(reason))?,
            }
        }
        Ok(())
    }

    fn line(&mut self, keyword: &str, words: &[String], rest: &str) -> Result<(), &'static str> {
        let first = words.first().map(String::as_str);
        let one = || first.ok_or("a value is lacking").map(str::to_owned);
        let files = || match first {
            None => Err("a value is lacking"),
            Some("none") => Ok(Vec::new()),
            Some(_) => Ok(words.to_vec()),
        };
        match keyword {
            "hostname" => keep(&mut self.hostname, one()?),
            "user" => keep(&mut self.user, one()?),
            "port" => keep(&mut self.port, one()?.parse().map_err(|_| "no port")?),
            "identityfile" => self.identity_files.push(one()?),
            "certificatefile" => self.certificate_files.push(one()?),
            "identitiesonly" => keep(&mut self.identities_only, truth(&one()?)?),
            "identityagent" => keep(&mut self.identity_agent, one()?),
            "userknownhostsfile" => keep(&mut self.user_known_hosts, files()?),
            "globalknownhostsfile" => keep(&mut self.global_known_hosts, files()?),
            "hostkeyalias" => keep(&mut self.host_key_alias, one()?.to_lowercase()),
            "proxyjump" => keep(&mut self.proxy, Proxy::Jump(rest.to_owned())),
            "proxycommand" => keep(&mut self.proxy, Proxy::Command(rest.to_owned())),
            "connecttimeout" => {
                let seconds = one()?.parse().map_err(|_| "no number of seconds")?;
                keep(&mut self.connect_timeout, Duration::from_secs(seconds));
            }
            "canonicalizehostname" if first == Some("no") => {}
            keyword if WITHOUT_EFFECT.contains(&keyword) => {}
            _ => return Err("this keyword is not read by our own reader"),
        }
        Ok(())
    }

    fn finish(self, host: &str, account: &Account) -> Result<Resolved, ConfigError> {
        let plain = Resolved::plain(host);
        let named = self.hostname.as_deref().unwrap_or("%h");
        // Of all tokens, HostName takes these two.
        let hostname = named
            .split("%%")
            .map(|part| part.replace("%h", host))
            .collect::<Vec<_>>()
            .join("%");
        let user = self.user.or_else(|| account.name.clone());
        let (jump, command) = match self.proxy {
            Some(Proxy::Jump(list)) => (Some(list), None),
            Some(Proxy::Command(command)) => (None, Some(command)),
            None => (None, None),
        };
        let set = |text: Option<String>| text.filter(|text| text != "none");
        let mut identity_files = self.identity_files;
        if identity_files.is_empty() {
            identity_files.clone_from(&plain.identity_files);
        }
        identity_files.retain(|file| file != "none");
        Ok(Resolved {
            hostname: hostname.to_lowercase(),
            user: user.ok_or_else(|| ConfigError::Odd {
                reason: "no account is named, and ours is not known".to_owned(),
            })?,
            port: self.port.unwrap_or(PORT_DEFAULT),
            identity_files,
            certificate_files: self.certificate_files,
            identities_only: self.identities_only.unwrap_or(false),
            identity_agent: self.identity_agent,
            user_known_hosts: self
                .user_known_hosts
                .unwrap_or(plain.user_known_hosts.clone()),
            global_known_hosts: self
                .global_known_hosts
                .unwrap_or(plain.global_known_hosts.clone()),
            host_key_alias: self.host_key_alias,
            proxy_jump: set(jump),
            proxy_command: set(command),
            connect_timeout: self.connect_timeout,
            family: self.family.unwrap_or_default(),
            ..plain
        })
    }
}

fn keep<T>(setting: &mut Option<T>, value: T) {
    setting.get_or_insert(value);
}

fn truth(word: &str) -> Result<bool, &'static str> {
    match word {
        "yes" | "true" => Ok(true),
        "no" | "false" => Ok(false),
        _ => Err("neither yes nor no"),
    }
}

/// One pattern must match, and none of those with `!`.
fn host_matches(patterns: &[String], host: &str) -> bool {
    let hit = |pattern: &str| wildcard(pattern.as_bytes(), host.as_bytes());
    let refused = patterns
        .iter()
        .filter_map(|pattern| pattern.strip_prefix('!'))
        .any(hit);
    !refused
        && patterns
            .iter()
            .filter(|pattern| !pattern.starts_with('!'))
            .any(|pattern| hit(pattern))
}
