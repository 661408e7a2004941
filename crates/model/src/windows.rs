//! Predicted outages and durations of a plan, from effects and expected lengths alone.

use crate::effects::{Effect, effects};
use crate::id::{HostName, ServiceName, StepId};
use crate::plan::{Block, CLEANUP, Child, Placed, Plan, Turns};
use crate::span::Span;
use crate::step::Step;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A span in which a service is expected to be down on a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PredictedWindow {
    /// The service.
    pub service: ServiceName,
    /// The host.
    pub host: HostName,
    /// The step that opens it.
    pub from_step: StepId,
    /// The step at whose end it closes; the lane's last step when nothing closes it.
    pub to_step: StepId,
    /// Whether a step of the plan closes it.
    pub closes: bool,
    /// Whether the service is down for certain, not only perhaps.
    pub certain: bool,
    /// How long it is expected to be: the expected lengths of the lane's steps in it, waits for other
    /// lanes and for people not counted.
    pub predicted: Span,
}

/// The windows of every service on every host, by service, host and time.
///
/// A certain stop opens a window and the start closes it. A step that may disturb a running service, or
/// a reboot, is a window by itself; such steps that follow each other at once make one.
pub fn predict(plan: &Plan) -> Vec<PredictedWindow> {
    let lanes = lanes(plan);
    let mut out = Vec::new();
    for (service, planned) in &plan.services {
        for host in &planned.hosts {
            let steps = lanes.get(host).map(Vec::as_slice).unwrap_or_default();
            windows_of(service, host, steps, &mut out);
        }
    }
    out
}

/// How a step concerns one service.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Touch {
    Nothing,
    Stops,
    Starts,
    Blinks { certain: bool },
}

fn touch(step: &Step, service: &ServiceName) -> Touch {
    let mut touch = Touch::Nothing;
    for effect in effects(step) {
        touch = match effect {
            Effect::ServiceStops(name) if name == *service => Touch::Stops,
            Effect::ServiceStarts(name) if name == *service => Touch::Starts,
            Effect::HostDown | Effect::HostUp => Touch::Blinks { certain: true },
            Effect::AnythingMayBlink => Touch::Blinks { certain: false },
            Effect::ServiceMayBlink(name) if name == *service => Touch::Blinks { certain: false },
            Effect::ServiceStops(_)
            | Effect::ServiceStarts(_)
            | Effect::ServiceMayBlink(_)
            | Effect::ReleaseChanges(_)
            | Effect::DatasetCopied(_)
            | Effect::CopyReadBack(_)
            | Effect::DatasetChanges(_)
            | Effect::PathsCopied(_)
            | Effect::PathsRestored(_)
            | Effect::MachineDestroyed
            | Effect::MachineCreated
            | Effect::VolumeMoves
            | Effect::AddressMoves
            | Effect::MembershipChanges
            | Effect::AuthorityMoves => touch,
        };
    }
    touch
}

/// The window that is being looked at.
struct Open {
    window: PredictedWindow,
    /// Opened by a certain stop: only a start closes it.
    stopped: bool,
}

fn windows_of(
    service: &ServiceName,
    host: &HostName,
    steps: &[&Step],
    out: &mut Vec<PredictedWindow>,
) {
    let mut open: Option<Open> = None;
    let new = |step: &Step, certain: bool| PredictedWindow {
        service: service.clone(),
        host: host.clone(),
        from_step: step.id.clone(),
        to_step: step.id.clone(),
        closes: true,
        certain,
        predicted: Span::default(),
    };
    for step in steps {
        let touch = touch(step, service);
        let carry_on = match &open {
            Some(open) if open.stopped => true,
            Some(_) => matches!(touch, Touch::Blinks { .. } | Touch::Stops),
            None => false,
        };
        if !carry_on {
            out.extend(open.take().map(|open| open.window));
        }
        let open_before = open.is_some();
        match touch {
            Touch::Nothing | Touch::Starts if !open_before => continue,
            Touch::Stops | Touch::Blinks { .. } if !open_before => {
                let certain = touch != Touch::Blinks { certain: false };
                open = Some(Open {
                    window: new(step, certain),
                    stopped: false,
                });
            }
            Touch::Nothing | Touch::Starts | Touch::Stops | Touch::Blinks { .. } => {}
        }
        let Some(current) = &mut open else { continue };
        current.window.predicted = current.window.predicted.plus(step.limits.expected);
        current.window.to_step = step.id.clone();
        match touch {
            Touch::Stops => {
                current.stopped = true;
                current.window.certain = true;
                current.window.closes = false;
            }
            Touch::Starts => {
                current.window.closes = true;
                out.extend(open.take().map(|open| open.window));
            }
            Touch::Blinks { certain } => current.window.certain |= certain,
            Touch::Nothing => {}
        }
    }
    out.extend(open.map(|open| open.window));
}

/// Each host's steps in the order of the tree. Remedies and the stage `cleanup` are left out: they are not
/// expected to run.
fn lanes(plan: &Plan) -> BTreeMap<HostName, Vec<&Step>> {
    let mut out: BTreeMap<HostName, Vec<&Step>> = BTreeMap::new();
    for Placed { position, step } in expected_positions(plan) {
        if let Some(host) = position.host {
            out.entry(host).or_default().push(step);
        }
    }
    out
}

