//! A role's guards, before anything of a host's turn. A step of their own, because the first real step
//! may not concern every host.

use super::site::Site;
use crate::limits;
use overhaul_model::action::{Action, Repeat};
use overhaul_model::primitive::{Measure, Primitive, Wait};
use overhaul_model::step::Step;

pub(super) fn steps(site: &Site<'_>) -> Vec<Step> {
    if site.role.guards.is_empty() {
        return Vec::new();
    }
    let wait = Wait {
        until: Measure::All(Vec::new()),
        every: limits::RELEASE_EVERY,
        at_most: limits::RELEASE_AT_MOST,
    };
    let mut step = site.step(
        "begin",
        "begin when the role's guards hold",
        Action::Wait,
        Primitive::Wait(wait),
    );
    step.guards.clone_from(&site.role.guards);
    step.repeat = Repeat::Safe;
    step.limits = limits::RELEASE;
    step.why = format!("role {} names guards", site.role.role);
    vec![step]
}
