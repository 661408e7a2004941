//! A disk as a power cut leaves it: what was synced is there, and of the rest nothing, all or anything.

use rand::Rng as _;
use rand::rngs::StdRng;
use std::collections::BTreeMap;

/// Files by name.
pub type Files = BTreeMap<String, Vec<u8>>;

/// What a program does to a folder, in its order.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Bytes at an offset of a file.
    Write(String, usize, Vec<u8>),
    /// A file gets another length.
    Length(String, usize),
    /// A file is made, if it is not there.
    Make(String),
    /// A file is removed.
    Remove(String),
    /// What was done to a file becomes durable.
    Sync(String),
    /// Which files there are becomes durable.
    SyncFolder,
}

/// What becomes of changes that were not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// They are lost.
    Lost,
    /// They are there: the program was killed, and the machine lives.
    There,
    /// Each of them is there or not.
    Any,
}

impl Rest {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Lost, Self::There, Self::Any];

    fn keeps(self, dice: &mut StdRng) -> bool {
        match self {
            Self::Lost => false,
            Self::There => true,
            Self::Any => dice.random_bool(0.5),
        }
    }
}

/// The content of a file, whatever its name is.
#[derive(Default)]
struct Content {
    durable: Vec<u8>,
    pending: Vec<Change>,
}

/// A folder of files.
pub struct Disk {
    contents: Vec<Content>,
    /// The files of now.
    now: BTreeMap<String, usize>,
    durable: BTreeMap<String, usize>,
    /// Names that were made and removed since the folder was synced.
    pending: Vec<(String, Option<usize>)>,
}

impl Disk {
    /// With files that are durable.
    pub fn of(files: Files) -> Self {
        let mut contents = Vec::new();
        let mut now = BTreeMap::new();
        for (name, durable) in files {
            now.insert(name, contents.len());
            contents.push(Content {
                durable,
                pending: Vec::new(),
            });
        }
        Self {
            contents,
            durable: now.clone(),
            now,
            pending: Vec::new(),
        }
    }

    /// A change is made.
    pub fn take(&mut self, change: Change) {
        match &change {
            Change::Make(name) if self.now.contains_key(name) => {}
            Change::Make(name) => {
                let place = self.contents.len();
                self.contents.push(Content::default());
                self.now.insert(name.clone(), place);
                self.pending.push((name.clone(), Some(place)));
            }
            Change::Remove(name) => {
                self.now.remove(name);
                self.pending.push((name.clone(), None));
            }
            Change::SyncFolder => {
                for (name, place) in std::mem::take(&mut self.pending) {
                    set(&mut self.durable, name, place);
                }
            }
            Change::Sync(name) => {
                if let Some(content) = self.content(&name.clone()) {
                    let pending = std::mem::take(&mut content.pending);
                    pending.iter().for_each(|c| apply(c, &mut content.durable));
                }
            }
            Change::Write(name, ..) | Change::Length(name, _) => {
                if let Some(content) = self.content(&name.clone()) {
                    content.pending.push(change);
                }
            }
        }
    }

    fn content(&mut self, name: &str) -> Option<&mut Content> {
        let place = *self.now.get(name)?;
        self.contents.get_mut(place)
    }

    /// What is there after a power cut now.
    pub fn after(&self, rest: Rest, dice: &mut StdRng) -> Files {
        let mut names = self.durable.clone();
        for (name, place) in &self.pending {
            if rest.keeps(dice) {
                set(&mut names, name.clone(), *place);
            }
        }
        let mut out = Files::new();
        for (name, place) in names {
            let Some(content) = self.contents.get(place) else {
                continue;
            };
            let mut bytes = content.durable.clone();
            for change in &content.pending {
                if rest.keeps(dice) {
                    apply(change, &mut bytes);
                }
            }
            out.insert(name, bytes);
        }
        out
    }
}

fn set(names: &mut BTreeMap<String, usize>, name: String, place: Option<usize>) {
    match place {
        Some(place) => names.insert(name, place),
        None => names.remove(&name),
    };
}

fn apply(change: &Change, bytes: &mut Vec<u8>) {
    match change {
        Change::Write(_, offset, new) => {
            let end = offset.saturating_add(new.len());
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            if let Some(place) = bytes.get_mut(*offset..end) {
                place.copy_from_slice(new);
            }
        }
        Change::Length(_, length) => bytes.resize(*length, 0),
        Change::Make(_) | Change::Remove(_) | Change::Sync(_) | Change::SyncFolder => {}
    }
}
