//! A disk with a volatile write cache: what was flushed is there after a power cut; of the rest some pieces, all or none are, as with real disks.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use sha2::{Digest, Sha256};

use super::nbd::Block;

/// What a disk writes as a whole, here: a page of the file system above.
const PIECE_BYTES: usize = 4_096;

/// What becomes of unflushed pieces when the power goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// All are lost.
    All,
    /// None is: the disk was about to answer.
    Nothing,
    /// Each is there or not, by this seed.
    Some(u64),
}

impl Loss {
    /// Whether a piece is on the disk afterwards.
    fn keeps(self, piece: u64) -> bool {
        match self {
            Self::All => false,
            Self::Nothing => true,
            Self::Some(seed) => Sha256::digest(format!("{seed} {piece}"))
                .first()
                .is_some_and(|byte| byte % 2 == 0),
        }
    }
}

/// A power cut that has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Pieces of 4 KiB that were written and not flushed.
    pub unflushed: usize,
    /// Those of them that are gone.
    pub lost: usize,
}

/// The disk, shared by the one who serves it and the one who cuts its power.
#[derive(Clone, Debug)]
pub struct Disk(Arc<(Mutex<Inner>, Condvar)>);

#[derive(Debug)]
struct Inner {
    file: File,
    size: u64,
    /// Pieces that were written since the last flush.
    cache: BTreeMap<u64, Vec<u8>>,
    armed: Option<Armed>,
    cut: Option<Cut>,
}

/// When the power goes, by what is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aim {
    /// Texts that are written before that, each by a write behind the one before it.
    pub texts: Vec<String>,
    /// From then on so many flushes are honoured; the next one finds the power gone.
    pub flushes: u64,
    /// What becomes of what was not flushed.
    pub loss: Loss,
}

/// A power cut to come.
#[derive(Debug)]
struct Armed {
    aim: Aim,
    /// How many of its texts were written.
    seen: usize,
    victim: Pid,
}

impl Armed {
    fn see(&mut self, bytes: &[u8]) {
        let awaited = self.aim.texts.get(self.seen).map(String::as_bytes);
        if awaited.is_some_and(|text| bytes.windows(text.len()).any(|part| part == text)) {
            self.seen += 1;
        }
    }

    fn is_aimed(&self) -> bool {
        self.seen == self.aim.texts.len()
    }
}

