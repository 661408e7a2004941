//! Answers that took much reading, kept in the store for as long as the files that they came from are the same.
//!
//! Nothing depends on them: one that is lost, or that somebody damaged, is worked out again.

use super::root::{Root, is_absent};
use crate::store::{Store, create, read_capped};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Largest answer that is kept.
const ANSWER_BYTES_MAX: u64 = 1024 * 1024;

/// A file that changed so lately may change again within the same tick of the file system's clock, unseen: what
/// it says is not kept. The coarsest clocks in use tell two seconds apart.
const YOUNG_S: u64 = 4;

/// Where answers are kept.
pub(super) struct Memory(Option<PathBuf>);

/// What is asked, with everything that the answer follows from.
pub(super) struct Question {
    name: &'static str,
    hasher: Sha256,
    /// Whether all of it is certain to show when it changes.
    sound: bool,
}

/// An answer as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    question: String,
    names: BTreeSet<String>,
}

impl Memory {
    /// Of this store.
    pub(super) fn of(store: &Store) -> Self {
        Self(Some(store.dir().join("remembered")))
    }

    /// One that forgets everything.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn none() -> Self {
        Self(None)
    }

    /// What was answered before.
    pub(super) fn answer(&self, question: &Question) -> Option<BTreeSet<String>> {
        let bytes = read_capped(&self.file(question)?, ANSWER_BYTES_MAX).ok()?;
        let kept: Kept = serde_json::from_slice(&bytes).ok()?;
        (kept.question == question.digest()).then_some(kept.names)
    }

    /// Keeps an answer in the place of the one before. Not synced: a power cut may take it.
    pub(super) fn keep(&self, question: &Question, names: &BTreeSet<String>) {
        let Some(path) = self.file(question).filter(|_| question.sound) else {
            return;
        };
        let kept = Kept {
            question: question.digest(),
            names: names.clone(),
        };
        // Two helpers may be at it: each has a file of its own until it is whole.
        let fresh = path.with_extension(format!("new-{}", std::process::id()));
        let write = || -> Option<()> {
            let text = serde_json::to_vec(&kept).ok()?;
            let mut folder = fs::DirBuilder::new();
            folder.recursive(true).mode(0o700);
            folder.create(path.parent()?).ok()?;
            create(&fresh).ok()?.write_all(&text).ok()?;
            fs::rename(&fresh, &path).ok()
        };
        if write().is_none() {
            // Half of an answer on a full disk is of no use to anybody.
            let _ = fs::remove_file(&fresh);
        }
    }

    fn file(&self, question: &Question) -> Option<PathBuf> {
        let folder = self.0.as_ref()?;
        Some(folder.join(format!("{}.json", question.name)))
    }
}

impl Question {
    /// The name is that of the answer's file.
    pub(super) fn new(name: &'static str) -> Self {
        let mut hasher = Sha256::new();
        // Another build may answer otherwise.
        hasher.update(crate::VERSION);
        Self {
            name,
            hasher,
            sound: true,
        }
    }

    /// The answer follows from these texts.
    pub(super) fn about<'a>(mut self, texts: impl IntoIterator<Item = &'a str>) -> Self {
        for text in texts {
            self.add(text.as_bytes());
        }
        self
    }

    /// The answer follows from the content of these files. A file is known by its name, place, size and times;
    /// the time of its last change (`ctime`) cannot be set by anybody.
    pub(super) fn of_files(mut self, root: &Root, paths: &[String]) -> Self {
        let young = SystemTime::now()
            .checked_sub(Duration::from_secs(YOUNG_S))
            .and_then(|at| at.duration_since(UNIX_EPOCH).ok())
            .and_then(|at| i64::try_from(at.as_secs()).ok());
        for path in paths {
            self.add(path.as_bytes());
            match fs::metadata(root.path(path)) {
                Ok(meta) => {
                    for number in [meta.dev(), meta.ino(), meta.size()] {
                        self.add(&number.to_be_bytes());
                    }
                    for time in [
                        meta.mtime(),
                        meta.mtime_nsec(),
                        meta.ctime(),
                        meta.ctime_nsec(),
                    ] {
                        self.add(&time.to_be_bytes());
                    }
                    self.sound &= young.is_some_and(|young| meta.ctime() < young);
                }
                // That it is not there, or is not ours to look at, shows when it is no longer so.
                Err(error) if is_absent(&error) => self.add(b"absent"),
                Err(error) if error.kind() == ErrorKind::PermissionDenied => self.add(b"closed"),
                Err(_) => self.sound = false,
            }
        }
        self
    }

    /// Whether the same is asked of the same files.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.digest() == other.digest()
    }

    fn add(&mut self, part: &[u8]) {
        self.hasher.update(part.len().to_be_bytes());
        self.hasher.update(part);
    }

    fn digest(&self) -> String {
        let digest = self.hasher.clone().finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn an_answer_lasts_as_long_as_its_files_and_texts() {
        let folder = tempfile::tempdir().unwrap();
        let memory = Memory(Some(folder.path().join("remembered")));
        let root = Root::new("/");
        // A file that has not changed for a while: its `ctime` cannot be set by a test.
        let old = ["/bin/sh".to_owned()];
        let ask = |text: &'static str| Question::new("x").about([text]).of_files(&root, &old);
        assert!(ask("a").sound, "the shell was installed only just now");
        assert_eq!(memory.answer(&ask("a")), None);
        memory.keep(&ask("a"), &names(&["left"]));
        assert_eq!(memory.answer(&ask("a")), Some(names(&["left"])));
        let made = fs::metadata(folder.path().join("remembered")).unwrap();
        assert_eq!(made.mode() & 0o777, 0o700);
        assert_eq!(memory.answer(&ask("b")), None);
        assert_eq!(Memory::none().answer(&ask("a")), None);
        fs::write(folder.path().join("remembered/x.json"), "{").unwrap();
        assert_eq!(memory.answer(&ask("a")), None);
    }

    #[test]
    fn a_file_that_changed_is_another_and_a_young_one_is_not_relied_on() {
        let folder = tempfile::tempdir().unwrap();
        let (root, path) = (Root::new(folder.path()), ["/index".to_owned()]);
        let of_file = || Question::new("x").of_files(&root, &path);
        let absent = of_file();
        assert!(absent.sound, "it is absent for certain");
        let file = fs::File::create(folder.path().join("index")).unwrap();
        let first = of_file();
        assert!(!first.sound && !first.is(&absent));
        let touched = Timestamps {
            last_access: Timespec {
                tv_sec: 0,
                tv_nsec: UTIME_OMIT,
            },
            last_modification: Timespec {
                tv_sec: 0,
                tv_nsec: UTIME_NOW,
            },
        };
        std::thread::sleep(Duration::from_millis(20));
        rustix::fs::futimens(&file, &touched).unwrap();
        assert!(!of_file().is(&first));
    }
}
