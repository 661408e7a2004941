//! People: they look at the host and decide by what is true there, in their own time.

use crate::fault::Kind;
use crate::host::{Host, Interface, Stands};
use crate::trace::Happened;
use crate::world::{State, World};
use jiff::SignedDuration;
use overhaul_machine::{Doing, OpenPosition, Standing};
use overhaul_model::event::{Choice, Decision, Event, Record};
use overhaul_model::id::{HostName, Nonce, Position};
use rand::seq::IndexedRandom as _;
use std::collections::{BTreeMap, BTreeSet};

/// How long a person takes who is there.
const PROMPT_MS: u64 = 300;
/// How long one takes who is late.
const LATE_MS: u64 = 20_000;
/// How long one is away at most.
const AWAY_MS: u64 = 30_000;
/// Between two looks at something that is not settled yet.
const AGAIN_MS: u64 = 1_000;
/// How long a host does not answer before somebody goes to its console.
const CONSOLE_MS: u64 = 60_000;
/// How long a pause lasts.
const PAUSE_MS: u64 = 2_000;

/// For how long a host is put off.
const POSTPONED: SignedDuration = SignedDuration::from_secs(20);

/// The people of a world.
#[derive(Default)]
pub(crate) struct People {
    late: bool,
    twice: bool,
    /// Until then, or until the next sitting.
    away_until: u64,
    pause_at: Option<u64>,
    postpone_at: Option<u64>,
    abort_at: Option<u64>,
    unpause_at: Option<u64>,
    /// Whether the pause is one until the plan is amended.
    amends: bool,
    /// Gates whose question is open.
    asked: BTreeMap<Position, Nonce>,
    /// What they will look at, and when.
    looks: BTreeMap<Position, Look>,
    /// Hosts that were told not to answer, and when somebody looks at them where they stand.
    consoles: BTreeMap<HostName, u64>,
    /// Requests about positions, to tell whether they were answered.
    pending: BTreeMap<Position, Nonce>,
    /// What was open when they last looked at the status.
    open: Vec<OpenPosition>,
    pub decided: u32,
}

struct Look {
    at_ms: u64,
    choices: Vec<Choice>,
}

impl People {
    /// They behave like this from now on.
    pub fn behave(&mut self, kind: Kind, now: u64) {
        match kind {
            Kind::PersonLate => self.late = true,
            Kind::PersonTwice => self.twice = true,
            Kind::PersonAway => self.away_until = now.saturating_add(AWAY_MS),
            Kind::PersonPostpones => self.postpone_at = Some(now),
            Kind::PersonAborts => self.abort_at = Some(now),
            _ => self.pause_at = Some(now),
        }
    }

    /// They pause the run, and let it go on when they have amended its plan.
    pub fn pauses_to_amend(&mut self, now: u64) {
        self.pause_at = Some(now);
        self.amends = true;
    }

    /// Whether they have paused it for that, or will; they let it go on from now on.
    pub fn has_amended(&mut self, now: u64) {
        if std::mem::take(&mut self.amends) && self.pause_at.is_none() {
            self.unpause_at = Some(now.saturating_add(PAUSE_MS));
        }
    }

    /// A sitting is over: who was away comes back. Says whether somebody was.
    pub fn comes_back(&mut self) -> bool {
        std::mem::take(&mut self.away_until) > 0
    }

    fn takes_ms(&self) -> u64 {
        if self.late { LATE_MS } else { PROMPT_MS }
    }

    /// They read the journal.
    pub fn read(&mut self, record: &Record, now: u64) {
        match &record.event {
            Event::Asked {
                position, nonce, ..
            } => {
                self.asked.insert(position.clone(), nonce.clone());
                let choices = vec![Choice::Approve {
                    position: position.clone(),
                    question: Some(nonce.clone()),
                }];
                let at_ms = now.saturating_add(self.takes_ms());
                self.looks.insert(position.clone(), Look { at_ms, choices });
            }
            Event::HostRefused { host, .. } => {
                let at_ms = now.saturating_add(CONSOLE_MS);
                self.consoles.entry(host.clone()).or_insert(at_ms);
            }
            Event::Decided(decision) => {
                if let Choice::Approve { position, .. } = &decision.choice {
                    self.asked.remove(position);
                }
            }
            _ => {}
        }
    }

    /// The first moment at which they do something.
    pub fn next_ms(&self) -> Option<u64> {
        let looks = self.looks.values().map(|look| look.at_ms);
        let wishes = [
            self.pause_at,
            self.unpause_at,
            self.postpone_at,
            self.abort_at,
        ];
        let consoles = self.consoles.values().copied();
        let wishes = wishes.into_iter().flatten();
        looks.chain(consoles).chain(wishes).min()
    }
}

impl World {
    /// They see what is open.
    pub fn seen(&self, open: &[OpenPosition]) {
        let now = self.clock.now_ms();
        let mut state = self.state();
        let State {
            people, settled, ..
        } = &mut *state;
        for open in open {
            let Doing::NeedsPerson { choices, .. } = &open.doing else {
                continue;
            };
            let waits = |nonce: &Nonce| !settled.contains(nonce);
            if people.looks.contains_key(&open.position)
                || people.pending.get(&open.position).is_some_and(waits)
            {
                continue;
            }
            let at_ms = now.saturating_add(people.takes_ms());
            let choices = match people.asked.get(&open.position) {
                Some(nonce) => vec![Choice::Approve {
                    position: open.position.clone(),
                    question: Some(nonce.clone()),
                }],
                None => choices.clone(),
            };
            people
                .looks
                .insert(open.position.clone(), Look { at_ms, choices });
        }
    }