fn expected_positions(plan: &Plan) -> Vec<Placed<'_>> {
    fn place<'a>(
        plan: &'a Plan,
        child: Child<'a>,
        turn: Option<&'a HostName>,
        out: &mut Vec<Placed<'a>>,
    ) {
        let block = match child {
            Child::Step(step) => return place_step(step, turn, out),
            Child::Block(block) => block,
        };
        match block {
            Block::Step(step) => place_step(step, turn, out),
            Block::Roll { id, body, .. } => {
                let turns = plan.rolls.get(id).into_iter();
                for host in turns.flat_map(|t| t.batches.iter().flatten()) {
                    place(plan, Child::Block(body), Some(host), out);
                }
            }
            Block::Repair { body, .. } => place(plan, Child::Block(body), turn, out),
            Block::Sequence { id, .. } if id.as_str() == CLEANUP => {}
            Block::Sequence { .. } | Block::Parallel { .. } | Block::Scope { .. } => {
                for child in block.children() {
                    place(plan, child, turn, out);
                }
            }
        }
    }
    fn place_step<'a>(step: &'a Step, turn: Option<&HostName>, out: &mut Vec<Placed<'a>>) {
        if let Some(position) = step.position(turn) {
            out.push(Placed { position, step });
        }
    }
    let mut out = Vec::new();
    place(plan, Child::Block(&plan.root), None, &mut out);
    out
}

/// How long the whole plan is expected to take when nothing fails and nobody is waited for.
pub fn critical_path(plan: &Plan) -> Span {
    length(plan, Child::Block(&plan.root), None)
}

fn length<'a>(plan: &'a Plan, child: Child<'a>, turn: Option<&'a HostName>) -> Span {
    let of_step = |step: &Step| match step.position(turn) {
        Some(_) => step.limits.expected,
        None => Span::default(),
    };
    let block = match child {
        Child::Step(step) => return of_step(step),
        Child::Block(block) => block,
    };
    let lengths = |block: &'a Block| block.children().into_iter().map(|c| length(plan, c, turn));
    match block {
        Block::Step(step) => of_step(step),
        Block::Sequence { id, .. } if id.as_str() == CLEANUP => Span::default(),
        Block::Sequence { .. } | Block::Scope { .. } => {
            lengths(block).fold(Span::default(), Span::plus)
        }
        Block::Parallel { .. } => lengths(block).max().unwrap_or_default(),
        Block::Repair { body, .. } => length(plan, Child::Block(body), turn),
        Block::Roll { id, body, .. } => plan.rolls.get(id).map_or(Span::default(), |turns| {
            roll_length(turns, |host| length(plan, Child::Block(body), Some(host)))
        }),
    }
}

