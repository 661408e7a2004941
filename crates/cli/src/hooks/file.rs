//! The file of hooks, and the secret values that it names, read before the run begins.

use super::queue::{Ready, Way};
use crate::failure::{Failure, file};
use overhaul_model::secret::Secret;
use overhaul_source::{Header, Hook, HookWay, SourceFile, ValueFrom, parse_hooks};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Largest file of hooks, and largest file with a header's value: a page of text and a long token.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Others may not read a file with a secret, nor write one that names programs.
const OTHERS_READ_WRITE: u32 = 0o077;
const OTHERS_WRITE: u32 = 0o022;

/// Reads hooks, with the values of their headers.
///
/// # Errors
/// When the file is wrong, others can write it, or a value is not to be had.
pub fn read(path: &Path) -> Result<Vec<Ready>, Failure> {
    let text = own_text(path, OTHERS_WRITE, "it names programs that run as you")?;
    let source = SourceFile::new(path.display().to_string(), text);
    let hooks = parse_hooks(&source).map_err(|problems| Failure::input(problems.to_string()))?;
    hooks.into_iter().map(ready).collect()
}

fn ready(hook: Hook) -> Result<Ready, Failure> {
    let way = match hook.way {
        HookWay::Command(argv) => Way::Command(argv),
        HookWay::Webhook { url, headers } => {
            let headers = headers.into_iter().map(|header| value(&hook.name, header));
            let headers = headers.collect::<Result<_, Failure>>()?;
            Way::Webhook { url, headers }
        }
    };
    Ok(Ready {
        name: hook.name,
        on: hook.on,
        way,
    })
}

fn value(hook: &str, header: Header) -> Result<(String, Secret), Failure> {
    let value = match &header.from {
        ValueFrom::Env(name) => std::env::var(name).map_err(|_| {
            Failure::input(format!(
                "hook {hook}: the environment variable {name} of header {} is not set",
                header.name
            ))
        })?,
        ValueFrom::File(path) => own_text(path, OTHERS_READ_WRITE, "it holds a secret")?,
    };
    let value = Secret::new(value.trim_end());
    if !value
        .reveal()
        .chars()
        .all(|c| c.is_ascii_graphic() || c == ' ')
    {
        return Err(Failure::input(format!(
            "hook {hook}: the value of header {} is no line of plain text",
            header.name
        )));
    }
    Ok((header.name, value))
}

/// The text of a file that these permissions of others are not set on.
fn own_text(path: &Path, forbidden: u32, because: &str) -> Result<String, Failure> {
    let wrong = |error| file(path, "read", &error);
    let opened = std::fs::File::open(path).map_err(wrong)?;
    let mode = opened.metadata().map_err(wrong)?.mode();
    if mode & forbidden != 0 {
        return Err(Failure::input(format!(
            "{}: others may use it (mode {:o}), and {because}",
            path.display(),
            mode & 0o777
        ))
        .hint(format!("chmod go-rwx {}", path.display())));
    }
    let mut text = String::new();
    opened
        .take(FILE_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(wrong)?;
    Ok(text)
}
