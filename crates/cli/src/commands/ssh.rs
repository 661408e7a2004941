//! `overhaul ssh`: a shell on a host, by the rules of the fleet.

use crate::args::SshArgs;
use crate::console::Console;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::inputs;
use overhaul_model::fleet::{Become, Host};
use overhaul_model::id::HostName;
use overhaul_reach::openssh::login_words;
use overhaul_reach::ssh::command_line;
use std::io::{ErrorKind, IsTerminal as _};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Becomes `ssh`, so that the exit code is that of the shell or the command.
pub fn ssh(args: &SshArgs, console: Console) -> Outcome {
    let fleet = inputs::fleet_alone(&args.fleet)?.fleet;
    let host = fleet.hosts.get(&HostName::new(args.host.as_str()));
    let host = host.ok_or_else(|| {
        Failure::input(format!(
            "the fleet {} has no host `{}`",
            fleet.name, args.host
        ))
    })?;
    let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let words = words(args, host, terminal)?;
    if args.print {
        if console.json {
            console.out_json(&serde_json::json!({ "command": words }));
        } else {
            console.out(&format!(
                "{}\n",
                command_line(&words).map_err(Failure::input)?
            ));
        }
        return Ok(Exit::Ok);
    }
    if let Some(user) = become_user(args, host) {
        console.note(&format!(
            "{}: as {user}, by sudo, as the fleet says; --no-become stays the account that logs in",
            host.name
        ));
    }
    let (program, words) = words
        .split_first()
        .ok_or_else(|| Failure::internal("no words"))?;
    let error = Command::new(program).args(words).exec();
    Err(match error.kind() {
        ErrorKind::NotFound => Failure::internal("there is no program `ssh` here")
            .hint("install the package openssh-client; runs do not need it"),
        _ => Failure::internal(format!("ssh cannot be started: {error}")),
    })
}

fn become_user<'a>(args: &SshArgs, host: &'a Host) -> Option<&'a str> {
    match &host.connection.become_user {
        Become::Sudo { user } if !args.no_become => Some(user),
        Become::Sudo { .. } | Become::No => None,
    }
}

/// The whole command line, the program first.
fn words(args: &SshArgs, host: &Host, terminal: bool) -> Result<Vec<String>, Failure> {
    let mut words = vec!["ssh".to_owned()];
    let own = login_words(&host.connection)
        .map_err(|error| Failure::input(format!("{}: {error}", host.name)))?;
    words.extend(own);
    let mut there: Vec<&str> = Vec::new();
    if let Some(user) = become_user(args, host) {
        there.extend(["sudo", "-u", user]);
        there.push(if args.command.is_empty() { "-i" } else { "--" });
    }
    there.extend(args.command.iter().map(String::as_str));
    // For a plain shell ssh sees to a terminal itself.
    if terminal && !there.is_empty() {
        words.push("-t".to_owned());
    }
    words.extend(["--".to_owned(), host.connection.address.clone()]);
    if !there.is_empty() {
        words.push(command_line(&there).map_err(Failure::input)?);
    }
    Ok(words)
}
