//! Which steps say something that later steps need.

use crate::run::Run;
use crate::tree::{Key, Tree};
use overhaul_model::id::Position;
use overhaul_model::primitive::Primitive;
use overhaul_model::step::Step;
use std::collections::{BTreeMap, BTreeSet};

/// What stands before the word of a step wherever a text uses an output of it.
const WORD_FOLLOWS: &str = "steps.";

/// Steps, each with those behind it that use its outputs, by their nodes.
pub(crate) type Users = BTreeMap<usize, Vec<usize>>;

/// Reads every text of a plan once.
pub(crate) fn users(tree: &Tree) -> Users {
    let mut by_word: BTreeMap<String, usize> = BTreeMap::new();
    let mut out = Users::new();
    let steps = tree
        .nodes()
        .filter_map(|node| Some((node, tree.step(node)?)));
    for (node, step) in steps {
        for giver in words(step).iter().filter_map(|word| by_word.get(word)) {
            out.entry(*giver).or_default().push(node);
        }
        by_word.insert(word_of(step.id.as_str()), node);
    }
    out
}

/// The words of the steps whose outputs this one uses.
fn words(step: &Step) -> BTreeSet<String> {
    let from = match &step.work {
        Primitive::Feed(feed) => Some(&feed.digest_from),
        Primitive::Restore(restore) => Some(&restore.digest_from),
        _ => None,
    };
    let mut out: BTreeSet<String> = from.into_iter().map(|id| word_of(id)).collect();
    // A plan that was hashed can be written.
    let text = serde_json::to_string(step).unwrap_or_default();
    for after in text.split(WORD_FOLLOWS).skip(1) {
        let is_part = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
        out.insert(after.chars().take_while(is_part).collect());
    }
    out
}

/// The word by which texts refer to a step: the last part of its id.
fn word_of(id: &str) -> String {
    let last = id.rsplit('/').next().unwrap_or(id);
    last.replace('-', "_")
}

impl Run {
    /// The first step that is still to come, uses what this one says, and would not have it if the step only counted
    /// as done.
    pub(crate) fn left_without(&self, key: &Key) -> Option<Position> {
        let host = self.tree.host(key).cloned();
        let said = self.outputs.get(&host);
        if self.is_aborting() || said.is_some_and(|said| said.contains_key(&key.node)) {
            return None;
        }
        let users = self.users.get(&key.node)?.iter();
        let mut users = users.map(|node| Position {
            step: self.tree.id(*node).clone(),
            host: host.clone(),
        });
        users.find(|user| self.tree.locate(user).is_some() && !self.state(user).is_over())
    }
}
