//! A host that comes back empty: before it starts, enough of the others must be there to give it its data.

use super::later;
use super::site::Site;
use crate::draft::Draft;
use crate::limits;
use overhaul_model::definition::{Guard, Test};
use overhaul_model::later::Later;
use overhaul_model::step::Step;
use overhaul_model::strategy::Change;

/// Without a cluster that can be asked, and for a machine whose old data is still on it, a later version.
pub(super) fn steps(draft: &Draft<'_>, site: &Site<'_>) -> Vec<Step> {
    let services = site.services_that_start(draft).into_iter();
    let clustered = services.filter(|(_, service, _)| service.cluster.is_some());
    let steps: Vec<Step> = clustered
        .map(|(name, service, here)| {
            let others = Guard {
                name: format!("others of {name} work"),
                test: Test::Members {
                    service: name.clone(),
                    at_least: service.keep.max(1),
                },
                at_most: limits::MINIMUM_AT_MOST,
            };
            let id = format!("donors-{name}");
            let title = format!("others of {name} can give it its data");
            let mut step = site.guarded(&id, &title, vec![others]);
            step.only = site.only(here);
            step.why = format!("the host is empty, and the cluster of {name} has its data");
            step
        })
        .collect();
    if steps.is_empty() || site.role.strategy.change() != Change::Rebuild {
        return later::steps(draft, site, Later::DataRejoin);
    }
    steps
}
