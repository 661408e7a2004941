//! Steps in a host's lane that the controller carries out: work on its machine, and playbooks.

use super::new_machine::step_of;
use super::site::Site;
use super::written::Made;
use crate::draft::Draft;
use crate::error::Wrong;
use crate::limits;
use crate::slug::slug;
use overhaul_model::action::{Action, Repeat, Undo};
use overhaul_model::belonging::Which;
use overhaul_model::definition::{Playbook, Slot, WrittenMachine, WrittenStep};
use overhaul_model::id::ProviderName;
use overhaul_model::primitive::{Exec, MachineAct, MachineOp, Measure, Primitive};
use overhaul_model::step::Step;
use overhaul_model::strategy::Change;
use std::collections::BTreeMap;

/// The machine's name at the provider when none is written.
pub(super) const OWN_NAME: &str = "{{ host.name }}";

/// Runs a playbook with variables that stand in no argument.
const EXTRA_VARS: &str = include_str!("extra_vars.sh");

/// What is left to do when a machine is gone.
const NO_MACHINE: &str = "the machine is gone with all that was on it: make it anew, and bring its data back from a copy";

/// What is left to do when the machine whose place was taken is gone.
const NO_OLD_MACHINE: &str = "the old machine is gone; only copies are left of what it alone had";

/// The name that a machine of the host has at the provider in a slot: from the change on, the new one has
/// that under which it was launched, until the names are set right at the end.
pub(super) fn name_of(site: &Site<'_>, which: Which) -> String {
    let replaces = site.role.strategy.change() == Change::Replace;
    let between = (Slot::Change..=Slot::Undrain).contains(&site.slot);
    let replace = &site.role.replace;
    match which {
        Which::Own if replaces && between => replace.beside.clone(),
        Which::Own => OWN_NAME.to_owned(),
        Which::Beside => replace.beside.clone(),
        Which::Old if between => OWN_NAME.to_owned(),
        Which::Old => replace.old.clone(),
    }
}

/// What must be true of a machine that was made anew.
fn is_new(draft: &Draft<'_>) -> Measure {
    let to = &draft.definition.to;
    Measure::Release {
        os: to.os.clone(),
        version: to.release.clone(),
    }
}

/// Work on the machine of the host whose turn it is.
pub(super) fn machine(draft: &mut Draft<'_>, site: &Site<'_>, written: &WrittenMachine) -> Made {
    settle_provider(draft, site, Some(&written.provider));
    of_machine(draft, act_of(site, written))
}

/// What must be measured after it.
pub(super) fn verify_of_written(
    draft: &Draft<'_>,
    site: &Site<'_>,
    written: &WrittenMachine,
) -> Option<Measure> {
    verify_of(draft, &act_of(site, written))
}

/// Before a machine is ended: its protection is switched off, with the definition's consent.
pub(super) fn unprotected(
    draft: &mut Draft<'_>,
    site: &Site<'_>,
    written: &WrittenStep,
    machine: &WrittenMachine,
) -> Step {
    let act = MachineAct {
        op: MachineOp::Unprotect,
        ..act_of(site, machine)
    };
    let made = of_machine(draft, act);
    let name = format!("{}-unprotected", slug(&written.name));
    let title = format!("{}: its protection is switched off", written.name);
    let mut step = step_of(site, &name, &title, made);
    step.guards.clone_from(&written.guards);
    step.origin = written.origin.clone();
    step.why = "the definition agrees to its end (`unprotect: true`)".to_owned();
    step
}

fn act_of(site: &Site<'_>, written: &WrittenMachine) -> MachineAct {
    MachineAct {
        provider: Some(written.provider.clone()),
        op: written.op,
        machine: written
            .machine
            .clone()
            .unwrap_or_else(|| name_of(site, written.which)),
        which: written.which,
        other: written.other.clone(),
        image: written.image.clone(),
        params: written.params.clone(),
        answers_within: written.answers_within,
    }
}

/// Takes the provider and the machines that it may mean into the plan.
pub(crate) fn settle_provider(
    draft: &mut Draft<'_>,
    site: &Site<'_>,
    provider: Option<&ProviderName>,
) {
    let known = provider.and_then(|name| Some((name, draft.definition.providers.get(name)?)));
    match (known, provider) {
        (Some((name, provider)), _) => {
            draft.plan.providers.insert(name.clone(), provider.clone());
        }
        (None, Some(name)) => draft.wrong(
            &site.role.origin,
            Wrong::NoProvider(name.to_string()),
            "write it under `providers`",
        ),
        (None, None) => {}
    }
    for host in site.hosts {
        let facts = draft.facts.get(&host.name);
        if let Some(id) = facts.and_then(|facts| facts.machine_id.value()) {
            draft.plan.machines.insert(host.name.clone(), id.clone());
        }
    }
}

