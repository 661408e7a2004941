//! A run as a service of systemd: it goes on when the terminal closes.

use crate::args::{FleetArgs, LeadingArgs};
use crate::console::Console;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use overhaul_model::id::RunId;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where systemd says that it runs this machine.
const SYSTEMD: &str = "/run/systemd/system";

/// Variables that a controller reads; none of them holds a secret.
const VARIABLES: [&str; 11] = [
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "TZ",
    "SSH_AUTH_SOCK",
    "OVERHAUL_HELPER",
    "OVERHAUL_RECONNECT_BUDGET",
    "OVERHAUL_KEEPALIVE",
    "XDG_STATE_HOME",
    "ANSIBLE_VAULT_PASSWORD_FILE",
];

/// What the service is told of the call that made it.
struct Detached<'a> {
    run: &'a RunId,
    state: PathBuf,
    fleet: &'a FleetArgs,
    leading: &'a LeadingArgs,
}

/// Whether a run could be detached here. Asked before anything is begun.
///
/// # Errors
/// When there is no systemd, or somebody would have to answer at a terminal.
pub fn possible(fleet: &FleetArgs, leading: &LeadingArgs) -> Result<(), Failure> {
    if leading.hosts.ask_sudo_password || fleet.vault.ask_vault_password {
        return Err(
            Failure::input("a detached run can ask for no password; nothing was changed").hint(
                "--sudo-password-file FILE or --vault-password-file FILE take them from files",
            ),
        );
    }
    if !Path::new(SYSTEMD).is_dir() {
        return Err(Failure::input(
            "a run is detached as a service of systemd, which does not run this machine; nothing was changed",
        )
        .hint("without --detach it can be left with a second Ctrl-C and taken up with overhaul resume")
        .hint("or run it in a terminal that stays, as of tmux or screen"));
    }
    Ok(())
}

/// Starts the service, which takes the run up as `resume` does, checks it once more, and says where it went.
///
/// # Errors
/// When systemd refuses; the run is there and can be resumed.
pub fn hand_over(
    run: &RunId,
    state: &Path,
    fleet: &FleetArgs,
    leading: &LeadingArgs,
    console: Console,
) -> Outcome {
    let exit = start(&Detached {
        run,
        state: std::path::absolute(state).map_err(Failure::internal)?,
        fleet,
        leading,
    })?;
    let unit = unit(run);
    if console.json {
        console.out_json(&serde_json::json!({ "run": run, "unit": unit }));
    } else {
        console.out(&format!(
            "run {run} goes on as the service {unit}; follow it with: overhaul watch {run}\n"
        ));
    }
    Ok(exit)
}

fn start(detached: &Detached<'_>) -> Outcome {
    let program = std::env::current_exe().map_err(Failure::internal)?;
    let is_root = rustix::process::geteuid().is_root();
    let set = |name: &&str| std::env::var_os(name).is_some();
    let variables: Vec<&str> = VARIABLES.into_iter().filter(set).collect();
    let words = command_line(detached, &program, is_root, &variables);
    let failed = |why: String| {
        Failure::new(
            Exit::Internal,
            format!(
                "run {} is there, and its service does not start: {why}",
                detached.run
            ),
        )
        .hint(format!(
            "go on without one: overhaul resume {}",
            detached.run
        ))
    };
    let output = Command::new("systemd-run")
        .args(words)
        .output()
        .map_err(|error| failed(format!("systemd-run: {error}")))?;
    match output.status.success() {
        true => Ok(Exit::Ok),
        false => Err(failed(
            String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        )),
    }
}

/// The unit's name.
fn unit(run: &RunId) -> String {
    format!("overhaul-{run}")
}

/// What `systemd-run` is called with.
fn command_line(
    detached: &Detached<'_>,
    program: &Path,
    is_root: bool,
    variables: &[&str],
) -> Vec<OsString> {
    let mut words: Vec<OsString> = Vec::new();
    let mut say = |word: &str| words.push(word.into());
    if !is_root {
        say("--user");
    }
    say(&format!("--unit={}", unit(detached.run)));
    say(&format!("--description=overhaul run {}", detached.run));
    say("--quiet");
    say("--collect");
    say("--same-dir");
    // A controller that is killed is started again, and takes the run up from its journal; one that ended by
    // itself has said why.
    say("--property=Restart=on-abnormal");
    say("--property=RestartSec=10");
    // Told to leave, it says so by its exit code: nothing has failed.
    say("--property=SuccessExitStatus=130");
    // Steps that run on the controller outlive it.
    say("--property=KillMode=process");
    for name in variables {
        say(&format!("--setenv={name}"));
    }
    say("--");
    words.push(program.into());
    words.push("--state".into());
    words.push(detached.state.clone().into());
    words.push("resume".into());
    words.push(detached.run.as_str().into());
    words.extend(arguments(detached));
    words
}

fn arguments(detached: &Detached<'_>) -> Vec<OsString> {
    let mut words: Vec<OsString> = Vec::new();
    let mut say = |flag: &str, value: OsString| {
        words.push(flag.into());
        words.push(value);
    };
    for source in &detached.fleet.sources {
        say("--fleet", source.into());
    }
    for file in &detached.fleet.vault.vault_password_file {
        say("--vault-password-file", file.into());
    }
    for id in &detached.fleet.vault.vault_id {
        say("--vault-id", id.into());
    }
    for (flag, value) in [
        ("--limit", &detached.leading.limits.limit),
        ("--until", &detached.leading.limits.until),
        ("--stage", &detached.leading.limits.stage),
    ] {
        if let Some(value) = value {
            say(flag, value.into());
        }
    }
    for (flag, value) in [
        ("--hooks", &detached.leading.hooks.file),
        (
            "--sudo-password-file",
            &detached.leading.hosts.sudo_password_file,
        ),
        ("--helper", &detached.leading.hosts.helper),
    ] {
        if let Some(value) = value {
            say(flag, value.into());
        }
    }
    if detached.leading.wait {
        words.push("--wait".into());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_gets_everything_but_secrets() {
        let fleet = FleetArgs {
            sources: vec!["fleet.yaml".into()],
            ..FleetArgs::default()
        };
        let mut leading = LeadingArgs {
            wait: true,
            ..LeadingArgs::default()
        };
        leading.limits.until = Some("upgrade".to_owned());
        leading.hosts.sudo_password_file = Some("/root/password".into());
        let detached = Detached {
            run: &RunId::new("20260101-000000-abcd"),
            state: "/var/state".into(),
            fleet: &fleet,
            leading: &leading,
        };
        let program = Path::new("/usr/bin/overhaul");
        let words = command_line(&detached, program, false, &["PATH"]);
        let words: Vec<String> = words
            .into_iter()
            .map(|word| word.into_string().unwrap_or_default())
            .collect();
        insta::assert_snapshot!(words.join("\n"));
    }
}
