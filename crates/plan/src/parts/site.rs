//! A slot of a role, for which a part makes steps.

use super::{
    begin, belongings, carry, cluster, copies, health, hold, look, new_machine, receive, rejoin,
    release_change, replace, written,
};
use crate::draft::Draft;
use crate::limits;
use crate::slug::slug;
use crate::strategy::Part;
use overhaul_model::action::{Action, Repeat, Retry, Undo};
use overhaul_model::definition::{Guard, Origin, RoleUpgrade, Slot};
use overhaul_model::fleet::Host;
use overhaul_model::id::{HostName, ServiceName, StageName, StepId};
use overhaul_model::plan::{Block, PlannedService};
use overhaul_model::primitive::{Measure, Primitive, Wait};
use overhaul_model::step::{Lane, Step};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) struct Site<'s> {
    pub role: &'s RoleUpgrade,
    /// The hosts that go through it here, in the order of their turns: all of the role, or those of a zone.
    pub hosts: &'s [&'s Host],
    pub stage: StageName,
    pub slot: Slot,
    /// The id that ids of steps begin with.
    pub id: StepId,
}

/// The blocks that a part puts into a slot.
pub(crate) fn blocks(draft: &mut Draft<'_>, site: &Site<'_>, part: Part) -> Vec<Block> {
    let steps = match part {
        Part::Begin => begin::steps(draft, site),
        Part::Written => return written::blocks(draft, site),
        Part::UpgraderPrepare => release_change::prepare(draft, site),
        Part::MachineKnown => new_machine::known(draft, site),
        Part::VolumesKnown => belongings::volumes_known(draft, site),
        Part::AddressesKnown => belongings::addresses_known(draft, site),
        Part::Launch => replace::launch(draft, site),
        Part::VolumesLeave => belongings::volumes_leave(draft, site),
        Part::OldOff => replace::old_off(draft, site),
        Part::TakeOver => replace::take_over(draft, site),
        Part::VolumesCome => belongings::volumes_come(draft, site),
        Part::AddressesMove => belongings::addresses_move(draft, site),
        Part::Rename => replace::rename(draft, site),
        Part::OldEnds => replace::old_ends(draft, site),
        Part::Copies => copies::steps(draft, site),
        Part::Hold => hold::hold(draft, site),
        Part::Persist => carry::persist(draft, site),
        Part::ReleaseChange => return release_change::change(draft, site),
        Part::NewMachine => new_machine::made(draft, site),
        Part::HoldAgain => hold::hold_again(draft, site),
        Part::Restore => carry::restore(draft, site),
        Part::Rejoin => rejoin::steps(draft, site),
        Part::Leave => cluster::leave(draft, site),
        Part::Receive => receive::steps(draft, site),
        Part::Bootstrap => cluster::bootstrap(draft, site),
        Part::Join => cluster::join(draft, site),
        Part::LetGo => hold::let_go(draft, site),
        Part::Health => health::steps(draft, site),
        Part::LookOver => look::steps(draft, site),
        Part::RemoveSetAside => carry::remove_set_aside(site),
    };
    as_blocks(steps)
}

pub(super) fn as_blocks(steps: Vec<Step>) -> Vec<Block> {
    steps
        .into_iter()
        .map(|step| Block::Step(Box::new(step)))
        .collect()
}

