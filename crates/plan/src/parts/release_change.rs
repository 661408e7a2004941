//! The release upgrader's steps: before the outage, and inside its scopes the change, the reboot, the
//! proof of the new release and the settling.

use super::site::{Site, as_blocks};
use super::written;
use crate::draft::Draft;
use crate::limits;
use crate::slug::slug;
use overhaul_model::action::{Action, Repeat, Undo, UpgradePart};
use overhaul_model::kind::{Upgrader, UpgraderStep};
use overhaul_model::plan::Block;
use overhaul_model::primitive::{Measure, NotAvailable, Primitive, Reboot, Wait};
use overhaul_model::step::Step;
use std::collections::BTreeMap;

const NO_WAY_BACK: &str =
    "the old release does not come back by itself: install it anew and restore from the copies";

pub(super) fn prepare(draft: &Draft<'_>, site: &Site<'_>) -> Vec<Step> {
    let Some(way) = draft.ways.get(&site.role.role) else {
        return Vec::new();
    };
    way.upgrader
        .prepare
        .iter()
        .map(|step| upgrader_step(draft, site, &way.upgrader, step))
        .collect()
}

pub(super) fn change(draft: &mut Draft<'_>, site: &Site<'_>) -> Vec<Block> {
    let Some(way) = draft.ways.get(&site.role.role).cloned() else {
        return written::blocks(draft, site);
    };
    let upgrader = &way.upgrader;
    let of_kind = |draft: &Draft<'_>, steps: &[UpgraderStep]| -> Vec<Step> {
        let steps = steps.iter();
        steps
            .map(|step| upgrader_step(draft, site, upgrader, step))
            .collect()
    };
    let mut blocks = as_blocks(of_kind(draft, &upgrader.change));
    blocks.extend(written::blocks(draft, site));
    let mut after = vec![reboot(site, &upgrader.name), new_release(draft, site)];
    after.extend(of_kind(draft, &upgrader.settle));
    blocks.extend(as_blocks(after));
    for scope in upgrader.scopes.iter().rev() {
        let id = site.id.child(&slug(&scope.name));
        let body = Block::Sequence {
            id: id.child("body"),
            title: format!("while {} holds", scope.name),
            blocks,
        };
        blocks = vec![Block::Scope {
            id,
            title: scope.name.clone(),
            open: Box::new(upgrader_step(draft, site, upgrader, &scope.open)),
            body: Box::new(body),
            close: Box::new(upgrader_step(draft, site, upgrader, &scope.close)),
        }];
    }
    blocks
}

fn upgrader_step(
    draft: &Draft<'_>,
    site: &Site<'_>,
    upgrader: &Upgrader,
    step: &UpgraderStep,
) -> Step {
    let action = Action::ReleaseUpgrade {
        kind: upgrader.name.clone(),
        part: step.part,
        to: draft.definition.to.clone(),
    };
    let work = if upgrader.available {
        step.work.clone()
    } else {
        Primitive::NotAvailable(NotAvailable {
            subject: upgrader.name.clone(),
            with: BTreeMap::new(),
        })
    };
    let mut out = site.step(&step.name, &step.title, action, work);
    out.check.clone_from(&step.check);
    out.verify.clone_from(&step.verify);
    out.limits = step.limits;
    out.retry = step.retry;
    out.outputs.clone_from(&step.outputs);
    out.repeat = if step.repeatable {
        Repeat::Safe
    } else if step.check.is_some() {
        Repeat::CheckFirst
    } else {
        Repeat::Person
    };
    out.undo = match step.part {
        UpgradePart::Change => Undo::None {
            way_back: NO_WAY_BACK.to_owned(),
        },
        UpgradePart::Prepare | UpgradePart::Settle | UpgradePart::TakeDown => Undo::Nothing,
    };
    out.why = format!("upgrader {}: {}", upgrader.name, upgrader.describes);
    out.origin = Site::kind_origin(&upgrader.name);
    out
}

/// Services are held down, so that a second reboot disturbs nobody: it may be begun again freely.
fn reboot(site: &Site<'_>, upgrader: &str) -> Step {
    let work = Primitive::Reboot(Reboot {
        command: vec!["systemctl".to_owned(), "reboot".to_owned()],
        back_within: limits::BACK_WITHIN,
    });
    let mut step = site.step("reboot", "reboot into the new system", Action::Reboot, work);
    step.repeat = Repeat::Safe;
    step.limits = limits::reboot(limits::BACK_WITHIN);
    step.why = "kernel and every library in use are replaced only by a reboot".to_owned();
    step.origin = Site::kind_origin(upgrader);
    step
}

pub(super) fn new_release(draft: &Draft<'_>, site: &Site<'_>) -> Step {
    let to = &draft.definition.to;
    let wait = Wait {
        until: Measure::Release {
            os: to.os.clone(),
            version: to.release.clone(),
        },
        every: limits::RELEASE_EVERY,
        at_most: limits::RELEASE_AT_MOST,
    };
    let mut step = site.step(
        "new-release",
        &format!("the host is on {to}"),
        Action::Wait,
        Primitive::Wait(wait),
    );
    step.repeat = Repeat::Safe;
    step.limits = limits::RELEASE;
    step.why = "a reboot proves a new boot, not a new release".to_owned();
    step
}
