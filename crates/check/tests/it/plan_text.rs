//! Plans from a few lines of text, so that a case shows nothing but what it is about.
//!
//! Blocks are indented by two spaces; a step is a verb with its words, then flags:
//!
//!     host a @zone=z
//!     zones one-at-a-time
//!     budget 1
//!     service db postgresql.service a 15m @keep=1 @healthy
//!     service db mariadb.service a,b,c @keep=2 @cluster=galera @quorum=2
//!     service db mariadb.service a,b @no-feed=11    members from 11 on feed no older ones
//!     dataset orders db a
//!     dataset files db a @paths=/srv
//!     space a /var 100
//!     machine a                 its machine id was measured
//!     role web a,b              hosts of a role that changes
//!     versions chef 1,2:slug,3 @to=4
//!     issue X it~breaks @of=chef @before=2 @roles=web @remedy=do~it    or @step=slug, or neither
//!     expected down db 2025-07-01 @roles=web
//!     equal common webproject
//!     retired db
//!     whole-role web
//!     no-mix corosync corosync.service debian 13
//!     roll up a,b|c at-once 2
//!       hold db
//!       scope quiet               first child opens, last child closes
//!         run open @repeat=safe
//!         change
//!         run close @repeat=safe

use crate::cluster_text::member_of;
use overhaul_model::action::{
    Action, CarryOp, ClusterOp, DatabaseOp, Limits, MoveOp, OnceScope, Repeat, Retry, ServiceOp,
    Touches, TransferOp, Undo, UpgradePart,
};
use overhaul_model::belonging::{Belonging, BelongingAct, BelongingOp, Which};
use overhaul_model::definition::{DatasetKind, Guard, Origin, Release, Slot, Test};
use overhaul_model::finding::Waiver;
use overhaul_model::fleet::{Connection, Host};
use overhaul_model::id::{HostName, RoleName, StepId};
use overhaul_model::knowledge::{
    Border, Expected, Knowledge, KnownIssue, NoMix, Remedy, Stop, Unusual, VersionPath,
    VersionRange,
};
use overhaul_model::later::Later;
use overhaul_model::plan::{
    Block, PLAN_FORMAT, Plan, PlanKind, PlannedCluster, PlannedDataset, PlannedService,
    PlannedSpace, Turns,
};
use overhaul_model::primitive::{
    Exec, Existing, Feed, Fetch, MachineAct, MachineOp, Measure, Moving, NotAvailable, Persist,
    Primitive, Reboot, Receive, Restore, TakeOver, Wait,
};
use overhaul_model::span::Span;
use overhaul_model::step::{Lane, Step};
use overhaul_model::template::step_word;
use overhaul_model::timing::{Freeze, Moment};
use std::collections::{BTreeMap, BTreeSet};

/// A line with what is indented below it.
struct Node<'t> {
    words: Vec<&'t str>,
    flags: BTreeMap<&'t str, &'t str>,
    children: Vec<Node<'t>>,
}

fn nodes<'t>(
    lines: &mut std::iter::Peekable<impl Iterator<Item = (usize, &'t str)>>,
    depth: usize,
) -> Vec<Node<'t>> {
    let mut out = Vec::new();
    while let Some((_, line)) = lines.next_if(|(indent, _)| *indent == depth) {
        let (flags, words) = line
            .split_whitespace()
            .partition::<Vec<&str>, _>(|w| w.starts_with('@'));
        out.push(Node {
            words,
            flags: flags
                .into_iter()
                .map(|flag| flag[1..].split_once('=').unwrap_or((&flag[1..], "")))
                .collect(),
            children: nodes(lines, depth + 2),
        });
    }
    if let Some((indent, line)) = lines.peek() {
        assert!(*indent < depth, "indented too far: {line}");
    }
    out
}

pub fn release(version: &str) -> Release {
    Release {
        os: "debian".to_owned(),
        release: version.to_owned(),
    }
}

