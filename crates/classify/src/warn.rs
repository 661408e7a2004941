//! Decisions of people that the facts contradict dangerously.

use crate::look::{Look, Survives, below};
use overhaul_model::id::HostName;
use overhaul_model::tracker::{Change, DataWay, Decided, Proposal};
use serde::Serialize;
use std::collections::BTreeMap;

/// A decision that would lose data or break a cluster, with the evidence.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Warning {
    /// The host.
    pub host: HostName,
    /// What was decided and what it would do, as a sentence.
    pub says: String,
    /// The facts that speak against it.
    pub evidence: Vec<String>,
}

/// All warnings, by host.
pub fn warnings(
    decisions: &BTreeMap<HostName, Decided>,
    looks: &BTreeMap<HostName, Look>,
    proposals: &BTreeMap<HostName, Proposal>,
) -> Vec<Warning> {
    let mut out = Vec::new();
    for (host, decided) in decisions {
        if decided.change.is_none() && decided.data.is_none() {
            continue;
        }
        let proposed = proposals.get(host);
        let change = decided.change.or(proposed.and_then(|p| p.change));
        let data = decided
            .data
            .as_ref()
            .or(proposed.and_then(|p| p.data.as_ref()));
        let Some(change @ (Change::Rebuild | Change::Replace)) = change else {
            continue;
        };
        let Some(data) = data.filter(|data| **data != DataWay::Stays) else {
            out.push(Warning {
                host: host.clone(),
                says: format!(
                    "`{}` is decided, and nothing says what becomes of the data: decide `data` too",
                    change.word()
                ),
                evidence: looks.get(host).map(everything).unwrap_or_default(),
            });
            continue;
        };
        match looks.get(host) {
            None => out.push(Warning {
                host: host.clone(),
                says: format!(
                    "`{}` with `{}` is decided, and nothing is known of the host's data",
                    change.word(),
                    data.shown()
                ),
                evidence: proposed.map(|p| p.not_known.clone()).unwrap_or_default(),
            }),
            Some(look) => out.extend(against(host, change, data, look)),
        }
    }
    out
}

fn against(host: &HostName, change: Change, data: &DataWay, look: &Look) -> Option<Warning> {
    let evidence = lost(data, look);
    (!evidence.is_empty()).then(|| Warning {
        host: host.clone(),
        says: format!(
            "`{}` with `{}` is decided, and facts say that data may be lost by it",
            change.word(),
            data.shown()
        ),
        evidence,
    })
}

/// What this treatment leaves behind on the old machine.
fn lost(data: &DataWay, look: &Look) -> Vec<String> {
    let stores = |kept: &dyn Fn(&Survives) -> bool| -> Vec<String> {
        let lost = look.stores.iter().filter(|store| !kept(&store.survives));
        lost.map(|store| store.says.clone()).collect()
    };
    let mut out = match data {
        DataWay::None => stores(&|_| false),
        DataWay::Carry(paths) => stores(&|survives| match survives {
            Survives::Carried(path) => paths.iter().any(|above| below(path, above)),
            Survives::HereOnly | Survives::InCluster(_) => false,
        }),
        DataWay::Rejoin => stores(&|survives| match survives {
            Survives::InCluster(kind) => {
                let mut of_kind = look
                    .memberships
                    .iter()
                    .filter(|m| &m.kind == kind)
                    .peekable();
                of_kind.peek().is_some() && of_kind.all(|m| m.refills_one)
            }
            Survives::HereOnly | Survives::Carried(_) => false,
        }),
        // What moves with a volume or is received by the new host is for people to know; it must be nothing else.
        DataWay::Volume | DataWay::Transfer | DataWay::Stays => Vec::new(),
    };
    if matches!(data, DataWay::Rejoin) {
        for membership in &look.memberships {
            let name = membership.name();
            out.extend(
                membership
                    .against
                    .iter()
                    .map(|why| format!("{name}: {why}")),
            );
        }
    }
    if !matches!(data, DataWay::Volume | DataWay::Transfer) {
        out.extend(look.blind.iter().map(|what| format!("not known: {what}")));
    }
    out
}

fn everything(look: &Look) -> Vec<String> {
    let stores = look.stores.iter().map(|store| store.says.clone());
    stores
        .chain(look.blind.iter().map(|what| format!("not known: {what}")))
        .collect()
}
