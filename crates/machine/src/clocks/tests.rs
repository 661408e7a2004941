//! Clocks of one service on one or two hosts, event by event.

use super::*;
use overhaul_model::action::{
    Action, Limits, Repeat, Retry, ServiceOp, Touches, Undo, UpgradePart,
};
use overhaul_model::definition::{Origin, Release, Slot};
use overhaul_model::fleet::{Connection, Host};
use overhaul_model::id::{AttemptKey, Digest};
use overhaul_model::plan::{Block, PLAN_FORMAT, PlanKind, PlannedService, Turns};
use overhaul_model::primitive::{Exec, Measure, Primitive};
use overhaul_model::step::{Lane, Step};
use overhaul_model::timing::{Moment, Timing};

pub(crate) fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_764_000_000 + minute * 60).unwrap()
}

fn minute(moment: Timestamp) -> i64 {
    (moment.as_second() - 1_764_000_000) / 60
}

pub(crate) fn step(id: &str, action: Action, minutes: u64, undo: Undo) -> Block {
    Block::Step(Box::new(Step {
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
        undo,
        repeat: Repeat::Safe,
        limits: Limits {
            total: Span::from_s(7_200),
            stall: None,
            expected: Span::from_s(minutes * 60),
        },
        retry: Retry::NEVER,
        outputs: BTreeMap::new(),
        why: String::new(),
        origin: Origin::default(),
    }))
}

fn release(release: &str) -> Release {
    Release {
        os: "debian".to_owned(),
        release: release.to_owned(),
    }
}

fn blocks() -> Vec<Block> {
    let service = |op| Action::Service {
        unit: "db.service".to_owned(),
        service: Some("db".into()),
        op,
    };
    let touches = Touches::Only(Vec::new());
    let (kind, part) = ("apt".to_owned(), UpgradePart::Change);
    let to = release("13");
    let way_back = "the backup".to_owned();
    vec![
        step("stop", service(ServiceOp::Stop), 1, Undo::Nothing),
        step(
            "move",
            Action::Run { touches },
            3,
            Undo::By(Exec::argv(["true"])),
        ),
        step(
            "change",
            Action::ReleaseUpgrade { kind, part, to },
            10,
            Undo::None { way_back },
        ),
        step("start", service(ServiceOp::Start), 1, Undo::Nothing),
    ]
}

/// Stop (1m), move (3m, is taken back in as much), change (10m, no way back), start (1m); 20m agreed on.
pub(crate) fn plan(hosts: &[&str], probed: bool) -> Plan {
    let names: Vec<HostName> = hosts.iter().map(|&host| host.into()).collect();
    let host = |name: &HostName| Host {
        name: name.clone(),
        roles: [].into(),
        zone: None,
        connection: Connection::to("x"),
        vars: [].into(),
    };
    let db = PlannedService {
        unit: "db.service".to_owned(),
        hosts: names.clone(),
        healthy: probed.then_some(Measure::PackagesClean),
        window: Some(Span::from_s(20 * 60)),
        keep: 0,
        cluster: None,
    };
    let turns = Turns {
        batches: vec![names.clone()],
        at_once: 1,
    };
    Plan {
        format: PLAN_FORMAT,
        kind: PlanKind::Upgrade,
        parent: None,
        upgrade: "test".to_owned(),
        fleet: "test".to_owned(),
        from: release("12"),
        to: release("13"),
        hosts: names
            .iter()
            .map(|name| (name.clone(), host(name)))
            .collect(),
        rolls: BTreeMap::from([("roll".into(), turns)]),
        services: BTreeMap::from([("db".into(), db)]),
        datasets: BTreeMap::new(),
        space: Vec::new(),
        failure_budget: 0,
        one_zone_at_a_time: false,
        providers: BTreeMap::new(),
        machines: BTreeMap::new(),
        timing: Timing::default(),
        roles: BTreeMap::new(),
        knowledge: overhaul_model::knowledge::Knowledge::default(),
        waivers: Vec::new(),
        root: Block::Roll {
            id: "roll".into(),
            title: String::new(),
            body: Box::new(Block::Sequence {
                id: "body".into(),
                title: String::new(),
                blocks: blocks(),
            }),
        },
    }
}

