//! Plans for tests, from short words.

use overhaul_model::action::{Action, Limits, OnceScope, Repeat, Retry, Touches, Undo};
use overhaul_model::definition::{Guard, Origin, OutputFrom, Release, Slot, Test};
use overhaul_model::fleet::{Connection, Host};
use overhaul_model::id::{HostName, StepId};
use overhaul_model::plan::{Block, PLAN_FORMAT, Plan, PlanKind, PlannedService, Turns};
use overhaul_model::primitive::{
    Announce, Ask, Exec, Feed, Fetch, Measure, Primitive, Reboot, Wait, WriteFile,
};
use overhaul_model::span::Span;
use overhaul_model::step::{Lane, Step};
use std::collections::BTreeMap;

pub const ONCE: Repeat = Repeat::Once(OnceScope::Host);

/// `a b c` as an argument list.
pub fn argv(words: &str) -> Exec {
    Exec::argv(words.split(' '))
}

pub fn so(words: &str) -> Measure {
    Measure::Command(argv(words))
}

/// A step in the lane of the host whose turn it is.
pub fn step(id: &str, work: Primitive, repeat: Repeat) -> Step {
    Step {
        id: StepId::new(id),
        title: id.to_owned(),
        action: Action::Run {
            touches: Touches::Only(Vec::new()),
        },
        slot: Slot::Change,
        stage: "upgrade".into(),
        lane: Lane::Turn,
        only: None,
        guards: Vec::new(),
        check: None,
        work,
        verify: None,
        undo: Undo::Nothing,
        repeat,
        limits: Limits {
            total: Span::from_s(600),
            stall: None,
            expected: Span::from_s(1),
        },
        retry: Retry::NEVER,
        outputs: BTreeMap::new(),
        why: "a test".to_owned(),
        origin: Origin::default(),
    }
}

/// A step whose command has the effect that its name says.
pub fn does(id: &str, takes_ms: u64, repeat: Repeat) -> Step {
    let effect = id.rsplit('/').next().unwrap();
    step(
        id,
        Primitive::Exec(argv(&format!("do {effect} {takes_ms}"))),
        repeat,
    )
}

pub fn block(step: Step) -> Block {
    Block::Step(Box::new(step))
}

pub fn sequence(id: &str, blocks: Vec<Block>) -> Block {
    Block::Sequence {
        id: id.into(),
        title: id.to_owned(),
        blocks,
    }
}

pub fn roll(id: &str, body: Block) -> Block {
    Block::Roll {
        id: id.into(),
        title: id.to_owned(),
        body: Box::new(body),
    }
}

pub fn host(name: &str) -> (HostName, Host) {
    let host = Host {
        name: name.into(),
        roles: [].into(),
        zone: None,
        connection: Connection::to(format!("{name}.test")),
        vars: [(
            "motto".to_owned(),
            serde_json::json!(format!("{name} first")).into(),
        )]
        .into(),
    };
    (name.into(), host)
}

/// A plan whose rolls go over all hosts.
pub fn plan(hosts: &[&str], at_once: u32, root: Block) -> Plan {
    fn rolls(block: &Block, turns: &Turns, out: &mut BTreeMap<StepId, Turns>) {
        if let Block::Roll { id, .. } = block {
            out.insert(id.clone(), turns.clone());
        }
        for child in block.children() {
            if let overhaul_model::plan::Child::Block(block) = child {
                rolls(block, turns, out);
            }
        }
    }
    let release = |n: &str| Release {
        os: "debian".to_owned(),
        release: n.to_owned(),
    };
    let turns = Turns {
        batches: vec![hosts.iter().map(|h| HostName::new(*h)).collect()],
        at_once,
    };
    let mut all = BTreeMap::new();
    rolls(&root, &turns, &mut all);
    Plan {
        format: PLAN_FORMAT,
        kind: PlanKind::Upgrade,
        parent: None,
        upgrade: "test".to_owned(),
        fleet: "lab".to_owned(),
        from: release("12"),
        to: release("13"),
        hosts: hosts.iter().map(|h| host(h)).collect(),
        rolls: all,
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
        root,
    }
}

/// A plan of one step on one host.
pub fn plan_of(step: Step) -> Plan {
    plan(&["a"], 1, roll("all", block(step)))
}

