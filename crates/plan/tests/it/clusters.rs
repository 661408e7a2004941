//! Services whose hosts form a cluster: membership is health, a majority is the minimum, and an empty member
//! comes back only where others can give it its data.

use crate::support::upgrader;
use overhaul_model::facts::{FleetFacts, HostFacts, Known};
use overhaul_model::id::HostName;
use overhaul_model::plan::Plan;
use overhaul_plan::{PlanErrors, compile, print};
use overhaul_source::{SourceFile, cluster_kind, definition, fleet, read};
use std::collections::BTreeMap;
use std::path::Path;

const FLEET: &str = "
fleet: test
hosts:
  db[1:3]: {address: '10.0.0.[1:3]', roles: [db]}
  one: {address: 10.0.0.9, roles: [alone]}
";

/// What a member of the lab said, with the size of its cluster.
fn member(size: u32) -> serde_json::Value {
    let known = |value: serde_json::Value| serde_json::json!({"measured": {"value": value, "at": "2026-01-01T00:00:00Z"}});
    serde_json::json!({
        "kind": "galera", "instance": "",
        "cluster": known("prod 1-2-3".into()), "member": known("m".into()), "role": known("peer".into()),
        "state": known("Synced".into()), "size_known": known(size.into()), "size_alive": known(size.into()),
        "quorate": known(true.into()), "healthy": known(true.into()),
        "data_paths": ["/var/lib/mysql"], "evidence": [],
    })
}

fn facts(hosts: &[&str], size: u32) -> FleetFacts {
    let of = |host: &&str| {
        let member = serde_json::from_value(member(size)).unwrap();
        let mut facts = HostFacts::unknown("2026-01-01T00:00:00Z".parse().unwrap(), "not asked");
        facts.clusters = Known::Measured {
            value: vec![member],
            at: "2026-01-01T00:00:00Z".parse().unwrap(),
        };
        (HostName::new(*host), facts)
    };
    hosts.iter().map(of).collect()
}

fn compiled(service: &str, role: &str, facts: &FleetFacts) -> Plan {
    tried(service, role, facts).unwrap()
}

fn tried(service: &str, role: &str, facts: &FleetFacts) -> Result<Plan, PlanErrors> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../kinds");
    let kinds = ["galera", "postgresql-replicas"].map(|name| {
        let file = read::file(&folder.join(format!("{name}.yaml"))).unwrap();
        cluster_kind::parse(&file).unwrap()
    });
    let upgraders = BTreeMap::from([("apt".to_owned(), upgrader())]);
    let kinds = definition::KnownKinds {
        upgraders: &upgraders,
        clusters: &kinds,
    };
    let text = format!(
        "upgrade: x\nfrom: debian 12\nto: debian 13\nservices:\n  s: {service}\nroles:\n  {role}\n"
    );
    let fleet = fleet::parse(&SourceFile::new("fleet.yaml", FLEET)).unwrap();
    let definition = definition::parse(&SourceFile::new("upgrade.yaml", text), kinds).unwrap();
    compile(&definition, &fleet.fleet, facts)
}

#[test]
fn a_majority_of_all_that_the_cluster_knows_is_the_minimum() {
    let role = "db: {strategy: in-place, order: one-by-one}";
    let all = ["db1", "db2", "db3"];
    let minimum = |service: &str, facts: &FleetFacts| {
        let plan = compiled(service, role, facts);
        let service = &plan.services[&"s".into()];
        (service.keep, service.cluster.as_ref().unwrap().quorum)
    };
    let galera = "{on: db, unit: mariadb, cluster: galera}";
    let kept = "{on: db, unit: mariadb, cluster: galera, keep: 1}";
    let replicas = "{on: db, unit: postgresql, cluster: postgresql-replicas}";
    assert_eq!(minimum(galera, &FleetFacts::new()), (2, Some(2)));
    assert_eq!(minimum(galera, &facts(&all, 3)), (2, Some(2)));
    // Two members are no hosts of the fleet: what is not kept here cannot be kept at all.
    assert_eq!(minimum(galera, &facts(&all, 5)), (2, Some(3)));
    assert_eq!(minimum(kept, &facts(&all, 3)), (1, Some(2)));
    assert_eq!(minimum(replicas, &facts(&all, 3)), (0, None));
    let alone = "{on: alone, unit: mariadb, cluster: galera}";
    let plan = compiled(alone, "alone: {strategy: in-place}", &facts(&["one"], 1));
    assert_eq!(plan.services[&"s".into()].keep, 0);
}

