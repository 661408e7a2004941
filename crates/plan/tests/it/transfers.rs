//! Data that comes from another host: what is planned, and what is refused.

use crate::support::{definition, fleet, role, service, step};
use overhaul_model::definition::{
    Dataset, DatasetKind, Definition, Order, RoleUpgrade, Slot, Strategy, WrittenAction,
};
use overhaul_model::facts::FleetFacts;
use overhaul_model::primitive::Primitive;
use overhaul_plan::{compile, print};

const HOSTS: &[&str] = &["new1: files new", "old1: files old", "old2: files old"];

fn transfer(dataset: &str) -> WrittenAction {
    WrittenAction::Transfer {
        dataset: dataset.into(),
    }
}

/// The old hosts stop their service, the new one receives the files of one of them.
fn office(authority: Option<&str>) -> Definition {
    let by_steps = |name| RoleUpgrade {
        strategy: Strategy::PACKAGES,
        ..role(name, Order::ONE_BY_ONE)
    };
    let mut old = by_steps("old");
    old.backup = vec!["files".into()];
    let mut new = by_steps("new");
    let come = step("the files come over", transfer("files"));
    new.slots.insert(Slot::Restore, vec![come.into()]);
    let mut out = definition(vec![old, new]);
    let mut share = service("files", "share.service");
    share.window = None;
    out.services.insert("share".into(), share);
    out.datasets.insert(
        "files".into(),
        Dataset {
            of: "share".into(),
            kind: DatasetKind::Paths {
                paths: vec!["/srv/files".to_owned(), "/srv/{{more}}".to_owned()],
            },
            authority: authority.map(Into::into),
            fresh_for: None,
        },
    );
    out
}

#[test]
fn a_transfer_is_a_copy_that_may_be_repeated_and_an_authority_that_moves_once() {
    let plan = compile(&office(Some("old1")), &fleet(HOSTS), &FleetFacts::new()).unwrap();
    insta::assert_snapshot!(print::tree(&plan));
    let receives = |work: &Primitive| matches!(work, Primitive::Receive(_));
    let spaces: Vec<_> = plan.space.iter().map(|space| &space.because).collect();
    insta::assert_debug_snapshot!(spaces);
    let steps = plan.steps();
    let copy = steps.iter().find(|step| receives(&step.work)).unwrap();
    insta::assert_json_snapshot!(copy.work);
}

#[test]
fn a_transfer_without_one_host_at_each_end_is_refused() {
    let wrong = |definition: Definition| {
        let errors = compile(&definition, &fleet(HOSTS), &FleetFacts::new()).unwrap_err();
        errors.to_string()
    };
    let mut all = Vec::new();
    all.push(wrong(office(None)));
    all.push(wrong(office(Some("db1"))));
    all.push(wrong(office(Some("new1"))));
    let mut both = office(Some("new1"));
    let [old, new] = &mut both.roles[..] else {
        panic!("two roles");
    };
    std::mem::swap(&mut old.slots, &mut new.slots);
    std::mem::swap(&mut old.backup, &mut new.backup);
    all.push(wrong(both));
    let mut database = office(Some("old1"));
    for dataset in database.datasets.values_mut() {
        dataset.kind = DatasetKind::Postgresql {
            cluster: "main".to_owned(),
        };
    }
    all.push(wrong(database));
    let mut moved = office(Some("old1"));
    let action = WrittenAction::MoveCluster {
        dataset: "files".into(),
    };
    let slot = vec![step("move it", action).into()];
    moved.roles[0].slots.insert(Slot::Migrate, slot);
    all.push(wrong(moved));
    insta::assert_snapshot!(all.join("\n"));
}
