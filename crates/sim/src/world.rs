//! A simulated world: hosts, one controller's journal and inbox, and what happens to them in time.

use crate::clock::Clockwork;
use crate::executor::Death;
use crate::fault::{Fault, Kind, Moment, Script, When};
use crate::host::{Begun, Body, Host, Receipt, Stands, Unit, Work};
use crate::meaning::{Deed, Meaning};
use crate::people::People;
use crate::scene::Scene;
use crate::trace::{Happened, Line, Why};
use overhaul_engine::ports::Order;
use overhaul_model::definition::Slot;
use overhaul_model::event::{Decision, Record};
use overhaul_model::id::{AttemptKey, Digest, HostName, InstallId, Nonce, Position};
use overhaul_model::plan::Plan;
use overhaul_model::primitive::{
    Command, Exec, MachineOp, Measure, Measurement, UnitState, WriteFile,
};
use overhaul_model::wire::Refusal;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The shortest and the longest time that a work takes: short, because a run costs by the virtual second.
const WORK_MS: (u64, u64) = (10, 250);
/// How long a reboot takes until the host answers again.
pub(crate) const REBOOT_MS: (u64, u64) = (800, 2_500);
/// From the order of a reboot until the host goes down.
const GOES_DOWN_MS: u64 = 40;
/// How long a machine takes that is made anew.
const MACHINE_MS: (u64, u64) = (800, 2_500);

/// A simulated world.
pub(crate) struct World {
    pub clock: Arc<Clockwork>,
    pub death: Arc<Death>,
    pub plan: Arc<Plan>,
    pub meaning: Arc<Meaning>,
    state: Mutex<State>,
}

/// What changes in it.
pub(crate) struct State {
    pub hosts: BTreeMap<HostName, Host>,
    /// As each host was in the beginning.
    pub fresh: Arc<BTreeMap<HostName, Body>>,
    /// The controller's files, each with the content of its paths.
    pub files: BTreeMap<String, BTreeMap<String, String>>,
    /// Where the machine beside a host's has taken its place.
    pub replaced: BTreeSet<Position>,
    /// What will happen by itself.
    agenda: BTreeMap<(u64, u64), Coming>,
    agenda_next: u64,
    pub records: Vec<Record>,
    pub commits: usize,
    pub requests: Vec<Decision>,
    pub settled: BTreeSet<Nonce>,
    pub people: People,
    pub trace: Vec<Line>,
    faults: Vec<Fault>,
    /// Faults that struck, with the slot.
    pub struck: Vec<(Kind, Option<Slot>)>,
    deaths: VecDeque<usize>,
    stops: VecDeque<(usize, u64)>,
    /// The point at which a person wants to amend the plan, until that was tried.
    pub amends_at: Option<usize>,
    /// Whether the plan was amended.
    pub amended: bool,
    /// The plan in force.
    pub plan_hash: Digest,
    /// Whether the upgrade is over, and its leftovers are cleared away.
    pub cleaning: bool,
    /// Controllers that stand still, until when.
    still: BTreeMap<u32, u64>,
    /// Places passed at which a controller can be killed.
    pub points: usize,
    pub dice: StdRng,
    /// Whether answers come late until then.
    pub late_until: u64,
}

pub(crate) enum Coming {
    Ends(HostName, AttemptKey),
    GoesDown(HostName, Position, u64),
    ComesUp(HostName),
    ServicesUp(HostName),
    /// A request to this receipt store: the helper that was greeted reads it, whatever became of its sender.
    /// With how often the store had been set back: a machine that is put back has no connections.
    Request(Box<Order>, InstallId, u32),
}

/// What came of a request to begin.
pub(crate) enum Asked {
    Begun,
    Refused(Refusal),
}

