//! Releases that do not understand each other never meet in one cluster.
//!
//! Members are the hosts that have a unit of the kind. Those of which nobody measured the cluster may be in
//! any: they count as members of one. The plan is followed host by host in its order, which is when most
//! hosts are on different sides.

use crate::rule::Complaint;
use crate::view::View;
use overhaul_model::action::{Action, ServiceOp};
use overhaul_model::effects::{Effect, effects};
use overhaul_model::facts::{HostFacts, Unit};
use overhaul_model::id::HostName;
use overhaul_model::knowledge::{Border, NoMix, installed_version};
use overhaul_model::plan::Place;
use overhaul_model::step::Step;
use std::collections::{BTreeMap, BTreeSet};

const HELP: &str = "stop all members of the old version before the first new one starts";

pub(super) fn look(view: &View<'_>) -> Vec<Complaint> {
    let mut out = Vec::new();
    for (kind, no_mix) in &view.plan.knowledge.no_mix {
        let patterns = Patterns::of(no_mix);
        for members in clusters(view, kind, &patterns) {
            for border in &no_mix.apart {
                let sides = Sides::before(view, &members, &patterns, border);
                if let Some(meeting) = sides.and_then(|sides| sides.first_meeting(view)) {
                    let names: Vec<&str> = members.iter().map(|host| host.as_str()).collect();
                    let subject = format!("cluster:{kind} {}", names.join(","));
                    let sentence =
                        format!("{} {} meets older ones: {meeting}", border.of, border.at);
                    out.push(Complaint::error(subject, sentence, HELP));
                }
            }
        }
    }
    out
}

/// Members of each cluster of a kind.
fn clusters<'v>(view: &View<'v>, kind: &str, units: &Patterns<'_>) -> Vec<BTreeSet<&'v HostName>> {
    let mut known: BTreeMap<&str, BTreeSet<&HostName>> = BTreeMap::new();
    let mut all = BTreeSet::new();
    let mut certain = true;
    for host in view.lanes.keys() {
        let Some(facts) = view.facts.get(*host) else {
            continue;
        };
        if !its_units(facts, units).any(|unit| unit.load == "loaded") {
            continue;
        }
        all.insert(*host);
        let memberships = facts.clusters.value().into_iter().flatten();
        let mut named = memberships
            .filter(|member| member.kind == kind)
            .filter_map(|member| member.cluster.value())
            .peekable();
        certain &= named.peek().is_some();
        for cluster in named {
            known.entry(cluster).or_default().insert(host);
        }
    }
    let groups = if certain {
        known.into_values().collect()
    } else {
        vec![all]
    };
    groups
        .into_iter()
        .filter(|members| members.len() > 1)
        .collect()
}

fn its_units<'f>(facts: &'f HostFacts, patterns: &Patterns<'_>) -> impl Iterator<Item = &'f Unit> {
    let units = facts.units.value().into_iter().flatten();
    units.filter(move |unit| patterns.fit(&unit.name))
}

/// Names of units; one `*` stands for any text.
struct Patterns<'v>(Vec<(&'v str, Option<&'v str>)>);

impl<'v> Patterns<'v> {
    fn of(no_mix: &'v NoMix) -> Self {
        let units = no_mix.units.iter();
        let split = units.map(|unit| match unit.split_once('*') {
            Some((head, tail)) => (head, Some(tail)),
            None => (unit.as_str(), None),
        });
        Self(split.collect())
    }

    fn fit(&self, unit: &str) -> bool {
        self.0.iter().any(|(head, tail)| match tail {
            Some(tail) => unit
                .strip_prefix(head)
                .is_some_and(|rest| rest.ends_with(tail)),
            None => unit == *head,
        })
    }
}

/// Where a member stands.
#[derive(Clone, Copy)]
struct Member {
    /// Behind the border.
    passed: bool,
    up: bool,
}

/// Where all members of a cluster stand beside one border.
struct Sides<'a> {
    members: BTreeMap<&'a HostName, Member>,
    patterns: &'a Patterns<'a>,
    border: &'a Border,
}

impl<'a> Sides<'a> {
    /// As they are now; none when the border is of another system than the plan's.
    fn before(
        view: &View<'a>,
        hosts: &BTreeSet<&'a HostName>,
        patterns: &'a Patterns<'a>,
        border: &'a Border,
    ) -> Option<Self> {
        let of_release = border.of == view.plan.to.os;
        let mut members = BTreeMap::new();
        for host in hosts {
            let facts = view.facts.get(*host)?;
            let version = if of_release {
                let release = facts.release.value();
                release.map_or(view.plan.from.release.as_str(), |release| &release.version)
            } else {
                // Not installed, or not asked: this border says nothing.
                installed_version(Some(facts), &border.of).ok()??
            };
            let up = its_units(facts, patterns).any(|unit| unit.active == "active");
            let passed = border.is_passed(version);
            members.insert(*host, Member { passed, up });
        }
        Some(Self {
            members,
            patterns,
            border,
        })
    }

    /// The first time that two sides are up, if ever.
    fn first_meeting(mut self, view: &View<'a>) -> Option<String> {
        if let Some(who) = self.meeting() {
            return Some(format!("{who} now"));
        }
        let mut met = None;
        view.plan.each_place(&mut |Place { step, host }| {
            let Some(host) = host.filter(|_| met.is_none()) else {
                return;
            };
            if !view.is_settled(step, host) && self.pass(host, step) {
                let meeting = self.meeting();
                met = meeting.map(|who| format!("{who} after {}", step.id));
            }
        });
        met
    }

    fn meeting(&self) -> Option<String> {
        let up = |side| {
            let mut members = self.members.iter();
            members.find(|(_, member)| member.up && member.passed == side)
        };
        let ((new, _), (old, _)) = (up(true)?, up(false)?);
        Some(format!("{new} is beyond it beside {old}"))
    }

    /// A step passes on a host; whether it changes anything here.
    fn pass(&mut self, host: &HostName, step: &Step) -> bool {
        let Some(member) = self.members.get_mut(host) else {
            return false;
        };
        match &step.action {
            Action::Service { unit, op, .. } if self.patterns.fit(unit) => {
                match op {
                    ServiceOp::Stop | ServiceOp::Hold => member.up = false,
                    ServiceOp::Start | ServiceOp::LetGo | ServiceOp::Restart => member.up = true,
                    ServiceOp::Reload | ServiceOp::Enable | ServiceOp::Disable => return false,
                }
                true
            }
            Action::Packages { install, .. } => {
                let mut versions = install.iter().filter_map(|text| text.split_once('='));
                let found = versions.find(|(package, _)| *package == self.border.of);
                if let Some((_, version)) = found {
                    member.passed = self.border.is_passed(version);
                }
                found.is_some()
            }
            _ => {
                let mut changed = false;
                for effect in effects(step) {
                    if let Effect::ReleaseChanges(release) = effect
                        && release.os == self.border.of
                    {
                        member.passed = self.border.is_passed(&release.release);
                        changed = true;
                    }
                }
                changed
            }
        }
    }
}
