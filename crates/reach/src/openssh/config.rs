//! The configuration that a master and the `ssh` programs of its jump hosts read.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use super::target::Target;
use super::words::{named_config, option};

/// What holds whatever files and operators say: `ssh` takes the first value that it meets.
const ALWAYS: [&str; 12] = [
    // A prompt in the middle of a run would wait for nobody.
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "UpdateHostKeys=no",
    "ConnectionAttempts=1",
    "ControlPersist=no",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "PermitLocalCommand=no",
    "RequestTTY=no",
    "RemoteCommand=none",
    // Refusals are told with their reasons on this level only, those of Kerberos first of all.
    "LogLevel=DEBUG1",
];

/// What `ssh` reads when no file is named.
const USUAL: [&str; 2] = ["~/.ssh/config", "/etc/ssh/ssh_config"];

/// Writes the file for one master. A jump host is reached by a further `ssh` that is told nothing
/// but the name of this file; without it the jump host's key would be checked as the operator's own
/// files say, which may be not at all.
pub(super) fn write(path: &Path, target: &Target) -> io::Result<()> {
    let mut text = String::from("# Made by overhaul for one connection.\n");
    for setting in ALWAYS
        .iter()
        .map(|setting| (*setting).to_owned())
        .chain(bounds(target))
    {
        text += &setting.replacen('=', " ", 1);
        text.push('\n');
    }
    match named_config(&target.words) {
        Some("none") => {}
        Some(file) => text += &format!("Include {}\n", absolute(file)?),
        None => {
            for file in USUAL {
                text += &format!("Include {file}\n");
            }
        }
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())
}

/// The words of a master, without the program.
pub(super) fn master_words(target: &Target, socket: &Path, config: &Path) -> Vec<String> {
    let mut words = vec![
        "-N".to_owned(),
        "-F".to_owned(),
        config.display().to_string(),
    ];
    words.extend(option("ControlMaster=yes"));
    words.extend(option(&format!("ControlPath={}", socket.display())));
    for setting in ALWAYS
        .iter()
        .map(|setting| (*setting).to_owned())
        .chain(bounds(target))
    {
        words.extend(option(&setting));
    }
    let mut own = target.words.iter();
    while let Some(word) = own.next() {
        // That file is included by ours.
        match word == "-F" {
            true => drop(own.next()),
            false => words.push(word.clone()),
        }
    }
    words.extend(["--".to_owned(), target.address.clone()]);
    words
}

fn bounds(target: &Target) -> [String; 3] {
    [
        format!("ConnectTimeout={}", seconds(target.connect_timeout)),
        format!("ServerAliveInterval={}", seconds(target.keepalive_interval)),
        format!("ServerAliveCountMax={}", target.keepalive_max),
    ]
}

/// `ssh` counts in seconds, and takes 0 for "never".
fn seconds(time: Duration) -> u64 {
    time.as_millis()
        .div_ceil(1000)
        .try_into()
        .unwrap_or(u64::MAX)
        .max(1)
}

/// `Include` looks for relative names in `~/.ssh`, `-F` in the folder that we run in.
fn absolute(file: &str) -> io::Result<String> {
    if file.starts_with("~/") {
        return Ok(file.to_owned());
    }
    let path = std::path::absolute(file)?;
    Ok(format!("\"{}\"", path.display()))
}