impl World {
    pub fn new(scene: &Scene, script: &Script) -> Arc<Self> {
        // What steps do that come with an amendment is known before it comes.
        let all = scene.amended.as_deref().filter(|_| script.amend.is_some());
        let (plan, meaning) = (&scene.plan, &all.unwrap_or(scene).meaning);
        let fresh = Arc::clone(&scene.fresh);
        let hosts = fresh.iter();
        let mut hosts: BTreeMap<HostName, Host> = hosts
            .map(|(name, body)| (name.clone(), Host::new(name, body.clone())))
            .collect();
        let mut trace = Vec::new();
        for position in &script.already {
            if let Some(host) = position.host.as_ref().and_then(|name| hosts.get_mut(name)) {
                host.body.done.insert(position.step.clone());
                let happened = Happened::Already(position.clone());
                trace.push(Line { at_ms: 0, happened });
            }
        }
        Arc::new(Self {
            clock: Arc::new(Clockwork::at(scene.ground.begin_ms)),
            death: Arc::new(Death::default()),
            plan: Arc::clone(plan),
            meaning: Arc::clone(meaning),
            state: Mutex::new(State {
                hosts,
                fresh,
                files: BTreeMap::new(),
                replaced: BTreeSet::new(),
                agenda: BTreeMap::new(),
                agenda_next: 0,
                records: Vec::new(),
                commits: 0,
                requests: Vec::new(),
                settled: BTreeSet::new(),
                people: People::default(),
                trace,
                faults: script.faults.clone(),
                struck: Vec::new(),
                deaths: script.deaths.iter().copied().collect(),
                stops: script.stops.iter().copied().collect(),
                amends_at: script.amend,
                amended: false,
                plan_hash: scene.hash.clone(),
                cleaning: false,
                still: BTreeMap::new(),
                points: 0,
                dice: StdRng::seed_from_u64(script.seed),
                late_until: 0,
            }),
        })
    }

    /// The world as it is now.
    pub fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.advance(self.clock.now_ms(), &self.meaning);
        state
    }

    pub fn tell(&self, happened: Happened) {
        let at_ms = self.clock.now_ms();
        self.state().trace.push(Line { at_ms, happened });
    }

    /// A place where the controller of this number can be killed or stand still; the dead do nothing more.
    pub async fn point(&self, who: u32) {
        if !self.death.is_killed() {
            let now = self.clock.now_ms();
            let mut state = self.state();
            let here = state.points;
            state.points = here.saturating_add(1);
            if state.amends_at == Some(here) {
                state.people.pauses_to_amend(now);
            }
            let stop = state.stops.front().copied();
            if let Some((_, ms)) = stop.filter(|(at, _)| *at <= here && state.still.is_empty()) {
                state.stops.pop_front();
                state.still.insert(who, now.saturating_add(ms));
                state.tell(now, [Happened::Stopped(who)]);
                self.death.stop();
            }
            if state.deaths.front() == Some(&here) {
                state.deaths.pop_front();
                drop(state);
                self.kill();
            }
        }
        while let Some(until) = self.stands_still(who) {
            self.clock.until(until).await;
        }
        if self.death.is_killed() {
            pending::<()>().await;
        }
    }

    /// Until when the controller stands still.
    fn stands_still(&self, who: u32) -> Option<u64> {
        let now = self.clock.now_ms();
        let until = self.state().still.get(&who).copied();
        until.filter(|until| *until > now)
    }

    /// The controller is killed.
    pub fn kill(&self) {
        self.tell(Happened::Killed);
        self.death.kill();
    }

    /// The upgrade is over, and somebody comes to clear away.
    pub fn cleanup_comes(&self, script: &Script) {
        let mut state = self.state();
        state.cleaning = true;
        let now = state.points;
        let deaths = script.cleanup.iter().flatten();
        state.deaths = deaths.map(|point| now.saturating_add(*point)).collect();
    }

    /// The fault that strikes a commit, if one does.
    pub fn strikes_commit(&self) -> Option<Kind> {
        let mut state = self.state();
        let now = state.commits;
        state.commits = now.saturating_add(1);
        let which = state
            .faults
            .iter()
            .position(|fault| fault.when == When::Commit(now))?;
        let fault = state.faults.swap_remove(which);
        state.struck(fault.kind, None, None, self.clock.now_ms());
        Some(fault.kind)
    }

    /// The fault that strikes at a moment of a step, if one does.
    pub fn strike_at(&self, position: &Position, moment: Moment) -> Option<Kind> {
        let mut state = self.state();
        if state.faults.is_empty() {
            return None;
        }
        let is_it = |fault: &Fault| matches!(&fault.when, When::Step(p, m) if m == &moment && p == position);
        let which = state.faults.iter().position(is_it)?;
        let fault = state.faults.swap_remove(which);
        let slot = self.meaning.step(&position.step).map(|step| step.slot);
        let now = self.clock.now_ms();
        state.struck(fault.kind, slot, position.host.as_ref(), now);
        Some(fault.kind)
    }

    /// Whether a fault waits for that moment.
    pub fn will_strike(&self, position: &Position, moment: Moment) -> bool {
        let state = self.state();
        let is_it = |fault: &Fault| matches!(&fault.when, When::Step(p, m) if m == &moment && p == position);
        state.faults.iter().any(is_it)
    }

    /// A request to begin comes to its host.
    pub fn begin(&self, order: &Order, fails: bool) -> Asked {
        let now = self.clock.now_ms();
        let mut state = self.state();
        state.begin(order, fails, now, &self.meaning)
    }
}

