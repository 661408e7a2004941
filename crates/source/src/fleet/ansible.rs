//! The variables of an Ansible inventory that say how a host is reached.

use super::draft::{Settings, address_fault, is_template};
use super::groups::Placed;
use crate::node::shortened;
use crate::problem::Sink;
use crate::reader;
use overhaul_model::secret::Secret;
use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::Range;

const ADDRESS: &[&str] = &["ansible_host", "ansible_ssh_host"];
const PORT: &[&str] = &["ansible_port", "ansible_ssh_port"];
const USER: &[&str] = &["ansible_user", "ansible_ssh_user"];
const IDENTITY: &[&str] = &["ansible_ssh_private_key_file", "ansible_private_key_file"];
const BY_SUDO: &[&str] = &["ansible_become"];
const BECOME_USER: &[&str] = &["ansible_become_user"];
const PASSWORD: &[&str] = &["ansible_become_password", "ansible_become_pass"];
const KNOWN_HOSTS: &[&str] = &["overhaul_known_hosts"];
const STATE_DIR: &[&str] = &["overhaul_state_dir"];
const ZONE: &[&str] = &["overhaul_zone", "zone"];

/// Settings whose value must be one of these, because another one means a way of working that is not ours.
const ONLY: &[(&str, &[&str], &str)] = &[
    (
        "ansible_connection",
        &["ssh", "smart", "paramiko"],
        "hosts are reached by SSH only",
    ),
    (
        "ansible_become_method",
        &["sudo"],
        "another account is taken by sudo only",
    ),
];

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
    "ansible_group_priority",
    "ansible_pipelining",
    "ansible_python_interpreter",
    "ansible_scp_extra_args",
    "ansible_sftp_extra_args",
    "ansible_shell_executable",
    "ansible_shell_type",
    "ansible_ssh_args",
    "ansible_ssh_common_args",
    "ansible_ssh_executable",
    "ansible_ssh_extra_args",
    "ansible_ssh_pipelining",
    "ansible_ssh_retries",
    "ansible_ssh_transfer_method",
];

/// Those of [`PASSED_OVER`] that may change how a host is reached, so that passing over is said.
const SAID: &[&str] = &[
    "ansible_become_exe",
    "ansible_become_flags",
    "ansible_ssh_args",
    "ansible_ssh_common_args",
    "ansible_ssh_executable",
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
        REFUSED,
        PASSED_OVER,
    ];
    name == "overhaul_zone"
        || groups.iter().any(|group| group.contains(&name))
        || ONLY.iter().any(|(only, ..)| *only == name)
}

/// A value as a text.
pub(super) fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What a host's variables say about how it is reached.
pub(super) fn settings(sink: &Sink, notes: &Sink, vars: &BTreeMap<&str, &Placed>) -> Settings {
    let reader = Reader { sink, vars };
    reader.refuse();
    for name in SAID {
        if let Some(placed) = vars.get(name) {
            let message = format!("`{name}` is passed over");
            let help = "hosts are reached by a client of our own, which knows user, port, key and known hosts";
            notes.add_with_help(&placed.span, message, help);
        }
    }
    Settings {
        address: reader.address(),
        port: reader.port(),
        user: reader.text(USER),
        identity_files: reader.text(IDENTITY).map(|path| vec![path]),
        known_hosts: reader.text(KNOWN_HOSTS).map(|path| vec![path]),
        by_sudo: reader.truth(BY_SUDO),
        become_user: reader.text(BECOME_USER),
        state_dir: reader.state_dir(),
        zone: reader.zone(),
        password: reader.password(),
    }
}

struct Reader<'r, 's, 'f, 'v> {
    sink: &'s Sink<'f>,
    vars: &'r BTreeMap<&'v str, &'v Placed>,
}

impl<'v> Reader<'_, '_, '_, 'v> {
    fn first(&self, names: &[&str]) -> Option<&'v Placed> {
        names.iter().find_map(|name| self.vars.get(name)).copied()
    }

    fn text(&self, names: &[&str]) -> Option<String> {
        let placed = self.first(names)?;
        if is_template(&placed.json) {
            self.template(&placed.span);
            return None;
        }
        match &placed.json {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Null => None,
            _ => {
                let name = names.first().copied().unwrap_or_default();
                self.sink.add(&placed.span, format!("`{name}` is a text"));
                None
            }
        }
    }

    fn template(&self, span: &Range<usize>) {
        let message = "how a host is reached is no template";
        self.sink
            .add_with_help(span, message, "write the value out");
    }

    fn address(&self) -> Option<String> {
        let placed = self.first(ADDRESS)?;
        let address = self.text(ADDRESS)?;
        match address_fault(&address) {
            None => Some(address),
            Some(fault) => {
                self.sink.add(&placed.span, fault);
                None
            }
        }
    }

    fn port(&self) -> Option<u16> {
        let placed = self.first(PORT)?;
        let port = words(&placed.json)
            .parse()
            .ok()
            .filter(|port: &u16| *port > 0);
        if port.is_none() {
            let message = format!("`{}` is no port", shortened(&words(&placed.json)));
            self.sink.add(&placed.span, message);
        }
        port
    }

    fn truth(&self, names: &[&str]) -> Option<bool> {
        let placed = self.first(names)?;
        match words(&placed.json).to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" | "y" | "t" => Some(true),
            "false" | "no" | "off" | "0" | "n" | "f" => Some(false),
            _ => {
                let message = "`true` or `false` is needed here";
                self.sink.add(&placed.span, message);
                None
            }
        }
    }

    fn state_dir(&self) -> Option<String> {
        let placed = self.first(STATE_DIR)?;
        let path = self.text(STATE_DIR)?;
        if path.starts_with('/') {
            return Some(path);
        }
        let message = "`overhaul_state_dir` is no absolute path";
        self.sink
            .add_with_help(&placed.span, message, "begin it with `/`");
        None
    }

    fn zone(&self) -> Option<String> {
        let placed = self.first(ZONE)?;
        let zone = words(&placed.json);
        reader::check_name(self.sink, &zone, &placed.span).then_some(zone)
    }

    fn password(&self) -> Option<Secret> {
        let placed = self.first(PASSWORD)?;
        if is_template(&placed.json) {
            // A vault lookup as a rule: the password is then asked for.
            return None;
        }
        match &placed.json {
            Value::Null => None,
            value => Some(Secret::new(words(value))),
        }
    }

    fn refuse(&self) {
        for (name, fit, reason) in ONLY {
            let Some(placed) = self.vars.get(name) else {
                continue;
            };
            let value = words(&placed.json);
            if !fit.contains(&value.as_str()) {
                let message = format!("`{name}` is `{}`: {reason}", shortened(&value));
                let help = "take the host out of this inventory, or the setting away";
                self.sink.add_with_help(&placed.span, message, help);
            }
        }
        for name in REFUSED {
            if let Some(placed) = self.vars.get(name) {
                let message = format!("`{name}`: logging in with a password is not available");
                self.sink
                    .add_with_help(&placed.span, message, "log in with a key or an agent");
            }
        }
    }
}
