//! Random plans over every kind of block.

use overhaul_model::action::{Action, Limits, OnceScope, Repeat, Retry, Touches, Undo};
use overhaul_model::definition::{Guard, Origin, Release, Slot, Test};
use overhaul_model::fleet::{Connection, Host};
use overhaul_model::id::{HostName, StepId};
use overhaul_model::plan::{Block, PLAN_FORMAT, Plan, PlanKind, Turns};
use overhaul_model::primitive::{Announce, Ask, Exec, Measure, Primitive};
use overhaul_model::span::Span;
use overhaul_model::step::{Lane, Step};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Hosts of every plan.
pub const HOSTS: [&str; 4] = ["a", "b", "c", "d"];

fn measure() -> Measure {
    Measure::Command(Exec::argv(["true"]))
}

fn step() -> impl Strategy<Value = Step> {
    let repeat = prop_oneof![
        Just(Repeat::Safe),
        Just(Repeat::CheckFirst),
        Just(Repeat::Once(OnceScope::Host)),
        Just(Repeat::Person),
    ];
    let work = prop_oneof![
        8 => Just(Primitive::Exec(Exec::argv(["true"]))),
        1 => Just(Primitive::Ask(Ask { question: "go on?".to_owned() })),
        1 => Just(Primitive::Announce(Announce { message: "here we are".to_owned() })),
    ];
    let place = (
        prop_oneof![Just(Slot::Drain), Just(Slot::Change), Just(Slot::Verify)],
        prop_oneof![3 => Just("upgrade"), 1 => Just("finish")],
    );
    let only =
        proptest::option::weighted(0.2, proptest::sample::subsequence(HOSTS.to_vec(), 0..=4));
    (
        repeat,
        work,
        only,
        any::<(bool, bool)>(),
        0..3_usize,
        1..3_u32,
        place,
    )
        .prop_map(
            |(repeat, work, only, (check, verify), guards, attempts, (slot, stage))| Step {
                id: "".into(),
                title: "a step".to_owned(),
                action: Action::Run {
                    touches: Touches::Anything,
                },
                slot,
                stage: stage.into(),
                lane: Lane::Turn,
                only: only.map(|hosts| {
                    hosts
                        .into_iter()
                        .map(HostName::new)
                        .collect::<BTreeSet<_>>()
                }),
                guards: (0..guards)
                    .map(|n| Guard {
                        name: format!("guard-{n}"),
                        test: Test::Measure(measure()),
                        at_most: Span::from_s(30),
                    })
                    .collect(),
                check: check.then(measure),
                work,
                verify: verify.then(measure),
                undo: Undo::Nothing,
                repeat,
                limits: Limits {
                    total: Span::from_s(60),
                    stall: None,
                    expected: Span::from_s(1),
                },
                retry: Retry {
                    attempts,
                    back_off: Span::from_s(2),
                },
                outputs: BTreeMap::new(),
                why: "a test".to_owned(),
                origin: Origin::default(),
            },
        )
}

fn of_step() -> impl Strategy<Value = Block> {
    step().prop_map(|step| Block::Step(Box::new(step)))
}

/// Blocks without a roll in them.
fn body() -> impl Strategy<Value = Block> {
    of_step().prop_recursive(3, 16, 3, |inner| {
        let blocks = proptest::collection::vec(inner.clone(), 0..4);
        prop_oneof![
            3 => blocks.clone().prop_map(|blocks| Block::Sequence { id: "".into(), title: String::new(), blocks }),
            1 => blocks.prop_map(|blocks| Block::Parallel { id: "".into(), title: String::new(), blocks }),
            3 => (step(), inner.clone(), step()).prop_map(|(open, body, close)| Block::Scope {
                id: "".into(),
                title: String::new(),
                open: Box::new(open),
                body: Box::new(body),
                close: Box::new(close),
            }),
            2 => (inner.clone(), inner).prop_map(|(body, remedy)| Block::Repair {
                id: "".into(),
                title: String::new(),
                body: Box::new(body),
                when: measure(),
                remedy: Box::new(remedy),
                attempts: 2,
            }),
        ]
    })
}

fn turns() -> impl Strategy<Value = Turns> {
    let hosts = proptest::sample::subsequence(HOSTS.to_vec(), 0..=4);
    (hosts, 1..3_usize, 1..3_u32).prop_map(|(hosts, batch, at_once)| Turns {
        batches: hosts
            .chunks(batch)
            .map(|chunk| chunk.iter().map(|h| HostName::new(*h)).collect())
            .collect(),
        at_once,
    })
}

