//! Stages with names of their own: which slots they hold, and what is done once before and after.

use super::block::Slugs;
use super::root::Names;
use super::shapes::{STAGE, STAGE_STEP};
use super::step::{PlacedStep, step_of};
use crate::node::{Entry, Node, Tree, shortened};
use crate::reader::{self, Fields};
use crate::templates::Desk;
use crate::words::suggestion;
use overhaul_model::definition::{
    Slot, StagePlan, StageRoles, StageStep, Stages, WrittenAction, WrittenStep,
};
use overhaul_model::id::{RoleName, StageName};
use std::ops::Range;

const WEAVES: [(&str, Stages); 2] = [
    ("across-roles", Stages::AcrossRoles),
    ("within-zone", Stages::WithinZone),
];

/// What was written about stages.
pub(super) struct Written {
    /// How roles follow each other in the stage with the change.
    pub(super) weave: Stages,
    /// The stages.
    pub(super) plan: Vec<StagePlan>,
}

/// The stages; the usual ones when nothing is said.
pub(super) fn stages(desk: &Desk, names: &Names, node: Option<&Node>) -> Written {
    let mut out = Written {
        weave: Stages::default(),
        plan: StagePlan::defaults(),
    };
    match node {
        None => {}
        Some(node) if matches!(node.tree, Tree::Map(_)) => {
            let mut reader = StageReader {
                desk,
                names,
                weave: Stages::default(),
                taken: Vec::new(),
            };
            let entries = reader::map(desk.sink, node, "stages");
            let read = entries.iter().filter_map(|entry| reader.stage(entry));
            out.plan = whole(read.collect());
            out.weave = reader.weave;
        }
        Some(node) => {
            out.weave = reader::word(desk.sink, node, &WEAVES).unwrap_or_default();
        }
    }
    out
}

/// Slots that no stage names go with the one before them; the first ones with the first stage. What is cleared
/// away stays in a stage of its own, which runs by name only.
fn whole(mut stages: Vec<StagePlan>) -> Vec<StagePlan> {
    let mut last = 0;
    for slot in Slot::ALL {
        match stages.iter().position(|stage| stage.slots.contains(&slot)) {
            Some(at) => last = at,
            None if slot == Slot::Cleanup => {
                let name = StageName::new(Slot::Cleanup.stage());
                stages.push(StagePlan::of(name, vec![Slot::Cleanup]));
            }
            None => {
                if let Some(stage) = stages.get_mut(last) {
                    stage.slots.push(slot);
                    stage.slots.sort_unstable();
                }
            }
        }
    }
    stages
}

struct StageReader<'r, 's, 'f> {
    desk: &'r Desk<'s, 'f>,
    names: &'r Names,
    weave: Stages,
    /// Slots so far, each with the name of its stage.
    taken: Vec<(Slot, String)>,
}