/// The plan of a text; lines about facts and settled positions are for `facts_text`.
pub fn plan(text: &str) -> Plan {
    let mut lines = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| (line.len() - line.trim_start().len(), line))
        .peekable();
    let mut plan = Plan {
        format: PLAN_FORMAT,
        kind: PlanKind::Upgrade,
        parent: None,
        upgrade: "test".to_owned(),
        fleet: "test".to_owned(),
        from: release("12"),
        to: release("13"),
        hosts: BTreeMap::new(),
        rolls: BTreeMap::new(),
        services: BTreeMap::new(),
        datasets: BTreeMap::new(),
        space: Vec::new(),
        failure_budget: 0,
        one_zone_at_a_time: false,
        providers: BTreeMap::new(),
        machines: BTreeMap::new(),
        roles: BTreeMap::new(),
        knowledge: Knowledge::default(),
        timing: overhaul_model::timing::Timing::default(),
        waivers: Vec::new(),
        root: Block::Sequence {
            id: "".into(),
            title: String::new(),
            blocks: Vec::new(),
        },
    };
    let mut blocks = Vec::new();
    for node in nodes(&mut lines, 0) {
        if !declared(&mut plan, &node) {
            blocks.push(block(&mut plan, &node, &StepId::new("")));
        }
    }
    plan.root = Block::Sequence {
        id: "".into(),
        title: String::new(),
        blocks,
    };
    plan
}

fn hosts(text: &str) -> Vec<HostName> {
    text.split(',').map(Into::into).collect()
}

fn cluster(node: &Node<'_>) -> Option<PlannedCluster> {
    let kind = node.flags.get("cluster")?;
    let quorum = node.flags.get("quorum");
    Some(PlannedCluster {
        kind: (*kind).to_owned(),
        quorum: quorum.map(|text| text.parse().unwrap()),
    })
}

fn healthy(node: &Node<'_>) -> Option<Measure> {
    if let Some(border) = node.flags.get("no-feed") {
        return Some(member_of(border));
    }
    node.flags.contains_key("healthy").then(|| Measure::Http {
        url: "http://{{ host.address }}/".to_owned(),
        status: 200,
    })
}

fn planned_service(node: &Node<'_>, unit: &str, on: &str, window: Option<&&str>) -> PlannedService {
    PlannedService {
        unit: unit.to_owned(),
        hosts: hosts(on),
        healthy: healthy(node),
        window: window.map(|text| text.parse().unwrap()),
        keep: node.flags.get("keep").map_or(0, |n| n.parse().unwrap()),
        cluster: cluster(node),
    }
}

fn declared(plan: &mut Plan, node: &Node<'_>) -> bool {
    match node.words.as_slice() {
        ["host", name] => {
            let host = flagged_host(name, node);
            plan.hosts.insert((*name).into(), host);
        }
        ["service", name, unit, on, window @ ..] => {
            let service = planned_service(node, unit, on, window.first());
            plan.services.insert((*name).into(), service);
        }
        ["dataset", name, of, authority] => {
            let dataset = PlannedDataset {
                of: (*of).into(),
                kind: match node.flags.get("paths") {
                    Some(paths) => DatasetKind::Paths {
                        paths: split(paths),
                    },
                    None => DatasetKind::Postgresql {
                        cluster: "main".to_owned(),
                    },
                },
                authority: (*authority).into(),
                fresh_for: node.flags.get("fresh").map(|text| text.parse().unwrap()),
            };
            plan.datasets.insert((*name).into(), dataset);
        }
        ["space", host, path, mib] => plan.space.push(PlannedSpace {
            host: (*host != "-").then(|| (*host).into()),
            path: (*path).to_owned(),
            bytes: mib.parse::<u64>().ok().map(|mib| mib << 20),
            because: "test".to_owned(),
        }),
        ["waive", rule, subject, expires] => plan.waivers.push(Waiver {
            rule: (*rule).into(),
            subject: (*subject).to_owned(),
            person: "ada".into(),
            reason: "known".to_owned(),
            expires: expires.parse().unwrap(),
        }),
        ["prework", span] => plan.timing.prework = Some(span.parse().unwrap()),
        ["not_before", at] => plan.timing.calendar.not_before = Some(moment(at)),
        ["not_after", at] => plan.timing.calendar.not_after = Some(moment(at)),
        ["freeze", from, to] => plan.timing.calendar.freeze.push(Freeze {
            from: moment(from),
            to: moment(to),
            reason: "the books are closed".to_owned(),
        }),
        ["zones", "one-at-a-time"] => plan.one_zone_at_a_time = true,
        ["budget", hosts] => plan.failure_budget = hosts.parse().unwrap(),
        ["machine", host] => {
            plan.machines.insert((*host).into(), "measured".to_owned());
        }
        ["role", name, members] => {
            let role = RoleName::new(*name);
            for member in hosts(members) {
                let host = plan.hosts.get_mut(&member).unwrap();
                host.roles.insert(role.clone());
                plan.roles.entry(role.clone()).or_default().insert(member);
            }
        }
        ["fact" | "settled" | "nofacts", ..] => {}
        words => return known(&mut plan.knowledge, words, &node.flags),
    }
    true
}

