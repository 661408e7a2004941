//! Processes that the lab started, told from others by their start time: a process id alone may long belong to somebody else.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::{Result, malformed};
use super::paths;

/// A process as recorded by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its id.
    pub pid: u32,
    /// Its start in clock ticks since the kernel's boot.
    pub start_ticks: u64,
}

impl Record {
    /// Writes down the present process.
    pub fn of_self(path: &Path) -> Result<()> {
        let pid = std::process::id();
        let start_ticks =
            start_ticks(pid).ok_or_else(|| malformed("/proc/self/stat", "no start time"))?;
        let record = Self { pid, start_ticks };
        let text =
            serde_json::to_vec(&record).map_err(|error| malformed("process record", error))?;
        paths::write_private(path, &text)
    }

    /// The process recorded in a file, if it still is the same one.
    pub fn alive(path: &Path) -> Option<Self> {
        let record: Self = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        (start_ticks(record.pid) == Some(record.start_ticks)).then_some(record)
    }
}

/// When a process started; none if there is no such process or it is only waiting to be reaped.
fn start_ticks(pid: u32) -> Option<u64> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Field 22 of `/proc/PID/stat`; the name in field 2 may contain anything, so fields are counted after its last bracket.
fn parse_stat(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?;
    if state == "Z" || state == "X" {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_time_is_read_after_any_name() {
        let tail = "1 1 1 0 -1 4 5 6 7 8 9 10 11 12 20 0 1 0 4711 99";
        assert_eq!(parse_stat(&format!("7 (a b) c) S {tail}")), Some(4711));
        assert_eq!(parse_stat(&format!("7 (a) Z {tail}")), None);
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    fn a_record_of_another_start_is_not_alive() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("self");
        Record::of_self(&path).unwrap();
        let own = Record::alive(&path).unwrap();
        assert_eq!(own.pid, std::process::id());
        let other = Record {
            start_ticks: own.start_ticks + 1,
            ..own
        };
        fs::write(&path, serde_json::to_vec(&other).unwrap()).unwrap();
        assert_eq!(Record::alive(&path), None);
    }
}
