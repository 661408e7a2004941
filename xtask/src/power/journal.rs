//! Attempts that a run's journal tells of, read while another process writes it.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

use super::truth::Truth;
use crate::kill::moment;

/// An attempt whose intent is in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// The step's name.
    pub step: String,
    /// The attempt's key, which its receipt has too.
    pub key: String,
}

/// All attempts of the only run below a state folder, in order; none when the journal cannot be read just now.
pub fn started(state: &Path) -> Vec<Started> {
    moment::journal(state)
        .and_then(|journal| read(&journal))
        .unwrap_or_default()
}

fn read(journal: &Path) -> Option<Vec<Started>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = Connection::open_with_flags(journal, flags).ok()?;
    let mut select = connection
        .prepare("select record from journal where record like '%\"started\"%' order by seq")
        .ok()?;
    let rows = select.query_map([], |row| row.get(0)).ok()?;
    let rows: Vec<String> = rows.collect::<Result<_, _>>().ok()?;
    Some(rows.iter().filter_map(|row| of_row(row)).collect())
}

fn of_row(record: &str) -> Option<Started> {
    let record: Value = serde_json::from_str(record).ok()?;
    let started = record.get("event")?.get("started")?;
    Some(Started {
        step: Truth::step_of(started.get("position")?.as_str()?).to_owned(),
        key: started.get("key")?.as_str()?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_read_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("runs/one");
        std::fs::create_dir_all(&run).unwrap();
        assert_eq!(started(folder.path()), []);
        let connection = Connection::open(run.join("journal.sqlite")).unwrap();
        connection
            .execute_batch(
                r#"create table journal (seq integer primary key, record text not null);
                insert into journal values (1, '{"event": {"run-opened": {"run": "started"}}}');
                insert into journal values (2, '{"event": {"started": {"position": "a/b@h", "attempt": 1, "key": "k1"}}}');
                insert into journal values (3, '{"event": {"ended": {"position": "a/b@h", "attempt": 1}}}');
                insert into journal values (4, '{"event": {"started": {"position": "a/c@h", "attempt": 1, "key": "k2"}}}');"#,
            )
            .unwrap();
        let one = |step: &str, key: &str| Started {
            step: step.to_owned(),
            key: key.to_owned(),
        };
        assert_eq!(started(folder.path()), [one("b", "k1"), one("c", "k2")]);
    }
}
