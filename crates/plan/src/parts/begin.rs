//! What must hold before anything of a host's turn: the role's guards, and the minimum of each service. A step of their own, because the first real step
//! may not concern every host.

use super::site::Site;
use crate::draft::Draft;
use crate::limits;
use overhaul_model::definition::{Guard, Test};
use overhaul_model::step::Step;

pub(super) fn steps(draft: &Draft<'_>, site: &Site<'_>) -> Vec<Step> {
    let minima = minima(draft, site);
    if site.role.guards.is_empty() && minima.is_empty() {
        return Vec::new();
    }
    let why = match (site.role.guards.is_empty(), minima.is_empty()) {
        (false, true) => format!("role {} names guards", site.role.role),
        _ => "a service keeps a minimum of hosts".to_owned(),
    };
    // Minima last, because from then on the host counts as away.
    let guards = site.role.guards.iter().cloned().chain(minima);
    let mut step = site.guarded("begin", "begin when its guards hold", guards.collect());
    step.why = why;
    vec![step]
}

/// A guard for each service that keeps a minimum.
fn minima(draft: &Draft<'_>, site: &Site<'_>) -> Vec<Guard> {
    let services = site.services(draft).into_iter();
    services
        .filter(|(_, service, _)| service.keep > 0)
        .map(|(name, service, _)| Guard {
            name: format!("{name} keeps {}", service.keep),
            test: Test::Members {
                service: name,
                at_least: service.keep,
            },
            at_most: limits::MINIMUM_AT_MOST,
        })
        .collect()
}
