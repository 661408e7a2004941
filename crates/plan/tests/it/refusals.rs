//! What does not become a plan, and the words for it.

use crate::support::{definition, fleet, postgres_facts, release, role, run, web_and_database};
use overhaul_model::definition::{Definition, Order, Slot};
use overhaul_model::facts::{FleetFacts, Known};
use overhaul_model::fleet::Fleet;
use overhaul_plan::compile;

fn refusal(definition: &Definition, fleet: &Fleet, facts: &FleetFacts) -> String {
    compile(definition, fleet, facts).unwrap_err().to_string()
}

fn web(host_lines: &[&str]) -> String {
    let roles = vec![
        role("web", Order::ONE_BY_ONE),
        role("db", Order::ONE_BY_ONE),
    ];
    refusal(&definition(roles), &fleet(host_lines), &FleetFacts::new())
}

#[test]
fn roles_and_hosts() {
    insta::assert_snapshot!(web(&["a: web db", "b: web"]), @"upgrade.yaml:10: host `a` is in the roles `web` and `db`, and both change it; name one of the two under `roles:`; services may still be `on:` the other");
    insta::assert_snapshot!(web(&["a: web"]), @"upgrade.yaml:10: no host of the fleet has the role `db`; give a host of the inventory this role, or leave the role out");
}

#[test]
fn every_error_is_told_not_only_the_first() {
    let mut roles = vec![
        role("web", Order::ONE_BY_ONE),
        role("db", Order::ONE_BY_ONE),
    ];
    roles[0].upgrader = "unheard-of".to_owned();
    let mut bad = run("when?");
    bad.when = Some("no_such_variable == 1".to_owned());
    roles[0].slots = [
        (
            Slot::Prepare,
            vec![run("same").into(), run("Same!").into(), bad.into()],
        ),
        (Slot::Cleanup, vec![run("too early").into()]),
    ]
    .into();
    let mut definition = definition(roles);
    definition.from = release("11");
    insta::assert_snapshot!(refusal(
        &definition,
        &fleet(&["a: web", "b: db"]),
        &FleetFacts::new()
    ));
}

#[test]
fn datasets() {
    let mut far = web_and_database();
    far.services.get_mut(&"database".into()).unwrap().on = "elsewhere".into();
    let hosts = fleet(&["a: server", "b: elsewhere"]);
    insta::assert_snapshot!(refusal(&far, &hosts, &FleetFacts::new()));

    let two = fleet(&["a: server", "b: server"]);
    insta::assert_snapshot!(refusal(&web_and_database(), &two, &FleetFacts::new()));

    let mut nameless = web_and_database();
    nameless.datasets.get_mut(&"orders".into()).unwrap().of = "nobody".into();
    insta::assert_snapshot!(refusal(
        &nameless,
        &fleet(&["a: server"]),
        &FleetFacts::new()
    ));
}

#[test]
fn clusters() {
    let mut facts = postgres_facts("a", &[]);
    let host = facts.get_mut(&"a".into()).unwrap();
    let Known::Measured { value, .. } = &mut host.postgresql else {
        panic!();
    };
    let mut other = value[0].clone();
    other.version = "13".to_owned();
    other.port = 5433;
    value.push(other);
    let one = fleet(&["a: server"]);
    insta::assert_snapshot!(refusal(&web_and_database(), &one, &facts));

    let mut none = postgres_facts("a", &[]);
    none.get_mut(&"a".into()).unwrap().postgresql = Known::Measured {
        value: Vec::new(),
        at: "2025-06-01T10:00:00Z".parse().unwrap(),
    };
    insta::assert_snapshot!(refusal(&web_and_database(), &one, &none));
}
