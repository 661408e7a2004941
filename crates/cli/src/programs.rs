//! Inventory programs: run with a clean environment and bounds, for `source` to read what they say.

use overhaul_reach::trusted;
use rustix::process::{Pid, Signal, kill_process_group};
use std::io::Read;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Longest run of one program: those that ask a cloud for thousands of hosts take some tens of seconds.
const RUN_MAX: Duration = Duration::from_secs(120);

/// Most that a program may say: 10,000 hosts with their variables take about 20 MiB.
const SAID_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// How much of its complaints is shown.
const COMPLAINT_BYTES_MAX: u64 = 2_000;

/// What a program finds in its environment, as far as we have it ourselves.
const ENVIRONMENT: [&str; 5] = ["HOME", "LOGNAME", "USER", "LANG", "TZ"];

/// Where it finds other programs.
const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What a program says on its standard output.
///
/// # Errors
/// In a sentence: when others could have changed the program, and when it fails, hangs or says too much.
pub fn said(program: &str, arguments: &[&str]) -> Result<String, String> {
    let path = trusted(Path::new(program))?;
    let mut command = Command::new(&path);
    command
        .args(arguments)
        .env_clear()
        .env("PATH", SEARCH_PATH)
        .envs(
            ENVIRONMENT
                .iter()
                .filter_map(|name| Some((name, std::env::var_os(name)?))),
        )
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let child = command
        .spawn()
        .map_err(|error| format!("the program cannot be started: {error}"))?;
    Running::of(child).finish(RUN_MAX)
}

/// A program under way; its whole group is ended when this goes.
struct Running {
    child: Child,
    group: Option<Pid>,
    out: mpsc::Receiver<Vec<u8>>,
    complaints: mpsc::Receiver<Vec<u8>>,
}

impl Running {
    fn of(mut child: Child) -> Self {
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let out = reading(child.stdout.take(), SAID_BYTES_MAX.saturating_add(1));
        let complaints = reading(child.stderr.take(), COMPLAINT_BYTES_MAX);
        Self {
            child,
            group,
            out,
            complaints,
        }
    }

    fn finish(mut self, at_most: Duration) -> Result<String, String> {
        let end = Instant::now().checked_add(at_most);
        let left = || {
            end.map_or(Duration::ZERO, |end| {
                end.saturating_duration_since(Instant::now())
            })
        };
        let late = format!("the program was not done after {} s", at_most.as_secs());
        let Ok(out) = self.out.recv_timeout(left()) else {
            return Err(late);
        };
        if u64::try_from(out.len()).unwrap_or(u64::MAX) > SAID_BYTES_MAX {
            return Err(format!("the program says more than {SAID_BYTES_MAX} bytes"));
        }
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if left().is_zero() => return Err(late),
                Ok(None) => std::thread::sleep(Duration::from_millis(5)),
                Err(error) => return Err(format!("the program was lost: {error}")),
            }
        };
        if status.success() {
            return String::from_utf8(out)
                .map_err(|_| "what the program says is not text in UTF-8".to_owned());
        }
        self.end();
        let complaints = self.complaints.recv_timeout(left()).unwrap_or_default();
        let complaints = crate::text::clean(String::from_utf8_lossy(&complaints).trim());
        Err(match complaints.is_empty() {
            true => format!("the program ended with {status} and no word on its standard error"),
            false => format!("the program ended with {status} and said: {complaints}"),
        })
    }

    fn end(&mut self) {
        if let Some(group) = self.group.take() {
            // It may be gone already.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
        let _ = self.child.wait();
    }
}

/// Reads a stream beside the others; what is more than the bound is thrown away with its writer.
fn reading(from: Option<impl Read + Send + 'static>, bytes_max: u64) -> mpsc::Receiver<Vec<u8>> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let mut out = Vec::new();
        if let Some(from) = from {
            let mut from = from.take(bytes_max);
            let _ = from.read_to_end(&mut out);
        }
        let _ = send.send(out);
    });
    receive
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn program(folder: &Path, text: &str, mode: u32) -> String {
        let path = folder.join("hosts");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path.display().to_string()
    }

    #[test]
    fn programs_say_something_or_why_not() {
        let folder = tempfile::tempdir().unwrap();
        for (text, mode, expected) in [
            ("#!/bin/sh\necho $1 $OVERHAUL_STATE", 0o755, Ok("--list\n")),
            (
                "#!/bin/sh\necho no >&2\nexit 3",
                0o755,
                Err("exit status: 3 and said: no"),
            ),
            ("#!/bin/sh\nexit 4", 0o755, Err("and no word")),
            ("#!/bin/sh\nprintf '\\377'", 0o755, Err("not text")),
            (
                "#!/bin/sh\necho x",
                0o775,
                Err("others may write to the program (mode 0775)"),
            ),
            ("#!/no/such/thing\n", 0o755, Err("cannot be started")),
        ] {
            let path = program(folder.path(), text, mode);
            match (said(&path, &["--list"]), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected),
                (Err(found), Err(expected)) => assert!(found.contains(expected), "{found}"),
                (found, expected) => panic!("{text}: {found:?}, expected {expected:?}"),
            }
        }
    }

    #[test]
    fn a_program_that_hangs_is_ended_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let path = program(folder.path(), "#!/bin/sh\nsleep 600 &\nsleep 600", 0o755);
        let mut command = Command::new(path);
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let running = Running::of(command.spawn().unwrap());
        let group = running.group.unwrap();
        let found = running.finish(Duration::from_millis(300));
        assert_eq!(found, Err("the program was not done after 0 s".to_owned()));
        let gone = (0..100).any(|_| {
            std::thread::sleep(Duration::from_millis(20));
            rustix::process::test_kill_process_group(group).is_err()
        });
        assert!(gone, "the group is still there");
    }
}