impl State {
    fn struck(&mut self, kind: Kind, slot: Option<Slot>, host: Option<&HostName>, now: u64) {
        self.struck.push((kind, slot));
        let (host, what) = (host.cloned(), kind.to_string());
        self.tell(now, [Happened::Fault { host, what }]);
    }

    pub fn tell(&mut self, at_ms: u64, all: impl IntoIterator<Item = Happened>) {
        let lines = all.into_iter().map(|happened| Line { at_ms, happened });
        self.trace.extend(lines);
    }

    pub fn roll(&mut self, (least, most): (u64, u64)) -> u64 {
        self.dice.random_range(least..=most)
    }

    pub fn comes(&mut self, at_ms: u64, what: Coming) {
        self.agenda_next = self.agenda_next.wrapping_add(1);
        self.agenda.insert((at_ms, self.agenda_next), what);
    }

    /// Lets everything happen that was to happen by now.
    fn advance(&mut self, now: u64, meaning: &Meaning) {
        while let Some(entry) = self.agenda.first_entry() {
            let at = entry.key().0;
            if at > now {
                return;
            }
            match entry.remove() {
                Coming::Ends(host, key) => self.ends(&host, &key, at),
                Coming::GoesDown(host, position, back) => {
                    let mut out = Vec::new();
                    if let Some(host) = self.hosts.get_mut(&host) {
                        host.goes_down(back, &Why::Step(position), &mut out);
                    }
                    self.tell(at, out);
                }
                Coming::ComesUp(host) => {
                    let mut out = Vec::new();
                    if let Some(host) = self.hosts.get_mut(&host) {
                        host.comes_up(&mut out);
                    }
                    self.tell(at, out);
                }
                Coming::ServicesUp(host) => {
                    let mut out = Vec::new();
                    if let Some(host) = self.hosts.get_mut(&host).filter(|h| at >= h.away_until) {
                        host.services_up(&mut out);
                    }
                    self.tell(at, out);
                }
                Coming::Request(order, store, set_back) => {
                    let host = self.hosts.get(&order.executor());
                    let there = host.map(|host| (&host.install_id, host.set_back));
                    if there == Some((&store, set_back)) {
                        self.begin(&order, false, at, meaning);
                    }
                }
            }
        }
    }

