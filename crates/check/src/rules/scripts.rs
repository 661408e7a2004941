//! Values go into scripts quoted.

use crate::rule::Complaint;
use crate::view::View;
use overhaul_model::definition::Guard;
use overhaul_model::primitive::Measure;
use overhaul_model::step::Step;
use overhaul_model::template::{Quoting, texts_of_measure, texts_of_primitive};

pub(super) fn raw(view: &View<'_>) -> Vec<Complaint> {
    view.steps
        .iter()
        .filter(|step| scripts(step).iter().any(|text| has_raw(text)))
        .map(|step| {
            let sentence = "a value goes into its script without quotes, by `| raw`".to_owned();
            let help = "leave `| raw` out: values are quoted as one word";
            Complaint::warning(format!("step:{}", step.id), sentence, help)
        })
        .collect()
}

fn scripts(step: &Step) -> Vec<&str> {
    let measures: Vec<&Measure> = step
        .check
        .iter()
        .chain(&step.verify)
        .chain(step.guards.iter().filter_map(Guard::measure))
        .collect();
    texts_of_primitive(&step.work)
        .into_iter()
        .chain(measures.into_iter().flat_map(texts_of_measure))
        .filter(|(_, quoting)| *quoting == Quoting::Shell)
        .map(|(text, _)| text)
        .collect()
}

/// Whether an interpolation of the text ends in the filter `raw`.
fn has_raw(text: &str) -> bool {
    text.split("{{").skip(1).any(|rest| {
        let inside = rest.split("}}").next().unwrap_or(rest);
        inside
            .split('|')
            .skip(1)
            .any(|filter| filter.trim() == "raw")
    })
}