/// A plan shaped like the skeleton's: a gate; copies made and read back; a scope around changes that
/// happen once, under a guard, with a reboot; a repair; a wait; a word to the people.
pub fn skeleton() -> Plan {
    let on_run = |id: &str, work| Step {
        lane: Lane::Run,
        ..step(id, work, Repeat::Safe)
    };
    let gate = Ask {
        question: "Begin with {{ to.release }}?".to_owned(),
    };
    let wait = Wait {
        until: so("has start"),
        every: Span::from_s(2),
        at_most: Span::from_s(60),
    };
    let announce = Announce {
        message: "{{ from.release }} is gone".to_owned(),
    };
    let change = Block::Scope {
        id: "change/held".into(),
        title: "services held".to_owned(),
        open: Box::new(checked(does("change/hold", 50, Repeat::CheckFirst))),
        body: Box::new(sequence("change/each", changes())),
        close: Box::new(does("change/let-go", 50, Repeat::Safe)),
    };
    let wait = step("finish/wait", Primitive::Wait(wait), Repeat::Safe);
    let blocks = vec![
        block(on_run("begin/gate", Primitive::Ask(gate))),
        roll("prepare", sequence("prepare/each", preparations())),
        roll("change", change),
        roll("finish", block(wait)),
        block(on_run("finish/say", Primitive::Announce(announce))),
    ];
    plan(&["a", "b"], 2, sequence("all", blocks))
}

fn preparations() -> Vec<Block> {
    let fetch = |words: &str| Fetch {
        exec: argv(words),
        file: "db/orders/dump".to_owned(),
    };
    let feed = Feed {
        exec: argv("do read-back 200"),
        file: "db/orders/dump".to_owned(),
        digest_from: "copy".to_owned(),
    };
    let conf = WriteFile {
        path: "/etc/motd".to_owned(),
        content: "{{ motto }}, {{ steps.look.said }}".to_owned(),
        mode: None,
        backup: false,
        absent: false,
    };
    let say = Exec::argv(["echo", "look", "30", "hello"]);
    let mut look = step("prepare/look", Primitive::Exec(say), Repeat::Safe);
    look.outputs = [("said".to_owned(), OutputFrom::Stdout)].into();
    let copy = Primitive::Fetch(fetch("do copy 400"));
    let hand_over = Primitive::Fetch(fetch("do hand-over 300"));
    vec![
        block(look),
        block(step(
            "prepare/conf",
            Primitive::WriteFile(conf),
            Repeat::Safe,
        )),
        block(twice(step("prepare/copy", copy, Repeat::Safe))),
        block(twice(step(
            "prepare/read-back",
            Primitive::Feed(feed),
            Repeat::Safe,
        ))),
        // Ends with the connection and has no check: what became of it only a person can tell.
        block(step("prepare/hand-over", hand_over, ONCE)),
    ]
}

fn changes() -> Vec<Block> {
    let mut upgrade = does("change/upgrade", 5_000, ONCE);
    upgrade.guards = vec![Guard {
        name: "stopped".to_owned(),
        test: Test::Measure(so("has stop")),
        at_most: Span::from_s(60),
    }];
    let mut migrate = checked(does("change/migrate", 2_000, ONCE));
    migrate.verify = Some(so("has migrate"));
    let reboot = Reboot {
        command: vec!["reboot".to_owned()],
        back_within: Span::from_s(300),
    };
    let reboot = step(
        "change/reboot",
        Primitive::Reboot(reboot),
        Repeat::CheckFirst,
    );
    let mut start = does("change/start", 100, Repeat::Safe);
    start.verify = Some(so("has start"));
    let mut stuck = does("change/unstick", 50, Repeat::Safe);
    stuck.work = Primitive::Exec(argv("needs unstick 50 oil"));
    let repair = Block::Repair {
        id: "change/repair".into(),
        title: "a known issue".to_owned(),
        body: Box::new(block(stuck)),
        when: so("lacks oil"),
        remedy: Box::new(block(does("change/oil", 50, Repeat::Safe))),
        attempts: 2,
    };
    vec![
        block(checked(does("change/stop", 100, Repeat::CheckFirst))),
        block(upgrade),
        block(migrate),
        block(checked(reboot)),
        repair,
        block(start),
    ]
}

/// Already so when the effect that its name says is there.
fn checked(step: Step) -> Step {
    let effect = step.id.as_str().rsplit('/').next().unwrap();
    Step {
        check: Some(so(&format!("has {effect}"))),
        ..step
    }
}

fn twice(step: Step) -> Step {
    let retry = Retry {
        attempts: 2,
        back_off: Span::from_s(1),
    };
    Step { retry, ..step }
}

/// With a service that is down between two effects.
pub fn with_service(mut plan: Plan, name: &str, stop: &str, start: &str) -> Plan {
    let service = PlannedService {
        unit: format!("{name}.service"),
        hosts: plan.hosts.keys().cloned().collect(),
        healthy: Some(so(&format!("up {stop} {start}"))),
        window: None,
        keep: 0,
        cluster: None,
    };
    plan.services.insert(name.into(), service);
    plan
}
