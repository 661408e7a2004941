//! The variables of an Ansible inventory that say how a host is reached.

use super::book::{Book, Place};
use super::draft::{Settings, address_fault};
use super::evaluate::{Evaluator, Text, Why};
use super::tokens;
use super::value::{Nature, Value, Var};
use super::view::Merged;
use crate::node::shortened;
use crate::words::{NAME_HELP, name_fault};
use overhaul_model::fleet::Transport;
use overhaul_model::secret::Secret;
use serde_json::Value as Json;
use std::collections::BTreeMap;

const ADDRESS: &[&str] = &["ansible_host", "ansible_ssh_host"];
const PORT: &[&str] = &["ansible_port", "ansible_ssh_port"];
const USER: &[&str] = &["ansible_user", "ansible_ssh_user"];
const IDENTITY: &[&str] = &["ansible_ssh_private_key_file", "ansible_private_key_file"];
const BY_SUDO: &[&str] = &["ansible_become"];
const BECOME_USER: &[&str] = &["ansible_become_user"];
const PASSWORD: &[&str] = &["ansible_become_password", "ansible_become_pass"];
const KNOWN_HOSTS: &[&str] = &["overhaul_known_hosts"];
const STATE_DIR: &[&str] = &["overhaul_state_dir"];
const TRANSPORT: &[&str] = &["overhaul_transport"];
const ZONE: &[&str] = &["overhaul_zone", "zone"];

/// Ways of Ansible to a host that are SSH.
const CONNECTIONS: &[&str] = &[
    "ssh",
    "smart",
    "paramiko",
    "paramiko_ssh",
    "ansible.builtin.ssh",
    "ansible.builtin.paramiko_ssh",
];

const CONNECTION: &[&str] = &["ansible_connection"];

/// Ways of taking another account that are sudo.
const BECOME_METHODS: &[&str] = &["sudo", "ansible.builtin.sudo"];

const BECOME_METHOD: &[&str] = &["ansible_become_method"];

/// Settings that cannot be honoured and must not be passed over.
const REFUSED: &[&str] = &[
    "ansible_password",
    "ansible_ssh_pass",
    "ansible_ssh_password",
];

/// Settings of Ansible's own ssh and shell, which mean nothing here.
const PASSED_OVER: &[&str] = &[
    "ansible_become_exe",
    "ansible_become_flags",
    "ansible_host_key_checking",
    "ansible_pipelining",
    "ansible_python_interpreter",
    "ansible_scp_extra_args",
    "ansible_sftp_extra_args",
    "ansible_shell_executable",
    "ansible_shell_type",
    "ansible_ssh_executable",
    "ansible_ssh_host_key_checking",
    "ansible_ssh_pipelining",
    "ansible_ssh_retries",
    "ansible_ssh_transfer_method",
];

/// Those of [`PASSED_OVER`] that may change how a host is reached, so that passing over is said.
const SAID: &[(&str, &str)] = &[
    ("ansible_become_exe", "another account is taken by `sudo`"),
    ("ansible_become_flags", "sudo is called in one way"),
    ("ansible_host_key_checking", ALWAYS_CHECKED),
    (
        "ansible_ssh_executable",
        "the client is chosen by `overhaul_transport`",
    ),
    ("ansible_ssh_host_key_checking", ALWAYS_CHECKED),
];

const ALWAYS_CHECKED: &str = "host keys are always checked";

/// Words for `ssh`, in the order in which Ansible puts them on its command line.
const SSH_ARGS: &[&str] = &[
    "ansible_ssh_args",
    "ansible_ssh_common_args",
    "ansible_ssh_extra_args",
];

/// Whether a variable is a setting and so no variable for templates. `zone` is both.
pub(super) fn is_setting(name: &str) -> bool {
    let groups = [
        ADDRESS,
        PORT,
        USER,
        IDENTITY,
        BY_SUDO,
        BECOME_USER,
        PASSWORD,
        KNOWN_HOSTS,
        STATE_DIR,
        TRANSPORT,
        REFUSED,
        PASSED_OVER,
        SSH_ARGS,
        CONNECTION,
        BECOME_METHOD,
        &["overhaul_zone", "ansible_group_priority"],
    ];
    groups.iter().any(|group| group.contains(&name))
}

/// What the settings of one host are read from.
pub(super) struct Source<'s> {
    pub(super) book: &'s Book,
    pub(super) evaluator: &'s Evaluator<'s>,
    pub(super) vars: &'s Merged<'s>,
    /// The names that Ansible sets itself.
    pub(super) own: &'s BTreeMap<&'s str, Json>,
    /// The folder that paths are relative to.
    pub(super) working_folder: Option<&'s str>,
}