    pub fn standing(&self, standing: &Standing) {
        let waits = |open: &&OpenPosition| matches!(open.doing, Doing::NeedsPerson { .. });
        let open = standing.open.iter().filter(waits).cloned().collect();
        self.state().people.open = open;
    }

    /// They do what they wanted to do by now.
    pub fn people_act(&self) {
        let now = self.clock.now_ms();
        let open = {
            let people = &self.state().people;
            if people.open.is_empty() && people.next_ms().is_none_or(|next| now < next) {
                return;
            }
            people.open.clone()
        };
        self.seen(&open);
        let mut state = self.state();
        if now < state.people.away_until {
            return;
        }
        state.wish(self, now);
        state.look_at_consoles(now);
        let due = state
            .people
            .looks
            .iter()
            .filter(|(_, look)| look.at_ms <= now);
        let due: BTreeSet<Position> = due.map(|(position, _)| position.clone()).collect();
        for position in due {
            let Some(look) = state.people.looks.remove(&position) else {
                continue;
            };
            match state.judge(&position, &look.choices, self, now) {
                Judged::Later(at_ms) => {
                    state.people.looks.insert(position, Look { at_ms, ..look });
                }
                Judged::Choice(choice) => {
                    let nonce = state.request("anna", choice.clone(), now);
                    state.people.pending.insert(position, nonce);
                    state.people.decided = state.people.decided.saturating_add(1);
                    if state.people.twice {
                        state.request("carl", choice, now);
                    }
                }
                Judged::Nothing => {}
            }
        }
    }
}

enum Judged {
    Later(u64),
    Choice(Choice),
    Nothing,
}

impl State {
    /// What people want of the run as a whole.
    fn wish(&mut self, world: &World, now: u64) {
        let due = |at: &mut Option<u64>| at.take_if(|at| *at <= now).is_some();
        if due(&mut self.people.pause_at) {
            if !self.people.amends {
                self.people.unpause_at = Some(now.saturating_add(PAUSE_MS));
            }
            self.request("berta", Choice::Pause, now);
        }
        if due(&mut self.people.unpause_at) {
            self.request("berta", Choice::Unpause, now);
        }
        if due(&mut self.people.postpone_at) {
            let hosts: Vec<&HostName> = world.plan.hosts.keys().collect();
            let host = hosts.choose(&mut self.dice).map(|host| (*host).clone());
            let until = world.clock.time_of_day().checked_add(POSTPONED);
            if let (Some(host), Ok(until)) = (host, until) {
                self.request("dora", Choice::Postpone { host, until }, now);
            }
        }
        if due(&mut self.people.abort_at) {
            self.request("emil", Choice::Abort, now);
        }
    }

    /// An interface that has another name than before is named in the host's configuration.
    fn look_at_consoles(&mut self, now: u64) {
        let due = self
            .people
            .consoles
            .extract_if(.., |_, at_ms| *at_ms <= now);
        for (name, _) in due {
            if let Some(host) = self.hosts.get_mut(&name)
                && host.interface == Interface::Changed
            {
                host.interface = Interface::Known;
            }
        }
    }

    fn request(&mut self, name: &'static str, choice: Choice, now: u64) -> Nonce {
        let nonce = Nonce::new(format!("request-{}", self.requests.len()));
        self.requests.push(Decision {
            person: name.into(),
            reason: "I have looked at the host".to_owned(),
            plan: self.plan_hash.clone(),
            nonce: nonce.clone(),
            choice: choice.clone(),
        });
        self.tell(now, [Happened::Person { name, choice }]);
        nonce
    }

    /// What a person decides who has looked, and has put in order what stood in the way.
    fn judge(
        &mut self,
        position: &Position,
        choices: &[Choice],
        world: &World,
        now: u64,
    ) -> Judged {
        if let Some(approve) = choices.iter().find(|c| matches!(c, Choice::Approve { .. })) {
            return Judged::Choice(approve.clone());
        }
        let step = world.meaning.step(&position.step);
        let near = step.is_some_and(|step| step.near);
        let executor = match near {
            true => Some(HostName::controller()),
            false => position.host.clone(),
        };
        if let Some(host) = executor.and_then(|name| self.hosts.get_mut(&name)) {
            if host.interface == Interface::Changed {
                host.interface = Interface::Known;
            }
            if now < host.reachable_from() || now < host.disk_full_until || now < host.silent_until
            {
                let clear = host.reachable_from().max(host.disk_full_until);
                return Judged::Later(clear.max(host.silent_until).saturating_add(1));
            }
            host.other_key = false;
            if at_work(host, position) {
                return Judged::Later(now.saturating_add(AGAIN_MS));
            }
        }
        let subject = position.host.as_ref().and_then(|name| self.hosts.get(name));
        let done = subject.is_some_and(|host| host.body.done.contains(&position.step));
        let find = |word: &str| choices.iter().find(|choice| choice.word() == word).cloned();
        let wanted = match done {
            true => find("done").or_else(|| find("retry")),
            false => find("retry").or_else(|| find("done")),
        };
        match wanted {
            Some(choice) => Judged::Choice(choice),
            None => Judged::Nothing,
        }
    }
}

fn at_work(host: &Host, position: &Position) -> bool {
    host.receipts.values().any(|receipt| {
        receipt.position == *position && matches!(receipt.stands, Stands::Running { .. })
    })
}
