//! The order of the system calls: a receipt is synced before the work, and synced after it, behind what the work has
//! written. A power cut that keeps the page cache could not show this.
mod common;

use common::{Client, Host, generation, shell};
use overhaul_model::receipt::WorkEnd;
use overhaul_model::wire::{RequestBody, ResponseBody};
use std::collections::HashMap;
use std::process::Command;
use std::time::Instant;

/// What a line of the trace means for an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    BeginSynced,
    BeginNamed,
    BeginNameSynced,
    Acted,
    TracesSynced,
    EndSynced,
    EndNamed,
    EndNameSynced,
    ToldBegun,
    ToldEnded,
}

/// The marks in their order. File descriptors are named by `strace -y`. Where other processes cut into
/// a call in the trace, a sync counts when it is complete, but an act or a word when it begins.
fn marks(trace: &str, key: &str) -> Vec<Mark> {
    let mut unfinished: HashMap<&str, String> = HashMap::new();
    let mut marks = Vec::new();
    for line in trace.lines() {
        let (pid, call) = line.split_once(' ').unwrap_or(("", line));
        let call = call.trim();
        if let Some(start) = call.strip_suffix("<unfinished ...>") {
            if start.starts_with("execve") || start.starts_with("write") {
                marks.extend(marked(&format!("{start}) = 0"), key));
            } else {
                unfinished.insert(pid, start.trim_end().to_owned());
            }
            continue;
        }
        match call.split_once("resumed>") {
            Some((_, rest)) => {
                if let Some(start) = unfinished.remove(pid) {
                    marks.extend(marked(&(start + rest), key));
                }
            }
            None => marks.extend(marked(call, key)),
        }
    }
    marks
}

/// One call tells of both ends where the work is over before the begin was told.
fn marked(call: &str, key: &str) -> Vec<Mark> {
    let told = [
        ("\\\"began\\\"", Mark::ToldBegun),
        ("\\\"ended\\\"", Mark::ToldEnded),
    ];
    match mark(call, key) {
        None if call.starts_with("write(") => told
            .into_iter()
            .filter_map(|(word, mark)| call.contains(word).then_some(mark))
            .collect(),
        mark => mark.into_iter().collect(),
    }
}

fn mark(call: &str, key: &str) -> Option<Mark> {
    let name = call.split('(').next()?;
    let ends = |path: &str| call.contains(&format!("{path}>)"));
    match name {
        "fsync" | "fdatasync" | "syncfs" if !call.ends_with("= 0") => None,
        "syncfs" => Some(Mark::TracesSynced),
        "fsync" | "fdatasync" if ends(&format!("/receipts/.new-{key}/begin.json")) => {
            Some(Mark::BeginSynced)
        }
        "fsync" if ends("/receipts") => Some(Mark::BeginNameSynced),
        "fsync" if ends(&format!("/receipts/{key}/end.new")) => Some(Mark::EndSynced),
        "fsync" if ends(&format!("/receipts/{key}")) => Some(Mark::EndNameSynced),
        "rename" if call.contains(&format!("/receipts/{key}\"")) => Some(Mark::BeginNamed),
        "rename" if call.contains(&format!("/receipts/{key}/end.json\"")) => Some(Mark::EndNamed),
        "execve" if call.contains("the-act") && call.ends_with("= 0") => Some(Mark::Acted),
        _ => None,
    }
}

/// A helper under `strace` with these words, whose generation is registered.
fn traced(host: &Host, words: &[&str]) -> Client {
    let present = Command::new("strace").arg("--version").output();
    assert!(
        present.is_ok(),
        "strace is not here: install the package `strace`"
    );
    let mut client = Client::spawn(
        Command::new("strace")
            .arg("-f")
            .args(words)
            .arg("-o")
            .arg(host.file("trace"))
            .arg(common::HELPER)
            .arg("serve")
            .arg("--state")
            .arg(host.state()),
    );
    let answer = client.ask(RequestBody::Register {
        generation: generation(1),
    });
    assert!(
        matches!(answer, ResponseBody::Registered { .. }),
        "{answer:?}"
    );
    client
}

#[test]
fn the_receipt_is_synced_before_and_after_the_work() {
    let host = Host::new();
    // The work of making the store is not what is looked at.
    drop(host.connect());
    let calls = "trace=fsync,fdatasync,syncfs,rename,renameat,renameat2,execve,write";
    let mut client = traced(&host, &["-y", "-s", "1000", "-e", calls]);
    client.run(shell("k", "/bin/sh -c 'echo the-act'")).end();
    assert_eq!(client.close(), 0);
    let text = std::fs::read_to_string(host.file("trace")).unwrap();
    let all = marks(&text, "k");
    let at = |mark: Mark| all.iter().position(|seen| *seen == mark);
    assert!(at(Mark::BeginNameSynced) < at(Mark::ToldBegun), "{all:?}");
    // Until the end was told: the supervisor's own sync may come to its end after that of the teller.
    let told = at(Mark::ToldEnded).unwrap_or(all.len() - 1);
    let mut seen = all[..=told].to_vec();
    seen.retain(|mark| *mark != Mark::ToldBegun);
    // The script's shell and the shell in it both carry the word; two may sync one directory.
    seen.dedup();
    assert_eq!(
        seen,
        [
            Mark::BeginSynced,
            Mark::BeginNamed,
            Mark::BeginNameSynced,
            Mark::Acted,
            Mark::TracesSynced,
            Mark::EndSynced,
            Mark::EndNamed,
            Mark::EndNameSynced,
            Mark::ToldEnded,
        ],
        "{text}"
    );
}

#[test]
fn slow_a_disk_that_does_not_take_it_is_waited_for_and_then_named() {
    let host = Host::new();
    let hangs = [
        "-e",
        "trace=syncfs",
        "-e",
        "inject=syncfs:delay_enter=45000000",
    ];
    let mut client = traced(&host, &hangs);
    let since = Instant::now();
    let followed = client.run(shell("k", "true"));
    let took = since.elapsed();
    let end = followed.end();
    let unsynced = end.unsynced.as_deref().unwrap_or("nothing");
    assert!(unsynced.contains(": not within 30 s"), "{unsynced}");
    assert!(matches!(end.end, WorkEnd::Exited { success: true, .. }));
    assert!((30..44).contains(&took.as_secs()), "{took:?}");
    assert_eq!(client.close(), 0);
}
