//! Whole reports from journals made by hand.

use super::*;
use overhaul_model::action::{
    Action, DatabaseOp, Limits, Repeat, Retry, ServiceOp, Touches, Undo, UpgradePart,
};
use overhaul_model::belonging::Which;
use overhaul_model::definition::{Origin, Slot};
use overhaul_model::event::{Choice, Decision, Generation};
use overhaul_model::facts::BootProof;
use overhaul_model::fleet::{Connection, Host};
use overhaul_model::plan::{Block, PLAN_FORMAT, PlanKind, PlannedService, Turns};
use overhaul_model::primitive::{
    Ask, EditFile, Exec, Fetch, MachineAct, MachineOp, Measure, Primitive,
};
use overhaul_model::step::{Lane, Step};

/// Moments are written as seconds after the run was opened.
fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_764_000_000 + second).unwrap()
}

fn step(id: &str, action: Action, work: Primitive) -> Step {
    Step {
        id: format!("upgrade/{id}").as_str().into(),
        title: id.replace('-', " "),
        action,
        slot: Slot::Change,
        stage: "upgrade".into(),
        lane: Lane::Turn,
        only: None,
        guards: Vec::new(),
        check: None,
        work,
        verify: None,
        undo: Undo::Nothing,
        repeat: Repeat::Safe,
        limits: Limits {
            total: Span::from_s(7_200),
            stall: None,
            expected: Span::from_s(60),
        },
        retry: Retry::NEVER,
        outputs: BTreeMap::new(),
        why: "test".to_owned(),
        origin: Origin::default(),
    }
}

fn command() -> Primitive {
    Primitive::Exec(Exec::argv(["true"]))
}

fn service(id: &str, op: ServiceOp) -> Step {
    let action = Action::Service {
        unit: "postgresql.service".to_owned(),
        service: Some("database".into()),
        op,
    };
    step(id, action, command())
}

fn upgrade(id: &str, part: UpgradePart) -> Step {
    let to = Release {
        os: "debian".to_owned(),
        release: "13".to_owned(),
    };
    let kind = "apt".to_owned();
    step(id, Action::ReleaseUpgrade { kind, part, to }, command())
}

fn database(id: &str, op: DatabaseOp, work: Primitive) -> Step {
    let dataset = "orders".into();
    step(id, Action::Database { dataset, op }, work)
}

fn body() -> Block {
    let block = |step: Step| Block::Step(Box::new(step));
    let mut verified = upgrade("full-upgrade", UpgradePart::Change);
    verified.verify = Some(Measure::PackagesClean);
    verified.repeat = Repeat::Person;
    let dump = Primitive::Fetch(Fetch {
        exec: Exec::argv(["pg_dump", "orders"]),
        file: "db1/orders/orders.dump".to_owned(),
    });
    let edit = Primitive::EditFile(EditFile {
        path: "/etc/motd".to_owned(),
        edits: Vec::new(),
        validate: None,
        backup: true,
    });
    let touches_nothing = Action::Run {
        touches: Touches::Only(Vec::new()),
    };
    let path = "/etc/motd".to_owned();
    Block::Scope {
        id: "upgrade/quiet".into(),
        title: "nothing starts by itself".to_owned(),
        open: Box::new(upgrade("quiet-open", UpgradePart::Prepare)),
        body: Box::new(Block::Sequence {
            id: "upgrade/body".into(),
            title: "body".to_owned(),
            blocks: vec![
                block(step("note", touches_nothing, command())),
                block(database("dump", DatabaseOp::Backup, dump)),
                block(service("hold", ServiceOp::Hold)),
                block(verified),
                block(step("edit", Action::Edit { path }, edit)),
                block(database("move", DatabaseOp::MoveCluster, command())),
                block(service("let-go", ServiceOp::LetGo)),
                block(step(
                    "gate",
                    Action::Gate,
                    Primitive::Ask(Ask {
                        question: "Is the shop open?".to_owned(),
                    }),
                )),
            ],
        }),
        close: Box::new(upgrade("quiet-close", UpgradePart::TakeDown)),
    }
}

fn plan() -> Plan {
    let release = |release: &str| Release {
        os: "debian".to_owned(),
        release: release.to_owned(),
    };
    let host = Host {
        name: "db1".into(),
        roles: ["database".into()].into(),
        zone: None,
        connection: Connection::to("192.0.2.1"),
        vars: BTreeMap::new(),
    };
    Plan {
        format: PLAN_FORMAT,
        kind: PlanKind::Upgrade,
        parent: None,
        upgrade: "bookworm-to-trixie".to_owned(),
        fleet: "shop".to_owned(),
        from: release("12"),
        to: release("13"),
        hosts: BTreeMap::from([("db1".into(), host)]),
        rolls: BTreeMap::from([(
            "upgrade".into(),
            Turns {
                batches: vec![vec!["db1".into()]],
                at_once: 1,
            },
        )]),
        services: BTreeMap::from([(
            "database".into(),
            PlannedService {
                unit: "postgresql.service".to_owned(),
                hosts: vec!["db1".into()],
                healthy: Some(Measure::Tcp {
                    address: "192.0.2.1:5432".to_owned(),
                }),
                window: Some(Span::from_s(300)),
                keep: 0,
                cluster: None,
            },
        )]),
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
        root: Block::Roll {
            id: "upgrade".into(),
            title: "databases, one by one".to_owned(),
            body: Box::new(body()),
        },
    }
}

