//! Predicted outages and what was agreed on.

use crate::rule::Complaint;
use crate::view::View;
use overhaul_model::windows::forecast;

pub(super) fn look(view: &View<'_>) -> Vec<Complaint> {
    let mut out = Vec::new();
    for service in forecast(view.plan).services {
        let Some(planned) = view.plan.services.get(&service.service) else {
            continue;
        };
        let Some(budget) = planned.window else {
            continue;
        };
        for window in service
            .windows
            .iter()
            .filter(|window| window.length > budget)
        {
            let (from, to, host) = (&window.from_step, &window.to_step, &window.from_host);
            let place = match planned.hosts.len() {
                1 => format!("from {from} to {to} on {host} it"),
                hosts => format!(
                    "from {from} on {host} to {to} on {} none of its {hosts} hosts serves: it",
                    window.to_host
                ),
            };
            let sentence = format!(
                "{place} is predicted to be down for {}, and {budget} was agreed on",
                window.length
            );
            let subject = format!("service:{}", service.service);
            let help =
                "agree on a longer window, or state with `expected:` how long its steps take";
            out.push(match window.certain {
                true => Complaint::error(subject, sentence, help),
                false => Complaint::warning(subject, sentence, help),
            });
        }
    }
    out
}