impl Disk {
    /// The disk in this file.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::options().read(true).write(true).open(path)?;
        let size = file.metadata()?.len();
        let inner = Inner {
            file,
            size,
            cache: BTreeMap::new(),
            armed: None,
            cut: None,
        };
        Ok(Self(Arc::new((Mutex::new(inner), Condvar::new()))))
    }

    /// Arms it: the process that has this disk is killed when the power goes.
    pub fn cut(&self, aim: Aim, victim: Pid) {
        self.inner().armed = Some(Armed {
            aim,
            seen: 0,
            victim,
        });
    }

    /// Whether the power is gone.
    pub fn is_cut(&self) -> bool {
        self.inner().cut.is_some()
    }

    /// Waits for the cut; none within the bound, and then none to come.
    pub fn wait_for_cut(&self, bound: Duration) -> Option<Cut> {
        let (_, happened) = &*self.0;
        let waited = happened.wait_timeout_while(self.inner(), bound, |inner| inner.cut.is_none());
        let (mut inner, _) = waited.unwrap_or_else(PoisonError::into_inner);
        inner.armed = None;
        inner.cut
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Block for Disk {
    fn size(&self) -> u64 {
        self.inner().size
    }

    fn read(&mut self, from: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.inner().read(from, buffer)
    }

    fn write(&mut self, from: u64, bytes: &[u8]) -> io::Result<()> {
        self.inner().write(from, bytes)
    }

    fn flush(&mut self) -> io::Result<bool> {
        let mut inner = self.inner();
        let honoured = inner.flush()?;
        if !honoured {
            self.0.1.notify_all();
        }
        Ok(honoured)
    }
}

impl Inner {
    fn read(&self, from: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, from)?;
        for (number, within, in_buffer) in pieces(from, buffer.len()) {
            let cached = self.cache.get(&number).and_then(|piece| piece.get(within));
            if let (Some(cached), Some(place)) = (cached, buffer.get_mut(in_buffer)) {
                place.copy_from_slice(cached);
            }
        }
        Ok(())
    }

    fn write(&mut self, from: u64, bytes: &[u8]) -> io::Result<()> {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if from.checked_add(length).is_none_or(|end| end > self.size) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        for (number, within, in_bytes) in pieces(from, bytes.len()) {
            if !self.cache.contains_key(&number) {
                let piece = self.stored(number)?;
                self.cache.insert(number, piece);
            }
            let place = self
                .cache
                .get_mut(&number)
                .and_then(|piece| piece.get_mut(within));
            if let (Some(place), Some(new)) = (place, bytes.get(in_bytes)) {
                place.copy_from_slice(new);
            }
        }
        if let Some(armed) = &mut self.armed {
            armed.see(bytes);
        }
        Ok(())
    }

    /// Whether the power was still there.
    fn flush(&mut self) -> io::Result<bool> {
        if self.cut.is_some() {
            return Ok(false);
        }
        match &mut self.armed {
            Some(armed) if armed.is_aimed() && armed.aim.flushes == 0 => {
                let (loss, victim) = (armed.aim.loss, armed.victim);
                // First of all, so that nothing is done in between; it is a child of this process that nobody has waited for.
                let _ = rustix::process::kill_process(victim, Signal::KILL);
                self.cut = Some(self.lose(loss)?);
                return Ok(false);
            }
            Some(armed) if armed.is_aimed() => armed.aim.flushes -= 1,
            Some(_) | None => {}
        }
        self.keep(|_| true)?;
        Ok(true)
    }

    fn lose(&mut self, loss: Loss) -> io::Result<Cut> {
        let unflushed = self.cache.len();
        let kept = self.keep(|number| loss.keeps(number))?;
        Ok(Cut {
            unflushed,
            lost: unflushed.saturating_sub(kept),
        })
    }

    /// Writes pieces of the cache into the file, empties it, and says how many were written.
    fn keep(&mut self, keeps: impl Fn(u64) -> bool) -> io::Result<usize> {
        let mut kept = 0;
        for (number, piece) in std::mem::take(&mut self.cache) {
            if keeps(number) {
                self.file.write_all_at(&piece, start_of(number))?;
                kept += 1;
            }
        }
        Ok(kept)
    }

    /// A piece as it is in the file; the last one may be short.
    fn stored(&self, number: u64) -> io::Result<Vec<u8>> {
        let start = start_of(number);
        let left = usize::try_from(self.size.saturating_sub(start)).unwrap_or(usize::MAX);
        let mut piece = vec![0; left.min(PIECE_BYTES)];
        self.file.read_exact_at(&mut piece, start)?;
        Ok(piece)
    }
}

fn start_of(number: u64) -> u64 {
    number.saturating_mul(u64::try_from(PIECE_BYTES).unwrap_or(u64::MAX))
}

type Span = std::ops::Range<usize>;

