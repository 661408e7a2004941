//! Services keep their minimum of hosts.

use super::away::Projection;
use crate::rule::Complaint;
use crate::view::View;

pub(super) fn minimum(view: &View<'_>) -> Vec<Complaint> {
    let plan = view.plan;
    let mut out = Vec::new();
    for (name, service) in &plan.services {
        let keep = usize::try_from(service.keep).unwrap_or(usize::MAX);
        if keep == 0 {
            continue;
        }
        let subject = format!("service:{name}");
        if service.healthy.is_none() {
            let sentence =
                "it keeps a minimum of hosts, and nothing measures their health".to_owned();
            let help = "say how its health is measured: `healthy`";
            out.push(Complaint::error(subject.clone(), sentence, help));
        }
        let projection = Projection {
            plan,
            members: service.hosts.iter().collect(),
            service: Some(name),
        };
        let worst = projection
            .crowds()
            .into_iter()
            .max_by_key(|crowd| crowd.size());
        let Some(worst) = worst else {
            continue;
        };
        let (hosts, away) = (service.hosts.len(), worst.size());
        if hosts.saturating_sub(away) < keep {
            let sentence = format!(
                "{away} of its {hosts} hosts may be away at once in {}; {keep} must stay",
                worst.block.id()
            );
            let help = "lower `at_once` or the batches, write `order: one-by-one`, or lower `keep`";
            out.push(Complaint::error(subject, sentence, help));
        }
    }
    out
}
