//! The slots of a run, kept apart by node: a large run has some hundred thousand, and a node as many as its roll has
//! hosts.

use crate::state::Slot;
use crate::tree::Key;
use std::collections::BTreeMap;

/// Positions with what is true of them, in the plan's order. It is used like a map.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Slots(BTreeMap<usize, BTreeMap<Key, Slot>>);

impl Slots {
    pub fn get(&self, key: &Key) -> Option<&Slot> {
        self.0.get(&key.node)?.get(key)
    }

    pub fn get_mut(&mut self, key: &Key) -> Option<&mut Slot> {
        self.0.get_mut(&key.node)?.get_mut(key)
    }

    pub fn insert(&mut self, key: Key, slot: Slot) {
        self.0.entry(key.node).or_default().insert(key, slot);
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Slot)> {
        self.0.values().flatten()
    }

    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.iter().map(|(key, _)| key)
    }

    pub fn retain(&mut self, mut keep: impl FnMut(&Key, &Slot) -> bool) {
        self.0.retain(|_, of_node| {
            of_node.retain(|key, slot| keep(key, slot));
            !of_node.is_empty()
        });
    }
}

impl IntoIterator for Slots {
    type Item = (Key, Slot);
    type IntoIter =
        std::iter::Flatten<std::collections::btree_map::IntoValues<usize, BTreeMap<Key, Slot>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_values().flatten()
    }
}
