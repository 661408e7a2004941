//! Steps as people wrote them, compiled to primitives.

use super::site::{Site, as_blocks};
use super::{archive, belongings, cluster, move_cluster, near, transfer};
use crate::draft::Draft;
use crate::error::Wrong;
use crate::limits;
use crate::scripts;
use crate::slug::slug;
use overhaul_model::action::{Action, ClusterOp, Limits, Repeat, Retry, ServiceOp, Touches, Undo};
use overhaul_model::definition::{
    Definition, Guard, WrittenAction, WrittenBlock, WrittenScope, WrittenStep,
};
use overhaul_model::fleet::Host;
use overhaul_model::id::{HostName, ServiceName};
use overhaul_model::knowledge::{Concerned, Way};
use overhaul_model::later::Later;
use overhaul_model::plan::Block;
use overhaul_model::primitive::{
    EditFile, Exec, Measure, NotAvailable, Primitive, Reboot, UnitState, WriteFile,
};
use overhaul_model::step::Step;
use overhaul_model::template::{Context, Renderer};
use std::collections::BTreeSet;

/// What a step has no undo for when its author named none.
const NO_UNDO: &str = "no undo is written for it";

pub(super) fn blocks(draft: &mut Draft<'_>, site: &Site<'_>) -> Vec<Block> {
    let written = site.role.slots.get(&site.slot).into_iter().flatten();
    written
        .flat_map(|block| of_block(draft, site, block))
        .collect()
}

/// What stands in no slot of a role, and has a host of its own or none.
pub(crate) fn whole(draft: &mut Draft<'_>, site: &Site<'_>, written: &WrittenStep) -> Vec<Step> {
    let steps = each(draft, site, written).into_iter();
    steps.map(|step| Step { only: None, ..step }).collect()
}

/// One written block; what it holds stands alone when its ends concern none of the hosts.
fn of_block(draft: &mut Draft<'_>, site: &Site<'_>, written: &WrittenBlock) -> Vec<Block> {
    match written {
        WrittenBlock::Step(step) => as_blocks(each(draft, site, step)),
        WrittenBlock::Scope(scope) => {
            let body = inner(draft, site, &scope.body);
            let opens = each(draft, site, &scope.open);
            let closes = each(draft, site, &scope.close);
            if opens.is_empty() || closes.is_empty() {
                return body;
            }
            if opens.len() != closes.len() {
                draft.wrong(
                    &scope.open.origin,
                    Wrong::UnevenScope {
                        scope: scope.name.clone(),
                        opens: opens.len(),
                        closes: closes.len(),
                    },
                    "a volume that is mounted when it comes is unmounted when it goes: write `mount` in both or in none",
                );
            }
            scopes(site, scope, opens, closes, body)
        }
        WrittenBlock::Repair(repair) => {
            let id = site.id.child(&slug(&repair.name));
            let body = inner(draft, site, &repair.body);
            if body.is_empty() {
                return Vec::new();
            }
            vec![Block::Repair {
                title: repair.name.clone(),
                body: Box::new(Block::Sequence {
                    id: id.child("body"),
                    title: repair.name.clone(),
                    blocks: body,
                }),
                when: repair.when.clone(),
                remedy: Box::new(Block::Sequence {
                    id: id.child("remedy"),
                    title: format!("the remedy of {}", repair.name),
                    blocks: inner(draft, site, &repair.remedy),
                }),
                attempts: repair.attempts,
                id,
            }]
        }
    }
}

/// What opens in several steps closes in as many, the last one first: scopes inside each other.
fn scopes(
    site: &Site<'_>,
    scope: &WrittenScope,
    opens: Vec<Step>,
    closes: Vec<Step>,
    body: Vec<Block>,
) -> Vec<Block> {
    let id = site.id.child(&slug(&scope.name));
    let mut inside = body;
    let pairs: Vec<_> = opens.into_iter().zip(closes.into_iter().rev()).collect();
    for (depth, (open, close)) in pairs.into_iter().enumerate().rev() {
        let id = match depth {
            0 => id.clone(),
            inner => id.child(&format!("inside-{inner}")),
        };
        inside = vec![Block::Scope {
            title: scope.name.clone(),
            open: Box::new(open),
            body: Box::new(Block::Sequence {
                id: id.child("body"),
                title: format!("while {} holds", scope.name),
                blocks: inside,
            }),
            close: Box::new(close),
            id,
        }];
    }
    inside
}