    fn begin(&mut self, order: &Order, fails: bool, now: u64, meaning: &Meaning) -> Asked {
        let (name, position) = (order.executor(), &order.position);
        let Some(step) = meaning.step(&position.step).cloned() else {
            let why = "no such step".to_owned();
            return Asked::Refused(Refusal::BadRequest { why });
        };
        let takes_ms = self.roll(match (meaning.length(position), &step.deed) {
            (Some(range), _) => range,
            (None, Deed::Reboot) => REBOOT_MS,
            (None, Deed::Machine { .. }) => MACHINE_MS,
            (None, _) => WORK_MS,
        });
        let reboots = step.deed == Deed::Reboot;
        let done_before = self
            .hosts
            .get(&order.host)
            .is_some_and(|host| host.body.done.contains(&position.step));
        let work = Arc::new(Work {
            meaning: step,
            primitive: order.work.clone(),
            subject: order.host.clone(),
            takes_ms,
            code: i32::from(fails),
        });
        let Some(host) = self.hosts.get_mut(&name) else {
            let why = "no such host".to_owned();
            return Asked::Refused(Refusal::BadRequest { why });
        };
        if now < host.away_until {
            return Asked::Refused(Refusal::NotRegistered);
        }
        match host.begin(order, &work, now) {
            Ok(Begun::Known) => Asked::Begun,
            Ok(Begun::Fresh { ends_ms }) => {
                let (host, key) = (name.clone(), order.key.clone());
                self.tell(
                    now,
                    [Happened::Began {
                        host,
                        key,
                        position: position.clone(),
                        generation: order.generation.clone(),
                        done_before,
                    }],
                );
                if reboots {
                    let down = now.saturating_add(GOES_DOWN_MS);
                    let what = Coming::GoesDown(name.clone(), position.clone(), ends_ms);
                    self.comes(down, what);
                }
                self.comes(ends_ms, Coming::Ends(name, order.key.clone()));
                Asked::Begun
            }
            Err(refusal) => {
                let (host, why) = (name, refusal.to_string());
                let generation = order.generation.clone();
                let told = Happened::TurnedAway {
                    host,
                    generation,
                    why,
                };
                self.tell(now, [told]);
                Asked::Refused(refusal)
            }
        }
    }

    /// A work hangs, and ends later.
    pub fn hangs(&mut self, host: &HostName, key: &AttemptKey, more: u64, now: u64) {
        let later = now.saturating_add(more);
        let receipt = self
            .hosts
            .get_mut(host)
            .and_then(|host| host.receipts.get_mut(key));
        let Some(Receipt {
            stands: Stands::Running { ends_ms },
            work,
            ..
        }) = receipt
        else {
            return;
        };
        if work.meaning.deed != Deed::Reboot && *ends_ms < later {
            *ends_ms = later;
            self.comes(later, Coming::Ends(host.clone(), key.clone()));
        }
    }

    /// A work is over, unless it was cut off or goes on for longer.
    fn ends(&mut self, name: &HostName, key: &AttemptKey, at: u64) {
        let Some(host) = self.hosts.get_mut(name) else {
            return;
        };
        match host.receipts.get(key).map(|receipt| &receipt.stands) {
            Some(Stands::Running { ends_ms }) if *ends_ms <= at => {}
            _ => return,
        }
        let Some(receipt) = host.ends(key) else {
            return;
        };
        let mut out = Vec::new();
        if receipt.work.meaning.deed == Deed::Reboot {
            host.comes_up(&mut out);
        }
        let well = receipt.work.code == 0;
        if well {
            self.takes_effect(&receipt, &mut out);
        }
        out.push(Happened::Worked {
            host: name.clone(),
            key: key.clone(),
            position: receipt.position,
            well,
        });
        self.tell(at, out);
    }

