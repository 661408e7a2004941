//! Deliberate faults, to find out whether the simulator would find them (docs/reliability.md).
//!
//! They are there only in a build with the feature `planted`, with which no program of the product can be built.

/// Whether this build has them.
pub const AVAILABLE: bool = cfg!(feature = "planted");

#[cfg(feature = "planted")]
std::thread_local! {
    static CHOSEN: std::cell::Cell<&'static str> = const { std::cell::Cell::new("") };
}

#[cfg(feature = "planted")]
static EVERYWHERE: std::sync::OnceLock<&'static str> = std::sync::OnceLock::new();

/// Plants this fault in all threads of this process, once and for all.
#[cfg(feature = "planted")]
pub fn choose_everywhere(name: &'static str) {
    // Who chose before has chosen.
    let _ = EVERYWHERE.set(name);
}

/// Plants this fault in all that runs on this thread; the empty name plants none.
#[cfg(feature = "planted")]
pub fn choose(name: &'static str) {
    CHOSEN.set(name);
}

/// Whether this fault is planted.
#[cfg(feature = "planted")]
pub fn is(name: &str) -> bool {
    CHOSEN.get() == name || EVERYWHERE.get().is_some_and(|chosen| *chosen == name)
}

/// Whether this fault is planted: never, in this build.
#[cfg(not(feature = "planted"))]
#[inline(always)]
pub const fn is(_name: &str) -> bool {
    false
}