fn inner(draft: &mut Draft<'_>, site: &Site<'_>, written: &[WrittenBlock]) -> Vec<Block> {
    let mut blocks = Vec::new();
    for block in written {
        blocks.extend(of_block(draft, site, block));
    }
    blocks
}

/// The steps that a written one becomes: one, but for what has a name of its own on each host.
fn each(draft: &mut Draft<'_>, site: &Site<'_>, written: &WrittenStep) -> Vec<Step> {
    let mut steps = match &written.action {
        WrittenAction::Archive(of) => {
            let hosts = concerned(draft, site, written).unwrap_or_default();
            archive::steps(draft, site, written, of, &hosts)
        }
        WrittenAction::Transfer {
            dataset,
            by,
            staging,
        } => {
            let hosts = concerned(draft, site, written).unwrap_or_default();
            let wanted = transfer::Wanted {
                dataset,
                by: *by,
                staging: staging.as_deref(),
            };
            return transfer::steps(draft, site, written, &wanted, &hosts);
        }
        WrittenAction::Cluster { service, op } => {
            return membership(draft, site, written, (service, *op));
        }
        WrittenAction::Volume(volume) => {
            let steps = belongings::written_volume(draft, site, written, volume);
            in_turn(draft, site, written, steps)
        }
        WrittenAction::Address(address) => {
            let step = belongings::written_address(draft, site, written, address);
            in_turn(draft, site, written, vec![step])
        }
        WrittenAction::Machine(machine) if machine.unprotect => {
            let first = near::unprotected(draft, site, written, machine);
            let own = compile(draft, site, written);
            let own = own.map(|step| Step {
                guards: Vec::new(),
                ..step
            });
            return own.map_or_else(Vec::new, |own| vec![first, own]);
        }
        _ => return compile(draft, site, written).into_iter().collect(),
    };
    for step in &mut steps {
        step.why = why(site, written);
    }
    steps
}

/// Steps that a written one becomes, one after the other: its guards hold before the first, the proof of its
/// author after the last, and bounds and values are those of the step that bears its name.
fn in_turn(
    draft: &mut Draft<'_>,
    site: &Site<'_>,
    written: &WrittenStep,
    mut steps: Vec<Step>,
) -> Vec<Step> {
    let Some(hosts) = concerned(draft, site, written) else {
        return Vec::new();
    };
    let last = steps.len().saturating_sub(1);
    let own = site.id.child(&slug(&written.name));
    for (place, step) in steps.iter_mut().enumerate() {
        let (check, verify) = (step.check.clone(), step.verify.clone());
        if step.id == own {
            own_words(step, written);
        }
        step.origin = written.origin.clone();
        step.check = check;
        step.verify = verify;
        step.guards = match place {
            0 => written.guards.clone(),
            _ => Vec::new(),
        };
        if place == last && written.verify.is_some() {
            step.verify.clone_from(&written.verify);
        }
        step.only = site.only(hosts.clone());
    }
    steps
}

/// What is done with a member, and what is measured after it. Only the first step is the author's.
fn membership(
    draft: &mut Draft<'_>,
    site: &Site<'_>,
    written: &WrittenStep,
    what: (&ServiceName, ClusterOp),
) -> Vec<Step> {
    let Some(hosts) = concerned(draft, site, written) else {
        return Vec::new();
    };
    let named = (written.name.as_str(), &written.origin);
    let mut steps = cluster::written(draft, site, named, what);
    if let Some(step) = steps.first_mut() {
        let guards = std::mem::take(&mut step.guards);
        own_words(step, written);
        step.guards.extend(guards);
        step.why = why(site, written);
    }
    for step in &mut steps {
        let own = step.only.take();
        let own = own.map_or(hosts.clone(), |own| &own & &hosts);
        step.only = site.only(own);
    }
    steps.retain(|step| step.only.as_ref().is_none_or(|only| !only.is_empty()));
    steps
}

