//! The slots of a run, kept apart by node: a large run has some hundred thousand, and a node as many as its roll has
//! hosts.

use crate::state::Slot;
use crate::tree::Key;
use std::collections::BTreeMap;

/// Positions with what is true of them, in the plan's order. It is used like a map.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slots(Vec<BTreeMap<Key, Slot>>);

impl Slots {
    pub fn get(&self, key: &Key) -> Option<&Slot> {
        self.0.get(key.node)?.get(key)
    }

    pub fn get_mut(&mut self, key: &Key) -> Option<&mut Slot> {
        self.0.get_mut(key.node)?.get_mut(key)
    }

    pub fn insert(&mut self, key: Key, slot: Slot) {
        if self.0.len() <= key.node {
            self.0
                .resize_with(key.node.saturating_add(1), BTreeMap::new);
        }
        if let Some(of_node) = self.0.get_mut(key.node) {
            of_node.insert(key, slot);
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Slot)> {
        self.0.iter().flatten()
    }

    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.iter().map(|(key, _)| key)
    }

    pub fn retain(&mut self, mut keep: impl FnMut(&Key, &Slot) -> bool) {
        for of_node in &mut self.0 {
            of_node.retain(|key, slot| keep(key, slot));
        }
    }
}

impl PartialEq for Slots {
    /// Nodes without positions do not count.
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl IntoIterator for Slots {
    type Item = (Key, Slot);
    type IntoIter = std::iter::Flatten<std::vec::IntoIter<BTreeMap<Key, Slot>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter().flatten()
    }
}
