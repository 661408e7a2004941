//! Predicted outages and what was agreed on.

use crate::rule::Complaint;
use crate::view::View;
use overhaul_model::windows::predict;

pub(super) fn look(view: &View<'_>) -> Vec<Complaint> {
    predict(view.plan)
        .into_iter()
        .filter_map(|window| {
            let budget = view.plan.services.get(&window.service)?.window?;
            if window.predicted <= budget {
                return None;
            }
            let subject = format!("service:{}", window.service);
            let sentence = format!(
                "from {} to {} on {} it is predicted to be down for {}, and {budget} was agreed on",
                window.from_step, window.to_step, window.host, window.predicted
            );
            let help =
                "agree on a longer window, or state with `expected:` how long its steps take";
            Some(if window.certain {
                Complaint::error(subject, sentence, help)
            } else {
                Complaint::warning(subject, sentence, help)
            })
        })
        .collect()
}