fn position(id: &str) -> Position {
    Position::on(format!("upgrade/{id}").as_str().into(), "db1".into())
}

fn took(counter: u64) -> Event {
    Event::ControllerTook {
        generation: Generation {
            fleet: "shop".to_owned(),
            run: "20261121-070512-ab12".into(),
            counter,
            nonce: "n".into(),
        },
        person: "ada".into(),
    }
}

fn registered(boot: &str, sequence: u64) -> Event {
    Event::HostRegistered {
        host: "db1".into(),
        install_id: "i1".into(),
        sequence,
        boot: BootProof {
            boot_id: boot.to_owned(),
            init_started_ticks: 1,
        },
    }
}

fn started(id: &str, attempt: u32) -> Event {
    Event::Started {
        position: position(id),
        attempt,
        key: "k".into(),
    }
}

fn ended(id: &str, attempt: u32, outcome: Outcome) -> Event {
    Event::Ended {
        position: position(id),
        attempt,
        outcome,
    }
}

fn worked(outputs: &[(&str, &str)]) -> Outcome {
    Outcome::Succeeded {
        changed: true,
        outputs: outputs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).into()))
            .collect(),
        evidence: "exit code 0".to_owned(),
        unsynced: None,
    }
}

/// The host's disk did not take in time what was written.
fn loose(mut outcome: Outcome) -> Outcome {
    if let Outcome::Succeeded { unsynced, .. } = &mut outcome {
        *unsynced = Some("/srv: not within 30 s".to_owned());
    }
    outcome
}

fn so(evidence: &str) -> Measurement {
    Measurement::So {
        evidence: evidence.to_owned(),
    }
}

fn decided(choice: Choice, reason: &str) -> Event {
    Event::Decided(Decision {
        person: "grace".into(),
        reason: reason.to_owned(),
        plan: plan().hash().unwrap(),
        nonce: "d".into(),
        choice,
    })
}

fn probed(up: bool) -> Event {
    Event::Probed {
        service: "database".into(),
        host: None,
        up,
        detail: if up { "connected" } else { "refused" }.to_owned(),
    }
}

fn journal(events: Vec<(i64, Event)>) -> Vec<Record> {
    let mut before = Record::genesis();
    let mut out = Vec::new();
    for (seq, (second, event)) in (1..).zip(events) {
        let record = Record {
            seq,
            at: at(second),
            before,
            event,
        };
        before = record.digest().unwrap();
        out.push(record);
    }
    out
}

/// The report of a journal that the machine takes.
fn told(events: Vec<(i64, Event)>) -> Report {
    let (plan, records) = (plan(), journal(events));
    Run::replay(plan.clone(), &records).unwrap();
    report(&plan, &records)
}

fn opened() -> Vec<(i64, Event)> {
    vec![
        (
            0,
            Event::RunOpened {
                run: "20261121-070512-ab12".into(),
                plan: plan().hash().unwrap(),
                person: "ada".into(),
                warned: vec!["no zone is named".to_owned()],
            },
        ),
        (0, took(1)),
        (1, registered("b1", 0)),
        (2, probed(true)),
        (3, started("quiet-open", 1)),
        (4, ended("quiet-open", 1, worked(&[]))),
        (5, started("note", 1)),
        (
            6,
            ended(
                "note",
                1,
                worked(&[("leftover_sources_off", "vendor.list\nother.sources\n")]),
            ),
        ),
        (7, started("dump", 1)),
        (27, ended("dump", 1, worked(&[("sha256", "ba7816bf")]))),
        (30, started("hold", 1)),
        (31, probed(false)),
        (32, ended("hold", 1, worked(&[]))),
        (33, started("full-upgrade", 1)),
    ]
}

