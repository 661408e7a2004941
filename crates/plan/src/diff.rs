//! What is different between two plans, for people who judge an amended definition.
//!
//! A step is the same when its id and its digest are. Everything else of a plan is compared as it is stored, field
//! by field, so that no part of a plan can be left out here.

use overhaul_model::id::{Digest, StepId};
use overhaul_model::plan::{Block, Child, Plan};
use overhaul_model::step::Step;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// What is different.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlanDiff {
    /// The hash of the plan before.
    pub old: Digest,
    /// The hash of the plan now.
    pub new: Digest,
    /// Steps.
    pub steps: StepsDiff,
    /// Everything else: by part of the plan (`hosts`, `rolls`, `services`, ...), what is different in it.
    pub parts: BTreeMap<String, EntriesDiff>,
}

/// What is different in the steps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StepsDiff {
    /// Only the new plan has them.
    pub added: Vec<Named>,
    /// Only the old plan has them.
    pub removed: Vec<Named>,
    /// Same id, another digest.
    pub changed: Vec<Changed>,
    /// Same id and digest, at another place among the steps that both plans have.
    pub moved: Vec<Named>,
    /// Same but for the line on which they were written.
    pub rewritten: Vec<StepId>,
    /// Same id and digest, same place.
    pub same: usize,
}

/// A step as people read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Named {
    /// Its id.
    pub id: StepId,
    /// Its title.
    pub title: String,
}

/// A step, or another part, that is there in both plans.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// Its id or name.
    pub id: String,
    /// Its title, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Its fields that are different.
    pub fields: Vec<Field>,
}

/// A field that is different.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Field {
    /// Its path, like `limits.total`; empty for the whole.
    pub field: String,
    /// Its value before; `None` when there was none.
    pub old: Option<Value>,
    /// Its value now; `None` when there is none.
    pub new: Option<Value>,
}

/// What is different among named entries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EntriesDiff {
    /// Only the new plan has them.
    pub added: Vec<String>,
    /// Only the old plan has them.
    pub removed: Vec<String>,
    /// Both have them, with other fields.
    pub changed: Vec<Changed>,
}

impl PlanDiff {
    /// Whether nothing is different.
    pub fn is_empty(&self) -> bool {
        self.old == self.new
    }
}

impl EntriesDiff {
    fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

/// Compares two plans.
///
/// # Errors
/// When one of them cannot be written as JSON.
pub fn diff(old: &Plan, new: &Plan) -> Result<PlanDiff, serde_json::Error> {
    let (of_old, of_new) = (object(old)?, object(new)?);
    let mut parts = BTreeMap::new();
    for part in of_old.keys().chain(of_new.keys()) {
        // The tree's steps stand in `steps`, its blocks in `blocks`.
        if part == "root" || parts.contains_key(part) {
            continue;
        }
        parts.insert(part.clone(), entries(of_old.get(part), of_new.get(part)));
    }
    let (old_tree, new_tree) = (Tree::of(old), Tree::of(new));
    let blocks = entries(Some(&old_tree.blocks), Some(&new_tree.blocks));
    parts.insert("blocks".to_owned(), blocks);
    parts.retain(|_, part| !part.is_empty());
    Ok(PlanDiff {
        old: old.hash()?,
        new: new.hash()?,
        steps: steps(&old_tree.steps, &new_tree.steps)?,
        parts,
    })
}

/// The steps of a tree in their order, and its other blocks with kind and title.
struct Tree<'p> {
    steps: Vec<&'p Step>,
    blocks: Value,
}

impl<'p> Tree<'p> {
    fn of(plan: &'p Plan) -> Self {
        let (mut steps, mut blocks) = (Vec::new(), Map::new());
        collect(Child::Block(&plan.root), &mut steps, &mut blocks);
        Self {
            steps,
            blocks: Value::Object(blocks),
        }
    }
}

fn collect<'p>(child: Child<'p>, steps: &mut Vec<&'p Step>, blocks: &mut Map<String, Value>) {
    let block = match child {
        Child::Step(step) => return steps.push(step),
        Child::Block(Block::Step(step)) => return steps.push(step),
        Child::Block(block) => block,
    };
    let mut about = Map::new();
    let (kind, title) = match block {
        Block::Step(_) => return,
        Block::Sequence { title, .. } => ("sequence", title),
        Block::Parallel { title, .. } => ("parallel", title),
        Block::Roll { title, .. } => ("roll", title),
        Block::Scope { title, .. } => ("scope", title),
        Block::Repair {
            title,
            when,
            attempts,
            ..
        } => {
            about.insert("attempts".to_owned(), Value::from(*attempts));
            about.insert(
                "when".to_owned(),
                serde_json::to_value(when).unwrap_or_default(),
            );
            ("repair", title)
        }
    };
    about.insert("kind".to_owned(), Value::from(kind));
    about.insert("title".to_owned(), Value::from(title.clone()));
    blocks.insert(block.id().to_string(), Value::Object(about));
    for child in block.children() {
        collect(child, steps, blocks);
    }
}

fn object<T: Serialize>(value: &T) -> Result<Map<String, Value>, serde_json::Error> {
    Ok(match serde_json::to_value(value)? {
        Value::Object(map) => map,
        other => Map::from_iter([(String::new(), other)]),
    })
}

