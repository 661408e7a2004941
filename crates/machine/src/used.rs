//! What the texts of steps say: which steps tell something that later steps need, and which refer to anything at all.

use crate::run::Run;
use crate::tree::{Key, Tree};
use overhaul_model::id::{Digest, Position};
use overhaul_model::primitive::Primitive;
use overhaul_model::step::Step;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

/// What stands before the word of a step wherever a text uses an output of it.
const WORD_FOLLOWS: &str = "steps.";

/// What stands in every text that refers to something; JSON has none of these of itself.
const OPENS: [&str; 3] = ["{{", "{%", "{#"];

/// What the texts of a plan say. It follows from the tree alone, and is read when it is asked for: a large plan has
/// thousands of steps, and who takes its run up wants to reach hosts first.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    /// Of steps, by their nodes.
    of_steps: Vec<OnceLock<OfStep>>,
    /// Steps, each with those behind it that use its outputs.
    users: OnceLock<BTreeMap<usize, Vec<usize>>>,
}

/// What the texts of one step say.
#[derive(Debug)]
struct OfStep {
    /// The digest of the step as planned.
    digest: Digest,
    /// Whether a text of it refers to something.
    refers: bool,
}

impl PartialEq for Texts {
    /// Of equal trees they are the same, whatever was asked for already.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Texts {
    /// Those of a tree.
    pub fn of(tree: &Tree) -> Self {
        let mut texts = Self::default();
        texts
            .of_steps
            .resize_with(tree.nodes().len(), OnceLock::new);
        texts
    }

    fn of_step(&self, tree: &Tree, node: usize) -> Option<&OfStep> {
        let step = tree.step(node)?;
        let read = || {
            let text = text_of(step);
            OfStep {
                refers: OPENS.iter().any(|opens| text.contains(opens)),
                digest: Digest::of(text),
            }
        };
        Some(self.of_steps.get(node)?.get_or_init(read))
    }

    fn users_of(&self, tree: &Tree, node: usize) -> Option<&Vec<usize>> {
        self.users.get_or_init(|| users(tree)).get(&node)
    }
}

/// A step as JSON.
fn text_of(step: &Step) -> String {
    // A plan that was hashed can be written.
    serde_json::to_string(step).unwrap_or_default()
}

fn users(tree: &Tree) -> BTreeMap<usize, Vec<usize>> {
    let mut by_word: BTreeMap<String, usize> = BTreeMap::new();
    let mut users: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let steps = tree
        .nodes()
        .filter_map(|node| Some((node, tree.step(node)?)));
    for (node, step) in steps {
        let words = words(step, &text_of(step));
        for giver in words.iter().filter_map(|word| by_word.get(word)) {
            users.entry(*giver).or_default().push(node);
        }
        by_word.insert(word_of(step.id.as_str()), node);
    }
    users
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
        let node = self.tree.locate(position)?.node;
        Some(&self.texts.of_step(&self.tree, node)?.digest)
    }

    /// Whether any text of the step at a position refers to something: a variable, or what other steps have told.
    pub fn refers(&self, position: &Position) -> bool {
        let key = self.tree.locate(position);
        let said = key.and_then(|key| self.texts.of_step(&self.tree, key.node));
        said.is_some_and(|said| said.refers)
    }

    /// The first step that is still to come, uses what this one says, and would not have it if the step only counted
    /// as done.
    pub(crate) fn left_without(&self, key: &Key) -> Option<Position> {
        let host = self.tree.host(key).cloned();
        let said = self.outputs.get(&host);
        if self.is_aborting() || said.is_some_and(|said| said.contains_key(&key.node)) {
            return None;
        }
        let users = self.texts.users_of(&self.tree, key.node)?.iter();
        let mut users = users.map(|node| Position {
            step: self.tree.id(*node).clone(),
            host: host.clone(),
        });
        users.find(|user| self.tree.locate(user).is_some() && !self.state(user).is_over())
    }
}