fn compile(draft: &mut Draft<'_>, site: &Site<'_>, written: &WrittenStep) -> Option<Step> {
    if let WrittenAction::Cluster { service, op } = &written.action {
        let steps = membership(draft, site, written, (service, *op));
        return steps.into_iter().next();
    }
    let hosts = concerned(draft, site, written)?;
    let mut step = match &written.action {
        WrittenAction::MoveCluster { dataset } => {
            move_cluster::step(draft, site, written, dataset)?
        }
        action => {
            let made = made(draft, site, written, action)?;
            let mut step = site.step(&written.name, &written.name, made.action, made.work);
            step.check = made.so.clone();
            step.verify = made.so;
            if let WrittenAction::Machine(machine) = action {
                step.verify = near::verify_of_written(draft, site, machine);
            }
            step.limits = made.limits;
            step.undo = made.undo;
            step.repeat = made.repeat;
            step.only = site.only(hosts.clone());
            step
        }
    };
    // Two reasons to leave a host out: the dataset's authority, and `when`.
    if let Some(only) = &mut step.only {
        only.retain(|host| hosts.contains(host));
        if only.is_empty() {
            return None;
        }
    }
    own_words(&mut step, written);
    step.guards.extend(fed(draft, site, &written.action));
    if step.why.is_empty() {
        step.why = why(site, written);
    }
    Some(step)
}

/// Who starts again as a member may be given its data by the others.
fn fed(draft: &Draft<'_>, site: &Site<'_>, action: &WrittenAction) -> Vec<Guard> {
    let services = site.services(draft).into_iter();
    let starts = |unit: &str| match action {
        WrittenAction::Reboot { .. } => true,
        WrittenAction::Service { unit: own, op } => {
            own == unit && matches!(op, ServiceOp::Start | ServiceOp::Restart | ServiceOp::LetGo)
        }
        _ => false,
    };
    services
        .filter(|(_, service, _)| starts(&service.unit))
        .filter_map(|(name, ..)| cluster::donors(draft, &name))
        .collect()
}

fn why(site: &Site<'_>, written: &WrittenStep) -> String {
    written.issue.as_ref().map_or_else(
        || format!("written in the slot {}", site.slot.word()),
        |issue| format!("the remedy of the known issue {issue}"),
    )
}

/// What the author says about the step counts more than what its action brings along.
pub(super) fn own_words(step: &mut Step, written: &WrittenStep) {
    step.origin = written.origin.clone();
    step.guards.clone_from(&written.guards);
    step.outputs.clone_from(&written.outputs);
    step.retry = written.retry;
    if let Some(check) = &written.check {
        step.check = Some(check.clone());
    }
    if let Some(verify) = &written.verify {
        step.verify = Some(verify.clone());
    }
    if let Some(undo) = &written.undo {
        step.undo = Undo::By(undo.clone());
    }
    if let Some(total) = written.timeout {
        step.limits.total = total;
        step.limits.stall = step.limits.stall.filter(|stall| *stall < total);
        step.limits.expected = step.limits.expected.min(total);
    }
    if let Some(stall) = written.stall {
        step.limits.stall = Some(stall);
    }
    if let Some(expected) = written.expected {
        step.limits.expected = expected;
    }
    if let Some(scope) = written.once {
        step.repeat = Repeat::Once(scope);
        step.retry = Retry::NEVER;
    } else if written.repeatable {
        step.repeat = Repeat::Safe;
    } else if step.repeat == Repeat::Person && step.check.is_some() {
        step.repeat = Repeat::CheckFirst;
    }
}

/// The hosts for which the step's condition holds; `None` when there is none of them, or it cannot be said.
fn concerned(
    draft: &mut Draft<'_>,
    site: &Site<'_>,
    written: &WrittenStep,
) -> Option<BTreeSet<HostName>> {
    let may_have = site
        .hosts
        .iter()
        .filter(|host| may_have(draft, written, host));
    let may_have: Vec<&Host> = may_have.copied().collect();
    let Some(when) = &written.when else {
        let names = may_have.iter().map(|host| host.name.clone());
        return Some(names.collect()).filter(|names: &BTreeSet<_>| !names.is_empty());
    };
    let renderer = Renderer::new();
    let mut hosts = BTreeSet::new();
    for host in may_have {
        match holds(draft, &renderer, when, host) {
            Ok(true) => {
                hosts.insert(host.name.clone());
            }
            Ok(false) => {}
            Err(why) => draft.wrong(
                &written.origin,
                Wrong::Condition {
                    step: written.name.clone(),
                    host: host.name.to_string(),
                    why,
                },
                "conditions may use the host's variables, `host`, `from` and `to`: they are decided while planning",
            ),
        }
    }
    (!hosts.is_empty()).then_some(hosts)
}