fn flagged_host(name: &str, node: &Node<'_>) -> Host {
    let mut host = host(name);
    host.zone = node.flags.get("zone").map(|zone| (*zone).into());
    host.connection.state_dir = node.flags.get("state").map(|dir| (*dir).to_owned());
    if let Some(address) = node.flags.get("address") {
        (*address).clone_into(&mut host.connection.address);
    }
    if let Some(jump) = node.flags.get("jump") {
        host.connection.ssh_args = vec!["-J".to_owned(), (*jump).to_owned()];
    }
    host
}

fn known_roles(flags: &BTreeMap<&str, &str>) -> BTreeSet<RoleName> {
    let named = flags.get("roles").into_iter();
    named
        .flat_map(|roles| roles.split(','))
        .map(Into::into)
        .collect()
}

fn issue(id: &str, says: &str, flags: &BTreeMap<&str, &str>) -> KnownIssue {
    let raw = |name| flags.get(name).map(|text: &&str| (*text).to_owned());
    let flag = |name| raw(name).map(|text: String| text.replace('~', " "));
    KnownIssue {
        id: id.to_owned(),
        says: says.replace('~', " "),
        versions: raw("of").map(|of| VersionRange {
            of,
            from: raw("from"),
            before: raw("before"),
            is: raw("is"),
        }),
        roles: known_roles(flags),
        check: flag("look").map(|script| Measure::Command(Exec::shell(script))),
        remedy: match (flag("remedy"), flag("step")) {
            (Some(text), _) => Remedy::ByPerson(text),
            (_, Some(slug)) => Remedy::Step {
                slot: Slot::Configure,
                slug,
            },
            _ => Remedy::Unknown,
        },
        origin: Origin::default(),
    }
}

/// What is known of the upgrade: the words of `knowledge`, `~` for a blank.
fn known(knowledge: &mut Knowledge, words: &[&str], flags: &BTreeMap<&str, &str>) -> bool {
    let flag = |name| flags.get(name).map(|text: &&str| text.replace('~', " "));
    match words {
        ["versions", name, stops] => {
            let stop = |text: &str| {
                let (version, by) = text
                    .split_once(':')
                    .map_or((text, None), |(v, by)| (v, Some(by)));
                Stop {
                    version: version.to_owned(),
                    by: by.map(str::to_owned),
                }
            };
            let path = VersionPath {
                stops: stops.split(',').map(stop).collect(),
                to: flag("to"),
            };
            knowledge.versions.insert((*name).to_owned(), path);
        }
        ["issue", id, says] => knowledge.known_issues.push(issue(id, says, flags)),
        ["expected", what, name, until] => knowledge.expected.push(Expected {
            what: match *what {
                "down" => Unusual::StaysDown((*name).to_owned()),
                "failed" => Unusual::FailedUnit((*name).to_owned()),
                "log" => Unusual::LogLine((*name).to_owned()),
                other => panic!("what is {other}?"),
            },
            roles: known_roles(flags),
            until: until.parse().unwrap(),
            reason: "known".to_owned(),
        }),
        ["equal", packages @ ..] => {
            let packages = packages.iter().map(|name| (*name).to_owned());
            knowledge.equal_versions.push(packages.collect());
        }
        ["retired", name] => {
            knowledge.retired.insert((*name).to_owned());
        }
        ["whole-role", role] => {
            knowledge
                .whole_role
                .insert((*role).into(), "known".to_owned());
        }
        ["no-mix", kind, unit, of, at] => {
            let no_mix = NoMix {
                units: vec![(*unit).to_owned()],
                apart: vec![Border {
                    of: (*of).to_owned(),
                    at: (*at).to_owned(),
                }],
            };
            knowledge.no_mix.insert((*kind).to_owned(), no_mix);
        }
        _ => return false,
    }
    true
}