/// Batches one after the other; in a batch each turn begins as soon as one of `at_once` places is free.
fn roll_length<'a>(turns: &'a Turns, of_turn: impl Fn(&'a HostName) -> Span) -> Span {
    let mut total = Span::default();
    for batch in &turns.batches {
        let places = usize::try_from(turns.at_once.max(1)).unwrap_or(usize::MAX);
        let mut busy = vec![Span::default(); places.min(batch.len())];
        for host in batch {
            if let Some(first_free) = busy.iter_mut().min() {
                *first_free = first_free.plus(of_turn(host));
            }
        }
        total = total.plus(busy.into_iter().max().unwrap_or_default());
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::{Action, Limits, Repeat, Retry, ServiceOp, Touches, Undo};
    use crate::definition::{Origin, Release, Slot};
    use crate::plan::{PLAN_FORMAT, PlanKind, PlannedService};
    use crate::primitive::{Exec, Primitive};
    use crate::step::Lane;

    fn step(id: &str, action: Action, minutes: u64) -> Block {
        Block::Step(Box::new(bare(id, action, minutes)))
    }

    fn bare(id: &str, action: Action, minutes: u64) -> Step {
        Step {
            id: id.into(),
            title: id.to_owned(),
            action,
            slot: Slot::Change,
            stage: "upgrade".into(),
            lane: Lane::Turn,
            only: None,
            guards: Vec::new(),
            check: None,
            work: Primitive::Exec(Exec::argv(["true"])),
            verify: None,
            undo: Undo::Nothing,
            repeat: Repeat::Safe,
            limits: Limits {
                total: Span::from_s(7_200),
                stall: None,
                expected: Span::from_s(minutes * 60),
            },
            retry: Retry::NEVER,
            outputs: BTreeMap::new(),
            why: "test".to_owned(),
            origin: Origin::default(),
        }
    }

    fn service(op: ServiceOp) -> Action {
        Action::Service {
            unit: "postgresql.service".to_owned(),
            service: Some("db".into()),
            op,
        }
    }

    fn quiet() -> Action {
        Action::Run {
            touches: Touches::Only(Vec::new()),
        }
    }

    fn noisy() -> Action {
        Action::Run {
            touches: Touches::Anything,
        }
    }

    fn sequence(blocks: Vec<Block>) -> Block {
        Block::Sequence {
            id: "body".into(),
            title: String::new(),
            blocks,
        }
    }

    fn plan(body: Block, batches: &[&[&str]], at_once: u32) -> Plan {
        let batches: Vec<Vec<HostName>> = batches
            .iter()
            .map(|batch| batch.iter().map(|&host| host.into()).collect())
            .collect();
        let release = |release: &str| Release {
            os: "debian".to_owned(),
            release: release.to_owned(),
        };
        Plan {
            format: PLAN_FORMAT,
            kind: PlanKind::Upgrade,
            parent: None,
            upgrade: "test".to_owned(),
            fleet: "test".to_owned(),
            from: release("12"),
            to: release("13"),
            hosts: BTreeMap::new(),
            services: BTreeMap::from([(
                "db".into(),
                PlannedService {
                    unit: "postgresql.service".to_owned(),
                    hosts: batches.iter().flatten().cloned().collect(),
                    healthy: None,
                    window: None,
                    keep: 0,
                },
            )]),
            rolls: BTreeMap::from([("roll".into(), Turns { batches, at_once })]),
            datasets: BTreeMap::new(),
            space: Vec::new(),
            failure_budget: 0,
            one_zone_at_a_time: false,
            providers: BTreeMap::new(),
            machines: BTreeMap::new(),
            roles: BTreeMap::new(),
            knowledge: crate::knowledge::Knowledge::default(),
            waivers: Vec::new(),
            root: Block::Roll {
                id: "roll".into(),
                title: String::new(),
                body: Box::new(body),
            },
        }
    }

    /// One line for each window of the first host: from, to, length, `?` for perhaps, `!` for never closed.
    fn seen(blocks: Vec<Block>) -> Vec<String> {
        predict(&plan(sequence(blocks), &[&["a"]], 1))
            .into_iter()
            .map(|w| {
                format!(
                    "{}..{} {}{}{}",
                    w.from_step,
                    w.to_step,
                    w.predicted,
                    if w.certain { "" } else { "?" },
                    if w.closes { "" } else { "!" },
                )
            })
            .collect()
    }

    #[test]
    fn windows_open_with_stops_and_blinks_and_close_with_starts() {
        let stop = || step("stop", service(ServiceOp::Hold), 1);
        let start = || step("start", service(ServiceOp::LetGo), 1);
        let reboot = |id| step(id, Action::Reboot, 3);
        let cases: [(Vec<Block>, &[&str]); 7] = [
            (vec![step("q", quiet(), 9)], &[]),
            (
                vec![stop(), step("q", quiet(), 5), reboot("r"), start()],
                &["stop..start 10m"],
            ),
            (
                vec![
                    reboot("r1"),
                    step("q", quiet(), 5),
                    reboot("r2"),
                    reboot("r3"),
                ],
                &["r1..r1 3m", "r2..r3 6m"],
            ),
            (vec![step("n", noisy(), 2), start()], &["n..n 2m?"]),
            (
                vec![
                    step("n", noisy(), 2),
                    stop(),
                    start(),
                    step("n2", noisy(), 1),
                ],
                &["n..start 4m", "n2..n2 1m?"],
            ),
            (vec![stop(), step("q", quiet(), 5)], &["stop..q 6m!"]),
            (
                vec![step("b", service(ServiceOp::Restart), 1)],
                &["b..b 1m?"],
            ),
        ];
        for (blocks, expected) in cases {
            assert_eq!(seen(blocks), expected);
        }
    }

    #[test]
    fn a_host_that_a_step_does_not_concern_has_no_window_from_it() {
        let mut reboot = bare("r", Action::Reboot, 3);
        reboot.only = Some(["b".into()].into());
        let plan = plan(Block::Step(Box::new(reboot)), &[&["a", "b"]], 2);
        let hosts: Vec<_> = predict(&plan).into_iter().map(|w| w.host).collect();
        assert_eq!(hosts, ["b".into()]);
    }

    #[test]
    fn the_critical_path_follows_batches_places_and_branches() {
        let body = || {
            sequence(vec![
                step("one", quiet(), 2),
                Block::Parallel {
                    id: "both".into(),
                    title: String::new(),
                    blocks: vec![step("two", quiet(), 5), step("three", quiet(), 1)],
                },
                Block::Repair {
                    id: "mend".into(),
                    title: String::new(),
                    body: Box::new(step("four", quiet(), 3)),
                    when: crate::primitive::Measure::PackagesClean,
                    remedy: Box::new(step("remedy", quiet(), 60)),
                    attempts: 1,
                },
            ])
        };
        let cases: [(&[&[&str]], u32, u64); 4] = [
            (&[&["a"]], 1, 10),
            (&[&["a", "b", "c"]], 2, 20),
            (&[&["a", "b", "c"]], 0, 30),
            (&[&["a"], &["b", "c"]], 5, 20),
        ];
        for (batches, at_once, minutes) in cases {
            let plan = plan(body(), batches, at_once);
            assert_eq!(critical_path(&plan), Span::from_s(minutes * 60));
        }
    }
}
