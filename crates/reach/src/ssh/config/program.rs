//! Asking the program `ssh`.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::time::timeout;

use super::error::ConfigError;
use crate::ssh::process::Group;
use crate::ssh::text::printable;

/// How long `ssh -G` may take: it runs the commands of `Match exec`, and looks names up where
/// `CanonicalizeHostname` wants it. A resolver that does not answer is given up after 10 s as a rule.
const ANSWER_S_MAX: u64 = 20;
/// Most that is read from it; it prints about 5 KiB.
const ANSWER_BYTES_MAX: u64 = 256 << 10;
/// Longest text of its own that goes into an error.
const WORDS_CHARS_MAX: usize = 400;
/// What it says about itself when it has no terminal; no error.
const NO_TERMINAL: &str = "Pseudo-terminal will not be allocated";

/// Where `ssh` is, if it is anywhere.
pub(super) fn find() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders)
        .map(|folder| folder.join("ssh"))
        .find(|file| file.is_file())
}

/// What `ssh -G` prints.
pub(super) async fn ask(program: &Path, words: &[String]) -> Result<Vec<u8>, ConfigError> {
    let bound = Duration::from_secs(ANSWER_S_MAX);
    timeout(bound, answer(program, words))
        .await
        .map_err(|_| ConfigError::TimedOut { bound })?
}

async fn answer(program: &Path, words: &[String]) -> Result<Vec<u8>, ConfigError> {
    let failed = |error: std::io::Error| ConfigError::Program {
        reason: error.to_string(),
    };
    let mut child = Command::new(program)
        .arg("-G")
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    // Ends what a Match exec started, too, when it takes too long.
    let _group = Group::of(&child);
    let (output, words) = tokio::join!(capped(child.stdout.take()), capped(child.stderr.take()));
    let (output, words) = (output.map_err(failed)?, words.map_err(failed)?);
    if child.wait().await.map_err(failed)?.success() {
        return Ok(output);
    }
    let text = String::from_utf8_lossy(&words);
    let told: Vec<_> = text
        .lines()
        .filter(|line| !line.starts_with(NO_TERMINAL))
        .collect();
    Err(ConfigError::Refused {
        text: printable(told.join("; ").as_bytes(), WORDS_CHARS_MAX),
    })
}

async fn capped(stream: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let mut content = Vec::new();
    if let Some(stream) = stream {
        stream
            .take(ANSWER_BYTES_MAX + 1)
            .read_to_end(&mut content)
            .await?;
    }
    if content.len() as u64 > ANSWER_BYTES_MAX {
        return Err(std::io::Error::other(format!(
            "prints more than {ANSWER_BYTES_MAX} bytes"
        )));
    }
    Ok(content)
}
