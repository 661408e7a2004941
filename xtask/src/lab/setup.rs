//! Making hosts what their topology says: scripts of `lab/setup/`, run again whenever an instance is brought up.

use std::fmt::Write as _;
use std::fs;
use std::thread;

use sha2::{Digest, Sha256};

use super::error::{LabError, Named, Result};
use super::instance::Instance;
use super::paths;
use super::ssh;

/// The waits inside the scripts end before: a member of a cluster waits at most seven minutes for others on a busy machine.
const SETUP_S_MAX: u64 = 600;
/// The part that stands before every script.
const LIBRARY: &str = "lib";

/// Sets all hosts up at the same time, since they wait for each other.
///
/// # Errors
/// The first failure by name of host, after all have ended.
pub fn all(instance: &Instance, secret: &str) -> Result<()> {
    let results: Vec<Result<()>> = thread::scope(|scope| {
        let start = |name| scope.spawn(move || host(instance, secret, name));
        let running: Vec<_> = instance.hosts.keys().map(|name| start(name)).collect();
        let broken = |_| Err(LabError::State("a setup thread broke down".into()));
        let ended = running.into_iter().map(|one| one.join());
        ended.map(|ended| ended.unwrap_or_else(broken)).collect()
    });
    results.into_iter().collect()
}

/// Sets one host up.
///
/// # Errors
/// When a script cannot be read or fails; its last words are in the message.
pub fn host(instance: &Instance, secret: &str, name: &str) -> Result<()> {
    let record = instance.host(name)?;
    for script in &record.spec.setup {
        let mut text = read(LIBRARY)?;
        // On standard input: arguments are seen by everybody.
        let _ = writeln!(text, "LAB_SECRET={}", derived(secret));
        text.push_str(&read(script)?);
        // The whole script is read before it begins, so that no command in it eats the rest.
        let line = "script=$(cat) && exec sh -c \"$script\" </dev/null";
        ssh::run_with_input(instance, name, SETUP_S_MAX, line, &text)?;
    }
    Ok(())
}

fn read(script: &str) -> Result<String> {
    let path = paths::data().join("setup").join(format!("{script}.sh"));
    fs::read_to_string(&path).named(&path)
}

/// What the services of an instance trust each other by: 32 hexadecimal digits that say nothing of the password they come from.
fn derived(secret: &str) -> String {
    let digest = Sha256::digest(format!("services {secret}"));
    digest
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