/// The step's inside for such work.
pub(crate) fn of_machine(draft: &Draft<'_>, act: MachineAct) -> Made {
    let op = act.op;
    Made {
        action: Action::Machine {
            op,
            which: act.which,
            release: act.makes_new().then(|| draft.definition.to.clone()),
        },
        so: None,
        limits: limits::machine(op, act.answers_within),
        undo: match op {
            MachineOp::Destroy if act.which == Which::Old => Undo::None {
                way_back: NO_OLD_MACHINE.to_owned(),
            },
            MachineOp::Rebuild | MachineOp::Destroy | MachineOp::Prove => Undo::None {
                way_back: NO_MACHINE.to_owned(),
            },
            MachineOp::Create
            | MachineOp::Start
            | MachineOp::Stop
            | MachineOp::Rename
            | MachineOp::Unprotect => Undo::None {
                way_back: "by the provider's own means".to_owned(),
            },
            MachineOp::Describe => Undo::Nothing,
        },
        repeat: match op {
            MachineOp::Describe
            | MachineOp::Prove
            | MachineOp::Start
            | MachineOp::Stop
            | MachineOp::Rename
            | MachineOp::Unprotect => Repeat::Safe,
            // Known by its identity, and switched off: again, it is gone or still the same.
            MachineOp::Destroy if act.which == Which::Old => Repeat::Safe,
            MachineOp::Rebuild | MachineOp::Create | MachineOp::Destroy => Repeat::Person,
        },
        work: Primitive::Machine(act),
    }
}

/// What must be measured after a machine was made anew: the release that it was made for.
pub(crate) fn verify_of(draft: &Draft<'_>, act: &MachineAct) -> Option<Measure> {
    act.makes_new().then(|| is_new(draft))
}

/// A playbook, for the host whose turn it is.
pub(super) fn ansible(
    draft: &mut Draft<'_>,
    written: &WrittenStep,
    playbook: &Playbook,
) -> Option<Made> {
    let Some(program) = draft.definition.ansible_playbook.clone() else {
        draft.wrong(
            &written.origin,
            Wrong::NoAnsible,
            "install ansible-core on this machine, or put its folder into PATH",
        );
        return None;
    };
    let Some(inventory) = playbook.inventory.clone() else {
        draft.wrong(
            &written.origin,
            Wrong::NoInventory {
                step: written.name.clone(),
            },
            "write `inventory` in the step: the fleet was not read from one of Ansible's",
        );
        return None;
    };
    let limit = playbook
        .limit
        .clone()
        .unwrap_or_else(|| OWN_NAME.to_owned());
    let mut argv = vec![
        program,
        "--inventory".to_owned(),
        inventory,
        "--limit".to_owned(),
        limit.clone(),
    ];
    if !playbook.tags.is_empty() {
        argv.extend(["--tags".to_owned(), playbook.tags.join(",")]);
    }
    let stdin = (!playbook.extra_vars.is_empty())
        .then(|| serde_json::to_string(&playbook.extra_vars).ok())
        .flatten();
    argv.push(playbook.playbook.clone());
    if stdin.is_some() {
        let through = ["/bin/sh", "-eu", "-c", EXTRA_VARS, "sh"];
        argv.splice(0..0, through.map(ToOwned::to_owned));
    }
    let exec = Exec {
        env: environment(),
        stdin,
        ..Exec::argv(argv)
    };
    Some(Made {
        action: Action::Ansible {
            playbook: playbook.playbook.clone(),
            tags: playbook.tags.clone(),
            limit,
            touches: written.touches.clone(),
        },
        work: Primitive::Local(exec),
        so: None,
        limits: limits::PLAYBOOK,
        undo: Undo::None {
            way_back: "no undo is written for it".to_owned(),
        },
        repeat: Repeat::Person,
    })
}

/// How Ansible is asked to behave: plain lines at once, host keys always checked, never a question.
fn environment() -> BTreeMap<String, String> {
    [
        ("ANSIBLE_FORCE_COLOR", "0"),
        ("ANSIBLE_NOCOLOR", "1"),
        ("ANSIBLE_HOST_KEY_CHECKING", "True"),
        ("ANSIBLE_RETRY_FILES_ENABLED", "False"),
        ("PYTHONUNBUFFERED", "1"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}