fn steps(old: &[&Step], new: &[&Step]) -> Result<StepsDiff, serde_json::Error> {
    let by_id = |steps: &[&Step]| -> BTreeMap<StepId, Step> {
        let pairs = steps.iter().map(|step| (step.id.clone(), (*step).clone()));
        pairs.collect()
    };
    let (before, after) = (by_id(old), by_id(new));
    let named = |step: &Step| Named {
        id: step.id.clone(),
        title: step.title.clone(),
    };
    let lacking = |steps: &[&Step], other: &BTreeMap<StepId, Step>| -> Vec<Named> {
        let only = steps.iter().filter(|step| !other.contains_key(&step.id));
        only.map(|step| named(step)).collect()
    };
    let mut out = StepsDiff {
        added: lacking(new, &before),
        removed: lacking(old, &after),
        ..StepsDiff::default()
    };
    let moved = moved(old, new, &before, &after);
    for step in new {
        let Some(was) = before.get(&step.id) else {
            continue;
        };
        if was.digest()? != step.digest()? {
            let fields = fields_of(&object(was)?, &object(step)?);
            if fields
                .iter()
                .all(|field| field.field.starts_with("origin."))
            {
                out.rewritten.push(step.id.clone());
            } else {
                out.changed.push(Changed {
                    id: step.id.to_string(),
                    title: Some(step.title.clone()),
                    fields,
                });
            }
        }
        if moved.contains(&step.id) {
            out.moved.push(named(step));
        } else if was == *step {
            out.same = out.same.saturating_add(1);
        }
    }
    Ok(out)
}

/// The fewest steps of both plans that had to be moved to come from the one order to the other.
fn moved(
    old: &[&Step],
    new: &[&Step],
    before: &BTreeMap<StepId, Step>,
    after: &BTreeMap<StepId, Step>,
) -> BTreeSet<StepId> {
    let common = old.iter().filter(|step| after.contains_key(&step.id));
    let places: BTreeMap<&StepId, usize> = common
        .enumerate()
        .map(|(place, step)| (&step.id, place))
        .collect();
    let common: Vec<&StepId> = new
        .iter()
        .map(|step| &step.id)
        .filter(|id| before.contains_key(id))
        .collect();
    // The longest increasing subsequence stays: `tails` holds, for each length, the smallest place that ends
    // such a sequence, `before_it` who stands before whom in it.
    let mut tails: Vec<(usize, usize)> = Vec::new();
    let mut before_it: Vec<Option<usize>> = Vec::new();
    for (at, id) in common.iter().enumerate() {
        let place = places.get(*id).copied().unwrap_or_default();
        let length = tails.partition_point(|(tail, _)| *tail < place);
        let previous = length.checked_sub(1).and_then(|last| tails.get(last));
        before_it.push(previous.map(|(_, at)| *at));
        match tails.get_mut(length) {
            Some(tail) => *tail = (place, at),
            None => tails.push((place, at)),
        }
    }
    let mut stay = BTreeSet::new();
    let mut at = tails.last().map(|(_, at)| *at);
    while let Some(place) = at {
        stay.insert(place);
        at = before_it.get(place).copied().flatten();
    }
    let moves = common.iter().enumerate();
    let moves = moves.filter(|(at, _)| !stay.contains(at));
    moves.map(|(_, id)| (*id).clone()).collect()
}

/// Compares a part of the plan: a map entry by entry, a list by what only one of both has, everything else as a
/// whole.
fn entries(old: Option<&Value>, new: Option<&Value>) -> EntriesDiff {
    let mut out = EntriesDiff::default();
    if let (Some(Value::Array(was)), Some(Value::Array(is))) = (old, new) {
        let only = |these: &[Value], those: &[Value]| -> Vec<String> {
            let own = these.iter().filter(|item| !those.contains(item));
            own.map(Value::to_string).collect()
        };
        out.added = only(is, was);
        out.removed = only(was, is);
        return out;
    }
    let empty = Map::new();
    let map = |value: Option<&'_ Value>| -> Option<Map<String, Value>> {
        match value {
            None => Some(empty.clone()),
            Some(Value::Object(map)) => Some(map.clone()),
            Some(_) => None,
        }
    };
    let (Some(before), Some(after)) = (map(old), map(new)) else {
        if old != new {
            out.changed.push(Changed {
                id: String::new(),
                title: None,
                fields: vec![Field {
                    field: String::new(),
                    old: old.cloned(),
                    new: new.cloned(),
                }],
            });
        }
        return out;
    };
    let only = |these: &Map<String, Value>, those: &Map<String, Value>| -> Vec<String> {
        let own = these.keys().filter(|key| !those.contains_key(*key));
        own.cloned().collect()
    };
    out.added = only(&after, &before);
    out.removed = only(&before, &after);
    for (name, is) in &after {
        let Some(was) = before.get(name).filter(|was| *was != is) else {
            continue;
        };
        let mut fields = Vec::new();
        fields_between("", Some(was), Some(is), &mut fields);
        out.changed.push(Changed {
            id: name.clone(),
            title: None,
            fields,
        });
    }
    out
}

fn fields_of(old: &Map<String, Value>, new: &Map<String, Value>) -> Vec<Field> {
    let mut out = Vec::new();
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for key in keys {
        fields_between(key, old.get(key), new.get(key), &mut out);
    }
    out
}

/// The smallest fields that are different; a list is one field.
fn fields_between(path: &str, old: Option<&Value>, new: Option<&Value>, out: &mut Vec<Field>) {
    if old == new {
        return;
    }
    if let (Some(Value::Object(was)), Some(Value::Object(is))) = (old, new) {
        for mut field in fields_of(was, is) {
            if !path.is_empty() {
                field.field = format!("{path}.{}", field.field);
            }
            out.push(field);
        }
        return;
    }
    out.push(Field {
        field: path.to_owned(),
        old: old.cloned(),
        new: new.cloned(),
    });
}