/// The pieces that these bytes are part of: the number of each, and the same bytes within it and within the whole.
fn pieces(from: u64, length: usize) -> Vec<(u64, Span, Span)> {
    let size = u64::try_from(PIECE_BYTES).unwrap_or(u64::MAX);
    let (mut number, mut begin) = (from / size, usize::try_from(from % size).unwrap_or(0));
    let (mut done, mut out) = (0, Vec::new());
    while done < length {
        let count = (PIECE_BYTES - begin).min(length - done);
        out.push((number, begin..begin + count, done..done + count));
        done += count;
        number += 1;
        begin = 0;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn disk(bytes: usize) -> (tempfile::TempDir, Disk) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk");
        std::fs::write(&path, vec![0; bytes]).unwrap();
        let disk = Disk::open(&path).unwrap();
        (folder, disk)
    }

    fn on_file(folder: &tempfile::TempDir) -> Vec<u8> {
        std::fs::read(folder.path().join("disk")).unwrap()
    }

    /// A process to be killed with the disk.
    fn victim() -> (std::process::Child, Pid) {
        let child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = Pid::from_child(&child);
        (child, pid)
    }

    #[test]
    fn what_is_written_is_read_and_is_on_the_file_when_it_was_flushed() {
        let (folder, mut disk) = disk(10_000);
        disk.write(4_000, &[1; 200]).unwrap();
        disk.write(9_999, &[2]).unwrap();
        let mut read = vec![9; 10_000];
        disk.read(0, &mut read).unwrap();
        let ones = read.iter().filter(|byte| **byte == 1).count();
        assert_eq!(
            (ones, read[3_999], read[4_199], read[4_200], read[9_999]),
            (200, 0, 1, 0, 2)
        );
        assert_eq!(on_file(&folder), vec![0; 10_000]);
        assert!(disk.flush().unwrap());
        assert_eq!(on_file(&folder), read);
        assert!(disk.write(9_999, &[1, 1]).is_err());
        assert!(disk.read(9_999, &mut [1, 1]).is_err());
    }

    #[test]
    fn what_was_not_flushed_is_lost_with_the_power() {
        for (loss, lost) in [(Loss::All, 3), (Loss::Nothing, 0), (Loss::Some(1), 2)] {
            let (folder, mut disk) = disk(5 * PIECE_BYTES);
            let (mut child, pid) = victim();
            let aim = |flushes| Aim {
                texts: Vec::new(),
                flushes,
                loss,
            };
            disk.cut(aim(0), pid);
            assert_eq!(disk.wait_for_cut(Duration::ZERO), None);
            disk.cut(aim(1), pid);
            disk.write(0, &[1; PIECE_BYTES]).unwrap();
            assert!(disk.flush().unwrap());
            disk.write(start_of(1), &vec![2; 3 * PIECE_BYTES]).unwrap();
            assert!(!disk.flush().unwrap());
            assert!(!child.wait().unwrap().success());
            let unflushed = 3;
            assert_eq!(
                disk.wait_for_cut(Duration::ZERO),
                Some(Cut { unflushed, lost })
            );
            assert!(!disk.flush().unwrap());
            let file = on_file(&folder);
            assert_eq!(file[..PIECE_BYTES], [1; PIECE_BYTES]);
            let twos = file.iter().filter(|byte| **byte == 2).count();
            assert_eq!(twos, (unflushed - lost) * PIECE_BYTES);
        }
    }

    #[test]
    fn flushes_are_counted_from_the_last_of_some_texts_on() {
        let (_folder, mut disk) = disk(5 * PIECE_BYTES);
        let (mut child, pid) = victim();
        let aim = Aim {
            texts: vec!["begun".into(), "\"end\"".into()],
            flushes: 1,
            loss: Loss::All,
        };
        disk.cut(aim, pid);
        // The second text counts behind the first only.
        for (text, honoured) in [
            ("an \"end\"", true),
            ("it has begun", true),
            ("nothing", true),
            ("the \"end\" of it", true),
            ("nothing", false),
        ] {
            disk.write(0, text.as_bytes()).unwrap();
            assert_eq!(disk.flush().unwrap(), honoured, "{text}");
            assert_eq!(disk.is_cut(), !honoured, "{text}");
        }
        assert!(!child.wait().unwrap().success());
    }

    #[test]
    fn bytes_are_found_in_their_pieces() {
        assert_eq!(pieces(0, 0), []);
        assert_eq!(pieces(4_095, 2), [(0, 4_095..4_096, 0..1), (1, 0..1, 1..2)]);
        assert_eq!(pieces(8_192, 4_096), [(2, 0..4_096, 0..4_096)]);
    }
}
