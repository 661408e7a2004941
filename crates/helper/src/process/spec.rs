//! A command of the plan as the system's own.

use overhaul_model::primitive::{self, Exec};
use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Where programs are looked for. Package scripts need the `sbin` folders, which a plain account's
/// login does not have.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// An argument list without a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the command is empty")]
pub struct NoCommand;

/// The command in its own process group, with a clean environment. Its streams are the caller's to set.
///
/// # Errors
/// When it names no program.
pub fn command(exec: &Exec) -> Result<Command, NoCommand> {
    let mut command = match &exec.command {
        primitive::Command::Argv(argv) => {
            let (program, arguments) = argv.split_first().ok_or(NoCommand)?;
            plain(program, arguments)
        }
        primitive::Command::Shell(script) => plain("/bin/sh", ["-eu", "-c", script.as_str()]),
    };
    command
        .envs(&exec.env)
        .current_dir(exec.cwd.as_deref().unwrap_or("/"));
    Ok(command)
}

/// A command of the helper's own.
pub fn plain<S: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    arguments: impl IntoIterator<Item = S>,
) -> Command {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .env("PATH", PATH)
        .env("HOME", home())
        .env("LANG", "C.UTF-8")
        .current_dir("/")
        .process_group(0);
    command
}

/// The home directory, without asking a name service. After `sudo` the variable may still name that of
/// the login account, where root would leave files that the account cannot change.
fn home() -> String {
    if rustix::process::geteuid().is_root() {
        return "/root".to_owned();
    }
    std::env::var("HOME").unwrap_or_else(|_| "/".to_owned())
}
