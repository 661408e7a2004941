//! One host, some controllers of one run, and what is on its way between them. No controller ever waits for
//! another one: whoever was paused for any time goes on where it was.

use crate::journals::{Journal, Journals};
use overhaul_helper::acceptance;
use overhaul_machine::{Command, How, StepState};
use overhaul_model::event::{Event, Generation, Outcome, Settlement};
use overhaul_model::facts::BootProof;
use overhaul_model::id::{AttemptKey, Position};
use overhaul_model::receipt::WorkEnd;
use overhaul_model::wire::Refusal;
use std::collections::{BTreeMap, BTreeSet};

/// What is left out of the product on purpose, to see that it is missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    Nothing,
    /// The host works for whoever asks.
    GenerationUnchecked,
    /// The store takes rows of whoever writes.
    FenceOff,
    /// Whoever takes over holds that nothing has begun.
    ReceiptsNotAsked,
    /// The host forgets of which attempts it said that they never began.
    RuledOutForgotten,
    /// The host begins an attempt beside an earlier one at the same step.
    EarlierOverlooked,
}

/// What is explored.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub controllers: usize,
    /// Connections that break, in all: their requests may still arrive.
    pub losses: u8,
    /// Whether the step may be carried out once only.
    pub once: bool,
    pub planted: Planted,
}

/// A controller as the host knows it: how new it is, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Holder {
    counter: u64,
    who: usize,
}

impl Holder {
    fn generation(self) -> Generation {
        Generation {
            fleet: "takeover".to_owned(),
            run: "r".into(),
            counter: self.counter,
            nonce: self.who.to_string().as_str().into(),
        }
    }
}

/// An attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Attempt {
    by: Holder,
    number: u32,
}

