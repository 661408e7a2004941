//! Running other programs, each under a bound.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use super::error::{LabError, Result};

/// How much of a failed program's output an error shows; the end matters most.
const SHOWN_OUTPUT_BYTES_MAX: usize = 2_000;

/// A program that `timeout` ends after `bound_s` seconds, and kills five seconds later if it does not obey.
pub fn bounded(bound_s: u64, program: &str) -> Command {
    let mut command = Command::new("timeout");
    command
        .arg("--kill-after=5")
        .arg(bound_s.to_string())
        .arg(program)
        .stdin(Stdio::null());
    command
}

/// A program in namespaces of its own that is killed with all it started as soon as this process ends, even by `kill -9`:
/// a build that goes on without its builder would write into the next one's tree.
pub fn bounded_with_us(bound_s: u64, program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "--"])
        .args([
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ])
        .args(["timeout", "--kill-after=5"])
        .arg(bound_s.to_string())
        .arg(program)
        .stdin(Stdio::null());
    command
}

/// Runs a program and returns its standard output; a non-zero status is an error that carries the output's end.
pub fn output_of(command: &mut Command) -> Result<String> {
    let output = command.output().map_err(|source| LabError::Start {
        program: described(command),
        source,
    })?;
    check(command, &output)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Like `output_of`, with text given on standard input.
pub fn output_with_input(command: &mut Command, input: &[u8]) -> Result<String> {
    let started = |source| LabError::Start {
        program: described(command),
        source,
    };
    let mut file = tempfile::tempfile().map_err(started)?;
    let rewound = file
        .write_all(input)
        .and_then(|()| std::io::Seek::rewind(&mut file));
    rewound.map_err(|source| LabError::Start {
        program: described(command),
        source,
    })?;
    command.stdin(file);
    output_of(command)
}

/// Whether a program ends with status zero; what it prints is of no interest.
pub fn succeeds(command: &mut Command) -> bool {
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn check(command: &Command, output: &Output) -> Result<()> {
    if output.status.success() {
        return Ok(());
    }
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Err(LabError::Failed {
        program: described(command),
        status: output.status.to_string(),
        output: tail(text.trim(), SHOWN_OUTPUT_BYTES_MAX).to_owned(),
    })
}

fn described(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(
        command
            .get_args()
            .map(|arg| arg.to_string_lossy().into_owned()),
    );
    words.join(" ")
}

/// The last `bytes_max` bytes of a text, cut at a character.
fn tail(text: &str, bytes_max: usize) -> &str {
    let mut start = text.len().saturating_sub(bytes_max);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text.get(start..).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_shows_the_end_of_the_output() {
        let mut command = bounded(5, "sh");
        command.args(["-c", "echo first; echo last >&2; exit 3"]);
        let error = output_of(&mut command).unwrap_err().to_string();
        assert!(error.contains("exit status: 3"), "{error}");
        assert!(error.ends_with("last"), "{error}");
    }

    #[test]
    fn a_program_that_hangs_is_ended() {
        let mut command = bounded(1, "sleep");
        command.arg("60");
        assert!(output_of(&mut command).is_err());
    }

    #[test]
    fn what_runs_with_us_sees_itself_alone() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let mut command = bounded_with_us(5, "sh");
        command.args(["-c", "ls -d /proc/[0-9]* | wc -l"]);
        let processes: u32 = output_of(&mut command).unwrap().trim().parse().unwrap();
        assert!(processes < 6, "{processes}");
    }

    #[test]
    fn tails_are_cut_at_characters() {
        assert_eq!(tail("aé", 1), "");
        assert_eq!(tail("aé", 2), "é");
        assert_eq!(tail("ab", 9), "ab");
    }
}
