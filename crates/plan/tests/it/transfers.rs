//! Data that comes from another host: what is planned, and what is refused.

use crate::support::{definition, fleet, role, service, step};
use overhaul_model::definition::{
    DatabaseWay, Dataset, DatasetKind, Definition, Order, RoleUpgrade, Slot, Strategy,
    WrittenAction,
};
use overhaul_model::facts::FleetFacts;
use overhaul_model::primitive::{Command, Exec, Primitive};
use overhaul_plan::{compile, print};

const HOSTS: &[&str] = &["new1: files new", "old1: files old", "old2: files old"];

fn transfer(dataset: &str) -> WrittenAction {
    WrittenAction::Transfer {
        dataset: dataset.into(),
        by: None,
        staging: None,
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

/// The same with a database in the place of the files.
fn shop(kind: DatasetKind, by: Option<DatabaseWay>) -> Definition {
    let mut out = office(Some("old1"));
    for dataset in out.datasets.values_mut() {
        dataset.kind = kind.clone();
    }
    if let Some(by) = by {
        come_by(&mut out, by);
    }
    out
}

fn come_by(definition: &mut Definition, way: DatabaseWay) {
    let mut action = transfer("files");
    if let WrittenAction::Transfer { by, staging, .. } = &mut action {
        *by = Some(way);
        *staging = Some("/srv/on its way".to_owned());
    }
    let come = step("they come over", action);
    for role in &mut definition.roles {
        if let Some(slot) = role.slots.get_mut(&Slot::Restore) {
            *slot = vec![come.clone().into()];
        }
    }
}

/// What a script is told, without its text.
fn words(exec: &Exec) -> String {
    let Command::Argv(argv) = &exec.command else {
        return String::new();
    };
    argv.iter()
        .skip(3)
        .map(|word| format!("[{word}]"))
        .collect()
}

/// Each step of a transfer: its name, which paths go, and what a script is told.
fn parts(definition: &Definition) -> Vec<String> {
    let plan = compile(definition, &fleet(HOSTS), &FleetFacts::new()).unwrap();
    let mut out = Vec::new();
    for step in plan.steps() {
        let (paths, exec) = match &step.work {
            Primitive::Receive(receive) => (receive.data.paths.join(","), receive.first.as_ref()),
            Primitive::TakeOver(take) => (take.data.paths.join(","), take.first.as_ref()),
            Primitive::Exec(exec) => (String::new(), Some(exec)),
            _ => continue,
        };
        let name = step.id.as_str().rsplit('/').next().unwrap_or_default();
        if name.contains("come") {
            out.push(format!(
                "{name} {paths} {}",
                exec.map_or_else(String::new, words)
            ));
        }
    }
    out
}

#[test]
fn a_database_is_made_into_files_and_loaded_and_compared_before_the_authority_moves() {
    let cluster = "main".to_owned();
    let postgresql = DatasetKind::Postgresql { cluster };
    let stage = "/var/lib/overhaul-transfer/files";
    assert_eq!(
        parts(&shop(postgresql, None)),
        [
            format!(
                "the-files-come-over-ready  [transfer-postgresql][main][][ready][{stage}][dump][]"
            ),
            format!(
                "the-files-come-over {stage} [transfer-postgresql][main][][dump][{stage}][dump]"
            ),
            format!("the-files-come-over-load  [transfer-postgresql][main][][load][{stage}][dump]"),
            format!(
                "the-files-come-over-authority {stage} [transfer-postgresql][main][][rest][{stage}][dump]"
            ),
        ]
    );
    let stage = "/srv/on its way/files";
    assert_eq!(
        parts(&shop(DatasetKind::Mariadb, Some(DatabaseWay::Copy))),
        [
            format!("they-come-over-ready  [transfer-mariadb][ready][{stage}][copy][]"),
            format!("they-come-over {stage} [transfer-mariadb][dump][{stage}][copy]"),
            format!("they-come-over-load  [transfer-mariadb][load][{stage}][copy]"),
            format!("they-come-over-authority {stage} [transfer-mariadb][rest][{stage}][copy]"),
        ]
    );
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
    let mut files = office(Some("old1"));
    come_by(&mut files, DatabaseWay::Copy);
    all.push(wrong(files));
    let mut moved = office(Some("old1"));
    let action = WrittenAction::MoveCluster {
        dataset: "files".into(),
    };
    let slot = vec![step("move it", action).into()];
    moved.roles[0].slots.insert(Slot::Migrate, slot);
    all.push(wrong(moved));
    insta::assert_snapshot!(all.join("\n"));
}
