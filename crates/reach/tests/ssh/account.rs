//! An account of this machine with a password and rules for sudo. Needs root and sudo.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::support::{is_root, tool};

pub const PASSWORD: &str = "correct horse";

/// An account that exists while this does.
pub struct Account {
    pub name: String,
    rules: PathBuf,
}

impl Account {
    /// Makes the account; `rule` is what sudoers says about it, with `USER` for its name.
    pub fn new(rule: &str) -> Self {
        assert!(
            is_root(),
            "the sudo tests make an account: run them as root"
        );
        let name = format!("ovh{:x}", std::process::id());
        let account = Self {
            rules: PathBuf::from("/etc/sudoers.d").join(&name),
            name,
        };
        tool(
            "useradd",
            "passwd",
            &["--no-create-home", "--shell", "/bin/sh", &account.name],
        );
        let mut chpasswd = Command::new("chpasswd")
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        chpasswd
            .stdin
            .take()
            .unwrap()
            .write_all(format!("{}:{PASSWORD}\n", account.name).as_bytes())
            .unwrap();
        assert!(chpasswd.wait().unwrap().success());
        // Written beside and renamed: sudo reads this folder for every account, other tests' too.
        let hidden = account.rules.with_extension("new");
        fs::write(&hidden, rule.replace("USER", &account.name) + "\n").unwrap();
        fs::set_permissions(&hidden, fs::Permissions::from_mode(0o440)).unwrap();
        fs::rename(&hidden, &account.rules).unwrap();
        account
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let _rules = fs::remove_file(&self.rules);
        let _gone = Command::new("userdel")
            .args(["--force", &self.name])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}