/// Whether a remedy is for a host: it has the issue, or nobody knows that it has not.
fn may_have(draft: &Draft<'_>, written: &WrittenStep, host: &Host) -> bool {
    let Definition {
        knowledge,
        from,
        to,
        ..
    } = draft.definition;
    let issues = &knowledge.known_issues;
    let its_own = issues
        .iter()
        .find(|issue| written.issue.as_ref() == Some(&issue.id));
    let way = Way {
        from,
        to,
        versions: &knowledge.versions,
    };
    its_own
        .is_none_or(|issue| issue.concerns(host, draft.facts.get(&host.name), way) != Concerned::No)
}

fn holds(draft: &Draft<'_>, renderer: &Renderer, when: &str, host: &Host) -> Result<bool, String> {
    let context = Context::new(Some(host), &draft.definition.from, &draft.definition.to);
    renderer
        .holds(when, &context)
        .map_err(|error| error.to_string())
}

/// What an action is compiled to.
pub(super) struct Made {
    pub action: Action,
    pub work: Primitive,
    /// Already so before, and so afterwards.
    pub so: Option<Measure>,
    pub limits: Limits,
    pub undo: Undo,
    pub repeat: Repeat,
}

fn made(
    draft: &mut Draft<'_>,
    site: &Site<'_>,
    written: &WrittenStep,
    action: &WrittenAction,
) -> Option<Made> {
    Some(match action {
        WrittenAction::Run(exec) => run(written, exec),
        WrittenAction::Service { unit, op } => service(draft, site, unit, *op),
        WrittenAction::Packages { install, remove } => packages(install, remove),
        WrittenAction::Reboot { back_within } => Made {
            action: Action::Reboot,
            work: Primitive::Reboot(Reboot {
                command: vec!["systemctl".to_owned(), "reboot".to_owned()],
                back_within: *back_within,
            }),
            so: None,
            limits: limits::reboot(*back_within),
            undo: Undo::Nothing,
            repeat: Repeat::Person,
        },
        WrittenAction::File(file) => write_file(file),
        WrittenAction::Edit(edit) => edit_file(edit),
        // Compiled by `move_cluster`, `archive`, `transfer`, `belongings`, `cluster` and beside stages.
        WrittenAction::MoveCluster { .. }
        | WrittenAction::Archive(_)
        | WrittenAction::Transfer { .. }
        | WrittenAction::Volume(_)
        | WrittenAction::Address(_)
        | WrittenAction::Cluster { .. }
        | WrittenAction::QuiesceOthers { .. } => return None,
        WrittenAction::Machine(machine) => near::machine(draft, site, machine),
        WrittenAction::Ansible(playbook) => near::ansible(draft, written, playbook)?,
        WrittenAction::Wait(wait) => quiet(
            Action::Wait,
            Primitive::Wait(wait.clone()),
            limits::wait(wait.at_most),
        ),
        WrittenAction::Gate(ask) => quiet(Action::Gate, Primitive::Ask(ask.clone()), limits::GATE),
        WrittenAction::Announce(announce) => quiet(
            Action::Announce,
            Primitive::Announce(announce.clone()),
            limits::ANNOUNCE,
        ),
        WrittenAction::Later { what, work } => later(*what, &written.touches, work),
    })
}

/// Declared, planned and checked; refused by the checker.
pub(super) fn later(what: Later, touches: &Touches, work: &NotAvailable) -> Made {
    Made {
        action: Action::Later {
            what,
            touches: touches.clone(),
        },
        work: Primitive::NotAvailable(work.clone()),
        so: None,
        limits: limits::COMMAND,
        undo: what
            .way_back()
            .map_or(Undo::Nothing, |way_back| Undo::None {
                way_back: way_back.to_owned(),
            }),
        repeat: what.repeat(),
    }
}

fn quiet(action: Action, work: Primitive, limits: Limits) -> Made {
    Made {
        action,
        work,
        so: None,
        limits,
        undo: Undo::Nothing,
        repeat: Repeat::Safe,
    }
}

fn run(written: &WrittenStep, exec: &Exec) -> Made {
    let harmless = written.touches == Touches::Only(Vec::new());
    Made {
        action: Action::Run {
            touches: written.touches.clone(),
        },
        work: Primitive::Exec(exec.clone()),
        so: None,
        limits: limits::COMMAND,
        undo: if harmless {
            Undo::Nothing
        } else {
            Undo::None {
                way_back: NO_UNDO.to_owned(),
            }
        },
        repeat: Repeat::Person,
    }
}

