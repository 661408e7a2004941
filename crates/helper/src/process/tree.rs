//! The processes below one process, read from `/proc`.

use crate::boot;
use crate::redact::Redactor;
use rustix::process::{Pid, Signal};
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;

/// Processes named in evidence: more than a person reads.
const EVIDENCE_PROCESSES_MAX: usize = 40;

/// Bytes of one command line in evidence.
const EVIDENCE_LINE_BYTES_MAX: usize = 200;

/// Bytes read of one file of a process.
const PROC_BYTES_MAX: u64 = 8 * 1024;

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proc {
    /// Its id.
    pub pid: i32,
    /// Its parent.
    pub parent: i32,
    /// Its process group.
    pub group: i32,
    /// `R`, `S`, `D`, `Z`, ...
    pub state: char,
    /// Processor time of it, in clock ticks.
    pub own_ticks: u64,
    /// Processor time of those of its children that have ended, in clock ticks.
    pub children_ticks: u64,
    /// When it started, in clock ticks after the kernel.
    pub start_ticks: u64,
    name: String,
}

/// Reads a `stat` file. The name in the second field may hold spaces and brackets.
fn parse_stat(stat: &str) -> Option<Proc> {
    let (head, rest) = stat.rsplit_once(')')?;
    let (pid, name) = head.split_once('(')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    let small = |at: usize| fields.get(at)?.parse::<i32>().ok();
    Some(Proc {
        pid: pid.trim().parse().ok()?,
        parent: small(1)?,
        group: small(2)?,
        state: fields.first()?.chars().next()?,
        own_ticks: number(11)?.saturating_add(number(12)?),
        children_ticks: number(13)?.saturating_add(number(14)?),
        start_ticks: number(19)?,
        name: name.to_owned(),
    })
}

fn read(pid: &str, file: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(format!("/proc/{pid}/{file}"))
        .ok()?
        .take(PROC_BYTES_MAX)
        .read_to_end(&mut bytes)
        .ok()?;
    Some(bytes)
}

fn all() -> Vec<Proc> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| {
            let name = entry.ok()?.file_name().into_string().ok()?;
            name.bytes()
                .all(|byte| byte.is_ascii_digit())
                .then_some(())?;
            parse_stat(&String::from_utf8_lossy(&read(&name, "stat")?))
        })
        .collect()
}

/// All processes below this one, and all of this process group, wherever they went; itself left out.
pub fn descendants(of: i32, group: i32) -> Vec<Proc> {
    let all = all();
    let mut children: BTreeMap<i32, Vec<&Proc>> = BTreeMap::new();
    for process in &all {
        children.entry(process.parent).or_default().push(process);
    }
    let mut found: BTreeMap<i32, Proc> = all
        .iter()
        .filter(|process| process.group == group)
        .map(|process| (process.pid, process.clone()))
        .collect();
    let mut open: Vec<i32> = found.keys().copied().chain([of]).collect();
    while let Some(parent) = open.pop() {
        for child in children.remove(&parent).unwrap_or_default() {
            found.insert(child.pid, child.clone());
            open.push(child.pid);
        }
    }
    found.remove(&of);
    found.into_values().collect()
}

/// Processor time of them and of all that ended among them, as far as their parents waited for them;
/// `of` is the process above them, whose own time does not count.
pub fn work_ticks(of: i32, processes: &[Proc]) -> u64 {
    let above = read(&of.to_string(), "stat")
        .and_then(|stat| parse_stat(&String::from_utf8_lossy(&stat)))
        .map_or(0, |process| process.children_ticks);
    processes.iter().fold(above, |sum, process| {
        sum.saturating_add(process.own_ticks)
            .saturating_add(process.children_ticks)
    })
}

/// Sends a signal to each of them. Some may have ended meanwhile, or belong to another account.
pub fn signal_all(processes: &[Proc], signal: Signal) {
    for process in processes {
        if let Some(pid) = Pid::from_raw(process.pid).filter(|_| process.state != 'Z') {
            let _ = rustix::process::kill_process(pid, signal);
        }
    }
}

/// The processes as a person wants to see them when a work was ended: id, state, age, command line.
/// Command lines can hold secrets, so that these are taken out.
pub fn evidence(processes: &[Proc], secrets: &[String]) -> String {
    let ticks_per_s = rustix::param::clock_ticks_per_second().max(1);
    let mut lines = Vec::new();
    for process in processes.iter().take(EVIDENCE_PROCESSES_MAX) {
        let age_s = (boot::up_ms() / 1_000)
            .saturating_sub(process.start_ticks.checked_div(ticks_per_s).unwrap_or(0));
        let line = command_line(process);
        let line = Redactor::text(secrets, &line);
        let line = clip(&line, EVIDENCE_LINE_BYTES_MAX);
        lines.push(format!("{} {} {age_s}s {line}", process.pid, process.state));
    }
    let more = processes.len().saturating_sub(EVIDENCE_PROCESSES_MAX);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines.join("\n")
}

fn command_line(process: &Proc) -> String {
    let bytes = read(&process.pid.to_string(), "cmdline").unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes).replace('\0', " ");
    if text.trim().is_empty() {
        format!("[{}]", process.name)
    } else {
        text.trim().replace(|c: char| c.is_control(), " ")
    }
}

/// The start of a text, cut between two characters.
fn clip(text: &str, bytes_max: usize) -> &str {
    let mut end = bytes_max.min(text.len());
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_by_its_last_bracket() {
        let stat = "42 (tmux: (a) b) S 7 42 9 0 -1 4194560 9 9 9 9 1 2 3 4 20 0 1 0 4711 170 3";
        let expected = Proc {
            pid: 42,
            parent: 7,
            group: 42,
            state: 'S',
            own_ticks: 3,
            children_ticks: 7,
            start_ticks: 4711,
            name: "tmux: (a) b".to_owned(),
        };
        assert_eq!(parse_stat(stat), Some(expected));
        for broken in ["", "42", "42 (x", "42 (x) S", "x (y) S 1 1 1"] {
            assert_eq!(parse_stat(broken), None, "{broken}");
        }
    }

    #[test]
    fn children_are_found_and_their_secrets_are_not_shown() {
        let mut child = std::process::Command::new("sleep")
            .args(["30.0123", "30.0456"])
            .spawn()
            .unwrap();
        let me = i32::try_from(std::process::id()).unwrap();
        let id = i32::try_from(child.id()).unwrap();
        let found: Vec<Proc> = descendants(me, -1)
            .into_iter()
            .filter(|process| process.pid == id)
            .collect();
        let text = evidence(&found, &["30.0123".to_owned()]);
        signal_all(&found, Signal::KILL);
        child.wait().unwrap();
        assert!(text.starts_with(&format!("{id} ")), "{text}");
        assert!(
            text.contains("[redacted] 30.0456") || text.contains("[sleep]"),
            "{text}"
        );
        assert!(!text.contains("30.0123"), "{text}");
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(clip("grün", 3), "gr");
        assert_eq!(clip("grün", 99), "grün");
    }
}