#[test]
fn members_change_in_place_and_are_made_anew() {
    let galera = "{on: db, unit: mariadb, cluster: galera}";
    let facts = facts(&["db1", "db2", "db3"], 3);
    for (name, role) in [
        ("in-place", "db: {strategy: in-place, order: one-by-one}"),
        (
            "rejoin",
            "db: {strategy: clustered, rebuild: {by: person}, order: one-by-one}",
        ),
        (
            "first-then-rest",
            "db: {strategy: first-then-rest, order: one-by-one}",
        ),
        (
            "written",
            "db: {strategy: in-place, order: one-by-one, services: by-steps, stop: [{name: it leaves, cluster: {leave: s}}], start: [{name: it begins, cluster: {bootstrap: s}}, {name: it joins, cluster: {join: s}, when: \"host.name != 'db1'\"}, {name: it starts anew, service: {restart: mariadb}}]}",
        ),
    ] {
        insta::assert_snapshot!(
            format!("cluster-{name}"),
            print::tree(&compiled(galera, role, &facts))
        );
    }
}

#[test]
fn the_first_member_receives_the_data_of_the_last_that_stops_and_the_others_join_it() {
    let galera = "{on: db, unit: mariadb, cluster: galera}\ndatasets:\n  o: {of: s, kind: paths, paths: [/var/lib/mysql], authority: db2}";
    let facts = facts(&["db1", "db2", "db3"], 3);
    for (name, role) in [
        (
            "first-in-place",
            "db: {strategy: first-then-rest, order: one-by-one, backup: [o]}",
        ),
        (
            "first-anew",
            "db: {strategy: clustered, data: transfer, rebuild: {by: person}, order: one-by-one, backup: [o]}",
        ),
    ] {
        insta::assert_snapshot!(
            format!("cluster-{name}"),
            print::tree(&compiled(galera, role, &facts))
        );
    }
}

#[test]
fn the_first_member_does_not_receive_what_it_has() {
    let galera = "{on: db, unit: mariadb, cluster: galera}\ndatasets:\n  o: {of: s, kind: paths, paths: [/var/lib/mysql], authority: db1}";
    let role = "db: {strategy: first-then-rest, order: one-by-one}";
    let wrong = tried(galera, role, &FleetFacts::new()).unwrap_err();
    insta::assert_snapshot!(wrong, @"upgrade.yaml:9: dataset `o` has its authority on `db1`, which changes first and receives it from another; name another host of the role (`authority: HOST` of the dataset): it stops last, and has all that was written");
}

#[test]
fn other_hosts_are_quiet_while_a_stage_goes_on_and_start_again_whatever_happens() {
    let stages = "\nstages:\n  upgrade:\n    slots: [stop, change, start, verify]\n    before:\n      - {name: told, announce: soon}\n      - {name: others rest, quiesce: {others: db}}\n    after: [{name: told again, announce: over}]";
    let galera = format!("{{on: db, unit: mariadb, cluster: galera}}{stages}");
    let role = "db: {strategy: packages, order: one-by-one}";
    let facts = facts(&["db1", "db2", "db3"], 3);
    insta::assert_snapshot!(
        "cluster-others-rest",
        print::tree(&compiled(&galera, role, &facts))
    );
}
