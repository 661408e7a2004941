//! Volumes, addresses and instances as people write them: the steps that they become.

use crate::support::{definition, fleet, role, run, step};
use overhaul_model::belonging::{BelongingOp, MountPoint, MountedBy, Which};
use overhaul_model::definition::{
    Definition, Order, Provider, Slot, WrittenAction, WrittenAddress, WrittenBlock, WrittenMachine,
    WrittenScope, WrittenStep, WrittenVolume,
};
use overhaul_model::facts::FleetFacts;
use overhaul_model::primitive::{MachineAct, MachineOp};
use overhaul_plan::{compile, print};
use std::collections::BTreeMap;

fn volume(name: &str, op: BelongingOp, mounted: bool) -> WrittenStep {
    let mount = MountPoint {
        path: "/mnt/backups".to_owned(),
        by: MountedBy::Unit,
        options: "noatime".to_owned(),
    };
    let volume = WrittenVolume {
        op,
        name: "backups".to_owned(),
        provider: "cloud".into(),
        which: Which::Own,
        machine: None,
        mount: mounted.then_some(mount),
        format: (op == BelongingOp::Create).then(|| "ext4".to_owned()),
        params: BTreeMap::new(),
    };
    step(name, WrittenAction::Volume(volume))
}

fn instance(name: &str, op: MachineOp, which: Which) -> WrittenStep {
    let machine = WrittenMachine {
        op,
        provider: "cloud".into(),
        machine: Some("{{ host.name }}-x".to_owned()),
        which,
        other: (op == MachineOp::Rename).then(|| "{{ host.name }}-y".to_owned()),
        unprotect: op == MachineOp::Destroy,
        image: (op == MachineOp::Create).then(|| "debian/13".to_owned()),
        params: BTreeMap::new(),
        answers_within: MachineAct::ANSWERS_WITHIN_DEFAULT,
    };
    step(name, WrittenAction::Machine(machine))
}

fn written(slots: Vec<(Slot, Vec<WrittenBlock>)>) -> Definition {
    let mut all = role("all", Order::ONE_BY_ONE);
    all.slots = slots.into_iter().collect();
    let mut out = definition(vec![all]);
    let provider = Provider {
        script: "/usr/local/lib/provider".to_owned(),
        config: BTreeMap::new(),
    };
    out.providers.insert("cloud".into(), provider);
    out
}

fn tree(definition: &Definition) -> String {
    let plan = compile(definition, &fleet(&["a: all"]), &FleetFacts::new());
    let tree = print::tree(&plan.unwrap_or_else(|errors| panic!("{errors}")));
    tree.split_once('\n').unwrap().1.to_owned()
}

#[test]
fn each_becomes_the_steps_that_it_needs() {
    let address = WrittenAddress {
        name: "shop".to_owned(),
        provider: "cloud".into(),
        which: Which::Own,
        machine: None,
        from: Some("other".to_owned()),
        params: BTreeMap::new(),
    };
    let mut guarded = volume("it goes", BelongingOp::Detach, true);
    guarded.guards = vec![crate::support::guard("nobody reads it")];
    let slots = vec![
        (
            Slot::Prepare,
            vec![
                volume("a new one", BelongingOp::Create, true).into(),
                instance("another machine", MachineOp::Create, Which::Beside).into(),
            ],
        ),
        (Slot::Export, vec![guarded.into()]),
        (
            Slot::Finish,
            vec![
                volume("it comes", BelongingOp::Attach, true).into(),
                volume("it comes bare", BelongingOp::Attach, false).into(),
                step("the address", WrittenAction::Address(address)).into(),
                instance("its name", MachineOp::Rename, Which::Old).into(),
                instance("its end", MachineOp::Destroy, Which::Old).into(),
            ],
        ),
    ];
    insta::assert_snapshot!(tree(&written(slots)));
}

#[test]
fn what_opens_in_two_steps_closes_in_two_and_the_last_one_first() {
    let scope = |mounted, unmounted| {
        WrittenBlock::Scope(Box::new(WrittenScope {
            name: "the disk is there".to_owned(),
            open: volume("disk comes", BelongingOp::Attach, mounted),
            body: vec![run("archive").into()],
            close: volume("disk goes", BelongingOp::Detach, unmounted),
        }))
    };
    insta::assert_snapshot!(tree(&written(vec![(
        Slot::Export,
        vec![scope(true, true)]
    )])));
    let uneven = written(vec![(Slot::Export, vec![scope(true, false)])]);
    let refused = compile(&uneven, &fleet(&["a: all"]), &FleetFacts::new());
    insta::assert_snapshot!(refused.unwrap_err(), @"upgrade.yaml:20: scope `the disk is there` opens with 2 and closes with 1 steps; a volume that is mounted when it comes is unmounted when it goes: write `mount` in both or in none");
}
