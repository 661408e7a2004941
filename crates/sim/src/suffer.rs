//! What faults do to hosts, to people and to requests on their way.

use crate::fault::Kind;
use crate::host::{Host, Interface};
use crate::trace::{Happened, Why};
use crate::world::{Coming, REBOOT_MS, State, World};
use overhaul_engine::ports::Order;
use overhaul_model::id::{AttemptKey, HostName};
use rand::Rng as _;
use rand::seq::IndexedRandom as _;

/// How much longer a work takes that hangs.
const HANG_MS: (u64, u64) = (500, 9_000);
/// Outages that the transport bears, and such that it gives up on.
const SHORT_MS: (u64, u64) = (50, 2_500);
const LONG_MS: (u64, u64) = (9_000, 20_000);
/// How late a late request comes.
const LATE_MS: (u64, u64) = (100, 15_000);
/// How long a full disk stays so.
const FULL_MS: (u64, u64) = (500, 8_000);
/// How long services stay down that have died.
const DEAD_MS: (u64, u64) = (6_000, 25_000);
/// By how much the time of day jumps, either way.
const JUMP_MS: (i64, i64) = (-7_200_000, 7_200_000);
/// How many receipts are gone with a store that was set back.
const SET_BACK: (u64, u64) = (2, 5);

/// Until when what a host bears lasts, and how many receipts it loses.
struct Spans {
    short: u64,
    long: u64,
    full: u64,
    receipts: u64,
}

/// What happens to one host alone.
fn bears(host: &mut Host, kind: Kind, key: &AttemptKey, spans: &Spans, out: &mut Vec<Happened>) {
    match kind {
        Kind::CutShort => host.cut_until = host.cut_until.max(spans.short),
        Kind::CutLong => host.cut_until = host.cut_until.max(spans.long),
        Kind::DiskFull => host.disk_full_until = spans.full,
        Kind::Silent => host.silent_until = spans.full,
        Kind::OtherKey => host.other_key = true,
        Kind::OtherStore => host.forgets(out),
        Kind::StoreSetBack => host.goes_back(spans.receipts, out),
        Kind::OtherInterface => {
            if host.interface == Interface::Known && host.name != HostName::controller() {
                host.interface = Interface::WillChange;
            }
        }
        _ => host.helper_dies(key, out),
    }
}

impl World {
    /// What a fault does to a host, or to the controller.
    pub fn suffer(&self, kind: Kind, host: &HostName, key: &AttemptKey) {
        let now = self.clock.now_ms();
        let mut state = self.state();
        let short = state.roll(SHORT_MS).saturating_add(now);
        let long = state.roll(LONG_MS).saturating_add(now);
        let full = state.roll(FULL_MS).saturating_add(now);
        let mut out = Vec::new();
        match kind {
            Kind::Kill => {
                drop(state);
                return self.kill();
            }
            Kind::ClockJumps => {
                let by = state.dice.random_range(JUMP_MS.0..=JUMP_MS.1);
                self.clock.jump(by);
            }
            Kind::AnswerLate => state.late_until = short,
            Kind::PersonLate
            | Kind::PersonTwice
            | Kind::PersonAway
            | Kind::PersonPauses
            | Kind::PersonPostpones
            | Kind::PersonAborts => {
                state.people.behave(kind, now);
            }
            Kind::Reboot | Kind::ServicesDie => {
                self.goes_and_comes(&mut state, kind, host, &mut out)
            }
            Kind::MemberDies => self.member_dies(&mut state, host, now, &mut out),
            Kind::Hang => {
                let more = state.roll(HANG_MS);
                state.hangs(host, key, more, now);
            }
            Kind::CutShort
            | Kind::CutLong
            | Kind::DiskFull
            | Kind::OtherKey
            | Kind::OtherStore
            | Kind::StoreSetBack
            | Kind::OtherInterface
            | Kind::Silent
            | Kind::HelperDies => {
                let receipts = state.roll(SET_BACK);
                let spans = Spans {
                    short,
                    long,
                    full,
                    receipts,
                };
                if let Some(host) = state.hosts.get_mut(host) {
                    bears(host, kind, key, &spans, &mut out);
                    host.changed.notify_waiters();
                }
            }
            // These strike where they are asked for.
            Kind::RequestLost
            | Kind::RequestLate
            | Kind::WorkFails
            | Kind::JournalFails
            | Kind::JournalLies
            | Kind::JournalTorn => {}
        }
        state.tell(now, out);
    }

    /// A host, or its services, are away for a while.
    fn goes_and_comes(
        &self,
        state: &mut State,
        kind: Kind,
        name: &HostName,
        out: &mut Vec<Happened>,
    ) {
        let (span, coming) = match kind {
            Kind::Reboot => (REBOOT_MS, Coming::ComesUp(name.clone())),
            _ => (DEAD_MS, Coming::ServicesUp(name.clone())),
        };
        let back = state.roll(span).saturating_add(self.clock.now_ms());
        if let Some(host) = state.hosts.get_mut(name) {
            match kind {
                Kind::Reboot => host.goes_down(back, &Why::Fault, out),
                _ => host.services_down(&Why::Fault, out),
            }
        }
        state.comes(back, coming);
    }

    /// A request comes later, whatever became of its sender.
    pub fn begin_later(&self, order: &Order) {
        let now = self.clock.now_ms();
        let mut state = self.state();
        // What carries it may be the line that broke, or the line is only slow.
        let cut = match state.dice.random_bool(0.5) {
            true => state.roll(LONG_MS).saturating_add(now),
            false => now,
        };
        let at = state.roll(LATE_MS).saturating_add(cut);
        let Some(host) = state.hosts.get_mut(&order.executor()) else {
            return;
        };
        host.cut_until = host.cut_until.max(cut);
        let (store, set_back) = (host.install_id.clone(), host.set_back);
        let request = Coming::Request(Box::new(order.clone()), store, set_back);
        state.comes(at, request);
    }

    /// The services of another host die, of a service that this one is a member of.
    fn member_dies(&self, state: &mut State, host: &HostName, now: u64, out: &mut Vec<Happened>) {
        let services = self.plan.services.values();
        let of = services.filter(|service| service.keep > 0 && service.hosts.contains(host));
        let mut others: Vec<&HostName> = of.flat_map(|service| &service.hosts).collect();
        others.retain(|other| *other != host);
        let Some(other) = others.choose(&mut state.dice).map(|other| (*other).clone()) else {
            return;
        };
        let back = state.roll(DEAD_MS).saturating_add(now);
        if let Some(host) = state.hosts.get_mut(&other) {
            host.services_down(&Why::Fault, out);
        }
        state.comes(back, Coming::ServicesUp(other));
    }
}
