//! The first host of a role receives the datasets of its services from the hosts that have the authority over them.

use super::later;
use super::site::Site;
use super::transfer;
use crate::draft::Draft;
use crate::error::Wrong;
use overhaul_model::action::{Retry, Touches};
use overhaul_model::definition::{WrittenAction, WrittenStep};
use overhaul_model::id::{DatasetName, HostName, ServiceName};
use overhaul_model::later::Later;
use overhaul_model::step::Step;
use std::collections::{BTreeMap, BTreeSet};

/// Where the services hold no dataset, a later version.
pub(super) fn steps(draft: &mut Draft<'_>, site: &Site<'_>) -> Vec<Step> {
    let datasets = datasets(draft, site);
    if datasets.is_empty() {
        return later::steps(draft, site, Later::DataTransfer);
    }
    let hosts: BTreeSet<HostName> = site.hosts.iter().map(|host| host.name.clone()).collect();
    let mut out = Vec::new();
    for name in datasets {
        let authority = draft.plan.datasets.get(&name);
        let authority = authority.map(|planned| planned.authority.clone());
        if let Some(first) = authority.filter(|host| hosts.contains(host)) {
            let wrong = Wrong::FirstHasIt {
                dataset: name.to_string(),
                host: first.to_string(),
            };
            let help = "name another host of the role (`authority: HOST` of the dataset): it stops last, and has all that was written";
            draft.wrong(&site.role.origin, wrong, help);
            continue;
        }
        let written = as_written(site, &name);
        let wanted = transfer::Wanted {
            dataset: &name,
            by: None,
            staging: None,
        };
        out.extend(transfer::steps(draft, site, &written, &wanted, &hosts));
    }
    out
}

/// The datasets of the services that went quiet on the role's hosts.
fn datasets(draft: &Draft<'_>, site: &Site<'_>) -> Vec<DatasetName> {
    let services = site.services(draft).into_iter().map(|(name, ..)| name);
    let quiet: BTreeSet<ServiceName> = services
        .filter(|name| !site.role.stay_up.contains_key(name))
        .collect();
    let all = draft.definition.datasets.iter();
    all.filter(|(_, dataset)| quiet.contains(&dataset.of))
        .map(|(name, _)| name.clone())
        .collect()
}

/// As if a person had written it into the slot.
fn as_written(site: &Site<'_>, dataset: &DatasetName) -> WrittenStep {
    WrittenStep {
        name: format!("{dataset} comes over"),
        action: WrittenAction::Transfer {
            dataset: dataset.clone(),
            by: None,
            staging: None,
        },
        check: None,
        verify: None,
        undo: None,
        once: None,
        repeatable: false,
        timeout: None,
        stall: None,
        expected: None,
        retry: Retry::NEVER,
        touches: Touches::Only(Vec::new()),
        issue: None,
        when: None,
        outputs: BTreeMap::new(),
        guards: Vec::new(),
        origin: site.role.origin.clone(),
    }
}
