//! Small plans and the windows that follow from them.

use super::*;
use crate::action::{Action, Limits, Repeat, Retry, ServiceOp, Touches, Undo};
use crate::definition::{Origin, Release, Slot};
use crate::plan::{Block, PLAN_FORMAT, PlanKind, PlannedService, Turns};
use crate::primitive::{Exec, Primitive};
use crate::step::{Lane, Step};
use std::collections::BTreeMap;

pub(crate) fn step(id: &str, action: Action, minutes: u64) -> Block {
    Block::Step(Box::new(bare(id, action, minutes)))
}

pub(crate) fn bare(id: &str, action: Action, minutes: u64) -> Step {
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

pub(crate) fn quiet() -> Action {
    Action::Run {
        touches: Touches::Only(Vec::new()),
    }
}

fn noisy() -> Action {
    Action::Run {
        touches: Touches::Anything,
    }
}

pub(crate) fn sequence(blocks: Vec<Block>) -> Block {
    Block::Sequence {
        id: "body".into(),
        title: String::new(),
        blocks,
    }
}

pub(crate) fn plan(body: Block, batches: &[&[&str]], at_once: u32) -> Plan {
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
                cluster: None,
            },
        )]),
        rolls: BTreeMap::from([("roll".into(), Turns { batches, at_once })]),
        datasets: BTreeMap::new(),
        space: Vec::new(),
        failure_budget: 0,
        one_zone_at_a_time: false,
        waivers: Vec::new(),
        timing: crate::timing::Timing::default(),
        roles: BTreeMap::new(),
        knowledge: crate::knowledge::Knowledge::default(),
        providers: BTreeMap::new(),
        machines: BTreeMap::new(),
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
fn a_rebuilt_machine_has_its_services_when_they_are_started_or_else_when_it_is_there() {
    use crate::primitive::MachineOp;
    let machine = |id: &str, op| {
        let (which, release) = (crate::belonging::Which::Own, None);
        let action = Action::Machine { op, which, release };
        step(id, action, 4)
    };
    let start = || step("start", service(ServiceOp::Start), 1);
    let stop = || step("stop", service(ServiceOp::Stop), 1);
    let cases: [(Vec<Block>, &[&str]); 5] = [
        (
            vec![machine("rebuild", MachineOp::Rebuild)],
            &["rebuild..rebuild 4m"],
        ),
        (
            vec![
                machine("rebuild", MachineOp::Rebuild),
                step("q", quiet(), 5),
                start(),
            ],
            &["rebuild..start 10m"],
        ),
        (
            vec![
                stop(),
                machine("rebuild", MachineOp::Rebuild),
                step("q", quiet(), 5),
                start(),
            ],
            &["stop..start 11m"],
        ),
        (
            vec![
                start(),
                machine("rebuild", MachineOp::Rebuild),
                step("q", quiet(), 5),
            ],
            &["rebuild..rebuild 4m"],
        ),
        (
            vec![
                machine("off", MachineOp::Stop),
                step("q", quiet(), 5),
                machine("on", MachineOp::Start),
            ],
            &["off..on 13m"],
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

/// The service as a whole: `down 3m-5m`, `only a 0s-3m`, with `?` for perhaps and `!` for never closed.
fn whole(plan: &Plan) -> Vec<String> {
    let mut out = Vec::new();
    let mark = |certain| if certain { "" } else { "?" };
    for service in forecast(plan).services {
        for w in &service.windows {
            let closes = if w.closes { "" } else { "!" };
            let ends = w.begins.plus(w.length);
            out.push(format!(
                "down {}-{ends}{}{closes} {}@{}..{}@{}",
                w.begins,
                mark(w.certain),
                w.from_step,
                w.from_host,
                w.to_step,
                w.to_host
            ));
        }
        for s in &service.single {
            let ends = s.begins.plus(s.length);
            out.push(format!(
                "only {} {}-{ends}{}",
                s.host,
                s.begins,
                mark(s.certain)
            ));
        }
    }
    out
}

/// Batches, how many at once, and what is seen.
type Case<'a> = (&'a [&'a [&'a str]], u32, &'a [&'a str]);

#[test]
fn a_service_of_several_hosts_is_down_only_while_none_of_them_serves() {
    let body = || {
        sequence(vec![
            step("q", quiet(), 1),
            step("stop", service(ServiceOp::Hold), 1),
            step("start", service(ServiceOp::LetGo), 2),
        ])
    };
    let cases: [Case<'_>; 6] = [
        (&[&["a"]], 1, &["down 1m-4m stop@a..start@a"]),
        (&[&["a", "b"]], 1, &["only b 1m-4m", "only a 5m-8m"]),
        (&[&["a", "b"]], 2, &["down 1m-4m stop@b..start@a"]),
        (&[&["a"], &["b", "c"]], 2, &["only a 5m-8m"]),
        (&[&["a", "b", "c"]], 2, &["only c 1m-4m"]),
        (&[&["a", "b", "c"]], 3, &["down 1m-4m stop@c..start@a"]),
    ];
    for (batches, at_once, expected) in cases {
        assert_eq!(whole(&plan(body(), batches, at_once)), expected);
    }
    let stays = plan(
        step("stop", service(ServiceOp::Hold), 1),
        &[&["a"], &["b"]],
        1,
    );
    let expected = ["down 1m-2m! stop@b..stop@a", "only b 0s-1m"];
    assert_eq!(whole(&stays), expected);
    let noisy = plan(step("noise", noisy(), 1), &[&["a", "b"]], 2);
    assert_eq!(whole(&noisy), ["down 0s-1m? noise@b..noise@a"]);
}