/// Cut off in the middle of the upgrade, begun again by a person, and brought to its end.
fn mended() -> Vec<(i64, Event)> {
    let mut events = opened();
    events.extend([
        (333, took(2)),
        (334, registered("b2", 5)),
        (
            335,
            Event::Settled {
                position: position("full-upgrade"),
                attempt: 1,
                settlement: Settlement::Unknown {
                    reason: "it was cut off by a boot".to_owned(),
                },
            },
        ),
        (
            400,
            decided(
                Choice::Retry {
                    position: position("full-upgrade"),
                },
                "dpkg was mended",
            ),
        ),
        (401, started("full-upgrade", 2)),
        (460, ended("full-upgrade", 2, worked(&[]))),
        (
            461,
            Event::Verified {
                position: position("full-upgrade"),
                attempt: 2,
                result: so("nothing unfinished"),
            },
        ),
        (462, started("edit", 1)),
        (463, ended("edit", 1, worked(&[]))),
        (464, started("move", 1)),
        (500, ended("move", 1, worked(&[]))),
        (501, started("let-go", 1)),
        (503, probed(true)),
        (504, ended("let-go", 1, worked(&[]))),
        (
            505,
            Event::Asked {
                position: position("gate"),
                question: "Is the shop open?".to_owned(),
                nonce: "q".into(),
            },
        ),
        (
            900,
            decided(
                Choice::Approve {
                    position: position("gate"),
                    question: None,
                },
                "",
            ),
        ),
        (901, started("quiet-close", 1)),
        (902, ended("quiet-close", 1, worked(&[]))),
        (903, Event::HostReleased { host: "db1".into() }),
        (
            904,
            Event::Finished {
                verdict: Verdict::Complete,
            },
        ),
    ]);
    events
}

#[test]
fn a_run_that_was_killed_and_mended_tells_all_of_it() {
    insta::assert_json_snapshot!(told(mended()));
}

#[test]
fn a_run_is_held_against_its_rehearsal() {
    let rehearsal = told(mended());
    let mut events = opened();
    events.extend([
        (90, ended("full-upgrade", 1, worked(&[]))),
        (
            91,
            Event::Verified {
                position: position("full-upgrade"),
                attempt: 1,
                result: so("nothing unfinished"),
            },
        ),
        (92, started("edit", 1)),
        (99, ended("edit", 1, worked(&[]))),
    ]);
    let compared = compare(&rehearsal, &told(events));
    insta::assert_json_snapshot!(compared);
    // Nothing differs from itself.
    let again = compare(&rehearsal, &rehearsal);
    assert!(again.steps.iter().all(|pair| pair.change_ms() == Some(0)));
    assert_eq!(again.unlike, Vec::<String>::new());
}

#[test]
fn a_run_that_stands_still_names_what_it_has_left_behind() {
    let mut events = opened();
    events.extend([
        (
            60,
            ended(
                "full-upgrade",
                1,
                Outcome::Failed {
                    why: "exit code 100".to_owned(),
                    tail: "E: Broken packages".to_owned(),
                    end: None,
                },
            ),
        ),
        (
            70,
            Event::Declined {
                nonce: "x".into(),
                why: "the step has not failed".to_owned(),
            },
        ),
    ]);
    insta::assert_json_snapshot!(told(events));
}

#[test]
fn an_empty_journal_makes_an_empty_report() {
    let report = report(&plan(), &[]);
    assert_eq!(report.began, None);
    assert!(report.timeline.is_empty() && report.leftovers.is_empty());
    assert_eq!(report.counts.get(&StepStanding::Waiting), Some(&10));
}

#[test]
fn what_steps_have_seen_and_host_keys_of_machines_that_are_gone_are_told() {
    let act = MachineAct {
        provider: Some("lab".into()),
        op: MachineOp::Rebuild,
        machine: "db1".to_owned(),
        which: Which::Own,
        other: None,
        image: None,
        params: BTreeMap::new(),
        answers_within: Span::from_s(60),
    };
    let machine = Action::Machine {
        op: MachineOp::Rebuild,
        which: Which::Own,
        release: None,
    };
    let touches = Touches::Only(Vec::new());
    let blocks = vec![
        Block::Step(Box::new(step("rebuild", machine, Primitive::Machine(act)))),
        Block::Step(Box::new(step("look", Action::Run { touches }, command()))),
    ];
    let mut plan = plan();
    plan.root = Block::Roll {
        id: "upgrade".into(),
        title: "databases, one by one".to_owned(),
        body: Box::new(Block::Sequence {
            id: "upgrade/body".into(),
            title: "body".to_owned(),
            blocks,
        }),
    };
    let told = |plan: &Plan| {
        let opened = Event::RunOpened {
            run: "20261121-070512-ab12".into(),
            plan: plan.hash().unwrap(),
            person: "ada".into(),
            warned: Vec::new(),
        };
        let seen =
            "unit a.service has failed: expected until 2027-03-31: x\n\n journal, 2 times: y\n";
        let records = journal(vec![
            (0, opened),
            (0, took(1)),
            (1, registered("b1", 0)),
            (2, started("rebuild", 1)),
            (3, ended("rebuild", 1, loose(worked(&[])))),
            (4, started("look", 1)),
            (5, ended("look", 1, worked(&[("noticed", seen)]))),
        ]);
        let mut report = report(plan, &records);
        report
            .leftovers
            .retain(|left| left.kind == LeftoverKind::KnownHosts);
        (report.noticed, report.leftovers)
    };
    let plain = told(&plan);
    let connection = &mut plan.hosts.values_mut().next().unwrap().connection;
    connection.port = Some(2222);
    connection.known_hosts = vec!["/etc/lab/known".to_owned()];
    insta::assert_json_snapshot!([plain, told(&plan)]);
}
