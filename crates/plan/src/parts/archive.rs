//! Paths that people want copied to the controller and kept there.
//!
//! Each host has a step of its own: the name of its archive is part of the plan, so that report and clean-up
//! find it without the host.

use super::site::Site;
use super::written::own_words;
use crate::draft::Draft;
use crate::limits;
use crate::slug::{file_name, literal, slug};
use crate::space::{carried_bytes, of_copy, root_bytes};
use overhaul_model::action::{Action, Repeat, Retry};
use overhaul_model::definition::{Archive, WrittenStep};
use overhaul_model::fleet::Host;
use overhaul_model::id::HostName;
use overhaul_model::primitive::{Persist, Primitive};
use overhaul_model::step::Step;
use std::collections::BTreeSet;

/// The whole root.
const ROOT: &str = "/";

/// One step for each of these hosts, and the space that its archive takes.
pub(super) fn steps(
    draft: &mut Draft<'_>,
    site: &Site<'_>,
    written: &WrittenStep,
    archive: &Archive,
    concerned: &BTreeSet<HostName>,
) -> Vec<Step> {
    let hosts = site.named_hosts().into_iter();
    let hosts = hosts.filter(|(host, _)| concerned.contains(&host.name));
    hosts
        .map(|(host, word)| {
            let bytes = match archive.paths.as_slice() {
                [root] if root == ROOT => root_bytes(draft, host, archive.one_filesystem),
                paths => carried_bytes(draft, host, paths),
            };
            let because = format!(
                "archive {} of {}: at most what {} takes there",
                archive.name,
                host.name,
                archive.paths.join(", ")
            );
            draft.plan.space.push(of_copy(bytes, because));
            let mut step = of_host(site, written, archive, host);
            step.id = site.id.child(&format!("{}-{word}", slug(&written.name)));
            step.limits = limits::copy(bytes);
            own_words(&mut step, written);
            if written.retry == Retry::NEVER {
                step.retry = limits::COPY_RETRY;
            }
            step
        })
        .collect()
}

fn of_host(site: &Site<'_>, written: &WrittenStep, archive: &Archive, host: &Host) -> Step {
    let literals = |paths: &[String]| paths.iter().map(|path| literal(path)).collect();
    let paths: Vec<String> = literals(&archive.paths);
    let work = Primitive::Persist(Persist {
        paths: paths.clone(),
        file: format!(
            "{}/{}",
            file_name(host.name.as_str()),
            file_name(&archive.name)
        ),
        one_filesystem: archive.one_filesystem,
        exclude: literals(&archive.exclude),
        live: archive.live,
    });
    let mut step = site.step(
        &written.name,
        &written.name,
        Action::Archive { paths },
        work,
    );
    step.only = site.only(BTreeSet::from([host.name.clone()]));
    step.repeat = Repeat::Safe;
    step
}
