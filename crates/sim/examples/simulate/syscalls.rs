//! What a program asked of its system, as `strace -f -y -xx` tells it.

use crate::disk::Change;
use std::collections::BTreeMap;

/// Calls that are told; `write` also carries what the program says.
pub const TRACED: &str = "trace=openat,pwrite64,write,ftruncate,fsync,fdatasync,unlink,unlinkat,rename,renameat,renameat2,pwritev";

/// A line of the trace that matters.
#[derive(Debug, PartialEq)]
pub enum Call {
    /// Something in the folder changed.
    Changed(Change),
    /// A line on standard output.
    Said(String),
}

/// The calls that succeeded, in the order of their ends; those in the folder, but for SQLite's shared memory, which is
/// made anew after a cut.
///
/// # Errors
/// When a call in the folder is not understood: what it does would be lacking in the picture.
pub fn parse(trace: &str, folder: &str) -> Result<Vec<Call>, String> {
    let mut halves: BTreeMap<&str, String> = BTreeMap::new();
    let mut out = Vec::new();
    for line in trace.lines() {
        let Some((process, line)) = line.split_once(' ') else {
            continue;
        };
        let line = line.trim_start();
        let whole = if let Some(first) = line.strip_suffix(" <unfinished ...>") {
            halves.insert(process, first.to_owned());
            continue;
        } else if let Some((_, last)) = line
            .split_once(" resumed>")
            .filter(|_| line.starts_with("<... "))
        {
            format!("{}{last}", halves.remove(process).unwrap_or_default())
        } else {
            line.to_owned()
        };
        if let Some(call) = call(&whole, folder)? {
            out.push(call);
        }
    }
    Ok(out)
}

fn call(line: &str, folder: &str) -> Result<Option<Call>, String> {
    let Some((name, rest)) = line.split_once('(') else {
        return Ok(None);
    };
    let Some((arguments, result)) = rest.rsplit_once(" = ") else {
        return Ok(None);
    };
    if result.starts_with('-') {
        return Ok(None);
    }
    let arguments = arguments.trim_end().trim_end_matches(')');
    let words: Vec<&str> = arguments.split(", ").collect();
    let word = |nth: usize| words.get(nth).copied().unwrap_or_default();
    if name == "write" && word(0).starts_with("1<") {
        let said = String::from_utf8_lossy(&bytes(word(1)))
            .trim_end()
            .to_owned();
        return Ok(Some(Call::Said(said)));
    }
    let path = match name {
        "openat" => path_of(result),
        "unlink" => String::from_utf8_lossy(&bytes(word(0))).into_owned(),
        _ => path_of(word(0)),
    };
    let Some(below) = path.strip_prefix(folder) else {
        return Ok(None);
    };
    let file = below.trim_start_matches('/').to_owned();
    let number = |nth: usize| {
        let text = word(nth);
        text.parse::<usize>()
            .map_err(|error| format!("{text} in {line}: {error}"))
    };
    if file.ends_with("-shm") {
        return Ok(None);
    }
    Ok(Some(Call::Changed(match name {
        "openat" if word(2).contains("O_CREAT") => Change::Make(file),
        "openat" => return Ok(None),
        "pwrite64" => Change::Write(file, number(3)?, bytes(word(1))),
        "ftruncate" => Change::Length(file, number(1)?),
        "fsync" | "fdatasync" if file.is_empty() => Change::SyncFolder,
        "fsync" | "fdatasync" => Change::Sync(file),
        "unlink" => Change::Remove(file),
        _ => return Err(format!("{name} of {file} is not understood")),
    })))
}

/// The path that stands behind a file's number.
fn path_of(word: &str) -> String {
    let inner = word.split_once('<').map_or("", |(_, rest)| rest);
    let inner = inner.trim_end().trim_end_matches('>');
    String::from_utf8_lossy(&hex(inner)).into_owned()
}

/// The bytes of a quoted text.
fn bytes(word: &str) -> Vec<u8> {
    hex(word.trim_matches('"'))
}

fn hex(text: &str) -> Vec<u8> {
    let parts = text.split("\\x").skip(1);
    parts
        .filter_map(|two| u8::from_str_radix(two.get(..2)?, 16).ok())
        .collect()
}