fn moment(text: &str) -> Moment {
    Moment {
        at: text.parse().unwrap(),
        written: text.to_owned(),
    }
}

fn host(name: &str) -> Host {
    Host {
        name: name.into(),
        roles: ["all".into()].into(),
        zone: None,
        connection: Connection {
            user: Some("root".to_owned()),
            ..Connection::to(name)
        },
        vars: BTreeMap::new(),
    }
}

fn block(plan: &mut Plan, node: &Node<'_>, parent: &StepId) -> Block {
    let id = |name: &str| match node.flags.get("id") {
        Some(id) => StepId::new(*id),
        None => parent.child(name),
    };
    match node.words.as_slice() {
        ["roll", name, rest @ ..] => {
            let id = id(name);
            if let [turns, rest @ ..] = rest {
                let batches = turns.split('|').map(hosts).collect();
                let at_once = rest.last().map_or(1, |n| n.parse().unwrap());
                plan.rolls.insert(id.clone(), Turns { batches, at_once });
            }
            let body = sequence(plan, id.child("turn"), &node.children, &id);
            Block::Roll {
                title: String::new(),
                body: Box::new(body),
                id,
            }
        }
        ["parallel", name] => {
            let id = id(name);
            let blocks = node.children.iter();
            Block::Parallel {
                title: String::new(),
                blocks: blocks.map(|child| block(plan, child, &id)).collect(),
                id,
            }
        }
        ["sequence", name] => {
            let id = id(name);
            sequence(plan, id.clone(), &node.children, &id)
        }
        ["scope", name] => {
            let id = id(name);
            let [open, body @ .., close] = node.children.as_slice() else {
                panic!("a scope has a step that opens and one that closes");
            };
            Block::Scope {
                title: String::new(),
                open: Box::new(step(open, &id)),
                body: Box::new(sequence(plan, id.child("body"), body, &id)),
                close: Box::new(step(close, &id)),
                id,
            }
        }
        ["repair", name, attempts] => {
            let id = id(name);
            let [body @ .., remedy] = node.children.as_slice() else {
                panic!("a repair has a remedy");
            };
            Block::Repair {
                title: String::new(),
                body: Box::new(sequence(plan, id.child("body"), body, &id)),
                when: Measure::PackagesClean,
                remedy: Box::new(block(plan, remedy, &id)),
                attempts: attempts.parse().unwrap(),
                id,
            }
        }
        _ => Block::Step(Box::new(step(node, parent))),
    }
}

