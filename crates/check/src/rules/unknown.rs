//! What rules need was measured, and lately. Missing is never assumed to be good.

use crate::rule::Complaint;
use crate::view::View;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use overhaul_model::definition::DatasetKind;
use overhaul_model::facts::{HostFacts, Known, NOT_ASKED};
use overhaul_model::id::HostName;

/// Facts are taken for true so many days: packages, disks and databases change, and a window is planned
/// some days ahead. Counted in dates, so that the time zone does not matter.
const FACTS_AGE_DAYS_MAX: i32 = 2;

const HELP: &str = "see that the host is reached, and gather facts again";

pub(super) fn look(view: &View<'_>) -> Vec<Complaint> {
    let mut out = Vec::new();
    for host in &view.fresh {
        let subject = format!("host:{host}");
        let Some(facts) = view.facts.get(*host) else {
            let sentence = "nothing was measured of it".to_owned();
            out.push(Complaint::error(subject, sentence, HELP));
            continue;
        };
        if let Some(days) = age_days(facts, view.today).filter(|days| *days > FACTS_AGE_DAYS_MAX) {
            let sentence = format!("its facts are {days} days old");
            out.push(Complaint::error(subject.clone(), sentence, HELP));
        }
        for (what, reason) in needed(view, host, facts) {
            let sentence = format!("{what} not known: {reason}");
            out.push(Complaint::error(subject.clone(), sentence, HELP));
        }
        for (what, reason) in useful(facts) {
            let sentence = format!("{what} not known: {reason}");
            out.push(Complaint::warning(subject.clone(), sentence, HELP));
        }
    }
    out
}

fn age_days(facts: &HostFacts, today: Date) -> Option<i32> {
    let gathered = facts.gathered_at.to_zoned(TimeZone::UTC).date();
    Some(today.since(gathered).ok()?.get_days())
}

fn unknown<'f, T>(what: &'static str, fact: &'f Known<T>) -> Option<(&'static str, &'f str)> {
    match fact {
        Known::Measured { .. } => None,
        Known::Unknown { reason } => Some((what, reason)),
    }
}

fn needed<'f>(
    view: &View<'_>,
    host: &HostName,
    facts: &'f HostFacts,
) -> Vec<(&'static str, &'f str)> {
    let data = view.plan.datasets.values().any(|dataset| {
        dataset.authority == *host && matches!(dataset.kind, DatasetKind::Postgresql { .. })
    });
    let mut out = vec![
        unknown("its release is", &facts.release),
        unknown("its machine id is", &facts.machine_id),
        unknown("its boot is", &facts.boot),
        unknown("the state of its packages is", &facts.packages_broken),
        unknown("its filesystems are", &facts.mounts),
    ];
    if data {
        out.push(unknown("its PostgreSQL clusters are", &facts.postgresql));
    }
    out.into_iter().flatten().collect()
}

fn useful(facts: &HostFacts) -> Vec<(&'static str, &str)> {
    [
        unknown("held packages are", &facts.packages_held),
        unknown("foreign package sources are", &facts.foreign_sources),
        unknown("its units are", &facts.units),
        unknown("its clock is", &facts.clock_offset_ms),
        unknown("packages without a source are", &facts.packages.obsolete),
        unknown("pins are", &facts.packages.pins),
        unknown(
            "changed configuration is",
            &facts.packages.conffiles_changed,
        ),
        unknown("its kernels are", &facts.kernel.installed),
        unknown("a pending reboot is", &facts.kernel.reboot_wanted_by),
        unknown("names of interfaces are", &facts.names.interfaces),
        unknown("names of disks are", &facts.names.kernel_disk_names),
        // What takes its time is asked for by the person; the reason says so.
        unknown("the new release's effect is", &facts.packages.next_release)
            .filter(|(_, reason)| *reason != NOT_ASKED),
    ]
    .into_iter()
    .flatten()
    .collect()
}
