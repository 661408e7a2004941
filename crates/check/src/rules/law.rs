//! The table of all rules.

use super::{
    available, boot, bounds, calendar, clocks, controller, copies, data, destroyed, expected,
    fresh, ids, keep, known_issues, known_names, local, machines, members, names, next_release,
    no_feed, no_mix, no_return, packages, quorum, release, repeats, scopes, scripts, services,
    space, storage, transfer, turns, unknown, versions, whole_role, windows, zones,
};
use crate::rule::{Complaint, Rule};
use crate::view::View;

/// All rules: first what makes a plan a plan, then what keeps data, machines and services, then what was
/// measured.
pub static RULES: &[Rule] = &[
    rule(
        "unique-ids",
        "no id stands for two parts of the plan",
        false,
        ids::unique,
    ),
    rule(
        "roll-turns",
        "each roll has turns over hosts of the plan, no host twice, at least one at once",
        false,
        turns::look,
    ),
    rule(
        "known-names",
        "steps, services and datasets name only hosts, services and datasets of the plan",
        false,
        known_names::look,
    ),
    rule(
        "not-available",
        "every step of the plan is one that this version can carry out",
        false,
        available::look,
    ),
    rule(
        "bounds",
        "every act, wait and retry has a bound that makes sense",
        false,
        bounds::look,
    ),
    rule(
        "once-not-in-repeat",
        "what must happen once is inside nothing that repeats",
        false,
        repeats::once,
    ),
    rule(
        "check-before-repeat",
        "a step that repeats only after its check has a check",
        false,
        repeats::check_first,
    ),
    rule(
        "scope-close-safe",
        "what closes a scope can be begun again by itself",
        false,
        scopes::close_safe,
    ),
    rule(
        "copy-files",
        "copies go to files of their own, inside the run's folder",
        false,
        copies::files,
    ),
    rule(
        "verified-copy",
        "data is changed only after a copy of all of it was made outside its host and read back",
        true,
        copies::verified,
    ),
    rule(
        "data-at-rest",
        "data is changed only while its service is stopped",
        true,
        data::at_rest,
    ),
    rule(
        "copy-at-rest",
        "nobody writes between the copy of data and its change",
        true,
        data::copy_at_rest,
    ),
    rule(
        "fresh-copy",
        "no copy is older than its dataset allows when it is needed",
        true,
        fresh::look,
    ),
    rule(
        "right-machine",
        "a machine is harmed only when it is the one that was measured",
        false,
        destroyed::right_machine,
    ),
    rule(
        "nothing-lost",
        "what lies on a machine that is ended was copied, or is carried and comes back",
        true,
        destroyed::nothing_lost,
    ),
    rule(
        "one-authority",
        "the authority over a dataset goes from the one host that has it to one that has received it",
        false,
        transfer::one_authority,
    ),
    rule(
        "transfer-backup",
        "a copy lies outside both hosts before data goes from one to another",
        true,
        transfer::backed_up,
    ),
    rule(
        "transfer-at-rest",
        "nobody writes to the old side of a transfer, before it and after it",
        false,
        transfer::old_side_rests,
    ),
    rule(
        "authority-on-record",
        "what hosts keep on record of authority is known, and does not stand against the plan",
        false,
        transfer::on_record,
    ),
    rule(
        "no-return-stated",
        "a step from which there is no way back says so",
        false,
        no_return::look,
    ),
    rule(
        "stopped-started",
        "every service that is stopped is started again",
        true,
        services::stopped_started,
    ),
    rule(
        "some-stay-up",
        "not all hosts of a service are down at once",
        true,
        services::some_stay_up,
    ),
    rule(
        "keep-minimum",
        "every service keeps its minimum of hosts at any time",
        true,
        keep::minimum,
    ),
    rule(
        "one-zone-at-a-time",
        "hosts of two zones are never away at once, where the definition says so",
        true,
        zones::one_at_a_time,
    ),
    rule(
        "whole-role",
        "no step that may lose hosts has all hosts of a role at once, where it has several",
        true,
        whole_role::look,
    ),
    rule(
        "no-mix",
        "versions that do not understand each other never meet in one cluster",
        true,
        no_mix::look,
    ),
    rule(
        "no-feed",
        "a member never takes its data from a newer one that would damage it, and nobody starts one unasked",
        true,
        no_feed::look,
    ),
    rule(
        "quorum",
        "a cluster that decides by majority keeps one, counted without the members that are away already",
        true,
        quorum::look,
    ),
    rule(
        "cluster-begun-once",
        "a cluster is begun alone by one host, once, when nobody else runs it or is new already; a member forgets its data when others have it",
        false,
        members::look,
    ),
    rule(
        "controller-needs",
        "what the controller itself needs is not changed under it",
        true,
        controller::look,
    ),
    rule(
        "reaches-release",
        "every host ends on the new release, proven after a reboot",
        true,
        release::reaches,
    ),
    rule(
        "windows-budget",
        "no predicted outage is longer than what was agreed on",
        true,
        windows::look,
    ),
    rule(
        "calendar",
        "the run fits between the dates that the definition names",
        true,
        calendar::dates,
    ),
    rule(
        "prework-stale",
        "no host waits longer for its upgrade than its pre-work counts",
        true,
        calendar::prework,
    ),
    rule(
        "raw-in-script",
        "scripts take values quoted",
        true,
        scripts::raw,
    ),
    rule(
        "unknown-facts",
        "what a rule needs was measured, lately",
        true,
        unknown::look,
    ),
    rule(
        "from-release",
        "every host is on the release that the upgrade begins with",
        true,
        release::from,
    ),
    rule(
        "version-path",
        "no version is jumped over that the way must pass",
        false,
        versions::path,
    ),
    rule(
        "equal-versions",
        "packages that go together have one version",
        true,
        versions::equal,
    ),
    rule(
        "known-issues",
        "known issues of the versions on the way have their remedy",
        true,
        known_issues::look,
    ),
    rule(
        "expected",
        "what is expected is about something that is there, and not over",
        false,
        expected::look,
    ),
    rule(
        "machine-id-shared",
        "each host is a machine of its own",
        true,
        machines::shared,
    ),
    rule(
        "helper-can-run",
        "programs may be started from the helper's folder, and it can be written to",
        true,
        machines::helper,
    ),
    rule(
        "known-units",
        "the units of services are there",
        true,
        machines::units,
    ),
    rule(
        "broken-packages",
        "no package is unfinished before the upgrade",
        true,
        packages::broken,
    ),
    rule(
        "held-packages",
        "no package is held back",
        true,
        packages::held,
    ),
    rule(
        "foreign-sources",
        "package sources outside the distribution are known",
        true,
        packages::foreign,
    ),
    rule(
        "obsolete-packages",
        "every installed package comes from a source",
        true,
        local::obsolete,
    ),
    rule(
        "pins",
        "no preference keeps packages from the new release",
        true,
        local::pins,
    ),
    rule(
        "leftovers",
        "nothing is left of packages and configuration of long ago",
        true,
        local::leftovers,
    ),
    rule(
        "changed-conffiles",
        "configuration files that people changed are known",
        true,
        local::conffiles,
    ),
    rule(
        "changed-files",
        "files of packages are as they were shipped",
        true,
        local::files,
    ),
    rule(
        "interface-names",
        "no file relies on names of interfaces that may change",
        true,
        names::interfaces,
    ),
    rule(
        "disk-names",
        "no file relies on names of disks that may change",
        true,
        names::disks,
    ),
    rule(
        "reboot-pending",
        "what was installed is in force before the upgrade",
        true,
        boot::reboot_pending,
    ),
    rule(
        "kernel-packages",
        "the upgrade brings a kernel, and the boot loader knows its disk",
        true,
        boot::kernel,
    ),
    rule(
        "boot-room",
        "a /boot of its own has room for kernels of the new release",
        true,
        storage::boot_room,
    ),
    rule(
        "filesystems",
        "filesystems are laid out and mounted as the new release needs them",
        true,
        storage::layout,
    ),
    rule(
        "encrypted-disks",
        "disks that are opened at boot are known",
        true,
        storage::encrypted,
    ),
    rule(
        "next-release",
        "the new release has what services need",
        true,
        next_release::look,
    ),
    rule(
        "space",
        "each filesystem has the free space that the plan relies on",
        true,
        space::look,
    ),
    rule(
        "clocks",
        "clocks of hosts agree with the controller's",
        true,
        clocks::look,
    ),
];

const fn rule(
    id: &'static str,
    says: &'static str,
    waivable: bool,
    look: fn(&View<'_>) -> Vec<Complaint>,
) -> Rule {
    Rule {
        id,
        says,
        waivable,
        look,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_rules_share_a_name() {
        let names: BTreeSet<&str> = RULES.iter().map(|rule| rule.id).collect();
        assert_eq!(names.len(), RULES.len());
    }
}