impl Attempt {
    fn key(self) -> AttemptKey {
        AttemptKey::new(format!(
            "{}-{}-{}",
            self.by.counter, self.by.who, self.number
        ))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum What {
    Register,
    Begin(Attempt),
    Attach(Attempt),
    Settle(Attempt),
    Release,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Request {
    by: Holder,
    /// Tells requests of one controller apart.
    number: u8,
    what: What,
}

/// What a controller hears of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Answer {
    Done,
    /// The host says no; what was asked for was certainly not begun.
    Refused,
    /// The connection broke.
    Lost,
    NeverBegan,
    Running,
    Ended {
        well: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Life {
    New,
    /// It has read the journal, and has not written that it takes the run.
    Read(Journal),
    /// Its journal as it believes it to be.
    Live(Holder, Journal),
    /// Its journal was taken by somebody else, or the run is over.
    Gone,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Controller {
    life: Life,
    /// What it is about to send: its intent is written.
    intent: Option<Request>,
    /// What it waits for, and has heard.
    asked: Option<Request>,
    heard: Option<Answer>,
    requests: u8,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Host {
    holder: Option<Holder>,
    last: Option<Holder>,
    ruled_out: BTreeSet<Attempt>,
    /// Receipts; `None` is at work.
    receipts: BTreeMap<Attempt, Option<bool>>,
    /// The newest that it ever accepted.
    newest: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    /// The journal in the store.
    journal: Journal,
    host: Host,
    controllers: Vec<Controller>,
    network: BTreeSet<Request>,
    losses: u8,
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// A controller does what it does next.
    Goes(usize),
    /// A request arrives, at once or late.
    Arrives(Request),
    /// The connection of a controller breaks.
    Breaks(usize),
    /// Work comes to its end.
    Ends { well: bool },
}

fn position() -> Position {
    Position::on("step".into(), "a".into())
}

impl World {
    pub fn new(bounds: Bounds) -> Self {
        let controller = Controller {
            life: Life::New,
            intent: None,
            asked: None,
            heard: None,
            requests: 0,
        };
        Self {
            journal: Journals::OPENED,
            host: Host::default(),
            controllers: vec![controller; bounds.controllers],
            network: BTreeSet::new(),
            losses: 0,
        }
    }

    /// Who has the run at its end, if it is at its end.
    pub fn finished_by(&self, journals: &Journals) -> Option<usize> {
        let run = &journals.page(self.journal).run;
        run.verdict()?;
        let nonce = &run.generation()?.nonce;
        nonce.to_string().parse().ok()
    }

    pub fn moves(&self, journals: &Journals, bounds: Bounds) -> Vec<Move> {
        let mut out = Vec::new();
        for (who, controller) in self.controllers.iter().enumerate() {
            if controller.goes(self, journals) {
                out.push(Move::Goes(who));
            }
            if controller.asked.is_some()
                && controller.heard.is_none()
                && self.losses < bounds.losses
            {
                out.push(Move::Breaks(who));
            }
        }
        out.extend(self.network.iter().copied().map(Move::Arrives));
        if self.host.receipts.values().any(Option::is_none) {
            out.extend([true, false].map(|well| Move::Ends { well }));
        }
        out
    }

    /// What is after it.
    ///
    /// # Errors
    /// With the law that it breaks.
    pub fn after(
        &self,
        next: Move,
        journals: &mut Journals,
        bounds: Bounds,
    ) -> Result<Self, String> {
        let mut world = self.clone();
        match next {
            Move::Goes(who) => world.goes(who, journals, bounds)?,
            Move::Breaks(who) => {
                world.losses += 1;
                world.controllers[who].heard = Some(Answer::Lost);
            }
            Move::Arrives(request) => {
                world.network.remove(&request);
                let answer = world.arrives(request, journals, bounds)?;
                let controller = &mut world.controllers[request.by.who];
                if controller.asked == Some(request) && controller.heard.is_none() {
                    controller.heard = answer;
                }
            }
            Move::Ends { well } => world.ends(well),
        }
        Ok(world)
    }

    fn ends(&mut self, well: bool) {
        let mut over = None;
        for (attempt, end) in &mut self.host.receipts {
            if end.is_none() && over.is_none() {
                *end = Some(well);
                over = Some(*attempt);
            }
        }
        for controller in &mut self.controllers {
            let follows = controller.asked.filter(|request| {
                let of = match request.what {
                    What::Begin(of) | What::Attach(of) => Some(of),
                    What::Register | What::Settle(_) | What::Release => None,
                };
                of == over && !self.network.contains(request)
            });
            if follows.is_some() && controller.heard.is_none() {
                controller.heard = Some(Answer::Ended { well });
            }
        }
    }

    /// A request is at the host: what it does and answers by the shipped rules of acceptance.
    fn arrives(
        &mut self,
        request: Request,
        journals: &Journals,
        bounds: Bounds,
    ) -> Result<Option<Answer>, String> {
        let asked = request.by.generation();
        let held = self.host.holder.map(Holder::generation);
        let last = self.host.last.map(Holder::generation);
        let answer = match request.what {
            What::Register => match acceptance::accept(held.as_ref(), last.as_ref(), &asked) {
                Ok(accepted) => {
                    if accepted != acceptance::Accept::Again {
                        self.host.ruled_out.clear();
                    }
                    self.host.holder = Some(request.by);
                    self.host.last = Some(request.by);
                    if request.by.counter < self.host.newest {
                        return Err("an old controller came back".to_owned());
                    }
                    self.host.newest = request.by.counter;
                    Answer::Done
                }
                Err(_) => Answer::Refused,
            },
            What::Release => match acceptance::release(held.as_ref(), &asked) {
                Ok(()) => {
                    self.host.holder = None;
                    self.host.ruled_out.clear();
                    Answer::Done
                }
                Err(_) => Answer::Refused,
            },
            What::Begin(attempt) => match self.may_begin(held.as_ref(), &asked, attempt, bounds) {
                Err(_) => Answer::Refused,
                Ok(()) => match self.host.receipts.get(&attempt).copied() {
                    Some(Some(well)) => Answer::Ended { well },
                    Some(None) => return Ok(None),
                    None => {
                        self.begins(request.by, attempt, journals, bounds)?;
                        return Ok(None);
                    }
                },
            },
            What::Attach(attempt) => match self.host.receipts.get(&attempt).copied() {
                Some(Some(well)) => Answer::Ended { well },
                Some(None) => return Ok(None),
                None => Answer::Refused,
            },
            What::Settle(attempt) => match self.host.receipts.get(&attempt).copied() {
                Some(Some(well)) => Answer::Ended { well },
                Some(None) => Answer::Running,
                None => self.rules_out(held.as_ref(), &asked, attempt),
            },
        };
        Ok(Some(answer))
    }

    fn keys(&self) -> BTreeSet<AttemptKey> {
        self.host.ruled_out.iter().map(|a| a.key()).collect()
    }

    fn may_begin(
        &mut self,
        held: Option<&Generation>,
        asked: &Generation,
        attempt: Attempt,
        bounds: Bounds,
    ) -> Result<(), Refusal> {
        let ruled_out = match bounds.planted {
            Planted::RuledOutForgotten => BTreeSet::new(),
            _ => self.keys(),
        };
        let held = match bounds.planted {
            Planted::GenerationUnchecked => Some(asked),
            _ => held,
        };
        let has_receipt = self.host.receipts.contains_key(&attempt);
        let earlier = |other: &Attempt| other.number < attempt.number;
        let at_work = self
            .host
            .receipts
            .iter()
            .find(|(other, end)| earlier(other) && end.is_none());
        let at_work = match bounds.planted {
            Planted::EarlierOverlooked => None,
            _ => at_work.map(|(other, _)| other.key()),
        };
        let key = attempt.key();
        let allowed =
            acceptance::begin(held, &ruled_out, has_receipt, at_work.as_ref(), asked, &key)?;
        // Of earlier attempts only those matter whose requests are on their way.
        if allowed == acceptance::Begin::Fresh && bounds.planted != Planted::EarlierOverlooked {
            let late = self
                .network
                .iter()
                .filter_map(|request| match request.what {
                    What::Begin(other) if earlier(&other) => Some(other),
                    _ => None,
                });
            let late: Vec<Attempt> = late
                .filter(|a| !self.host.receipts.contains_key(a))
                .collect();
            self.host.ruled_out.extend(late);
        }
        Ok(())
    }

    fn rules_out(
        &mut self,
        held: Option<&Generation>,
        asked: &Generation,
        attempt: Attempt,
    ) -> Answer {
        match acceptance::rule_out(held, &self.keys(), asked, &attempt.key()) {
            Err(_) => Answer::Refused,
            Ok(_) => {
                self.host.ruled_out.insert(attempt);
                Answer::NeverBegan
            }
        }
    }

    /// Work begins: here the laws are that the whole is for.
    fn begins(
        &mut self,
        by: Holder,
        attempt: Attempt,
        journals: &Journals,
        bounds: Bounds,
    ) -> Result<(), String> {
        let page = journals.page(self.journal);
        let key = attempt.key();
        let broken = |law: &str| Err(format!("{law}: {attempt:?} begins"));
        if self.host.receipts.values().any(Option::is_none) {
            return broken("two at work at one time");
        }
        if bounds.once && !self.host.receipts.is_empty() {
            return broken("once-only twice");
        }
        if by.counter < self.host.newest {
            return broken("on the word of an old controller");
        }
        if !page.started.contains(&key) {
            return broken("without its intent in the journal");
        }
        if page.never_began.contains(&key) {
            return broken("after the journal says that it never began");
        }
        self.host.receipts.insert(attempt, None);
        Ok(())
    }
}

impl Controller {
    fn goes(&self, world: &World, journals: &Journals) -> bool {
        match self.life {
            Life::New => journals.page(world.journal).run.verdict().is_none(),
            Life::Read(_) => true,
            Life::Gone => false,
            Life::Live(_, journal) => {
                let waits = self.asked.is_some() && self.heard.is_none();
                self.intent.is_some() || (!waits && self.has_work(journals, journal))
            }
        }
    }

    fn has_work(&self, journals: &Journals, journal: Journal) -> bool {
        self.heard.is_some() || !journals.page(journal).due.is_empty()
    }
}

impl World {
    fn goes(&mut self, who: usize, journals: &mut Journals, bounds: Bounds) -> Result<(), String> {
        match self.controllers[who].life {
            Life::New => {
                self.controllers[who].life = Life::Read(self.journal);
                Ok(())
            }
            Life::Read(journal) => self.takes(who, journal, journals, bounds),
            Life::Gone => Ok(()),
            Life::Live(me, journal) => {
                let controller = &mut self.controllers[who];
                if let Some(request) = controller.intent.take() {
                    controller.asked = Some(request);
                    self.network.insert(request);
                    return Ok(());
                }
                if let (Some(request), Some(answer)) = (controller.asked, controller.heard) {
                    (controller.asked, controller.heard) = (None, None);
                    let event = told(request.what, answer, self.host.receipts.len());
                    return self.writes(who, me, journal, &event, journals, bounds);
                }
                self.does(who, me, journal, journals, bounds)
            }
        }
    }

    /// Behind the row that it has read, a controller writes that it takes the run.
    fn takes(
        &mut self,
        who: usize,
        journal: Journal,
        journals: &mut Journals,
        bounds: Bounds,
    ) -> Result<(), String> {
        let me = Holder {
            counter: journals.counter(journal) + 1,
            who,
        };
        let took = Event::ControllerTook {
            generation: me.generation(),
            person: "p".into(),
        };
        self.controllers[who].life = Life::Live(me, journal);
        self.writes(who, me, journal, &took, journals, bounds)?;
        if self.controllers[who].life == Life::Gone {
            // A person starts it again.
            self.controllers[who].life = Life::New;
        }
        Ok(())
    }

    /// The store's fence: rows come behind the row that their writer has seen last, or not at all.
    fn writes(
        &mut self,
        who: usize,
        me: Holder,
        journal: Journal,
        event: &Event,
        journals: &mut Journals,
        bounds: Bounds,
    ) -> Result<(), String> {
        if self.journal != journal && bounds.planted != Planted::FenceOff {
            self.controllers[who].life = Life::Gone;
            self.controllers[who].intent = None;
            return Ok(());
        }
        self.is_true(event, journals.page(journal).run.attempt_key(&position()))?;
        let written = journals.write(journal, event)?;
        self.journal = written;
        let is_over = journals.page(written).run.verdict().is_some();
        self.controllers[who].life = match is_over {
            true => Life::Gone,
            false => Life::Live(me, written),
        };
        let done = matches!(
            journals.state(written, &position()),
            StepState::Done {
                how: How::Worked | How::ByReceipt
            }
        );
        if done && !self.host.receipts.values().any(|end| *end == Some(true)) {
            return Err("the journal says that it worked, and it did not".to_owned());
        }
        Ok(())
    }

    fn is_true(&self, event: &Event, key: Option<&AttemptKey>) -> Result<(), String> {
        let never_began = matches!(
            event,
            Event::Settled {
                settlement: Settlement::NeverBegan,
                ..
            }
        );
        let began = self.host.receipts.keys().any(|a| Some(&a.key()) == key);
        if never_began && began {
            return Err("the journal says that it never began, and it did".to_owned());
        }
        Ok(())
    }

    /// The first thing that the shipped machine says is to be done.
    fn does(
        &mut self,
        who: usize,
        me: Holder,
        journal: Journal,
        journals: &mut Journals,
        bounds: Bounds,
    ) -> Result<(), String> {
        let page = journals.page(journal);
        let Some(command) = page.due.first().cloned() else {
            return Ok(());
        };
        let last = page.run.attempt_key(&position()).map(attempt_of);
        let what = match (command, last) {
            (Command::Register { .. }, _) => What::Register,
            (Command::Release { .. }, _) => What::Release,
            (Command::Settle { position, attempt }, _)
                if bounds.planted == Planted::ReceiptsNotAsked =>
            {
                let event = Event::Settled {
                    position,
                    attempt,
                    settlement: Settlement::NeverBegan,
                };
                // The lie itself is no finding: what follows from it is.
                self.controllers[who].life = Life::Gone;
                if self.journal == journal {
                    self.journal = journals.write(journal, &event)?;
                    self.controllers[who].life = Life::Live(me, self.journal);
                }
                return Ok(());
            }
            (Command::Settle { .. }, Some(last)) => What::Settle(last),
            (Command::Act { position, .. }, Some(last))
                if matches!(page.run.state(&position), StepState::Running { .. }) =>
            {
                What::Attach(last)
            }
            (Command::Act { position, attempt }, _) => {
                let begun = Attempt {
                    by: me,
                    number: attempt,
                };
                let event = Event::Started {
                    position,
                    attempt,
                    key: begun.key(),
                };
                self.writes(who, me, journal, &event, journals, bounds)?;
                if self.controllers[who].life != Life::Gone {
                    self.intends(who, me, What::Begin(begun));
                }
                return Ok(());
            }
            (Command::Finish { verdict }, _) => {
                let event = Event::Finished { verdict };
                return self.writes(who, me, journal, &event, journals, bounds);
            }
            (other, _) => return Err(format!("nobody knows {other:?}")),
        };
        self.intends(who, me, what);
        Ok(())
    }

    fn intends(&mut self, who: usize, me: Holder, what: What) {
        let controller = &mut self.controllers[who];
        controller.requests += 1;
        controller.intent = Some(Request {
            by: me,
            number: controller.requests,
            what,
        });
    }
}

fn attempt_of(key: &AttemptKey) -> Attempt {
    let mut parts = key
        .as_str()
        .split('-')
        .map(|part| part.parse::<u64>().unwrap());
    let mut next = || parts.next().unwrap();
    Attempt {
        by: Holder {
            counter: next(),
            who: usize::try_from(next()).unwrap(),
        },
        number: u32::try_from(next()).unwrap(),
    }
}

/// The event that tells of an answer, as the engine writes it.
fn told(what: What, answer: Answer, receipts: usize) -> Event {
    let host = || "a".into();
    let outcome = |answer: Answer| match answer {
        Answer::Ended { well: true } => Outcome::Succeeded {
            changed: true,
            outputs: BTreeMap::new(),
            evidence: String::new(),
            unsynced: None,
        },
        Answer::Ended { well: false } => Outcome::Failed {
            why: "bad luck".to_owned(),
            tail: String::new(),
            end: Some(WorkEnd::Signaled { signal: 9 }),
        },
        Answer::Refused => Outcome::Failed {
            why: "refused".to_owned(),
            tail: String::new(),
            end: None,
        },
        Answer::Done | Answer::Lost | Answer::NeverBegan | Answer::Running => Outcome::Unknown {
            reason: "the connection broke".to_owned(),
        },
    };
    match (what, answer) {
        (What::Register, Answer::Done) => Event::HostRegistered {
            host: host(),
            install_id: "i".into(),
            sequence: u64::try_from(receipts).unwrap(),
            boot: BootProof {
                boot_id: "b".to_owned(),
                init_started_ticks: 1,
            },
        },
        (What::Release, Answer::Done) => Event::HostReleased { host: host() },
        (What::Register | What::Release, answer) => Event::HostRefused {
            host: host(),
            why: "not now".to_owned(),
            transient: answer == Answer::Lost,
        },
        (What::Begin(attempt) | What::Attach(attempt), answer) => Event::Ended {
            position: position(),
            attempt: attempt.number,
            outcome: outcome(answer),
        },
        (What::Settle(attempt), answer) => Event::Settled {
            position: position(),
            attempt: attempt.number,
            settlement: match answer {
                Answer::NeverBegan => Settlement::NeverBegan,
                Answer::Running => Settlement::Running,
                Answer::Ended { .. } => Settlement::Ended(outcome(answer)),
                Answer::Done | Answer::Lost | Answer::Refused => Settlement::Unknown {
                    reason: "the connection broke".to_owned(),
                },
            },
        },
    }
}