    /// What a work does to its subject and to the controller's files.
    fn takes_effect(&mut self, receipt: &Receipt, out: &mut Vec<Happened>) {
        let (work, name) = (&receipt.work, receipt.work.subject.clone());
        match &work.meaning.deed {
            Deed::Copy { file, paths } => {
                let Some(host) = self.hosts.get(&name) else {
                    return;
                };
                let found = paths.iter();
                let found = found.filter_map(|p| Some((p.clone(), host.body.data.get(p)?.clone())));
                self.files.insert(file.clone(), found.collect());
            }
            Deed::PutBack { file, aside, .. } => {
                let content = self.files.get(file).cloned().unwrap_or_default();
                if let Some(host) = self.hosts.get_mut(&name) {
                    host.body.data.extend(content);
                    host.body.aside.extend(aside.iter().cloned());
                }
            }
            Deed::Volume { path, comes } => self.volume(path, *comes, &name),
            Deed::Machine { op, release } => {
                let release = release.as_ref();
                self.machine(*op, release, &name, out);
            }
            _ => {}
        }
        let Some(host) = self.hosts.get_mut(&name) else {
            return;
        };
        let before = host.body.units.clone();
        host.body.takes(&receipt.position.step, work);
        for (unit, now) in &host.body.units {
            let was = before.get(unit).is_some_and(|unit| unit.active);
            let (host, unit) = (name.clone(), unit.clone());
            if was && !now.active {
                let why = Why::Step(receipt.position.clone());
                out.push(Happened::UnitDown { host, unit, why });
            } else if !was && now.active {
                out.push(Happened::UnitUp { host, unit });
            }
        }
    }

    /// What lies on a volume is with the volume while no host has it.
    fn volume(&mut self, path: &str, comes: bool, name: &HostName) {
        let volume = format!("the volume of {path} of {name}");
        let Some(host) = self.hosts.get_mut(name) else {
            return;
        };
        if comes {
            let content = self.files.get(&volume).cloned().unwrap_or_default();
            host.body.data.extend(content);
        } else if let Some(content) = host.body.data.remove(path) {
            let content = [(path.to_owned(), content)];
            self.files.insert(volume, content.into());
        }
    }

    pub(crate) fn machine(
        &mut self,
        op: MachineOp,
        release: Option<&overhaul_model::definition::Release>,
        name: &HostName,
        out: &mut Vec<Happened>,
    ) {
        if !op.makes_new() {
            return;
        }
        let (Some(host), Some(fresh)) = (self.hosts.get_mut(name), self.fresh.get(name)) else {
            return;
        };
        let kept = |path: &String, content: &String| {
            self.files
                .values()
                .any(|file| file.get(path) == Some(content))
        };
        let lost = host.body.data.iter().filter(|(p, c)| !kept(p, c));
        let lost = lost.map(|(path, _)| path.clone()).collect();
        host.made_anew(release, fresh);
        out.push(Happened::MachineMade {
            host: name.clone(),
            count: host.machines_made,
            lost,
        });
        host.changed.notify_waiters();
    }

    /// The truth about a measure, as it is asked from the controller or on a host.
    pub fn truth(
        &self,
        on: Option<&HostName>,
        measure: &Measure,
        meaning: &Meaning,
        now: u64,
    ) -> Measurement {
        if let Measure::All(parts) = measure {
            let parts = parts.iter().map(|part| self.truth(on, part, meaning, now));
            return Measurement::all(parts);
        }
        let about = meaning.about(measure);
        if let Some(about) = about.filter(|about| !about.health.is_empty()) {
            let mut of = about
                .health
                .iter()
                .filter(|(_, host)| on.is_none_or(|on| on == host));
            return so(of.any(|(service, host)| self.serves(service, host, meaning, now)));
        }
        let Some((name, host)) = on.and_then(|name| Some((name, self.hosts.get(name)?))) else {
            return so(true);
        };
        let body = &host.body;
        let unit = |unit: &String| {
            let unit = unit.trim_end_matches(".service");
            body.units.get(unit).copied().unwrap_or(Unit::UP)
        };
        let done = || {
            let steps = about?.asked_for.get(name)?;
            Some(steps.iter().any(|step| body.done.contains(step)))
        };
        let truth = match measure {
            Measure::Unit { unit: of, state } => match state {
                UnitState::Active => unit(of).active,
                UnitState::Stopped => !unit(of).active,
                UnitState::Held => unit(of).held && !unit(of).active,
                UnitState::Startable => !unit(of).held,
                UnitState::Enabled => unit(of).enabled,
                UnitState::Disabled => !unit(of).enabled,
            },
            Measure::Release { os, version } => {
                body.release.os == *os && body.release.release == *version
            }
            Measure::PackagesClean => !body.broken,
            Measure::FileIs(file) => body.files.get(&file.path) == Some(&content(file)),
            Measure::FileEdited(edit) => {
                Digest::of_json(edit).is_ok_and(|digest| body.edits.contains(&digest))
            }
            Measure::Command(exec) if let Some(path) = absent(exec) => !body.aside.contains(path),
            Measure::Command(_) if let Some(body) = about.and_then(|a| a.repairs.get(name)) => {
                let failed = |r: &Receipt| {
                    body.contains(&r.position.step)
                        && matches!(r.stands, Stands::Ended(_))
                        && r.work.code != 0
                };
                host.receipts.values().any(failed)
            }
            Measure::Command(_)
            | Measure::PackagesInstalled { .. }
            | Measure::Http { .. }
            | Measure::Tcp { .. }
            | Measure::Member(_)
            | Measure::All(_) => done().unwrap_or(true),
        };
        so(truth)
    }