fn event(text: &str) -> Event {
    let words: Vec<&str> = text.split(' ').collect();
    let position = |text: &str| {
        let (step, host) = text.split_once('@').unwrap();
        Position::on(step.into(), host.into())
    };
    match words.as_slice() {
        ["begin", at] => Event::Started {
            position: position(at),
            attempt: 1,
            key: AttemptKey::new("k"),
        },
        ["end", at] => Event::Ended {
            position: position(at),
            attempt: 1,
            outcome: Outcome::Succeeded {
                changed: true,
                outputs: BTreeMap::new(),
                evidence: String::new(),
                unsynced: None,
            },
        },
        ["up" | "down", host] => Event::Probed {
            service: "db".into(),
            host: (*host != "-").then(|| (*host).into()),
            up: words[0] == "up",
            detail: String::new(),
        },
        _ => panic!("what is {text}?"),
    }
}

/// `MINUTE EVENT` or `MINUTE` alone, one a line; gives a line for each clock that runs and each notice.
fn told(plan: &Plan, text: &str) -> String {
    let mut clocks = Clocks::new(plan);
    let mut out = String::new();
    for (seq, line) in text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .enumerate()
    {
        let (minutes, what) = line.split_once(' ').unwrap_or((line, ""));
        let now = at(minutes.parse().unwrap());
        if !what.is_empty() {
            clocks.take(&Record {
                seq: seq as u64,
                at: now,
                before: Digest::of(""),
                event: event(what),
            });
        }
        let moment = |at: Option<Timestamp>| at.map_or("-".to_owned(), |at| minute(at).to_string());
        out.push_str(&format!("{line}\n"));
        for clock in clocks.running(now) {
            let state = match &clock.state {
                ServiceState::Down => "down".to_owned(),
                ServiceState::Single { host } => format!("only {host}"),
            };
            let (back, turn) = (moment(clock.back_at), moment(clock.turn_back_until));
            let (since, length) = (minute(clock.since), clock.length);
            out.push_str(&format!(
                "    {state} since {since} for {length}, back at {back}, turn back until {turn}\n"
            ));
        }
        for notice in clocks.notices(now) {
            let words = match notice {
                Notice::Used { percent, .. } => format!("{percent} % used"),
                Notice::Beyond { back_at, step, .. } => {
                    format!("beyond at {step}, back at {}", minute(back_at))
                }
            };
            out.push_str(&format!("    ! {words}\n"));
        }
    }
    out
}

#[test]
fn a_window_that_takes_longer_than_expected_is_told_in_time_and_once() {
    let seen = told(
        &plan(&["a"], false),
        "0 begin stop@a
         1 end stop@a
         1 begin move@a
         8
         9 end move@a
         9 begin change@a
         16
         17
         20
         21
         24 end change@a
         24 begin start@a
         25 end start@a",
    );
    insta::assert_snapshot!(seen);
}

#[test]
fn a_probe_says_when_the_service_is_down_and_the_steps_when_it_will_be_back() {
    let seen = told(
        &plan(&["a"], true),
        "0 up a
         0 begin stop@a
         1 down a
         1 end stop@a
         2 begin move@a
         4 up a
         5 down a",
    );
    insta::assert_snapshot!(seen);
}

#[test]
fn of_two_hosts_one_serves_and_the_clock_without_redundancy_runs() {
    let by_steps = told(
        &plan(&["a", "b"], false),
        "0 begin stop@a
         1 end stop@a
         2 begin stop@b
         5 begin start@a
         6 end start@a
         7 begin start@b
         8 end start@b",
    );
    let by_probes = told(
        &plan(&["a", "b"], true),
        "0 down a
         3 down b
         5 up a
         6 up b",
    );
    let by_address = told(
        &plan(&["a", "b"], true),
        "0 up -
         1 begin stop@a
         2 down -
         3 up -",
    );
    insta::assert_snapshot!(format!("{by_steps}\n{by_probes}\n{by_address}"));
}

#[test]
fn the_calendar_too_says_until_when_turning_back_fits() {
    let mut plan = plan(&["a"], false);
    plan.timing.calendar.not_after = Some(Moment {
        at: at(10),
        written: "ten".to_owned(),
    });
    let seen = told(
        &plan,
        "0 begin stop@a\n1 end stop@a\n1 begin move@a\n4 begin change@a",
    );
    insta::assert_snapshot!(seen);
}
