//! Small plans on one host which together have every kind of step and block.

use overhaul_model::action::{Action, Limits, OnceScope, Repeat, Retry, Touches, Undo};
use overhaul_model::definition::{Guard, Origin, Release, Slot, Test};
use overhaul_model::fleet::{Connection, Host};
use overhaul_model::id::HostName;
use overhaul_model::plan::{Block, CLEANUP, PLAN_FORMAT, Plan, PlanKind, Turns};
use overhaul_model::primitive::{Announce, Ask, Exec, Measure, Primitive};
use overhaul_model::span::Span;
use overhaul_model::step::{Lane, Step};
use std::collections::BTreeMap;

/// The host of all of them.
pub(super) const HOST: &str = "a";

/// The time after which a guard no longer waits.
pub(super) const GUARD_AT_MOST: Span = Span::from_s(60);

fn measure() -> Measure {
    Measure::Command(Exec::argv(["true"]))
}

fn step(id: &str, repeat: Repeat) -> Step {
    Step {
        id: id.into(),
        title: id.to_owned(),
        action: Action::Run {
            touches: Touches::Anything,
        },
        slot: Slot::Change,
        stage: "upgrade".into(),
        lane: Lane::Turn,
        only: None,
        guards: Vec::new(),
        check: None,
        work: Primitive::Exec(Exec::argv(["true"])),
        verify: None,
        undo: Undo::Nothing,
        repeat,
        limits: Limits {
            total: Span::from_s(60),
            stall: None,
            expected: Span::from_s(1),
        },
        retry: Retry {
            attempts: 2,
            back_off: Span::from_s(10),
        },
        outputs: BTreeMap::new(),
        why: "a test".to_owned(),
        origin: Origin::default(),
    }
}

fn of(step: Step) -> Block {
    Block::Step(Box::new(step))
}

fn in_a_row(id: &str, blocks: Vec<Block>) -> Block {
    Block::Sequence {
        id: id.into(),
        title: String::new(),
        blocks,
    }
}

/// A roll over the one host, and what follows it.
fn plan(body: Block, after: Vec<Block>) -> Plan {
    let release = |n: &str| Release {
        os: "debian".to_owned(),
        release: n.to_owned(),
    };
    let roll = Block::Roll {
        id: "roll".into(),
        title: String::new(),
        body: Box::new(body),
    };
    let turns = Turns {
        batches: vec![vec![HOST.into()]],
        at_once: 1,
    };
    let host = Host {
        name: HOST.into(),
        roles: [].into(),
        zone: None,
        connection: Connection::to(HOST),
        vars: [].into(),
    };
    Plan {
        format: PLAN_FORMAT,
        kind: PlanKind::Upgrade,
        parent: None,
        upgrade: "pairs".to_owned(),
        fleet: "pairs".to_owned(),
        from: release("12"),
        to: release("13"),
        hosts: [(HostName::new(HOST), host)].into(),
        rolls: [("roll".into(), turns)].into(),
        services: BTreeMap::new(),
        datasets: BTreeMap::new(),
        space: Vec::new(),
        failure_budget: 0,
        one_zone_at_a_time: false,
        providers: BTreeMap::new(),
        machines: BTreeMap::new(),
        roles: BTreeMap::new(),
        knowledge: overhaul_model::knowledge::Knowledge::default(),
        timing: overhaul_model::timing::Timing::default(),
        waivers: Vec::new(),
        root: in_a_row("", std::iter::once(roll).chain(after).collect()),
    }
}

/// One step that is all there is in its host's turn.
fn alone(step: Step) -> Plan {
    plan(of(step), Vec::new())
}

/// A step that is begun once.
fn safe(id: &str) -> Step {
    Step {
        retry: Retry {
            attempts: 1,
            back_off: Span::from_s(10),
        },
        ..step(id, Repeat::Safe)
    }
}

fn scope() -> Block {
    Block::Scope {
        id: "scope".into(),
        title: String::new(),
        open: Box::new(safe("open")),
        body: Box::new(of(safe("body"))),
        close: Box::new(safe("close")),
    }
}

fn repair() -> Block {
    Block::Repair {
        id: "repair".into(),
        title: String::new(),
        body: Box::new(of(safe("body"))),
        when: measure(),
        remedy: Box::new(of(safe("remedy"))),
        attempts: 1,
    }
}

fn cleanup() -> Block {
    in_a_row(
        CLEANUP,
        vec![of(Step {
            id: "cleanup/step".into(),
            lane: Lane::Run,
            work: Primitive::Announce(Announce {
                message: "gone".to_owned(),
            }),
            ..safe("")
        })],
    )
}

pub(super) fn all() -> Vec<(&'static str, Plan)> {
    let guards = ["first", "second"].map(|name| Guard {
        name: name.to_owned(),
        test: Test::Measure(measure()),
        at_most: GUARD_AT_MOST,
    });
    let check_first = Step {
        guards: guards.into(),
        check: Some(measure()),
        verify: Some(measure()),
        ..step("step", Repeat::CheckFirst)
    };
    let once = Step {
        check: Some(measure()),
        verify: Some(measure()),
        ..step("step", Repeat::Once(OnceScope::Host))
    };
    let gate = Step {
        work: Primitive::Ask(Ask {
            question: "go on?".to_owned(),
        }),
        ..step("step", Repeat::Safe)
    };
    let by_the_loop = Step {
        work: Primitive::Announce(Announce {
            message: "here".to_owned(),
        }),
        ..step("step", Repeat::Safe)
    };
    vec![
        ("check first", alone(check_first)),
        ("once", alone(once)),
        ("safe", alone(step("step", Repeat::Safe))),
        ("by a person", alone(step("step", Repeat::Person))),
        ("gate", alone(gate)),
        ("by the loop", alone(by_the_loop)),
        ("scope", plan(scope(), Vec::new())),
        ("repair", plan(repair(), Vec::new())),
        ("cleanup", plan(of(safe("step")), vec![cleanup()])),
    ]
}