    fn serves(
        &self,
        service: &overhaul_model::id::ServiceName,
        host: &HostName,
        meaning: &Meaning,
        now: u64,
    ) -> bool {
        let (Some(host), Some(unit)) = (self.hosts.get(host), meaning.unit(service)) else {
            return false;
        };
        now >= host.reachable_from() && host.body.units.get(unit).is_some_and(|unit| unit.active)
    }
}

fn so(truth: bool) -> Measurement {
    match truth {
        true => Measurement::So {
            evidence: "it is so".to_owned(),
        },
        false => Measurement::NotSo {
            evidence: "it is not so".to_owned(),
        },
    }
}

/// The path of which a command tells whether nothing is there.
fn absent(exec: &Exec) -> Option<&String> {
    let Command::Argv(argv) = &exec.command else {
        return None;
    };
    match argv.as_slice() {
        [test, not, exists, path, ..] if (&**test, &**not, &**exists) == ("test", "!", "-e") => {
            Some(path)
        }
        _ => None,
    }
}

fn content(file: &WriteFile) -> Option<Digest> {
    (!file.absent).then(|| Digest::of(&file.content))
}

/// Every host as it is in the beginning, the controller among them.
pub(crate) fn bodies(plan: &Plan, meaning: &Meaning) -> BTreeMap<HostName, Body> {
    let controller = HostName::controller();
    let names = plan.hosts.keys().chain([&controller]);
    let mut out: BTreeMap<HostName, Body> = names
        .map(|name| {
            let body = Body {
                release: plan.from.clone(),
                units: BTreeMap::new(),
                files: BTreeMap::new(),
                edits: BTreeSet::new(),
                done: BTreeSet::new(),
                data: BTreeMap::new(),
                aside: BTreeSet::new(),
                broken: false,
            };
            (name.clone(), body)
        })
        .collect();
    for service in plan.services.values() {
        for host in &service.hosts {
            if let Some(body) = out.get_mut(host) {
                let unit = service.unit.trim_end_matches(".service");
                body.units.insert(unit.to_owned(), Unit::UP);
            }
        }
    }
    for place in plan.positions() {
        let Some(body) = place.position.host.as_ref().and_then(|h| out.get_mut(h)) else {
            continue;
        };
        let deed = meaning.step(&place.step.id).map(|s| &s.deed);
        if let Some(Deed::Volume { path, comes: false }) = deed {
            let content = format!("{path} of {}", place.position);
            body.data.entry(path.clone()).or_insert(content);
        }
        if let Some(Deed::Copy { paths, .. }) = deed {
            for path in paths {
                let content = format!("{path} of {}", place.position);
                body.data.entry(path.clone()).or_insert(content);
            }
        }
    }
    out
}