fn service(draft: &Draft<'_>, site: &Site<'_>, unit: &str, op: ServiceOp) -> Made {
    let declared: Option<ServiceName> = site
        .services(draft)
        .into_iter()
        .find(|(_, service, _)| service.unit == unit)
        .map(|(name, ..)| name);
    let is = |state| Measure::Unit {
        unit: unit.to_owned(),
        state,
    };
    let systemctl = |verb: &str| Exec::argv(["systemctl", verb, "--", unit]);
    let (exec, so, undo) = match op {
        ServiceOp::Start => (
            systemctl("start"),
            Some(is(UnitState::Active)),
            Undo::By(systemctl("stop")),
        ),
        ServiceOp::Stop => (
            systemctl("stop"),
            Some(is(UnitState::Stopped)),
            Undo::By(systemctl("start")),
        ),
        ServiceOp::Restart => (systemctl("restart"), None, Undo::Nothing),
        ServiceOp::Reload => (systemctl("reload"), None, Undo::Nothing),
        ServiceOp::Enable => (
            systemctl("enable"),
            Some(is(UnitState::Enabled)),
            Undo::By(systemctl("disable")),
        ),
        ServiceOp::Disable => (
            systemctl("disable"),
            Some(is(UnitState::Disabled)),
            Undo::By(systemctl("enable")),
        ),
        ServiceOp::Hold => (
            scripts::HOLD.with([unit]),
            Some(is(UnitState::Held)),
            Undo::By(scripts::LET_GO.with([unit])),
        ),
        ServiceOp::LetGo => (
            scripts::LET_GO.with([unit]),
            Some(Measure::All(vec![
                is(UnitState::Startable),
                is(UnitState::Active),
            ])),
            Undo::By(scripts::HOLD.with([unit])),
        ),
    };
    Made {
        action: Action::Service {
            unit: unit.to_owned(),
            service: declared,
            op,
        },
        work: Primitive::Exec(exec),
        so,
        limits: limits::SERVICE,
        undo,
        repeat: Repeat::Safe,
    }
}

fn packages(install: &[String], remove: &[String]) -> Made {
    let marked = install
        .iter()
        .cloned()
        .chain(remove.iter().map(|name| format!("{name}-")));
    let mut parts = Vec::new();
    if !install.is_empty() {
        parts.push(Measure::PackagesInstalled {
            names: install.to_vec(),
        });
    }
    if !remove.is_empty() {
        parts.push(Measure::Command(scripts::PACKAGES_GONE.with(remove)));
    }
    Made {
        action: Action::Packages {
            install: install.to_vec(),
            remove: remove.to_vec(),
        },
        work: Primitive::Exec(scripts::PACKAGES.with(marked)),
        so: Some(Measure::All(parts)),
        limits: limits::PACKAGES,
        undo: Undo::None {
            way_back: NO_UNDO.to_owned(),
        },
        repeat: Repeat::Safe,
    }
}

/// The old content, kept beside the file, comes back.
fn put_back(path: &str, kept: bool) -> Undo {
    if kept {
        Undo::By(Exec::argv([
            "mv".to_owned(),
            "--".to_owned(),
            format!("{path}.overhaul-before"),
            path.to_owned(),
        ]))
    } else {
        Undo::None {
            way_back: "the old content was not kept: write `backup: true` to keep it".to_owned(),
        }
    }
}

fn write_file(file: &WriteFile) -> Made {
    Made {
        action: Action::File {
            path: file.path.clone(),
        },
        work: Primitive::WriteFile(file.clone()),
        so: Some(Measure::FileIs(file.clone())),
        limits: limits::FILE,
        undo: put_back(&file.path, file.backup),
        repeat: Repeat::Safe,
    }
}

fn edit_file(edit: &EditFile) -> Made {
    Made {
        action: Action::Edit {
            path: edit.path.clone(),
        },
        work: Primitive::EditFile(edit.clone()),
        so: Some(Measure::FileEdited(edit.clone())),
        limits: limits::FILE,
        undo: put_back(&edit.path, edit.backup),
        repeat: Repeat::Safe,
    }
}
