//! What the checkers of an outcome are given: the plan, what truly happened, what the journal says, and how it all is now.

use crate::host::Body;
use crate::judge::Known;
use crate::play::How;
use crate::trace::Line;
use overhaul_model::event::{Generation, Record};
use overhaul_model::id::{HostName, Nonce};
use overhaul_model::plan::Plan;
use std::collections::{BTreeMap, BTreeSet};

/// A world at its end.
#[derive(Clone, Debug, Default)]
pub(crate) struct EndState {
    pub bodies: BTreeMap<HostName, Body>,
    pub holders: BTreeMap<HostName, Option<Generation>>,
    pub files: BTreeMap<String, BTreeMap<String, String>>,
    /// Requests that left the inbox.
    pub settled: BTreeSet<Nonce>,
}

/// Everything about one simulated run.
pub(crate) struct Evidence<'a> {
    pub plan: &'a Plan,
    pub known: &'a Known,
    pub trace: &'a [Line],
    pub records: &'a [Record],
    pub how: &'a How,
    pub end: &'a EndState,
    /// Before the cleanup, if there was one.
    pub upgraded: Option<&'a EndState>,
    pub calm: &'a EndState,
}
