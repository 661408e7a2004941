//! A new machine beside the old one takes its place, and the old one is ended when nobody misses it.

use super::near::{self, OWN_NAME, name_of, settle_provider};
use super::new_machine::{step_of, volumes, way};
use super::release_change::new_release;
use super::site::Site;
use crate::draft::Draft;
use crate::error::Wrong;
use overhaul_model::action::Undo;
use overhaul_model::belonging::Which;
use overhaul_model::definition::{Rebuild, Slot};
use overhaul_model::id::ProviderName;
use overhaul_model::primitive::{MachineAct, MachineOp};
use overhaul_model::span::Span;
use overhaul_model::step::Step;
use overhaul_model::strategy::Data;
use std::collections::BTreeMap;

/// Beside the old one, which nobody notices.
pub(super) fn launch(draft: &mut Draft<'_>, site: &Site<'_>) -> Vec<Step> {
    let Some(Rebuild::By {
        provider,
        image,
        params,
        answers_within,
    }) = provided(draft, site)
    else {
        return Vec::new();
    };
    let title = format!("{provider} launches a new machine from {image}");
    let act = MachineAct {
        image: Some(image),
        params,
        answers_within,
        ..act(site, &provider, MachineOp::Create, Which::Beside)
    };
    let mut step = step_of(site, "launch", &title, near::of_machine(draft, act));
    step.undo = Undo::None {
        way_back: "end the new machine by the provider's own means: nobody knows it yet".to_owned(),
    };
    step.why = format!(
        "the strategy of {} is {}; no outage is needed for it",
        site.role.role, site.role.strategy
    );
    vec![step]
}

/// The end of what the old machine does: nothing on it starts by itself any more, nothing is written there.
pub(super) fn old_off(draft: &mut Draft<'_>, site: &Site<'_>) -> Vec<Step> {
    let Some(Rebuild::By { provider, .. }) = provided(draft, site) else {
        return Vec::new();
    };
    let act = act(site, &provider, MachineOp::Stop, Which::Own);
    let title = "the old machine is switched off";
    let mut step = step_of(site, "old-off", title, near::of_machine(draft, act));
    step.undo = Undo::None {
        way_back: "switch it on again by the provider's own means, and let its services go"
            .to_owned(),
    };
    step.why = "two machines with one task would both serve, and both write".to_owned();
    vec![step]
}

/// From here the host's name means the new machine.
pub(super) fn take_over(draft: &mut Draft<'_>, site: &Site<'_>) -> Vec<Step> {
    let Some(Rebuild::By {
        provider,
        answers_within,
        ..
    }) = provided(draft, site)
    else {
        return Vec::new();
    };
    let act = MachineAct {
        machine: site.role.replace.beside.clone(),
        other: Some(OWN_NAME.to_owned()),
        answers_within,
        ..act(site, &provider, MachineOp::Prove, Which::Beside)
    };
    let verify = near::verify_of(draft, &act);
    let title = "the new machine takes the place of the old one";
    let mut step = step_of(site, "take-over", title, near::of_machine(draft, act));
    step.verify = verify;
    step.undo = Undo::None {
        way_back: way_back(site),
    };
    step.why =
        "the old one is off, and the new one answers as the one that was launched".to_owned();
    vec![step, new_release(draft, site)]
}

fn way_back(site: &Site<'_>) -> String {
    let mut back = vec!["the old machine is kept, switched off".to_owned()];
    if site.role.strategy.data() == Data::Volume {
        back.push(format!(
            "stop the services here, move {} back to it",
            volumes(site).join(" and ")
        ));
    }
    if !site.role.replace.addresses.is_empty() {
        back.push(format!(
            "move {} back",
            site.role.replace.addresses.join(" and ")
        ));
    }
    back.push("switch it on and let its services go".to_owned());
    let left = match site.role.strategy.data() {
        Data::Carry => "; what was written on the new machine since is not there",
        Data::Volume => "; what the new software has written, the old one must be able to read",
        _ => "",
    };
    format!("{}{left}", back.join("; "))
}

/// At the provider, the new machine gets the name of the old one, which nothing else of this run uses again.
pub(super) fn rename(draft: &mut Draft<'_>, site: &Site<'_>) -> Vec<Step> {
    let Some(Rebuild::By { provider, .. }) = provided(draft, site) else {
        return Vec::new();
    };
    let replace = &site.role.replace;
    let of = |name: &str, title: &str, which, from: &str, to: &str| {
        let act = MachineAct {
            machine: from.to_owned(),
            other: Some(to.to_owned()),
            ..act(site, &provider, MachineOp::Rename, which)
        };
        let mut step = step_of(site, name, title, near::of_machine(draft, act));
        step.why = "the next upgrade finds the machine under the host's name".to_owned();
        step
    };
    vec![
        of(
            "old-renamed",
            "the old machine is called so",
            Which::Old,
            OWN_NAME,
            &replace.old,
        ),
        of(
            "new-renamed",
            "the new machine takes the name",
            Which::Own,
            &replace.beside,
            OWN_NAME,
        ),
    ]
}

/// The old machine goes, its protection first: in the slot `cleanup`, whose steps a person begins by name, or in
/// `finish`, when the definition agrees to it.
pub(super) fn old_ends(draft: &mut Draft<'_>, site: &Site<'_>) -> Vec<Step> {
    let Some(Rebuild::By { provider, .. }) = provided(draft, site) else {
        return Vec::new();
    };
    if (site.slot == Slot::Finish) != site.role.replace.agreed {
        return Vec::new();
    }
    let mut steps = Vec::new();
    let unprotect = act(site, &provider, MachineOp::Unprotect, Which::Old);
    let mut step = step_of(
        site,
        "old-unprotected",
        "the old machine's protection is switched off",
        near::of_machine(draft, unprotect),
    );
    let agreed = match site.role.replace.agreed {
        true => "the definition agrees to its end (`end: finish`)",
        false => "nobody misses it any more: whoever names this step says so",
    };
    step.why = agreed.to_owned();
    steps.push(step);
    let end = act(site, &provider, MachineOp::Destroy, Which::Old);
    let title = format!("{provider} ends the old machine");
    let mut step = step_of(site, "old-ends", &title, near::of_machine(draft, end));
    step.why = agreed.to_owned();
    steps.push(step);
    steps
}

/// How new machines are made; a person cannot be the provider of one beside the old.
fn provided(draft: &mut Draft<'_>, site: &Site<'_>) -> Option<Rebuild> {
    let way = way(draft, site)?;
    match &way {
        Rebuild::By { provider, .. } => settle_provider(draft, site, Some(provider)),
        Rebuild::Person { .. } => {
            draft.wrong(
                &site.role.origin,
                Wrong::ReplaceByPerson {
                    role: site.role.role.to_string(),
                },
                "write `rebuild: {provider: NAME, image: IMAGE}`; or `change: rebuild`, for which a person can be asked",
            );
            return None;
        }
    }
    Some(way)
}

fn act(site: &Site<'_>, provider: &ProviderName, op: MachineOp, which: Which) -> MachineAct {
    MachineAct {
        provider: Some(provider.clone()),
        op,
        machine: name_of(site, which),
        which,
        other: None,
        image: None,
        params: BTreeMap::new(),
        answers_within: ANSWERS_WITHIN,
    }
}

/// Of work after which nothing has to answer.
const ANSWERS_WITHIN: Span = MachineAct::ANSWERS_WITHIN_DEFAULT;
