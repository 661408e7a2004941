//! Paths that a new machine gets from the old one, by way of the controller.
//!
//! Each host has steps of its own: the name of its archive is part of the plan, so that report and clean-up
//! find it without the host.

use super::site::Site;
use crate::draft::Draft;
use crate::limits;
use crate::slug::{file_name, literal};
use crate::space::carried_bytes;
use overhaul_model::action::{Action, CarryOp, Repeat, Touches, Undo};
use overhaul_model::fleet::Host;
use overhaul_model::id::StepId;
use overhaul_model::primitive::{Exec, Existing, Measure, Persist, Primitive, Restore};
use overhaul_model::step::Step;
use overhaul_model::template::step_word;
use std::collections::BTreeSet;

/// What a restore leaves beside a path that was there already, see [`Existing::SetAside`].
const SET_ASIDE: &str = ".overhaul-before";

pub(super) fn persist(draft: &Draft<'_>, site: &Site<'_>) -> Vec<Step> {
    let paths = paths(site);
    let of_host = |(host, word): (&Host, String)| {
        let work = Primitive::Persist(Persist {
            paths: paths.clone(),
            file: archive(host),
            one_filesystem: false,
            exclude: Vec::new(),
            live: false,
        });
        let title = format!("{} copied to the controller", site.role.carry.join(", "));
        let mut step = carried(draft, site, host, &title, CarryOp::Persist, work);
        step.id = site.id.child(&persisted(&word));
        step.why = format!(
            "role {} carries it to the new machine; services are down, so nobody writes to it",
            site.role.role
        );
        step
    };
    site.named_hosts().into_iter().map(of_host).collect()
}

pub(super) fn restore(draft: &Draft<'_>, site: &Site<'_>) -> Vec<Step> {
    let paths = paths(site);
    let of_host = |(host, word): (&Host, String)| {
        let work = Primitive::Restore(Restore {
            paths: paths.clone(),
            file: archive(host),
            digest_from: step_word(&StepId::new(persisted(&word))),
            // Image and packages may have brought the same folders.
            existing: Existing::SetAside,
        });
        let title = format!("{} put back and compared", site.role.carry.join(", "));
        let mut step = carried(draft, site, host, &title, CarryOp::Restore, work);
        step.id = site.id.child(&format!("restore-carried-{word}"));
        step.why = "done only when what is read back there is what was copied".to_owned();
        step
    };
    site.named_hosts().into_iter().map(of_host).collect()
}

/// The last part of the id of the step that copies.
fn persisted(word: &str) -> String {
    format!("persist-carried-{word}")
}

/// The archive of a host, below the run's data folder.
fn archive(host: &Host) -> String {
    format!("{}/carried", file_name(host.name.as_str()))
}

fn carried(
    draft: &Draft<'_>,
    site: &Site<'_>,
    host: &Host,
    title: &str,
    op: CarryOp,
    work: Primitive,
) -> Step {
    let action = Action::Carry {
        paths: paths(site),
        op,
    };
    let mut step = site.step("carried", title, action, work);
    step.only = site.only(BTreeSet::from([host.name.clone()]));
    step.limits = limits::copy(carried_bytes(draft, host, &site.role.carry));
    step.retry = limits::COPY_RETRY;
    step.repeat = Repeat::Safe;
    step
}

fn paths(site: &Site<'_>) -> Vec<String> {
    site.role.carry.iter().map(|path| literal(path)).collect()
}

/// In the stage `cleanup`: what image and packages had put where carried paths are now.
pub(super) fn remove_set_aside(site: &Site<'_>) -> Vec<Step> {
    let aside: Vec<String> = paths(site)
        .into_iter()
        .map(|path| format!("{path}{SET_ASIDE}"))
        .collect();
    let remove = ["rm", "-rf", "--one-file-system", "--"].map(str::to_owned);
    let gone = aside.iter().map(|path| {
        let test = [
            "test",
            "!",
            "-e",
            path.as_str(),
            "-a",
            "!",
            "-L",
            path.as_str(),
        ];
        Measure::Command(Exec::argv(test))
    });
    let gone = Measure::All(gone.collect());
    let mut step = site.step(
        "remove-set-aside",
        "what was in the way of carried paths is removed",
        Action::Run {
            touches: Touches::Only(Vec::new()),
        },
        Primitive::Exec(Exec::argv(remove.into_iter().chain(aside))),
    );
    step.check = Some(gone.clone());
    step.verify = Some(gone);
    step.repeat = Repeat::Safe;
    step.undo = Undo::None {
        way_back: "it was what image and packages bring: they bring it again".to_owned(),
    };
    step.why = "the restore set it aside, and nobody reads it".to_owned();
    vec![step]
}
