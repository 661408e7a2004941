//! A plan of one step on one host.

use overhaul_model::action::{Action, Limits, OnceScope, Repeat, Retry, Touches, Undo};
use overhaul_model::definition::{Origin, Release, Slot};
use overhaul_model::fleet::{Connection, Host};
use overhaul_model::id::HostName;
use overhaul_model::plan::{Block, PLAN_FORMAT, Plan, PlanKind, Turns};
use overhaul_model::primitive::{Exec, Primitive};
use overhaul_model::span::Span;
use overhaul_model::step::{Lane, Step};
use std::collections::BTreeMap;

fn step(once: bool) -> Step {
    Step {
        id: "step".into(),
        title: "a step".to_owned(),
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
        repeat: match once {
            true => Repeat::Once(OnceScope::Host),
            false => Repeat::Safe,
        },
        limits: Limits {
            total: Span::from_s(60),
            stall: None,
            expected: Span::from_s(1),
        },
        retry: Retry {
            attempts: 2,
            back_off: Span::from_s(1),
        },
        outputs: BTreeMap::new(),
        why: "a test".to_owned(),
        origin: Origin::default(),
    }
}

pub fn of_one_step(once: bool) -> Plan {
    let release = |n: &str| Release {
        os: "debian".to_owned(),
        release: n.to_owned(),
    };
    let turns = Turns {
        batches: vec![vec!["a".into()]],
        at_once: 1,
    };
    let host = Host {
        name: "a".into(),
        roles: [].into(),
        zone: None,
        connection: Connection::to("a"),
        vars: [].into(),
    };
    Plan {
        format: PLAN_FORMAT,
        kind: PlanKind::Upgrade,
        parent: None,
        upgrade: "takeover".to_owned(),
        fleet: "takeover".to_owned(),
        from: release("12"),
        to: release("13"),
        hosts: [(HostName::new("a"), host)].into(),
        rolls: [("roll".into(), turns)].into(),
        services: BTreeMap::new(),
        datasets: BTreeMap::new(),
        space: Vec::new(),
        failure_budget: 0,
        one_zone_at_a_time: false,
        providers: BTreeMap::new(),
        machines: BTreeMap::new(),
        roles: BTreeMap::new(),
        knowledge: Default::default(),
        timing: Default::default(),
        waivers: Vec::new(),
        root: Block::Roll {
            id: "roll".into(),
            title: String::new(),
            body: Box::new(Block::Step(Box::new(step(once)))),
        },
    }
}
