//! Moments of a run by the rows of its journal, drawn from a seed, so that they can be had again.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use sha2::{Digest, Sha256};

/// Moments lie in this part of an undisturbed journal, in per cent: runs differ by some rows, and each moment must be reached.
const PART_PERCENT: u64 = 95;

/// So many moments, in order, each the number of a row that is in the journal when the controller dies.
pub fn drawn(seed: u64, count: u32, rows: u64) -> Vec<u64> {
    let last = (rows * PART_PERCENT / 100).max(1);
    let one = |index: u32| {
        let digest = Sha256::digest(format!("{seed} {index}"));
        let number = digest
            .iter()
            .take(8)
            .fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
        1 + number % last
    };
    let mut moments: Vec<u64> = (0..count).map(one).collect();
    moments.sort_unstable();
    moments.dedup();
    moments
}

/// The journal of the only run below a state folder; none before it has begun.
pub fn journal(state: &Path) -> Option<PathBuf> {
    let mut runs = fs::read_dir(state.join("runs")).ok()?;
    let journal = runs.next()?.ok()?.path().join("journal.sqlite");
    journal.exists().then_some(journal)
}

/// Rows of a journal that are durable now.
pub fn rows(journal: &Path) -> Option<u64> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = Connection::open_with_flags(journal, flags).ok()?;
    let rows: Option<i64> = connection
        .query_row("select max(seq) from journal", [], |row| row.get(0))
        .ok()?;
    u64::try_from(rows?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_moments_each_time() {
        let moments = drawn(7, 10, 1_000);
        assert_eq!(moments, drawn(7, 10, 1_000));
        assert_ne!(moments, drawn(8, 10, 1_000));
        assert!(moments.is_sorted() && moments.iter().all(|row| (1..=950).contains(row)));
        assert_eq!(drawn(7, 10, 0), [1]);
    }

    #[test]
    fn rows_of_a_journal_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("runs/one");
        fs::create_dir_all(&run).unwrap();
        assert_eq!(journal(folder.path()), None);
        let path = run.join("journal.sqlite");
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch(
                "create table journal (seq integer primary key); insert into journal values (1), (2)",
            )
            .unwrap();
        assert_eq!(journal(folder.path()), Some(path.clone()));
        assert_eq!(rows(&path), Some(2));
        assert_eq!(rows(&run.join("other")), None);
    }
}
