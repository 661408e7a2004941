//! Deliberate faults in the crates that are simulated. Each must be found.

/// A fault that is planted by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planted {
    /// Its name, as it stands where it is planted.
    pub name: &'static str,
    /// The crate.
    pub of: &'static str,
    /// What is wrong.
    pub what: &'static str,
}

const fn fault(name: &'static str, of: &'static str, what: &'static str) -> Planted {
    Planted { name, of, what }
}

/// All of them.
pub const PLANTED: [Planted; 31] = [
    fault(
        "act-before-intent",
        "engine",
        "work begins before its row is durable",
    ),
    fault(
        "outcome-before-act",
        "engine",
        "the outcome is written, and nothing is done",
    ),
    fault(
        "generation-not-raised",
        "engine",
        "who takes over takes the old generation",
    ),
    fault(
        "settled-before-decided",
        "engine",
        "a request is settled before it is in the journal",
    ),
    fault(
        "attempts-share-a-key",
        "engine",
        "a second attempt has the key of the first",
    ),
    fault(
        "checks-skipped",
        "machine",
        "\"already so?\" is not measured",
    ),
    fault(
        "unknown-is-done",
        "machine",
        "an unknown outcome counts as done",
    ),
    fault(
        "never-began-is-done",
        "machine",
        "what never began counts as done",
    ),
    fault(
        "lost-receipt-is-never-began",
        "machine",
        "without a receipt nothing has begun",
    ),
    fault(
        "once-repeats",
        "machine",
        "once-only work is tried again by itself",
    ),
    fault(
        "person-not-asked",
        "machine",
        "what a person should decide is tried again",
    ),
    fault(
        "takeover-begins-again",
        "machine",
        "who takes over does not ask for receipts",
    ),
    fault(
        "takeover-without-registration",
        "machine",
        "who takes over does not register",
    ),
    fault(
        "install-id-ignored",
        "machine",
        "another receipt store is taken for the known one",
    ),
    fault(
        "token-forgotten",
        "machine",
        "nobody notes who was let away from a service",
    ),
    fault(
        "token-released-early",
        "machine",
        "who was let away counts as back after the first step",
    ),
    fault("minimum-not-counted", "machine", "a minimum counts as kept"),
    fault(
        "outputs-forgotten",
        "machine",
        "outputs of steps are not kept",
    ),
    fault("failed-is-over", "machine", "what failed counts as over"),
    fault(
        "close-skipped-on-takeover",
        "machine",
        "who takes over does not close scopes",
    ),
    fault(
        "ends-before-hosts-are-free",
        "machine",
        "the run ends before hosts are released",
    ),
    fault("pause-ignored", "machine", "a paused run goes on"),
    fault(
        "generation-check-off",
        "helper",
        "a host works for whoever asks",
    ),
    fault(
        "ruled-out-forgotten",
        "helper",
        "what was told as never begun is begun when its request comes late",
    ),
    fault(
        "receipt-overlooked",
        "helper",
        "an attempt that has a receipt is begun again",
    ),
    fault(
        "older-is-accepted",
        "helper",
        "a host accepts a controller that another one has followed",
    ),
    fault(
        "sync-left-out",
        "store",
        "rows are told to be durable, and are not synced",
    ),
    fault(
        "acknowledged-before-written",
        "store",
        "a row alone is told to be durable, and waits for the next one",
    ),
    fault("row-lost", "store", "of several rows the first is left out"),
    fault(
        "head-apart",
        "store",
        "the journal's head is committed before its rows",
    ),
    fault(
        "followed-writer-goes-on",
        "store",
        "who was followed writes over the rows of who followed",
    ),
];
