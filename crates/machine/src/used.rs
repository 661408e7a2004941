//! What the texts of steps say: which steps tell something that later steps need, and which refer to anything at all.

use crate::run::Run;
use crate::tree::{Key, Tree};
use overhaul_model::id::{Digest, Position};
use overhaul_model::primitive::Primitive;
use overhaul_model::step::Step;
use std::collections::{BTreeMap, BTreeSet};

/// What stands before the word of a step wherever a text uses an output of it.
const WORD_FOLLOWS: &str = "steps.";

/// What stands in every text that refers to something; JSON has none of these of itself.
const OPENS: [&str; 3] = ["{{", "{%", "{#"];

/// What the texts of a plan say, by the nodes of steps.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Texts {
    /// Steps, each with those behind it that use its outputs.
    users: BTreeMap<usize, Vec<usize>>,
    /// Digests of steps as planned.
    digests: BTreeMap<usize, Digest>,
    /// Steps of which a text refers to something.
    refer: BTreeSet<usize>,
}

impl Texts {
    /// Reads every text of a plan once.
    pub fn of(tree: &Tree) -> Self {
        let mut by_word: BTreeMap<String, usize> = BTreeMap::new();
        let mut out = Self::default();
        let steps = tree
            .nodes()
            .filter_map(|node| Some((node, tree.step(node)?)));
        for (node, step) in steps {
            // A plan that was hashed can be written.
            let text = serde_json::to_string(step.as_ref()).unwrap_or_default();
            let words = words(step, &text);
            for giver in words.iter().filter_map(|word| by_word.get(word)) {
                out.users.entry(*giver).or_default().push(node);
            }
            by_word.insert(word_of(step.id.as_str()), node);
            if OPENS.iter().any(|opens| text.contains(opens)) {
                out.refer.insert(node);
            }
            out.digests.insert(node, Digest::of(&text));
        }
        out
    }
}

/// The words of the steps whose outputs this one uses.
fn words(step: &Step, text: &str) -> BTreeSet<String> {
    let from = match &step.work {
        Primitive::Feed(feed) => Some(&feed.digest_from),
        Primitive::Restore(restore) => Some(&restore.digest_from),
        _ => None,
    };
    let mut out: BTreeSet<String> = from.into_iter().map(|id| word_of(id)).collect();
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
    /// The digest of the step at a position, as it was planned.
    pub fn step_digest(&self, position: &Position) -> Option<&Digest> {
        self.texts.digests.get(&self.tree.locate(position)?.node)
    }

    /// Whether any text of the step at a position refers to something: a variable, or what other steps have told.
    pub fn refers(&self, position: &Position) -> bool {
        let key = self.tree.locate(position);
        key.is_some_and(|key| self.texts.refer.contains(&key.node))
    }

    /// The first step that is still to come, uses what this one says, and would not have it if the step only counted
    /// as done.
    pub(crate) fn left_without(&self, key: &Key) -> Option<Position> {
        let host = self.tree.host(key).cloned();
        let said = self.outputs.get(&host);
        if self.is_aborting() || said.is_some_and(|said| said.contains_key(&key.node)) {
            return None;
        }
        let users = self.texts.users.get(&key.node)?.iter();
        let mut users = users.map(|node| Position {
            step: self.tree.id(*node).clone(),
            host: host.clone(),
        });
        users.find(|user| self.tree.locate(user).is_some() && !self.state(user).is_over())
    }
}
