//! What tells one boot of this host from another.

use overhaul_model::facts::BootProof;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, Read};
use std::path::Path;

/// Largest file of `/proc` that is read here; those in question have some hundred bytes.
const PROC_BYTES_MAX: u64 = 64 * 1024;

/// Two starts of process 1 closer than this may be one: the kernel's idea of its own start moves by
/// some milliseconds when the clock is corrected, and no machine boots twice within it.
const SAME_START_MS_MAX: u64 = 1_000;

/// The boot could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// A file of `/proc` cannot be read.
    #[error("{path} cannot be read: {why}")]
    Read {
        /// The file.
        path: &'static str,
        /// Why.
        why: io::Error,
    },
    /// A file of `/proc` is not as the kernel documents it.
    #[error("{0} is not as expected")]
    Form(&'static str),
}

/// A boot, and when process 1 of it started by the wall clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// The boot.
    pub boot: BootProof,
    /// Start of process 1 in milliseconds since the epoch, as this kernel sees it.
    pub init_started_ms: u64,
    /// Milliseconds since the kernel started, when this was measured.
    pub up_ms: u64,
}

impl Start {
    /// Whether a reboot lies between `before` and this.
    ///
    /// The boot id must differ and so must the start of process 1. On a real machine process 1 starts
    /// a few ticks after the kernel, often the very same number of ticks at every boot; its start by
    /// the wall clock differs then, and so that is taken for a difference as well.
    pub fn proves_reboot_since(&self, before: &Self) -> bool {
        self.boot.boot_id != before.boot.boot_id
            && (self.boot.init_started_ticks != before.boot.init_started_ticks
                || self.init_started_ms.abs_diff(before.init_started_ms) > SAME_START_MS_MAX)
    }
}

/// Measures this boot.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn proof() -> Result<BootProof, BootError> {
    let boot_id = proc("/proc/sys/kernel/random/boot_id")?;
    let stat = proc("/proc/1/stat")?;
    Ok(BootProof {
        boot_id: boot_id.trim().to_owned(),
        init_started_ticks: started_ticks(&stat).ok_or(BootError::Form("/proc/1/stat"))?,
    })
}

/// Measures this boot with its start by the wall clock.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn start() -> Result<Start, BootError> {
    let boot = proof()?;
    let kernel_s = kernel_started_s(&proc("/proc/stat")?).ok_or(BootError::Form("/proc/stat"))?;
    let ticks_per_s = rustix::param::clock_ticks_per_second().max(1);
    let init_ms = boot
        .init_started_ticks
        .saturating_mul(1_000)
        .checked_div(ticks_per_s)
        .unwrap_or(0);
    Ok(Start {
        init_started_ms: kernel_s.saturating_mul(1_000).saturating_add(init_ms),
        boot,
        up_ms: up_ms(),
    })
}

/// Milliseconds since the kernel started, sleep included.
pub fn up_ms() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let s = u64::try_from(now.tv_sec).unwrap_or(0);
    let ns = u64::try_from(now.tv_nsec).unwrap_or(0);
    s.saturating_mul(1_000).saturating_add(ns / 1_000_000)
}

/// Field 22 of a `stat` file of a process. The name in field 2 may hold spaces and brackets.
fn started_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_ascii_whitespace().nth(19)?.parse().ok()
}

fn kernel_started_s(stat: &str) -> Option<u64> {
    stat.lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()
}

fn proc(path: &'static str) -> Result<String, BootError> {
    let read = |path: &Path| -> io::Result<String> {
        let mut text = String::new();
        fs::File::open(path)?
            .take(PROC_BYTES_MAX)
            .read_to_string(&mut text)?;
        Ok(text)
    };
    read(Path::new(path)).map_err(|why| BootError::Read { path, why })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start_of(boot_id: &str, ticks: u64, init_started_ms: u64) -> Start {
        Start {
            boot: BootProof {
                boot_id: boot_id.to_owned(),
                init_started_ticks: ticks,
            },
            init_started_ms,
            up_ms: 0,
        }
    }

    #[test]
    fn a_reboot_is_proven_by_two_signs() {
        let before = start_of("a", 24, 1_000_000);
        for (now, proven) in [
            (start_of("a", 24, 1_000_000), false),
            (start_of("b", 24, 1_000_400), false),
            (start_of("b", 24, 1_020_000), true),
            (start_of("b", 77, 1_000_300), true),
            (start_of("a", 77, 1_020_000), false),
        ] {
            assert_eq!(now.proves_reboot_since(&before), proven, "{now:?}");
        }
    }

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let stat = "1 (a) b (c)) S 0 1 1 0 -1 4194560 9 9 9 9 1 2 3 4 20 0 1 0 4711 170 3";
        assert_eq!(started_ticks(stat), Some(4711));
        assert_eq!(started_ticks("1 (x"), None);
        assert_eq!(
            kernel_started_s("cpu 1 2\nbtime 1700000000\n"),
            Some(1_700_000_000)
        );
    }

    #[test]
    fn this_boot_can_be_measured() {
        let first = start().unwrap();
        assert_eq!(first.boot, proof().unwrap());
        assert!(!start().unwrap().proves_reboot_since(&first));
    }
}
