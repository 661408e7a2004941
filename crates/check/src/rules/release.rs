//! Every host goes from the one release to the other, and it is proven.

use crate::rule::Complaint;
use crate::view::{Act, View};
use overhaul_model::definition::Release;
use overhaul_model::effects::Effect;
use overhaul_model::primitive::{Measure, Primitive};
use overhaul_model::step::Step;

pub(super) fn reaches(view: &View<'_>) -> Vec<Complaint> {
    let to = &view.plan.to;
    // Where the release stays, there is nothing to reach.
    if view.plan.from == *to {
        return Vec::new();
    }
    view.lanes
        .iter()
        .filter_map(|(host, steps)| {
            let lacking = lacking(steps, to)?;
            let help = "the strategy of its role changes the release, reboots, and looks at the new release";
            Some(Complaint::error(format!("host:{host}"), lacking, help))
        })
        .collect()
}

/// What a lane lacks on its way to the release.
fn lacking(steps: &[&Act<'_>], to: &Release) -> Option<String> {
    let (mut reached, mut rebooted, mut proven) = (None, false, false);
    for step in steps {
        for effect in &step.effects {
            match effect {
                Effect::ReleaseChanges(release) => {
                    reached = Some(release);
                    rebooted = false;
                    proven = false;
                }
                Effect::HostUp => rebooted = true,
                _ => {}
            }
        }
        proven |= rebooted && proves(step, to);
    }
    match reached {
        None => Some(format!("no step brings it to {to}")),
        Some(other) if other != to => Some(format!("it ends on {other}, not on {to}")),
        Some(_) if !rebooted => Some(format!("it is not rebooted into {to}")),
        Some(_) if !proven => Some(format!(
            "nobody looks whether it is on {to} after the reboot"
        )),
        Some(_) => None,
    }
}

fn proves(step: &Step, to: &Release) -> bool {
    let until = match &step.work {
        Primitive::Wait(wait) => Some(&wait.until),
        _ => None,
    };
    step.verify
        .iter()
        .chain(until)
        .any(|measure| names(measure, to))
}

fn names(measure: &Measure, to: &Release) -> bool {
    match measure {
        Measure::Release { os, version } => *os == to.os && *version == to.release,
        Measure::All(parts) => parts.iter().any(|part| names(part, to)),
        _ => false,
    }
}

pub(super) fn from(view: &View<'_>) -> Vec<Complaint> {
    let (from, to) = (&view.plan.from, &view.plan.to);
    view.fresh_facts()
        .filter_map(|(host, facts)| {
            let measured = facts.release.value()?;
            let now = Release {
                os: measured.os.clone(),
                release: measured.version.clone(),
            };
            let subject = format!("host:{host}");
            if now == *from {
                return None;
            }
            if now == *to {
                let sentence = format!("it is on {to} already");
                let help =
                    "leave it out, or let the steps pass it: those that are so already are skipped";
                return Some(Complaint::note(subject, sentence, help));
            }
            let sentence = format!("it is on {now}, and the upgrade begins with {from}");
            let help = "bring it to that release first; no release may be left out";
            Some(Complaint::error(subject, sentence, help))
        })
        .collect()
}