impl StageReader<'_, '_, '_> {
    fn stage(&mut self, entry: &Entry) -> Option<StagePlan> {
        let sink = self.desk.sink;
        let good = reader::check_name(sink, &entry.key, &entry.key_span);
        let fields = Fields::open(sink, &entry.value, &STAGE)?;
        let slots = match fields.get("slots") {
            Some(node) => reader::list(sink, node, |node| self.slot(node, &entry.key)),
            None => self.usual_slots(entry),
        };
        let mut slugs = Slugs::of_stage();
        let before = fields.get("before");
        let before = before.map(|node| self.steps(node, &mut slugs));
        let after = fields.get("after");
        let after = after.map(|node| self.steps(node, &mut slugs));
        let roles = fields.get("roles").map(|node| self.roles(node));
        let weave = fields.word("weave", &WEAVES);
        if let Some(node) = fields.get("weave")
            && !slots.contains(&Slot::Change)
        {
            let message = "only the stage with the slot `change` can go zone by zone";
            sink.add_with_help(&node.span, message, "write `weave` there");
        }
        self.weave = weave.unwrap_or(self.weave);
        fields.done();
        good.then(|| StagePlan {
            name: StageName::new(entry.key.clone()),
            slots,
            roles: roles.unwrap_or(StageRoles::InTurn),
            before: before.unwrap_or_default(),
            after: after.unwrap_or_default(),
        })
    }

    fn roles(&self, node: &Node) -> StageRoles {
        match &node.tree {
            Tree::List(_) => {
                let listed = reader::list(self.desk.sink, node, |node| self.role(node));
                StageRoles::Order(listed)
            }
            _ => {
                let words = [("in-turn", false), ("at-once", true)];
                match reader::word(self.desk.sink, node, &words) {
                    Some(true) => StageRoles::AtOnce,
                    _ => StageRoles::InTurn,
                }
            }
        }
    }

    /// Those of the usual stage of this name.
    fn usual_slots(&mut self, entry: &Entry) -> Vec<Slot> {
        let (sink, name, span) = (self.desk.sink, &entry.key, &entry.key_span);
        let Some(usual) = StagePlan::defaults()
            .into_iter()
            .find(|stage| stage.name.as_str() == name)
        else {
            let message = format!("the stage `{}` says no slots", shortened(name));
            sink.add_with_help(span, message, "write `slots: [...]`; only `prepare`, `upgrade`, `finish` and `cleanup` have usual ones");
            return Vec::new();
        };
        // The first that stands in the way is told, and not each one after it.
        let slots = usual.slots.into_iter();
        slots
            .map_while(|slot| self.take(slot, span, name))
            .collect()
    }

    fn slot(&mut self, node: &Node, stage: &str) -> Option<Slot> {
        let words = Slot::ALL.map(|slot| (slot.word(), slot));
        let slot = reader::word(self.desk.sink, node, &words)?;
        self.take(slot, &node.span, stage)
    }

    /// A slot that follows all slots before it.
    fn take(&mut self, slot: Slot, span: &Range<usize>, stage: &str) -> Option<Slot> {
        let sink = self.desk.sink;
        let later = self.taken.iter().find(|(before, _)| *before >= slot);
        if let Some((before, of)) = later {
            let message = if *before == slot {
                format!("`{}` is a slot of the stage `{of}` already", slot.word())
            } else {
                format!(
                    "`{}` comes before `{}`, which the stage `{of}` names",
                    slot.word(),
                    before.word()
                )
            };
            let order = Slot::ALL.map(Slot::word).join(", ");
            sink.add_with_help(span, message, format!("the slots are, in order: {order}"));
            return None;
        }
        if slot == Slot::Cleanup && stage != slot.stage() {
            let message = "the slot `cleanup` stands in the stage `cleanup` alone";
            sink.add_with_help(span, message, "that stage runs by name only");
            return None;
        }
        self.taken.push((slot, stage.to_owned()));
        Some(slot)
    }

    fn steps(&self, node: &Node, slugs: &mut Slugs) -> Vec<StageStep> {
        reader::list(self.desk.sink, node, |node| self.step(node, slugs))
    }

    fn step(&self, node: &Node, slugs: &mut Slugs) -> Option<StageStep> {
        let PlacedStep {
            on,
            step,
            name_span,
            ..
        } = step_of(self.desk, self.names, node, &STAGE_STEP)?;
        slugs.take(self.desk.sink, &step.name, &name_span);
        let on = match on {
            Some(node) => Some(self.role(&node)?),
            None => None,
        };
        if on.is_none() {
            self.without_host(&step, &name_span);
        }
        Some(StageStep { on, step })
    }

    fn role(&self, node: &Node) -> Option<RoleName> {
        let sink = self.desk.sink;
        let name = reader::text(sink, node)?;
        if !self.names.roles.contains(&name) {
            let message = format!("there is no role `{}` in this file", shortened(&name));
            let roles = self.names.roles.iter().map(String::as_str);
            let help = suggestion(&name, roles, "the roles are");
            sink.add_with_help(&node.span, message, help);
            return None;
        }
        Some(RoleName::new(name))
    }

    /// What has no host can only ask, tell, wait for what the controller sees, or be declared.
    fn without_host(&self, step: &WrittenStep, span: &Range<usize>) {
        let sink = self.desk.sink;
        let can = match &step.action {
            WrittenAction::Gate(_)
            | WrittenAction::Announce(_)
            | WrittenAction::QuiesceOthers { .. }
            | WrittenAction::Later { .. } => true,
            WrittenAction::Wait(wait) => wait.until.from_controller(),
            _ => false,
        };
        if !can {
            let message = "this is done on a host, and the step says on none";
            sink.add_with_help(
                span,
                message,
                "write `on: ROLE`: the first host of that role does it",
            );
        }
        let alone = step.when.is_none() && step.guards.is_empty();
        if can && !alone {
            let message = "`when` and `guards` look at a host, and the step has none";
            sink.add_with_help(span, message, "take them away, or write `on: ROLE`");
        }
    }
}
