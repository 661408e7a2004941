//! Services are held down before the system changes, and let go when it has.

use super::cluster;
use super::site::Site;
use crate::draft::Draft;
use crate::limits;
use crate::scripts;
use overhaul_model::action::{Action, Repeat, ServiceOp, Undo};
use overhaul_model::id::ServiceName;
use overhaul_model::primitive::{Measure, Primitive, UnitState};
use overhaul_model::step::Step;

/// On a new machine, before its packages come: none of the services may meet its users before its data is there.
pub(super) fn hold_again(draft: &Draft<'_>, site: &Site<'_>) -> Vec<Step> {
    let mut steps = hold(draft, site);
    for step in &mut steps {
        step.why = "the new machine knows nothing of what was held on the old one, and its data is not there yet"
            .to_owned();
    }
    steps
}

/// What stops each service of a site that does not stay up, the last one to start first, with what starts it again.
pub(crate) fn quiet_and_back(draft: &Draft<'_>, site: &Site<'_>) -> Vec<(Step, Step)> {
    let mut services = site.services_that_start(draft);
    services.reverse();
    let quiet = services
        .into_iter()
        .filter(|(name, ..)| !site.role.stay_up.contains_key(name));
    let both = quiet.map(|(name, service, _)| {
        let mut open = unit_step(site, &name, &service.unit, ServiceOp::Hold);
        open.why = "the other hosts of its role are quiet meanwhile".to_owned();
        let mut close = unit_step(site, &name, &service.unit, ServiceOp::LetGo);
        close.why = "it was stopped for others, whatever became of them".to_owned();
        close.guards.extend(cluster::donors(draft, &name));
        (open, close)
    });
    both.collect()
}

/// All other hosts of a role, before its first one has the data alone: nobody writes to the old data any more.
pub(crate) fn quiesce(draft: &Draft<'_>, site: &Site<'_>) -> Vec<Step> {
    let mut steps = hold(draft, site);
    for step in &mut steps {
        step.why =
            "the first host of the role takes the data over: what is written here would be lost"
                .to_owned();
    }
    steps
}

/// In the reverse of the order in which they start. What stays up is not held here.
pub(super) fn hold(draft: &Draft<'_>, site: &Site<'_>) -> Vec<Step> {
    if site.role.by_steps {
        return Vec::new();
    }
    let mut services = site.services(draft);
    services.reverse();
    services
        .into_iter()
        .filter(|(name, ..)| !site.role.stay_up.contains_key(name))
        .map(|(name, service, here)| {
            let mut step = unit_step(site, &name, &service.unit, ServiceOp::Hold);
            step.only = site.only(here);
            step
        })
        .collect()
}

/// What stayed up and was ended by a step is let go too.
pub(super) fn let_go(draft: &Draft<'_>, site: &Site<'_>) -> Vec<Step> {
    if site.role.by_steps {
        return Vec::new();
    }
    let never_down = |name: &ServiceName| matches!(site.role.stay_up.get(name), Some(None));
    let joined = cluster::started_as_members(draft, site);
    site.services_that_start(draft)
        .into_iter()
        .filter(|(name, ..)| !never_down(name) && !joined.contains(name))
        .map(|(name, service, here)| {
            let mut step = unit_step(site, &name, &service.unit, ServiceOp::LetGo);
            step.only = site.only(here);
            step.guards.extend(cluster::donors(draft, &name));
            step
        })
        .collect()
}

fn unit_step(site: &Site<'_>, name: &ServiceName, unit: &str, op: ServiceOp) -> Step {
    let state = |state| Measure::Unit {
        unit: unit.to_owned(),
        state,
    };
    let (verb, title, script, after, why) = match op {
        ServiceOp::Hold => (
            "hold",
            format!("{name} stops and stays down"),
            scripts::HOLD,
            state(UnitState::Held),
            "neither packages nor the reboot may start it before its data is ready",
        ),
        _ => (
            "let-go",
            format!("{name} starts"),
            scripts::LET_GO,
            Measure::All(vec![state(UnitState::Startable), state(UnitState::Active)]),
            "it was held down for the change",
        ),
    };
    let action = Action::Service {
        unit: unit.to_owned(),
        service: Some(name.clone()),
        op,
    };
    let work = Primitive::Exec(script.with([unit]));
    let mut step = site.step(&format!("{verb}-{name}"), &title, action, work);
    step.check = Some(after.clone());
    step.verify = Some(after);
    step.repeat = Repeat::Safe;
    step.limits = limits::SERVICE;
    step.undo = match op {
        ServiceOp::Hold => Undo::By(scripts::LET_GO.with([unit])),
        _ => Undo::By(scripts::HOLD.with([unit])),
    };
    step.why = why.to_owned();
    step
}