fn sequence(plan: &mut Plan, id: StepId, children: &[Node<'_>], parent: &StepId) -> Block {
    Block::Sequence {
        id,
        title: String::new(),
        blocks: children
            .iter()
            .map(|child| block(plan, child, parent))
            .collect(),
    }
}

fn step(node: &Node<'_>, parent: &StepId) -> Step {
    let flag = |name| node.flags.get(name).copied();
    let (action, work) = meaning(node, parent);
    let mut step = Step {
        id: flag("id").map_or_else(|| parent.child(&node.words.join("-")), StepId::new),
        title: node.words.join(" "),
        undo: match action {
            Action::ReleaseUpgrade { .. } | Action::Database { .. } | Action::Transfer { .. } => {
                Undo::None {
                    way_back: "the copy".to_owned(),
                }
            }
            _ => Undo::Nothing,
        },
        action,
        slot: Slot::Change,
        stage: flag("stage").unwrap_or("upgrade").into(),
        lane: match (flag("on"), flag("run")) {
            (Some(host), _) => Lane::Host(host.into()),
            (None, Some(_)) => Lane::Run,
            (None, None) => Lane::Turn,
        },
        only: flag("only").map(|list| {
            if list.is_empty() {
                Vec::new()
            } else {
                hosts(list)
            }
            .into_iter()
            .collect()
        }),
        guards: guard(node).into_iter().collect(),
        check: flag("checked").map(|_| Measure::PackagesClean),
        work,
        verify: None,
        repeat: match flag("repeat").unwrap_or("safe") {
            "safe" => Repeat::Safe,
            "check" => Repeat::CheckFirst,
            "once" => Repeat::Once(OnceScope::Fleet),
            _ => Repeat::Person,
        },
        limits: Limits {
            total: flag("total").unwrap_or("1h").parse().unwrap(),
            stall: None,
            expected: flag("expected").unwrap_or("1m").parse().unwrap(),
        },
        retry: Retry {
            attempts: flag("attempts").unwrap_or("1").parse().unwrap(),
            back_off: Span::from_s(1),
        },
        outputs: BTreeMap::new(),
        why: String::new(),
        origin: Origin::default(),
    };
    match flag("undo") {
        Some("nothing") => step.undo = Undo::Nothing,
        Some("empty") => {
            step.undo = Undo::None {
                way_back: " ".to_owned(),
            }
        }
        Some(_) => step.undo = Undo::By(Exec::argv(["true"])),
        None => {}
    }
    step
}

/// `@counts=SERVICE @of=N`, `@quiet=SERVICE` or `@donors=SERVICE`.
fn guard(node: &Node<'_>) -> Option<Guard> {
    let flag = |name| node.flags.get(name).copied();
    let (name, test) = match (flag("quiet"), flag("donors"), flag("counts")) {
        (Some(of), ..) => ("nobody else runs it", Test::Quiet { service: of.into() }),
        (_, Some(of), _) => ("no newer one feeds it", Test::Donors { service: of.into() }),
        (.., Some(of)) => {
            let at_least = flag("of").map_or(1, |of| of.parse().unwrap());
            (
                "others serve",
                Test::Members {
                    service: of.into(),
                    at_least,
                },
            )
        }
        _ => return None,
    };
    Some(Guard {
        name: name.to_owned(),
        test,
        at_most: Span::from_s(60),
    })
}

fn of_member(op: &str, service: &str) -> Action {
    let mut ops = ClusterOp::ALL.into_iter();
    Action::Cluster {
        service: service.into(),
        op: ops.find(|known| known.word() == op).unwrap(),
    }
}

fn meaning(node: &Node<'_>, parent: &StepId) -> (Action, Primitive) {
    let exec = || Primitive::Exec(Exec::argv(["true"]));
    let service = |name: &str, op| Action::Service {
        unit: format!("{name}.service"),
        service: Some(name.into()),
        op,
    };
    match node.words.as_slice() {
        ["hold", name] => (service(name, ServiceOp::Hold), exec()),
        ["start", name] => (service(name, ServiceOp::LetGo), exec()),
        ["rebuild"] => machine(MachineOp::Rebuild),
        ["prove-machine"] => machine(MachineOp::Prove),
        ["take-over"] => of_machine(MachineOp::Prove, Which::Beside),
        ["old-ends"] => of_machine(MachineOp::Destroy, Which::Old),
        ["leaves", path] => volume(MoveOp::Leave, BelongingOp::Detach, path),
        ["comes", path] => volume(MoveOp::Come, BelongingOp::Attach, path),
        [op @ ("persist" | "restore"), paths] => carry(op, paths),
        ["archive", paths] => archive(node, paths),
        ["backup", of, paths] => (database(of, DatabaseOp::Backup), carry("persist", paths).1),
        ["stop-unit", name] => (unit(name, ServiceOp::Stop), exec()),
        ["start-unit", name] => (unit(name, ServiceOp::Start), exec()),
        ["install", packages @ ..] => {
            let action = Action::Packages {
                install: packages.iter().map(|name| (*name).to_owned()).collect(),
                remove: Vec::new(),
            };
            (action, exec())
        }
        ["change", version @ ..] => {
            let action = Action::ReleaseUpgrade {
                kind: "apt".to_owned(),
                part: UpgradePart::Change,
                to: release(version.first().unwrap_or(&"13")),
            };
            (action, exec())
        }
        ["reboot"] => {
            let work = Primitive::Reboot(Reboot {
                command: vec!["reboot".to_owned()],
                back_within: Span::from_s(60),
            });
            (Action::Reboot, work)
        }
        ["prove", version @ ..] => prove(node, version.first().unwrap_or(&"13")),
        ["copy", dataset, name] => copy(node, dataset, name),
        ["read", dataset, name] => read(node, parent, dataset, name),
        ["receive", dataset, from] => transfer(dataset, from, TransferOp::Receive),
        ["load", dataset, from] => transfer(dataset, from, TransferOp::Load),
        ["take", dataset, from] => transfer(dataset, from, TransferOp::TakeOver),
        ["move", dataset] => (database(dataset, DatabaseOp::MoveCluster), exec()),
        ["later", "terminate"] => {
            let what = Later::MigrationsOnline;
            let touches = Touches::Only(Vec::new());
            (Action::Later { what, touches }, not_available())
        }
        ["cluster", op, service] => (of_member(op, service), exec()),
        ["run", ..] => {
            let touches = Touches::Only(Vec::new());
            let work = match node.flags.get("script") {
                _ if node.flags.contains_key("later") => not_available(),
                Some(script) => Primitive::Exec(Exec::shell(script.replace('~', " "))),
                None => exec(),
            };
            (Action::Run { touches }, work)
        }
        other => panic!("what is {other:?}?"),
    }
}

fn prove(node: &Node<'_>, version: &str) -> (Action, Primitive) {
    let wait = Wait {
        until: Measure::Release {
            os: "debian".to_owned(),
            version: version.to_owned(),
        },
        every: node.flags.get("every").unwrap_or(&"1s").parse().unwrap(),
        at_most: Span::from_s(60),
    };
    (Action::Wait, Primitive::Wait(wait))
}

/// An undeclared unit.
fn unit(name: &str, op: ServiceOp) -> Action {
    Action::Service {
        unit: name.to_owned(),
        service: None,
        op,
    }
}

fn not_available() -> Primitive {
    Primitive::NotAvailable(NotAvailable {
        subject: "x".to_owned(),
        with: BTreeMap::new(),
    })
}

fn split(paths: &str) -> Vec<String> {
    paths.split(',').map(str::to_owned).collect()
}

fn persist(paths: &[String], file: &str) -> Persist {
    Persist {
        paths: paths.to_vec(),
        file: file.to_owned(),
        one_filesystem: false,
        exclude: Vec::new(),
        live: false,
    }
}

/// `archive PATHS @file=FILE @live @one-filesystem @exclude=PATH`.
fn archive(node: &Node<'_>, paths: &str) -> (Action, Primitive) {
    let paths = split(paths);
    let exclude = node.flags.get("exclude");
    let persist = Persist {
        live: node.flags.contains_key("live"),
        one_filesystem: node.flags.contains_key("one-filesystem"),
        exclude: exclude.iter().map(|path| (**path).to_owned()).collect(),
        ..persist(&paths, node.flags.get("file").unwrap_or(&"a/kept"))
    };
    (Action::Archive { paths }, Primitive::Persist(persist))
}

fn carry(word: &str, paths: &str) -> (Action, Primitive) {
    let paths = split(paths);
    let file = "carried".to_owned();
    let (op, work) = if word == "persist" {
        let persist = persist(&paths, &file);
        (CarryOp::Persist, Primitive::Persist(persist))
    } else {
        let restore = Restore {
            paths: paths.clone(),
            file,
            digest_from: "persist".to_owned(),
            existing: Existing::Refuse,
        };
        (CarryOp::Restore, Primitive::Restore(restore))
    };
    (Action::Carry { paths, op }, work)
}

fn volume(op: MoveOp, act: BelongingOp, path: &str) -> (Action, Primitive) {
    let work = Primitive::Belonging(BelongingAct {
        provider: "cloud".into(),
        kind: Belonging::Volume,
        op: act,
        name: "data".to_owned(),
        machine: "m".to_owned(),
        which: Which::Own,
        from: None,
        expect: None,
        params: BTreeMap::new(),
    });
    let action = Action::Moves {
        kind: Belonging::Volume,
        name: "data".to_owned(),
        op,
        mount: Some(path.to_owned()),
    };
    (action, work)
}

/// All of a dataset at `/srv`.
fn transfer(dataset: &str, from: &str, op: TransferOp) -> (Action, Primitive) {
    let data = Moving {
        dataset: dataset.into(),
        paths: split("/srv"),
        one_filesystem: false,
        exclude: Vec::new(),
        units: split("db.service"),
    };
    let from = HostName::new(from);
    let action = Action::Transfer {
        dataset: dataset.into(),
        from: from.clone(),
        op,
    };
    let work = match op {
        TransferOp::Receive => Primitive::Receive(Receive {
            data,
            from,
            first: None,
        }),
        TransferOp::Load => Primitive::Exec(Exec::argv(["true"])),
        TransferOp::TakeOver => Primitive::TakeOver(TakeOver {
            data,
            from,
            digest: "d".to_owned(),
            stamps: "s".to_owned(),
            first: None,
        }),
    };
    (action, work)
}

fn machine(op: MachineOp) -> (Action, Primitive) {
    of_machine(op, Which::Own)
}

fn of_machine(op: MachineOp, which: Which) -> (Action, Primitive) {
    let work = Primitive::Machine(MachineAct {
        provider: None,
        op,
        machine: "m".to_owned(),
        which,
        other: None,
        image: None,
        params: BTreeMap::new(),
        answers_within: MachineAct::ANSWERS_WITHIN_DEFAULT,
    });
    let release = Some(release("13"));
    (Action::Machine { op, which, release }, work)
}

fn database(name: &str, op: DatabaseOp) -> Action {
    Action::Database {
        dataset: name.into(),
        op,
    }
}

fn file(node: &Node<'_>, dataset: &str, database: &str) -> String {
    match node.flags.get("file") {
        Some(file) => (*file).to_owned(),
        None => format!("a/{dataset}/{database}.dump"),
    }
}

fn copy(node: &Node<'_>, dataset: &str, name: &str) -> (Action, Primitive) {
    let command = match name {
        "everything" => vec!["pg_dumpall"],
        "globals" => vec!["pg_dumpall", "--globals-only"],
        name => vec!["pg_dump", "-Fc", name],
    };
    let work = Primitive::Fetch(Fetch {
        exec: Exec::argv(command),
        file: file(node, dataset, name),
    });
    (database(dataset, DatabaseOp::Backup), work)
}

fn read(node: &Node<'_>, parent: &StepId, dataset: &str, name: &str) -> (Action, Primitive) {
    let of = parent.child(&format!("copy-{dataset}-{name}"));
    let work = Primitive::Feed(Feed {
        exec: Exec::argv(["pg_restore", "--list"]),
        file: file(node, dataset, name),
        digest_from: step_word(&of),
    });
    (database(dataset, DatabaseOp::ReadBack), work)
}
