//! Going into hosts by ssh. Host keys are always checked, against the keys that the lab gave out.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::command::{bounded, output_of, output_with_input};
use super::error::{LabError, Result};
use super::instance::Instance;
use super::inventory::OWN_KEYS;

/// A host is there in 1.5 s on an idle machine; dozens at once on two busy cores took 16 s.
const BOOT_WAIT_S_MAX: u64 = 120;
/// How often a booting host is tried.
const BOOT_POLL_MS: u64 = 100;
/// One try must not use up the whole wait.
const TRY_S_MAX: u64 = 10;

fn options(instance: &Instance, user: &str, host: &str) -> Result<Vec<String>> {
    let record = instance.host(host)?;
    let address = instance.address(record);
    let mut options = own_options(instance);
    if let Some(jump) = &record.spec.behind {
        let jump = instance.address(instance.host(jump)?);
        // Options of the command line are not those of the way there: ProxyJump would know no key.
        let way = own_options(instance).join("' '");
        options.extend([
            "-o".into(),
            format!("ProxyCommand=ssh '{way}' -W %h:%p root@{jump}"),
        ]);
    }
    options.push(format!("{user}@{address}"));
    Ok(options)
}

fn own_options(instance: &Instance) -> Vec<String> {
    vec![
        "-F".into(),
        "none".into(),
        "-i".into(),
        instance.file("ssh_key").display().to_string(),
        "-o".into(),
        format!("UserKnownHostsFile={}", instance.file(OWN_KEYS).display()),
        "-o".into(),
        "GlobalKnownHostsFile=none".into(),
        "-o".into(),
        "StrictHostKeyChecking=yes".into(),
        "-o".into(),
        "IdentitiesOnly=yes".into(),
        "-o".into(),
        "BatchMode=yes".into(),
        "-o".into(),
        "ConnectTimeout=20".into(),
        "-o".into(),
        "ServerAliveInterval=5".into(),
        "-o".into(),
        "LogLevel=ERROR".into(),
    ]
}

/// An ssh command that a person or a script drives; its length is theirs.
pub fn interactive(
    instance: &Instance,
    user: &str,
    host: &str,
    words: &[String],
) -> Result<Command> {
    let mut command = Command::new("ssh");
    command.args(options(instance, user, host)?).args(words);
    Ok(command)
}

/// Runs a shell line as root and returns its output.
pub fn run(instance: &Instance, host: &str, bound_s: u64, line: &str) -> Result<String> {
    let mut command = bounded(bound_s, "ssh");
    command.args(options(instance, "root", host)?).arg(line);
    output_of(&mut command)
}

/// Runs a shell line as root with text on its standard input.
pub fn run_with_input(
    instance: &Instance,
    host: &str,
    bound_s: u64,
    line: &str,
    input: &str,
) -> Result<String> {
    let mut command = bounded(bound_s, "ssh");
    command.args(options(instance, "root", host)?).arg(line);
    output_with_input(&mut command, input.as_bytes())
}

/// Waits until a host lets root in; `still_booting` says whether it is worth waiting.
pub fn wait(instance: &Instance, host: &str, still_booting: impl Fn() -> Result<()>) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(BOOT_WAIT_S_MAX);
    loop {
        if run(instance, host, TRY_S_MAX, "true").is_ok() {
            return Ok(());
        }
        still_booting()?;
        if Instant::now() > deadline {
            return Err(LabError::Late {
                what: format!("ssh to {host}"),
                seconds: BOOT_WAIT_S_MAX,
            });
        }
        thread::sleep(Duration::from_millis(BOOT_POLL_MS));
    }
}

/// Whether a host lets root in now.
pub fn answers(instance: &Instance, host: &str) -> bool {
    run(instance, host, TRY_S_MAX, "true").is_ok()
}
