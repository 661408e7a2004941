//! A host that comes back empty: before it starts, enough of the others must be there to give it its data.

use super::cluster::{self, Clustered};
use super::later;
use super::site::Site;
use crate::draft::Draft;
use crate::limits;
use overhaul_model::action::ClusterOp;
use overhaul_model::definition::{Guard, Test};
use overhaul_model::later::Later;
use overhaul_model::step::Step;
use overhaul_model::strategy::Change;

/// Without a cluster that can be asked a later version, and so for a machine whose old data is still on it when
/// its kind does not say how that is forgotten.
pub(super) fn steps(draft: &Draft<'_>, site: &Site<'_>) -> Vec<Step> {
    let in_place = site.role.strategy.change() == Change::InPlace;
    let mut out = Vec::new();
    for of in cluster::clustered(draft, site) {
        out.push(donors(site, &of));
        if in_place {
            let name = format!("forget {}", of.name);
            let forget = cluster::steps(draft, site, &of, ClusterOp::Forget, &name);
            if forget.is_empty() {
                return later::steps(draft, site, Later::DataRejoin);
            }
            out.extend(forget.into_iter().map(|step| Step {
                title: format!("what it has of {} is forgotten", of.name),
                why: "the cluster has the data; what lies here is of the old release".to_owned(),
                ..step
            }));
        }
    }
    if out.is_empty() {
        return later::steps(draft, site, Later::DataRejoin);
    }
    out
}

/// Others that can give an empty host its data.
fn donors(site: &Site<'_>, of: &Clustered<'_>) -> Step {
    let name = &of.name;
    let others = Guard {
        name: format!("others of {name} work"),
        test: Test::Members {
            service: name.clone(),
            at_least: of.service.keep.max(1),
        },
        at_most: limits::MINIMUM_AT_MOST,
    };
    let id = format!("donors-{name}");
    let title = format!("others of {name} can give it its data");
    let mut step = site.guarded(&id, &title, vec![others]);
    step.only = site.only(of.here.clone());
    step.why = format!("the host is empty, and the cluster of {name} has its data");
    step
}
