//! Orders, zones and stages, from the files that people write to the turns of the plan.

use overhaul_model::facts::FleetFacts;
use overhaul_model::plan::{Block, Plan};
use overhaul_plan::compile;
use overhaul_source::{SourceFile, definition, fleet};
use std::collections::BTreeMap;
use std::fmt::Write as _;

const FLEET: &str = "
fleet: test
hosts:
  db[1:2]: {address: '10.0.0.[1:2]', roles: [database], zone: a}
  db3: {address: 10.0.0.3, roles: [database], zone: b}
  web[1:4]: {address: '10.0.1.[1:4]', roles: [web], zone: a}
  web[5:7]: {address: '10.0.1.[5:7]', roles: [web], zone: b}
";

fn compiled(head: &str, roles: &str) -> Result<Plan, String> {
    let upgraders = BTreeMap::from([("apt".to_owned(), crate::support::upgrader())]);
    let text = format!("upgrade: x\nfrom: debian 12\nto: debian 13\n{head}\nroles:\n{roles}");
    let fleet = fleet::parse(&SourceFile::new("fleet.yaml", FLEET)).unwrap();
    let definition = definition::parse(&SourceFile::new("upgrade.yaml", text), &upgraders)
        .map_err(|problems| problems.to_string())?;
    compile(&definition, &fleet.fleet, &FleetFacts::new()).map_err(|errors| errors.to_string())
}

/// The rolls of a plan in their order, with their turns.
fn rolls(plan: &Plan) -> String {
    fn visit(block: &Block, plan: &Plan, out: &mut String) {
        if let Block::Roll { id, .. } = block {
            let turns = &plan.rolls[id];
            let batches: Vec<String> = turns
                .batches
                .iter()
                .map(|batch| {
                    let names: Vec<&str> = batch.iter().map(|host| host.as_str()).collect();
                    names.join(" ")
                })
                .collect();
            writeln!(
                out,
                "{id}: {} ({} at once)",
                batches.join(" | "),
                turns.at_once
            )
            .unwrap();
        }
        if let Block::Sequence { blocks, .. } | Block::Parallel { blocks, .. } = block {
            for block in blocks {
                visit(block, plan, out);
            }
        }
    }
    let mut out = String::new();
    visit(&plan.root, plan, &mut out);
    out
}

#[test]
fn orders_become_turns() {
    let cases = [
        ("", "web: {strategy: in-place}"),
        ("", "web: {strategy: in-place, order: all}"),
        ("", "web: {strategy: in-place, order: {all: {at_once: 3}}}"),
        ("", "web: {strategy: in-place, order: {batches: [1, 50%]}}"),
        (
            "",
            "web: {strategy: in-place, order: {batches: {sizes: [1, 5], at_once: 2}}}",
        ),
        ("", "web: {strategy: in-place, order: zone-by-zone}"),
        ("", "web: {strategy: in-place, order: {zone-by-zone: all}}"),
        (
            "",
            "web: {strategy: in-place, order: {zone-by-zone: {batches: [1, 100%]}}}",
        ),
        (
            "",
            "web: {strategy: in-place, after: database}\n  database: {strategy: in-place}",
        ),
        (
            "stages: within-zone",
            "database: {strategy: in-place}\n  web: {strategy: in-place, order: {batches: [50%]}}",
        ),
        ("failure_budget: 30%", "web: {strategy: in-place}"),
        (
            "",
            "web: {strategy: in-place, order: {zone-by-zone: zone-by-zone}}",
        ),
        (
            "",
            "web: {strategy: in-place, order: {batches: [0, 101%, many]}}",
        ),
        ("", "web: {strategy: in-place, order: batches}"),
        ("", "web: {strategy: in-place, after: [web, db]}"),
        (
            "",
            "web: {strategy: in-place, after: database}\n  database: {strategy: in-place, after: [web]}",
        ),
        (
            "failure_budget: half\nzones: both\nstages: mixed",
            "web: {strategy: in-place}",
        ),
    ];
    let mut out = String::new();
    for (head, roles) in cases {
        writeln!(
            out,
            "# {}",
            format!("{head}; {roles}")
                .replace('\n', "; ")
                .replace("  ", " ")
        )
        .unwrap();
        match compiled(head, &format!("  {roles}\n")) {
            Ok(plan) => {
                writeln!(
                    out,
                    "{}hosts that may fail: {}\n",
                    rolls(&plan),
                    plan.failure_budget
                )
            }
            Err(why) => writeln!(out, "{why}\n"),
        }
        .unwrap();
    }
    insta::assert_snapshot!(out);
}

#[test]
fn where_zones_decide_each_host_needs_one() {
    let upgraders = BTreeMap::from([("apt".to_owned(), crate::support::upgrader())]);
    let fleet = "fleet: t\nhosts:\n  a: {roles: [web], zone: z}\n  b: {roles: [web]}\n";
    let fleet = fleet::parse(&SourceFile::new("fleet.yaml", fleet)).unwrap();
    let mut out = String::new();
    for (head, order) in [
        ("", "zone-by-zone"),
        ("stages: within-zone", "one-by-one"),
        ("zones: one-at-a-time", "one-by-one"),
    ] {
        let text = format!(
            "upgrade: x\nfrom: debian 12\nto: debian 13\n{head}\nroles:\n  web: {{strategy: in-place, order: {order}}}\n"
        );
        let definition =
            definition::parse(&SourceFile::new("upgrade.yaml", text), &upgraders).unwrap();
        let errors = compile(&definition, &fleet.fleet, &FleetFacts::new()).unwrap_err();
        writeln!(out, "{errors}").unwrap();
    }
    insta::assert_snapshot!(out);
}

#[test]
fn roles_move_together_rank_by_rank_in_every_order() {
    let together = |head: &str, order: &str| {
        let roles = format!(
            "  web: {{strategy: in-place, order: {order}}}\n  database: {{strategy: in-place, order: {order}}}\n"
        );
        let plan = compiled(&format!("together: [web, database]\n{head}"), &roles).unwrap();
        let rolls = rolls(&plan);
        let upgrade: Vec<&str> = rolls
            .lines()
            .filter(|line| line.starts_with("upgrade"))
            .collect();
        upgrade.join("\n")
    };
    let mut out = String::new();
    for (head, order) in [
        ("", "one-by-one"),
        ("", "{batches: [1, 3]}"),
        ("", "zone-by-zone"),
        ("stages: within-zone", "{all: {at_once: 2}}"),
    ] {
        writeln!(out, "{order} {head}\n{}\n", together(head, order)).unwrap();
    }
    insta::assert_snapshot!(out);
}
