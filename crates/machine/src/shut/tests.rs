//! Turns at the wrong hour, event by event.

use super::*;
use crate::clocks::tests::{at, plan, step};
use crate::next::Doing;
use overhaul_model::action::{Action, Touches, Undo};
use overhaul_model::event::{Choice, Decision, Event, Generation, Outcome};
use overhaul_model::facts::BootProof;
use overhaul_model::id::{AttemptKey, Digest, InstallId, Nonce, Person, Position};
use overhaul_model::plan::{Block, Plan, Turns as PlannedTurns};
use overhaul_model::timing::{Freeze, Moment};

/// A run of this plan with a controller, and its rows so far.
struct Life {
    run: Run,
    seq: u64,
}

impl Life {
    fn new(plan: Plan) -> Self {
        let run = Run::new(plan).unwrap();
        let hash = run.hash().clone();
        let mut life = Self { run, seq: 0 };
        let person = Person::new("ada");
        life.happens(
            0,
            Event::RunOpened {
                run: "r".into(),
                plan: hash,
                person: person.clone(),
                warned: Vec::new(),
            },
        );
        let generation = Generation {
            fleet: "test".to_owned(),
            run: "r".into(),
            counter: 1,
            nonce: Nonce::new("n"),
        };
        life.happens(0, Event::ControllerTook { generation, person });
        life
    }

    fn happens(&mut self, minute: i64, event: Event) {
        self.seq += 1;
        let record = Record {
            seq: self.seq,
            at: at(minute),
            before: Digest::of(""),
            event,
        };
        self.run.apply(&record).unwrap();
    }

    fn registers(&mut self, minute: i64, host: &str) {
        let boot = BootProof {
            boot_id: "b".to_owned(),
            init_started_ticks: 1,
        };
        let (host, install_id) = (host.into(), InstallId::new("i"));
        let event = Event::HostRegistered {
            host,
            install_id,
            sequence: 0,
            boot,
        };
        self.happens(minute, event);
    }

    fn begins(&mut self, minute: i64, step: &str, host: &str) {
        let position = Position::on(step.into(), host.into());
        let key = AttemptKey::new("k");
        let attempt = 1;
        self.happens(
            minute,
            Event::Started {
                position,
                attempt,
                key,
            },
        );
    }

    fn ends(&mut self, minute: i64, step: &str, host: &str) {
        let outcome = Outcome::Succeeded {
            changed: true,
            outputs: BTreeMap::new(),
            evidence: String::new(),
            unsynced: None,
        };
        let position = Position::on(step.into(), host.into());
        let attempt = 1;
        self.happens(
            minute,
            Event::Ended {
                position,
                attempt,
                outcome,
            },
        );
    }

    /// All steps of a host's turn, one a minute.
    fn goes_through(&mut self, minute: i64, host: &str) {
        for (minute, step) in (minute..).zip(["stop", "move", "change", "start"]) {
            self.begins(minute, step, host);
            self.ends(minute, step, host);
        }
    }

    fn approval(&self, position: &str, reason: &str) -> Decision {
        let (step, host) = position.split_once('@').unwrap();
        Decision {
            person: Person::new("ada"),
            reason: reason.to_owned(),
            plan: self.run.hash().clone(),
            nonce: Nonce::new("x"),
            choice: Choice::Approve {
                position: Position::on(step.into(), host.into()),
                question: None,
            },
        }
    }

    /// What each open position does, a line each.
    fn stands(&self, minute: i64) -> Vec<String> {
        let next = self.run.next(at(minute));
        let open = next.standing.open.into_iter();
        open.map(|open| match open.doing {
            Doing::Working { work, .. } => format!("{} works: {work:?}", open.position),
            Doing::Waiting { on, until } => {
                let minute = until.map(|until| Span::between(at(0), until).to_string());
                format!(
                    "{} waits until {}: {on}",
                    open.position,
                    minute.unwrap_or_default()
                )
            }
            Doing::NeedsPerson { why, choices } => {
                let words: Vec<_> = choices.iter().map(Choice::word).collect();
                format!("{} needs {}: {why}", open.position, words.join(" or "))
            }
            Doing::Paused => format!("{} is paused", open.position),
            Doing::Limited => format!("{} is outside of the limits", open.position),
        })
        .collect()
    }
}

