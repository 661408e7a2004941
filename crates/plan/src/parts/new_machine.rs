//! A new machine under the old name: known before, made by a provider or a person, proven after.

use super::near::{self, OWN_NAME};
use super::release_change::new_release;
use super::site::Site;
use super::written::Made;
use crate::draft::Draft;
use crate::error::Wrong;
use crate::limits;
use overhaul_model::action::{Action, Repeat, Undo};
use overhaul_model::belonging::Which;
use overhaul_model::definition::Rebuild;
use overhaul_model::primitive::{Ask, MachineAct, MachineOp, Primitive};
use overhaul_model::step::Step;
use overhaul_model::strategy::{Change, Data};
use std::collections::BTreeMap;

/// The provider is asked before anybody is disturbed: one that cannot be called would be found out with
/// services down.
pub(super) fn known(draft: &mut Draft<'_>, site: &Site<'_>) -> Vec<Step> {
    let Some(Rebuild::By {
        provider,
        params,
        answers_within,
        ..
    }) = way(draft, site)
    else {
        return Vec::new();
    };
    near::settle_provider(draft, site, Some(&provider));
    let act = MachineAct {
        provider: Some(provider.clone()),
        op: MachineOp::Describe,
        machine: OWN_NAME.to_owned(),
        which: Which::Own,
        other: None,
        image: None,
        params,
        answers_within,
    };
    let made = near::of_machine(draft, act);
    let mut step = step_of(
        site,
        "machine-known",
        &format!("{provider} knows the machine"),
        made,
    );
    step.why = match site.role.strategy.change() {
        Change::Replace => format!("{provider} puts a new one in its place"),
        _ => format!("{provider} makes it anew while services are down"),
    };
    vec![step]
}

/// The change itself, and that it led where it should.
pub(super) fn made(draft: &mut Draft<'_>, site: &Site<'_>) -> Vec<Step> {
    let mut steps = match way(draft, site) {
        None => return Vec::new(),
        Some(Rebuild::By {
            provider,
            image,
            params,
            answers_within,
        }) => {
            near::settle_provider(draft, site, Some(&provider));
            let title = format!("{provider} makes the machine anew from {image}");
            let act = MachineAct {
                provider: Some(provider),
                op: MachineOp::Rebuild,
                machine: OWN_NAME.to_owned(),
                which: Which::Own,
                other: None,
                image: Some(image),
                params,
                answers_within,
            };
            vec![new(draft, site, "rebuild", &title, act)]
        }
        Some(Rebuild::Person { answers_within }) => {
            near::settle_provider(draft, site, None);
            let act = MachineAct {
                provider: None,
                op: MachineOp::Prove,
                machine: OWN_NAME.to_owned(),
                which: Which::Own,
                other: None,
                image: None,
                params: BTreeMap::new(),
                answers_within,
            };
            let title = "another machine answers under the old name";
            vec![asked(draft, site), new(draft, site, "prove", title, act)]
        }
    };
    steps.push(new_release(draft, site));
    steps
}

/// How the role's machines are made anew; refused when nobody said it.
pub(super) fn way(draft: &mut Draft<'_>, site: &Site<'_>) -> Option<Rebuild> {
    if site.role.rebuild.is_none() {
        draft.wrong(
            &site.role.origin,
            Wrong::NoWayToRebuild {
                role: site.role.role.to_string(),
            },
            "write `rebuild: {provider: NAME, image: IMAGE}` in the role, or `rebuild: {by: person}`",
        );
    }
    site.role.rebuild.clone()
}

pub(super) fn step_of(site: &Site<'_>, name: &str, title: &str, made: Made) -> Step {
    let mut step = site.step(name, title, made.action, made.work);
    step.limits = made.limits;
    step.undo = made.undo;
    step.repeat = made.repeat;
    step
}

/// The point of no return.
fn new(draft: &Draft<'_>, site: &Site<'_>, name: &str, title: &str, act: MachineAct) -> Step {
    let by_provider = act.provider.is_some();
    let verify = near::verify_of(draft, &act);
    let mut step = step_of(site, name, title, near::of_machine(draft, act));
    step.verify = verify;
    step.undo = Undo::None {
        way_back: way_back(draft, site, by_provider),
    };
    step.why = format!(
        "the strategy of {} is {}",
        site.role.role, site.role.strategy
    );
    step
}

fn way_back(draft: &Draft<'_>, site: &Site<'_>, by_provider: bool) -> String {
    let from = &draft.definition.from;
    let machine = if by_provider {
        format!("have the provider make a machine from the old image of {from}")
    } else {
        format!("make a machine of {from} by hand")
    };
    match site.role.strategy.data() {
        Data::Carry => format!(
            "{machine}, and put back the copy of {} that lies on the controller",
            site.role.carry.join(", ")
        ),
        Data::Volume => format!("{machine}, and move {} to it", volumes(site).join(" and ")),
        _ => format!("{machine}; nothing of what was on it is kept"),
    }
}

/// The role's volumes, as people are told of them.
pub(super) fn volumes(site: &Site<'_>) -> Vec<String> {
    let volumes = site.role.volumes.iter();
    volumes
        .map(|volume| format!("the volume of {}", volume.mount.path))
        .collect()
}

/// A person makes the machine: asked at the moment when services are down and everything carried is copied.
fn asked(draft: &Draft<'_>, site: &Site<'_>) -> Step {
    let question = format!(
        "Make {{{{ host.name }}}} anew with {} now, under the same name and address, and enter its new host key \
         into the known hosts. Approve when it answers.",
        draft.definition.to
    );
    let mut step = site.step(
        "made-by-person",
        "a person makes the machine anew",
        Action::Gate,
        Primitive::Ask(Ask { question }),
    );
    step.repeat = Repeat::Safe;
    step.limits = limits::GATE;
    step.why = "no provider is named for it".to_owned();
    step
}
