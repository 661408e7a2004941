//! A command of the plan as the system's own.

use overhaul_model::primitive::{self, Exec};
use rustix::fs::Access;
use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};

/// Where programs are looked for. Package scripts need the `sbin` folders, which a plain account's
/// login does not have.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The variable that says where programs are looked for.
const PATH_NAME: &str = "PATH";

/// Whether this process is in `/`, so that the commands that it starts are there, too.
static AT_ROOT: AtomicBool = AtomicBool::new(false);

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
            match exec.env.contains_key(PATH_NAME) {
                // It is looked for where the command's own variable says.
                true => with(Command::new(program), arguments),
                false => plain(program, arguments),
            }
        }
        primitive::Command::Shell(script) => plain("/bin/sh", ["-eu", "-c", script.as_str()]),
    };
    command.envs(&exec.env);
    if let Some(cwd) = &exec.cwd {
        command.current_dir(cwd);
    }
    Ok(command)
}

/// Goes to `/`, where commands run. A command that needs no folder of its own is started without a copy of this
/// process, which takes a fraction of the time: see [`spawn`].
pub fn go_to_root() {
    if std::env::set_current_dir("/").is_ok() {
        AT_ROOT.store(true, Ordering::SeqCst);
    }
}

/// Starts a command. The short way (`posix_spawn(3)`, chosen by the standard library for commands without a folder
/// or a search of their own) knows programs alone; a script without a line that names its shell is handed to
/// `/bin/sh` by the long way, as `execvp(3)` does.
///
/// # Errors
/// When it cannot be started.
#[expect(
    unsafe_code,
    reason = "something to do before the program begins is what makes the standard library take the long way"
)]
pub fn spawn(command: &mut Command) -> io::Result<Child> {
    match command.spawn() {
        Err(error) if error.raw_os_error() == Some(libc::ENOEXEC) => {
            // SAFETY: the closure does nothing, which is sound at any moment.
            unsafe { command.pre_exec(|| Ok(())) };
            command.spawn()
        }
        done => done,
    }
}

/// A command of the helper's own.
pub fn plain<S: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    arguments: impl IntoIterator<Item = S>,
) -> Command {
    let program = program.as_ref();
    match found(program) {
        Some(path) => {
            let mut command = Command::new(path);
            command.arg0(program);
            with(command, arguments)
        }
        None => with(Command::new(program), arguments),
    }
}

fn with<S: AsRef<OsStr>>(mut command: Command, arguments: impl IntoIterator<Item = S>) -> Command {
    command
        .args(arguments)
        .env_clear()
        .env(PATH_NAME, PATH)
        .env("HOME", home())
        .env("LANG", "C.UTF-8")
        .process_group(0);
    if !AT_ROOT.load(Ordering::SeqCst) {
        command.current_dir("/");
    }
    command
}

/// Where a program is that is named without a folder.
fn found(program: &OsStr) -> Option<PathBuf> {
    if program.as_encoded_bytes().contains(&b'/') {
        return None;
    }
    PATH.split(':')
        .map(|folder| Path::new(folder).join(program))
        .find(|path| path.is_file() && rustix::fs::access(path, Access::EXEC_OK).is_ok())
}

/// The home directory, without asking a name service. After `sudo` the variable may still name that of
/// the login account, where root would leave files that the account cannot change.
fn home() -> String {
    if rustix::process::geteuid().is_root() {
        return "/root".to_owned();
    }
    std::env::var("HOME").unwrap_or_else(|_| "/".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Stdio;

    fn said(exec: &Exec) -> String {
        let mut command = command(exec).unwrap();
        command.stdout(Stdio::piped());
        let done = spawn(&mut command).unwrap().wait_with_output().unwrap();
        String::from_utf8(done.stdout).unwrap()
    }

    #[test]
    fn programs_are_found_and_run_where_they_should() {
        go_to_root();
        let folder = tempfile::tempdir().unwrap();
        // Without a first line that names its shell.
        let script = folder.path().join("own");
        fs::write(&script, "echo $0 $1; pwd\n").unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let script = script.to_str().unwrap();
        let here = folder.path().to_str().unwrap();
        assert_eq!(said(&Exec::argv(["pwd"])), "/\n");
        assert_eq!(said(&Exec::argv([script, "x"])), format!("{script} x\n/\n"));
        let in_folder = Exec {
            cwd: Some(here.to_owned()),
            ..Exec::argv([script, "x"])
        };
        assert_eq!(said(&in_folder), format!("{script} x\n{here}\n"));
        let by_own_path = Exec {
            env: [(PATH_NAME.to_owned(), format!("{here}:{PATH}"))].into(),
            ..Exec::argv(["own", "y"])
        };
        assert_eq!(said(&by_own_path), format!("{script} y\n/\n"));
        let mut absent = command(&Exec::argv(["no-such-program"])).unwrap();
        let error = spawn(&mut absent).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