fn moment(minute: i64) -> Moment {
    Moment {
        at: at(minute),
        written: format!("minute {minute}"),
    }
}

#[test]
fn turns_wait_for_the_calendar_and_those_that_began_do_not() {
    let mut plan = plan(&["a", "b"], false);
    plan.timing.calendar.not_after = Some(moment(60));
    plan.timing.calendar.freeze = vec![Freeze {
        from: moment(20),
        to: moment(30),
        reason: "accounts".to_owned(),
    }];
    let mut life = Life::new(plan);
    // The turn takes 15 minutes, and would reach into the freeze.
    let shut = "stop@a waits until 30m: the calendar: nothing is under way from minute 20 to minute 30: accounts; the turn of a takes 15m";
    assert_eq!(life.stands(6), [shut]);
    assert_eq!(life.run.next(at(6)).wake, Some(at(30)));
    assert_eq!(life.stands(5), ["stop@a works: Registering"]);
    life.registers(5, "a");
    life.begins(5, "stop", "a");
    life.ends(6, "stop", "a");
    // It has begun: nothing holds it any more.
    assert_eq!(life.stands(25), ["move@a works: Acting"]);
    assert_eq!(life.stands(80), ["move@a works: Acting"]);
    for step in ["move", "change", "start"] {
        life.begins(40, step, "a");
        life.ends(41, step, "a");
    }
    assert_eq!(life.stands(45), ["stop@b works: Registering"]);
    let over = "stop@b needs approve or skip: the calendar: all is over by minute 60; the turn of b takes 15m";
    assert_eq!(life.stands(46), [over]);
    assert_eq!(life.run.next(at(46)).commands, []);
    // A person lets it begin, with a reason, once.
    let refused = life.run.judge(&life.approval("stop@b", "")).unwrap_err();
    assert_eq!(refused, "`approve` needs a reason here");
    assert!(life.run.judge(&life.approval("move@b", "now")).is_err());
    let approval = life.approval("stop@b", "the window was made longer");
    life.happens(46, Event::Decided(approval));
    assert_eq!(life.stands(47), ["stop@b works: Registering"]);
    let again = life.run.judge(&life.approval("stop@b", "x")).unwrap_err();
    assert_eq!(
        again,
        "`stop@b` is ready; `approve` is for a step that asks"
    );
}

#[test]
fn stale_pre_work_needs_a_person() {
    let mut plan = plan(&["a", "b"], false);
    plan.timing.prework = Some(Span::from_s(3_600));
    let touches = Touches::Only(Vec::new());
    let mut ahead = step("ahead", Action::Run { touches }, 1, Undo::Nothing);
    if let Block::Step(step) = &mut ahead {
        step.stage = "prepare".into();
    }
    let turns = PlannedTurns {
        batches: vec![vec!["a".into(), "b".into()]],
        at_once: 2,
    };
    plan.rolls.insert("pre".into(), turns);
    let roll = std::mem::replace(&mut plan.root, ahead);
    let ahead = Block::Roll {
        id: "pre".into(),
        title: String::new(),
        body: Box::new(std::mem::replace(&mut plan.root, roll.clone())),
    };
    plan.root = Block::Sequence {
        id: "all".into(),
        title: String::new(),
        blocks: vec![ahead, roll],
    };
    let mut life = Life::new(plan);
    for host in ["a", "b"] {
        life.registers(0, host);
        life.begins(0, "ahead", host);
    }
    life.ends(1, "ahead", "a");
    life.ends(20, "ahead", "b");
    assert_eq!(life.stands(61), ["stop@a works: Acting"]);
    let stale = "stop@a needs approve or skip: the pre-work of a is 1h1m old and counts for 1h";
    assert_eq!(life.stands(62), [stale]);
    life.goes_through(60, "a");
    assert_eq!(life.stands(80), ["stop@b works: Acting"]);
    assert!(life.stands(81)[0].starts_with("stop@b needs approve"));
}