/// Whole plans: rolls in sequence or side by side.
pub fn plan() -> impl Strategy<Value = Plan> {
    let rolls = proptest::collection::vec((body(), turns()), 1..4);
    (rolls, any::<bool>(), 0..2_u32).prop_map(|(bodies, parallel, failure_budget)| {
        let mut rolls = BTreeMap::new();
        let mut blocks = Vec::new();
        for (n, (mut body, turns)) in bodies.into_iter().enumerate() {
            let id = StepId::new(format!("r{n}"));
            name(&mut body, &id.child("body"));
            rolls.insert(id.clone(), turns);
            blocks.push(Block::Roll {
                id,
                title: String::new(),
                body: Box::new(body),
            });
        }
        let (id, title) = (StepId::new("all"), String::new());
        let root = match parallel {
            true => Block::Parallel { id, title, blocks },
            false => Block::Sequence { id, title, blocks },
        };
        let release = |n: &str| Release {
            os: "debian".to_owned(),
            release: n.to_owned(),
        };
        Plan {
            format: PLAN_FORMAT,
            kind: PlanKind::Upgrade,
            parent: None,
            upgrade: "random".to_owned(),
            fleet: "random".to_owned(),
            from: release("12"),
            to: release("13"),
            hosts: HOSTS.iter().map(|h| (HostName::new(*h), host(h))).collect(),
            rolls,
            services: BTreeMap::new(),
            datasets: BTreeMap::new(),
            space: Vec::new(),
            failure_budget,
            one_zone_at_a_time: false,
            providers: BTreeMap::new(),
            machines: BTreeMap::new(),
            roles: BTreeMap::new(),
            knowledge: overhaul_model::knowledge::Knowledge::default(),
            timing: overhaul_model::timing::Timing::default(),
            waivers: Vec::new(),
            root,
        }
    })
}

fn host(name: &str) -> Host {
    Host {
        name: name.into(),
        roles: [].into(),
        zone: None,
        connection: Connection::to(name),
        vars: [].into(),
    }
}

/// Gives every block and step the path that it stands at.
fn name(block: &mut Block, path: &StepId) {
    match block {
        Block::Step(step) => step.id = path.clone(),
        Block::Sequence { id, blocks, .. } | Block::Parallel { id, blocks, .. } => {
            *id = path.clone();
            for (n, block) in blocks.iter_mut().enumerate() {
                name(block, &path.child(&n.to_string()));
            }
        }
        Block::Roll { id, body, .. } => {
            *id = path.clone();
            name(body, &path.child("body"));
        }
        Block::Scope {
            id,
            open,
            body,
            close,
            ..
        } => {
            *id = path.clone();
            open.id = path.child("open");
            name(body, &path.child("body"));
            close.id = path.child("close");
        }
        Block::Repair {
            id, body, remedy, ..
        } => {
            *id = path.clone();
            name(body, &path.child("body"));
            name(remedy, &path.child("remedy"));
        }
    }
}

/// Changes a plan a little; not at all where `pick` divides by four.
pub fn vary(plan: &mut Plan, pick: usize) {
    let at = pick / 4 % plan.steps().len().max(1);
    match pick % 4 {
        0 => {}
        1 => {
            if let Some(step) = plan.root.steps_mut().into_iter().nth(at) {
                step.title.push('!');
            }
        }
        2 => {
            let mut left = at;
            without(&mut plan.root, &mut left);
        }
        _ => {
            let id = StepId::new(format!("more{}", plan.rolls.len()));
            let step = plan.steps().last().map(|step| (*step).clone());
            let (Some(step), Block::Sequence { blocks, .. } | Block::Parallel { blocks, .. }) =
                (step, &mut plan.root)
            else {
                return;
            };
            let mut body = Block::Step(Box::new(step));
            name(&mut body, &id.child("body"));
            let batches = vec![HOSTS.map(HostName::new).to_vec()];
            let at_once = 2;
            plan.rolls.insert(id.clone(), Turns { batches, at_once });
            blocks.push(Block::Roll {
                id,
                title: String::new(),
                body: Box::new(body),
            });
        }
    }
}

pub fn outline(block: &Block, depth: usize, out: &mut String) {
    let line = |word: &str, id: &StepId| format!("{:depth$}{word} {id}\n", "");
    let word = match block {
        Block::Step(_) => "step",
        Block::Sequence { .. } => "sequence",
        Block::Parallel { .. } => "parallel",
        Block::Roll { .. } => "roll",
        Block::Scope { .. } => "scope",
        Block::Repair { .. } => "repair",
    };
    out.push_str(&line(word, block.id()));
    for child in block.children() {
        match child {
            overhaul_model::plan::Child::Block(block) => outline(block, depth + 2, out),
            overhaul_model::plan::Child::Step(step) => {
                out.push_str(&line("  end", &step.id));
            }
        }
    }
}

pub fn has_repair(block: &Block) -> bool {
    let inside = |child| matches!(child, overhaul_model::plan::Child::Block(b) if has_repair(b));
    matches!(block, Block::Repair { .. }) || block.children().into_iter().any(inside)
}

/// Takes one step out of a sequence.
fn without(block: &mut Block, left: &mut usize) {
    if let Block::Sequence { blocks, .. } = block {
        let before = blocks.len();
        blocks.retain(|block| {
            let go = matches!(block, Block::Step(_)) && *left == 0;
            *left = left.wrapping_sub(1);
            !go
        });
        if blocks.len() < before {
            return;
        }
    }
    match block {
        Block::Step(_) => {}
        Block::Sequence { blocks, .. } | Block::Parallel { blocks, .. } => {
            blocks.iter_mut().for_each(|block| without(block, left));
        }
        Block::Roll { body, .. } | Block::Scope { body, .. } | Block::Repair { body, .. } => {
            without(body, left);
        }
    }
}