#[test]
fn a_window_reaches_over_what_the_host_waits_for() {
    let mut elsewhere = bare("elsewhere", quiet(), 7);
    elsewhere.lane = Lane::Host("b".into());
    let mut stop = bare("stop", service(ServiceOp::Hold), 1);
    stop.lane = Lane::Host("a".into());
    let mut start = bare("start", service(ServiceOp::LetGo), 1);
    start.lane = Lane::Host("a".into());
    let steps = [stop, elsewhere, start].map(|step| Block::Step(Box::new(step)));
    let mut plan = plan(sequence(Vec::new()), &[&["a"]], 1);
    plan.root = sequence(steps.into());
    assert_eq!(whole(&plan), ["down 0s-9m stop@a..start@a"]);
}

#[test]
fn recorded_lengths_stand_before_shipped_ones() {
    use crate::timing::{Basis, Expected};
    let mut plan = plan(step("reboot", Action::Reboot, 1), &[&["a"], &["b"]], 1);
    let expected = Expected {
        basis: Basis::Recorded {
            runs: 3,
            samples: 9,
        },
        length: Span::from_s(240),
        hosts: BTreeMap::from([("b".into(), Span::from_s(600))]),
    };
    plan.timing.expected.insert("reboot".into(), expected);
    assert_eq!(critical_path(&plan), Span::from_s(840));
    assert_eq!(whole(&plan), ["only b 0s-4m", "only a 4m-14m"]);
}

#[test]
fn turning_back_is_told_for_the_first_point_of_no_return_of_each_host() {
    use crate::action::UpgradePart;
    let taken_back = |id: &str, minutes| {
        let mut step = bare(id, quiet(), minutes);
        step.undo = Undo::By(Exec::argv(["true"]));
        Block::Step(Box::new(step))
    };
    let no_return = |id: &str| {
        let to = Release {
            os: "debian".to_owned(),
            release: "13".to_owned(),
        };
        let (kind, part) = ("apt".to_owned(), UpgradePart::Change);
        let mut step = bare(id, Action::ReleaseUpgrade { kind, part, to }, 10);
        step.undo = Undo::None {
            way_back: "the backup".to_owned(),
        };
        Block::Step(Box::new(step))
    };
    let body = sequence(vec![
        taken_back("sources", 2),
        step("stop", service(ServiceOp::Hold), 1),
        taken_back("move", 3),
        no_return("change"),
        no_return("settle"),
        step("start", service(ServiceOp::LetGo), 1),
    ]);
    let mut plan = plan(body, &[&["a"]], 1);
    let told = |plan: &Plan| -> Vec<String> {
        let points = turn_backs(plan).into_iter().map(|turn| {
            let window = turn.window.as_ref().map_or_else(String::new, |window| {
                let until = window.until.map_or("never".to_owned(), |u| u.to_string());
                format!(
                    "; {} of {} reached after {}, until {until}: {}",
                    window.service,
                    window.budget,
                    window.reached_after,
                    window.fits()
                )
            });
            format!(
                "{}@{} at {}, back {}{window}",
                turn.step, turn.host, turn.begins, turn.way_back
            )
        });
        points.collect()
    };
    assert_eq!(told(&plan), ["change@a at 6m, back 6m"]);
    let mut budget = |minutes: u64| {
        let service = plan.services.get_mut(&ServiceName::new("db")).unwrap();
        service.window = Some(Span::from_s(minutes * 60));
        told(&plan)
    };
    let seen = [30, 7, 3].map(&mut budget).concat();
    let expected = [
        "change@a at 6m, back 6m; db of 30m reached after 4m, until 26m: true",
        "change@a at 6m, back 6m; db of 7m reached after 4m, until 3m: false",
        "change@a at 6m, back 6m; db of 3m reached after 4m, until never: false",
    ];
    assert_eq!(seen, expected);
}

#[test]
fn no_spans_of_hosts_give_more_outage_than_any_one_of_them() {
    let hosts: Vec<HostName> = ["a", "b"].map(Into::into).into();
    let away = |host: usize, begins, ends| Away {
        host: &hosts[host],
        begins: Span::from_s(begins),
        ends: Span::from_s(ends),
        certain: true,
        index: 0,
    };
    let spans = vec![
        away(0, 0, 10),
        away(0, 5, 20),
        away(1, 8, 9),
        away(1, 20, 30),
        away(1, 40, 40),
    ];
    let covered = coverage(&hosts, spans);
    let none: Vec<_> = covered
        .none
        .iter()
        .map(|n| (n.begins.as_ms(), n.length.as_ms()))
        .collect();
    assert_eq!(none, [(8_000, 1_000)]);
    let single = covered
        .single
        .iter()
        .map(|s| (s.host.as_str(), s.begins.as_ms(), s.length.as_ms()));
    let expected = [("b", 0, 8_000), ("b", 9_000, 11_000), ("a", 20_000, 10_000)];
    assert_eq!(single.collect::<Vec<_>>(), expected);
}
