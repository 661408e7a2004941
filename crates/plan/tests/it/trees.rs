//! Whole plans as trees: what a definition becomes, at a glance.

use crate::support::{
    definition, fleet, guard, names, origin, postgres_facts, role, run, service, step,
    web_and_database,
};
use overhaul_model::action::{OnceScope, ServiceOp};
use overhaul_model::definition::{
    Definition, Order, Slot, StagePlan, StageRoles, StageStep, Strategy, Within, WrittenAction,
    WrittenBlock, WrittenRepair, WrittenScope, WrittenStep,
};
use overhaul_model::facts::FleetFacts;
use overhaul_model::fleet::Fleet;
use overhaul_model::later::Later;
use overhaul_model::plan::Plan;
use overhaul_model::primitive::{Announce, Ask, Measure, NotAvailable, Primitive};
use overhaul_plan::{compile, print};
use std::collections::BTreeMap;

fn plan(definition: &Definition, fleet: &Fleet, facts: &FleetFacts) -> Plan {
    compile(definition, fleet, facts).unwrap_or_else(|errors| panic!("{errors}"))
}

fn tree(definition: &Definition, fleet: &Fleet, facts: &FleetFacts) -> String {
    print::tree(&plan(definition, fleet, facts))
}

fn one_host() -> Fleet {
    fleet(&["shop1: server"])
}

#[test]
fn one_host_with_a_site_and_a_database() {
    let facts = postgres_facts("shop1", &[("postgres", 7 << 20), ("shop", 200 << 20)]);
    insta::assert_snapshot!(tree(&web_and_database(), &one_host(), &facts));
}

#[test]
fn one_host_of_which_nothing_is_known() {
    insta::assert_snapshot!(tree(&web_and_database(), &one_host(), &FleetFacts::new()));
}

#[test]
fn three_hosts_two_at_once_with_guards_and_a_gate() {
    let mut web = role(
        "web",
        Order {
            zone_by_zone: false,
            within: Within::All { at_once: 2 },
        },
    );
    web.guards.push(guard("others serve"));
    web.slots.insert(
        Slot::Drain,
        vec![
            step(
                "begin now?",
                WrittenAction::Gate(Ask {
                    question: "begin with {{ host.name }}?".to_owned(),
                }),
            )
            .into(),
        ],
    );
    let mut definition = definition(vec![web]);
    definition
        .services
        .insert("site".into(), service("web", "nginx.service"));
    let fleet = fleet(&["web1: web", "web2: web", "web3: web"]);
    insta::assert_snapshot!(tree(&definition, &fleet, &FleetFacts::new()));
}

#[test]
fn conditions_and_services_of_some_hosts_only() {
    let mut all = role("all", Order::ONE_BY_ONE);
    let mut old = run("only where it is old");
    old.when = Some("kind == 'old'".to_owned());
    let mut nowhere = run("nowhere");
    nowhere.when = Some("kind == 'none'".to_owned());
    let mut last = run("once at the end");
    last.once = Some(OnceScope::Fleet);
    last.when = Some("host.name == 'b'".to_owned());
    all.slots = [
        (Slot::Prepare, vec![nowhere.clone().into()]),
        (Slot::Configure, vec![old.into(), nowhere.into()]),
        (Slot::Finish, vec![last.into()]),
    ]
    .into();
    let mut definition = definition(vec![all]);
    definition
        .services
        .insert("mail".into(), service("mail", "postfix.service"));
    let fleet = fleet(&["a: all mail; kind=old", "b: all; kind=new", "c: mail"]);
    insta::assert_snapshot!(tree(&definition, &fleet, &FleetFacts::new()));
}

/// What is declared stands in the plan like all else, and a block whose ends concern some hosts only holds
/// its body for all.
#[test]
fn scopes_repairs_and_what_is_only_declared() {
    let later = |name: &str, what: Later| {
        let work = NotAvailable {
            subject: "backups".to_owned(),
            with: BTreeMap::new(),
        };
        step(name, WrittenAction::Later { what, work })
    };
    let mut open = later("disk comes", Later::DnsSet);
    open.when = Some("host.name == 'a'".to_owned());
    let mut close = later("disk goes", Later::MarkClear);
    close.when = open.when.clone();
    let repair = WrittenBlock::Repair(Box::new(WrittenRepair {
        name: "the archive reads back".to_owned(),
        body: vec![run("read it").into()],
        when: Measure::PackagesClean,
        remedy: vec![run("archive again").into()],
        attempts: 2,
        origin: origin(30),
    }));
    let mut nowhere = close.clone();
    nowhere.name = "nowhere".to_owned();
    nowhere.when = Some("host.name == 'c'".to_owned());
    let bare = WrittenBlock::Scope(Box::new(WrittenScope {
        name: "of no host".to_owned(),
        open: nowhere.clone(),
        body: vec![run("stands alone").into()],
        close: nowhere,
    }));
    let mut all = role("all", Order::ONE_BY_ONE);
    let scope = WrittenBlock::Scope(Box::new(WrittenScope {
        name: "the disk is there".to_owned(),
        open,
        body: vec![run("archive").into(), repair],
        close,
    }));
    all.slots = [
        (Slot::Export, vec![scope, bare]),
        (
            Slot::Finish,
            vec![later("old machine goes", Later::MigrationsOnline).into()],
        ),
    ]
    .into();
    let definition = definition(vec![all]);
    insta::assert_snapshot!(tree(
        &definition,
        &fleet(&["a: all", "b: all"]),
        &FleetFacts::new()
    ));
}

