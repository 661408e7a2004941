//! Sudo passwords, from the inventory, a file, or the terminal, and passphrases of key files, from the terminal. Never
//! from arguments or the environment.

use crate::args::HostArgs;
use crate::failure::{Failure, file};
use overhaul_model::id::HostName;
use overhaul_model::secret::Secret;
use overhaul_reach::ssh::Secret as KeySecret;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use zeroize::Zeroizing;

/// Longest password that is read: far above what sudo takes.
const PASSWORD_BYTES_MAX: u64 = 4_096;

/// The passwords of all hosts: what the inventory names, and for the others the one that was given.
///
/// # Errors
/// When the file or the terminal cannot be read, or others may read the file.
pub fn passwords<'a>(
    args: &HostArgs,
    mut named: BTreeMap<HostName, Secret>,
    hosts: impl IntoIterator<Item = &'a HostName>,
) -> Result<BTreeMap<HostName, Secret>, Failure> {
    let given = match &args.sudo_password_file {
        Some(path) => Some(from_file(path)?),
        None if args.ask_sudo_password => Some(from_terminal(
            "sudo password on the hosts",
            "--sudo-password-file",
        )?),
        None => None,
    };
    if let Some(given) = given {
        for host in hosts {
            named.entry(host.clone()).or_insert_with(|| given.clone());
        }
    }
    Ok(named)
}

fn from_file(path: &Path) -> Result<Secret, Failure> {
    let opened = for_you_alone(path)?;
    first_line(opened).map_err(|error| file(path, "read", &error))
}

/// The text of a file that only its owner may read.
///
/// # Errors
/// When it cannot be read, others may read it, or it is longer than a password or not text.
pub fn whole_file(path: &Path) -> Result<Secret, Failure> {
    let opened = for_you_alone(path)?;
    let mut text = Zeroizing::new(String::new());
    opened
        .take(PASSWORD_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(|error| file(path, "read", &error))?;
    Ok(Secret::new(text.as_str()))
}

fn for_you_alone(path: &Path) -> Result<File, Failure> {
    let wrong = |error| file(path, "read", &error);
    let opened = File::open(path).map_err(wrong)?;
    let mode = opened.metadata().map_err(wrong)?.mode();
    if mode & 0o077 != 0 {
        return Err(Failure::input(format!(
            "{}: others may read this file (mode {:04o}), so the password in it is no secret",
            path.display(),
            mode & 0o7777
        ))
        .hint(format!("chmod 600 {}", path.display())));
    }
    Ok(opened)
}

fn first_line(from: impl std::io::Read) -> std::io::Result<Secret> {
    let mut line = String::new();
    BufReader::new(from.take(PASSWORD_BYTES_MAX)).read_line(&mut line)?;
    Ok(Secret::new(line.trim_end_matches(['\n', '\r'])))
}

/// Echo comes back when this goes, whatever happens.
struct Quiet<'a> {
    tty: &'a File,
    before: rustix::termios::Termios,
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.tty, OptionalActions::Flush, &self.before);
    }
}

/// What is typed at the terminal without being shown; `instead` is the option that makes it needless.
///
/// # Errors
/// When there is no terminal.
pub fn from_terminal(whose: &str, instead: &str) -> Result<Secret, Failure> {
    ask(&format!("{whose}: ")).map_err(|error| {
        Failure::input(format!(
            "the {whose} cannot be asked for: there is no terminal ({error})"
        ))
        .hint(format!("name a file instead: {instead} FILE"))
    })
}

/// The passphrase of a key file, from whoever sits at the terminal. `None` without a terminal, and for an empty answer: that
/// is how a person says that there is none to give.
pub fn passphrase(file: &Path, wrong: u32) -> Option<KeySecret> {
    let again = if wrong > 0 { "wrong; " } else { "" };
    let file: String = file
        .to_string_lossy()
        .chars()
        .filter(|c| !c.is_control())
        .collect();
    let given = ask(&format!("{again}passphrase of {file}: ")).ok()?;
    (!given.reveal().is_empty()).then(|| KeySecret::new(given.reveal()))
}

/// Asks at the terminal without showing what is typed.
fn ask(question: &str) -> std::io::Result<Secret> {
    let mut tty = File::options().read(true).write(true).open("/dev/tty")?;
    let secret = {
        let before = tcgetattr(&tty)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&tty, OptionalActions::Flush, &silent)?;
        let quiet = Quiet { tty: &tty, before };
        (&tty).write_all(question.as_bytes())?;
        first_line(quiet.tty)?
    };
    tty.write_all(b"\n")?;
    Ok(secret)
}
