//! Room for the sockets of a large fleet.

use crate::error::SetupError;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// A native connection is one socket; a second one may be made while the first is given up.
const NEEDED_PER_HOST: u64 = 2;
/// A connection through the OpenSSH program takes its three streams, the program itself, and some more
/// while it starts.
const WANTED_PER_HOST: u64 = 8;
/// Journal, plan, logs, probes, the runtime's own, and what the environment left open.
const NEEDED_BESIDE: u64 = 128;

/// Raises the limit of open files as far as so many hosts want, and no further: programs that close all
/// files that they could have inherited take long when it is endless.
///
/// # Errors
/// When the limit stays below what they need.
pub(crate) fn room_for(hosts: usize) -> Result<(), SetupError> {
    let count = u64::try_from(hosts).unwrap_or(u64::MAX);
    let of = |per_host: u64| count.saturating_mul(per_host).saturating_add(NEEDED_BESIDE);
    let (needed, wanted) = (of(NEEDED_PER_HOST), of(WANTED_PER_HOST));
    let limit = raised(getrlimit(Resource::Nofile), wanted);
    if limit < needed {
        return Err(SetupError::OpenFiles {
            hosts,
            needed,
            limit,
        });
    }
    Ok(())
}

/// The limit that holds from now on.
fn raised(limits: Rlimit, wanted: u64) -> u64 {
    let current = limits.current.unwrap_or(u64::MAX);
    if current >= wanted {
        return current;
    }
    let maximum = limits.maximum.unwrap_or(u64::MAX);
    // Root may go beyond the hard limit, everybody up to it.
    let higher = |current: u64, maximum: u64| Rlimit {
        current: Some(current),
        maximum: (maximum != u64::MAX).then_some(maximum),
    };
    [
        higher(wanted, maximum.max(wanted)),
        higher(wanted.min(maximum), maximum),
    ]
    .into_iter()
    .find_map(|limits| setrlimit(Resource::Nofile, limits).ok().map(|()| limits))
    .and_then(|limits| limits.current)
    .unwrap_or(current)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fleet_that_is_too_large_for_this_machine_is_told_so() {
        assert!(room_for(10).is_ok());
        let error = room_for(usize::MAX).unwrap_err().to_string();
        assert!(error.contains("hosts need"), "{error}");
    }
}