impl Site<'_> {
    /// A step in each host's lane, with the bounds of a command, to be judged by a person when it fails.
    pub fn step(&self, name: &str, title: &str, action: Action, work: Primitive) -> Step {
        Step {
            id: self.id.child(&slug(name)),
            title: title.to_owned(),
            action,
            slot: self.slot,
            stage: self.stage.clone(),
            lane: Lane::Turn,
            only: None,
            guards: Vec::new(),
            check: None,
            work,
            verify: None,
            undo: Undo::Nothing,
            repeat: Repeat::Person,
            limits: limits::COMMAND,
            retry: Retry::NEVER,
            outputs: BTreeMap::new(),
            why: String::new(),
            origin: self.role.origin.clone(),
        }
    }

    /// A step that does nothing but wait until its guards hold.
    pub fn guarded(&self, name: &str, title: &str, guards: Vec<Guard>) -> Step {
        let wait = Wait {
            until: Measure::All(Vec::new()),
            every: limits::RELEASE_EVERY,
            at_most: limits::RELEASE_AT_MOST,
        };
        let mut step = self.step(name, title, Action::Wait, Primitive::Wait(wait));
        step.guards = guards;
        step.repeat = Repeat::Safe;
        step.limits = limits::RELEASE;
        step
    }

    /// The hosts, each with a word for steps of its own that no other one has.
    pub fn named_hosts(&self) -> Vec<(&Host, String)> {
        let mut taken = BTreeSet::new();
        let named = self.hosts.iter().map(|host| {
            let mut word = slug(host.name.as_str());
            while !taken.insert(word.clone()) {
                word.push_str("-x");
            }
            (*host, word)
        });
        named.collect()
    }

    /// Whether this host goes through the slot here.
    pub fn has(&self, host: &HostName) -> bool {
        self.hosts.iter().any(|own| own.name == *host)
    }

    /// What [`Step::only`] says for these hosts: `None` when they are all.
    pub fn only(&self, hosts: BTreeSet<HostName>) -> Option<BTreeSet<HostName>> {
        (hosts.len() < self.hosts.len()).then_some(hosts)
    }

    /// The services that run on hosts of the role, each with those of the role's hosts.
    pub fn services(
        &self,
        draft: &Draft<'_>,
    ) -> Vec<(ServiceName, PlannedService, BTreeSet<HostName>)> {
        let own: BTreeSet<&HostName> = self.hosts.iter().map(|host| &host.name).collect();
        let names = own.iter().filter_map(|host| draft.services_on.get(host));
        let names: BTreeSet<&ServiceName> = names.flatten().copied().collect();
        let found = names
            .into_iter()
            .filter_map(|name| {
                let service = draft.plan.services.get(name)?;
                let here: BTreeSet<HostName> = service
                    .hosts
                    .iter()
                    .filter(|host| own.contains(host))
                    .cloned()
                    .collect();
                Some((name.clone(), service.clone(), here))
            })
            .collect();
        in_order(draft, found)
    }

    /// The same without hosts on which the service stays down, for good or for this upgrade.
    pub fn services_that_start(
        &self,
        draft: &Draft<'_>,
    ) -> Vec<(ServiceName, PlannedService, BTreeSet<HostName>)> {
        let knowledge = &draft.definition.knowledge;
        let mut out = self.services(draft);
        out.retain_mut(|(name, service, here)| {
            let stays_down = |host: &HostName| {
                let host = self.hosts.iter().find(|own| own.name == *host);
                host.is_some_and(|host| knowledge.stays_down(name, &service.unit, &host.roles))
            };
            here.retain(|host| !stays_down(host));
            !here.is_empty()
        });
        out
    }

    /// Where a kind's steps are written.
    pub fn kind_origin(kind: &str) -> Origin {
        Origin {
            file: format!("kinds/{kind}.yaml"),
            line: 0,
        }
    }
}

/// A service of some hosts.
type Found = (ServiceName, PlannedService, BTreeSet<HostName>);

/// By name, but none before those that it starts after; a circle goes by name.
fn in_order(draft: &Draft<'_>, found: Vec<Found>) -> Vec<Found> {
    let mut waiting = found;
    let mut out = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let free = |(name, ..): &Found| {
            let after = draft
                .definition
                .services
                .get(name)
                .map(|service| &service.after);
            let is_waiting = |other: &ServiceName| waiting.iter().any(|(name, ..)| name == other);
            !after.into_iter().flatten().any(is_waiting)
        };
        let next = waiting.iter().position(free).unwrap_or(0);
        out.push(waiting.remove(next));
    }
    out
}
