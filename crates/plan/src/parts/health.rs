//! Each service is healthy again, measured as its definition says.

use super::site::Site;
use crate::draft::Draft;
use crate::limits;
use overhaul_model::action::{Action, Repeat};
use overhaul_model::primitive::{Primitive, Wait};
use overhaul_model::step::Step;

pub(super) fn steps(draft: &Draft<'_>, site: &Site<'_>) -> Vec<Step> {
    let mut out = Vec::new();
    for (name, service, here) in site.services_that_start(draft) {
        let Some(healthy) = service.healthy else {
            continue;
        };
        let (bounds, every) = match service.cluster {
            Some(_) => (limits::MEMBER, limits::MEMBER_EVERY),
            None => (limits::HEALTH, limits::HEALTH_EVERY),
        };
        let wait = Wait {
            until: healthy,
            every,
            at_most: bounds.total,
        };
        let mut step = site.step(
            &format!("healthy-{name}"),
            &format!("{name} is healthy"),
            Action::Wait,
            Primitive::Wait(wait),
        );
        step.only = site.only(here);
        step.repeat = Repeat::Safe;
        step.limits = bounds;
        step.why = format!("service {name} says what healthy means");
        out.push(step);
    }
    out
}