#[test]
fn a_plan_is_a_value() {
    let facts = postgres_facts("shop1", &[("shop", 200 << 20)]);
    let plan = plan(&web_and_database(), &one_host(), &facts);
    let text = serde_json::to_string(&plan).unwrap();
    let back: Plan = serde_json::from_str(&text).unwrap();
    assert_eq!(back, plan);
    assert_eq!(back.hash().unwrap(), plan.hash().unwrap());
}

#[test]
fn code_names_are_filled_in_and_nothing_else() {
    let plan = plan(&web_and_database(), &one_host(), &FleetFacts::new());
    let step = plan
        .step(&"upgrade/server/change/full-upgrade".into())
        .unwrap();
    let Primitive::Exec(exec) = &step.work else {
        panic!("{:?}", step.work);
    };
    assert_eq!(
        serde_json::to_value(&exec.command).unwrap(),
        serde_json::json!({"shell": "upgrade bookworm trixie"})
    );
}

#[test]
fn steps_of_a_dataset_concern_its_authority_alone() {
    let mut definition = web_and_database();
    definition.services.get_mut(&"database".into()).unwrap().on = "database".into();
    let fleet = fleet(&["shop1: server", "shop2: server database"]);
    let plan = plan(
        &definition,
        &fleet,
        &postgres_facts("shop2", &[("shop", 1)]),
    );
    for id in [
        "upgrade/server/backup/copy-orders-shop",
        "upgrade/server/migrate/move-the-cluster-to-the-new-major",
        "upgrade/server/stop/hold-database",
    ] {
        let step = plan.step(&id.into()).unwrap();
        assert_eq!(step.only, Some(names(&["shop2"])), "{id}");
    }
}

/// Chapters of a document: some slots of all roles at a time, and what is done once around them.
#[test]
fn stages_of_ones_own() {
    let once = |on: Option<&str>, step: WrittenStep| StageStep {
        on: on.map(Into::into),
        step,
    };
    let tell = step(
        "tell",
        WrittenAction::Announce(Announce {
            message: "down".to_owned(),
        }),
    );
    let mut down = StagePlan::of("down".into(), vec![Slot::Drain, Slot::Stop]);
    down.roles = StageRoles::AtOnce;
    down.before = vec![once(None, tell)];
    let mut up = StagePlan::of("up".into(), vec![Slot::Start, Slot::Verify]);
    up.roles = StageRoles::Order(vec!["db".into()]);
    up.after = vec![once(Some("web"), run("count once"))];
    let mut web = role("web", Order::ONE_BY_ONE);
    web.strategy = Strategy::PACKAGES;
    web.stay_up = [
        ("files".into(), None),
        ("site".into(), Some("site goes".to_owned())),
    ]
    .into();
    let goes = WrittenAction::Service {
        unit: "nginx.service".to_owned(),
        op: ServiceOp::Hold,
    };
    web.slots = [(Slot::Stop, vec![step("site goes", goes).into()])].into();
    let mut db = role("db", Order::ONE_BY_ONE);
    db.strategy = Strategy::PACKAGES;
    db.by_steps = true;
    db.slots = [(Slot::Start, vec![run("start by hand").into()])].into();
    let mut definition = definition(vec![web, db]);
    definition.from = definition.to.clone();
    definition.stage_plan = vec![down, up];
    let mut late = service("web", "aa.service");
    late.after = vec!["site".into(), "worker".into()];
    definition.services = [
        ("another".into(), late),
        ("files".into(), service("web", "nfs.service")),
        ("site".into(), service("web", "nginx.service")),
        ("worker".into(), service("web", "worker.service")),
        ("store".into(), service("db", "store.service")),
    ]
    .into();
    let fleet = fleet(&["web1: web", "web2: web", "db1: db"]);
    insta::assert_snapshot!(tree(&definition, &fleet, &FleetFacts::new()));
}