impl Source<'_> {
    /// Why the host is not reached by SSH, if it is not.
    pub(super) fn other_connection(&self) -> Option<(Place, String)> {
        let (connection, place) = self.text(CONNECTION)?;
        let message = format!(
            "`ansible_connection` is `{}`: hosts are reached by SSH only",
            shortened(&connection)
        );
        (!CONNECTIONS.contains(&connection.as_str())).then_some((place, message))
    }

    /// What the variables say about how the host is reached.
    pub(super) fn settings(&self) -> Settings {
        self.refuse();
        for (name, instead) in SAID {
            if let Some(var) = self.vars.get(name)
                && !self.is_usual(name, var)
            {
                let message = format!("`{name}` is passed over: {instead}");
                self.book.note(var.place, message, None);
            }
        }
        let plain = |names| self.text(names).map(|(text, _)| text);
        Settings {
            address: self.address(),
            port: self.port(),
            user: plain(USER),
            identity_files: self.key(),
            known_hosts: plain(KNOWN_HOSTS).map(|path| vec![path]),
            ssh_args: self.ssh_args(),
            transport: self.transport(),
            by_sudo: self.truth(BY_SUDO),
            become_user: plain(BECOME_USER),
            state_dir: self.state_dir(),
            zone: self.zone(),
            password: self.password(),
        }
    }

    /// Whether a setting says only what holds anyway.
    fn is_usual(&self, name: &str, var: &Var) -> bool {
        let truth = matches!(&var.value, Value::Bool(true));
        match name {
            "ansible_ssh_executable" => matches!(&var.value, Value::Text(text) if text == "ssh"),
            "ansible_host_key_checking" | "ansible_ssh_host_key_checking" => truth,
            _ => false,
        }
    }

    fn first(&self, names: &[&'static str]) -> Option<(&'static str, &Var)> {
        let mut found = names
            .iter()
            .filter_map(|name| Some((*name, *self.vars.get(name)?)));
        found.next()
    }

    fn evaluated(&self, name: &str, var: &Var) -> Result<Text, Why> {
        self.evaluator.text(name, var, self.vars, self.own)
    }

    /// A setting's text with its place; reports what has none.
    fn text(&self, names: &[&'static str]) -> Option<(String, Place)> {
        let (name, var) = self.first(names)?;
        if matches!(var.value, Value::Null) {
            return None;
        }
        let why = match self.evaluated(name, var) {
            Ok(Text {
                is_secret: true, ..
            }) => Why::IsSecret(name.to_owned()),
            Ok(Text { text, .. }) if text.reveal().is_empty() => {
                if var.nature == Nature::Template {
                    return None;
                }
                self.book
                    .problem(var.place, format!("`{name}` is empty"), None);
                return None;
            }
            Ok(Text { text, .. }) => return Some((text.reveal().to_owned(), var.place)),
            Err(why) => why,
        };
        self.unusable(name, var.place, &why);
        None
    }

    fn unusable(&self, name: &str, place: Place, why: &Why) {
        let (message, help) = match why {
            Why::IsSecret(_) | Why::NoKey(_) => (
                format!(
                    "`{name}` is encrypted: how a host is reached stands in the plan, which keeps no secrets"
                ),
                "write the value out".to_owned(),
            ),
            Why::Damaged(why) => (
                format!("`{name}` cannot be decrypted: {why}"),
                "look at it with `ansible-vault`".to_owned(),
            ),
            Why::Template(why) => (
                format!("`{name}` is a template that cannot be worked out here: {why}"),
                "a setting may name plain variables of its host; write the value out otherwise"
                    .to_owned(),
            ),
            Why::NoText => (format!("`{name}` is a text"), "write one value".to_owned()),
        };
        self.book.problem(place, message, help);
    }

    fn address(&self) -> Option<String> {
        let (address, place) = self.text(ADDRESS)?;
        match address_fault(&address) {
            None => Some(address),
            Some(fault) => {
                self.book.problem(place, fault, None);
                None
            }
        }
    }

    fn port(&self) -> Option<u16> {
        let (port, place) = self.text(PORT)?;
        let number = port.trim().parse().ok().filter(|port: &u16| *port > 0);
        if number.is_none() {
            let message = format!("`{}` is no port", shortened(&port));
            self.book.problem(place, message, None);
        }
        number
    }

    fn truth(&self, names: &[&'static str]) -> Option<bool> {
        let (text, place) = self.text(names)?;
        match text.trim().to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" | "y" | "t" | "1.0" => Some(true),
            "false" | "no" | "off" | "0" | "n" | "f" | "0.0" => Some(false),
            _ => {
                let message = "`true` or `false` is needed here";
                self.book.problem(place, message, None);
                None
            }
        }
    }

    /// The key's path. A relative one is meant from where the command is given, as with Ansible; `~` is
    /// the home of whoever runs it.
    fn key(&self) -> Option<Vec<String>> {
        let (path, _) = self.text(IDENTITY)?;
        let absolute = match self.working_folder {
            Some(folder) if !path.starts_with(['/', '~']) => super::layers::join(folder, &path),
            _ => path,
        };
        Some(vec![absolute])
    }

    /// Words for `ssh`, without those that only share connections among many starts of it.
    fn ssh_args(&self) -> Option<Vec<String>> {
        let mut out = Vec::new();
        for name in SSH_ARGS {
            let Some((text, place)) = self.text(&[name]) else {
                continue;
            };
            match tokens::words(&text) {
                Ok(words) => out.extend(without_sharing(words)),
                Err(_) => {
                    let message = format!("a quote in `{name}` has no end");
                    self.book.problem(place, message, None);
                }
            }
        }
        (!out.is_empty()).then_some(out)
    }

    fn transport(&self) -> Option<Transport> {
        let (text, place) = self.text(TRANSPORT)?;
        match text.as_str() {
            "native" => Some(Transport::Native),
            "openssh" => Some(Transport::Openssh),
            other => {
                let message = format!("`{}` is no client", shortened(other));
                let help = "the clients are `native` and `openssh`";
                self.book.problem(place, message, help.to_owned());
                None
            }
        }
    }

    fn state_dir(&self) -> Option<String> {
        let (path, place) = self.text(STATE_DIR)?;
        if path.starts_with('/') {
            return Some(path);
        }
        let message = "`overhaul_state_dir` is no absolute path";
        self.book
            .problem(place, message, "begin it with `/`".to_owned());
        None
    }

    fn zone(&self) -> Option<String> {
        let (zone, place) = self.text(ZONE)?;
        let Some(fault) = name_fault(&zone) else {
            return Some(zone);
        };
        let message = format!("`{}` is no valid name: {fault}", shortened(&zone));
        self.book.problem(place, message, NAME_HELP.to_owned());
        None
    }

    /// The password for sudo; without a key it must be given another way, which is said.
    fn password(&self) -> Option<Secret> {
        let (name, var) = self.first(PASSWORD)?;
        match self.evaluated(name, var) {
            Ok(text) if text.text.reveal().is_empty() => None,
            Ok(text) => Some(text.text),
            Err(Why::NoKey(_)) => {
                let message = format!("`{name}` is encrypted, and no vault password was given");
                let help = "give it with --vault-password-file, or the sudo password with --ask-sudo-password";
                self.book.note(var.place, message, help.to_owned());
                None
            }
            Err(Why::Template(why)) => {
                let message =
                    format!("`{name}` is a template that cannot be worked out here: {why}");
                let help = "give the sudo password with --ask-sudo-password";
                self.book.note(var.place, message, help.to_owned());
                None
            }
            Err(why) => {
                self.unusable(name, var.place, &why);
                None
            }
        }
    }

    fn refuse(&self) {
        if let Some((method, place)) = self.text(BECOME_METHOD)
            && !BECOME_METHODS.contains(&method.as_str())
        {
            let message = format!(
                "`ansible_become_method` is `{}`: another account is taken by sudo only",
                shortened(&method)
            );
            let help = "take the host out of this inventory, or the setting away";
            self.book.problem(place, message, help.to_owned());
        }
        for name in REFUSED {
            if let Some(var) = self.vars.get(name) {
                let message = format!("`{name}`: logging in with a password is not available");
                self.book.problem(
                    var.place,
                    message,
                    "log in with a key or an agent".to_owned(),
                );
            }
        }
    }
}

/// The words without `ControlMaster`, `ControlPersist` and `ControlPath`: each host has one connection here.
fn without_sharing(words: Vec<String>) -> Vec<String> {
    let shares = |option: &str| option.to_ascii_lowercase().starts_with("control");
    let mut out: Vec<String> = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "-M" => {}
            "-S" => {
                words.next();
            }
            "-o" => match words.next() {
                Some(option) if shares(&option) => {}
                option => {
                    out.push(word);
                    out.extend(option);
                }
            },
            joined if joined.strip_prefix("-o").is_some_and(shares) => {}
            _ => out.push(word),
        }
    }
    out
}
