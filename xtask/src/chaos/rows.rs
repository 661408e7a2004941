//! A run's journal, followed row by row while another process writes it.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

use crate::kill::moment;

/// What a row tells of a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The event's word, like `started`.
    pub event: String,
    /// The position that it is about.
    pub position: String,
}

impl Row {
    /// The position of a row of the journal, if it is about one.
    fn parse(record: &str) -> Option<Self> {
        let record: Value = serde_json::from_str(record).ok()?;
        let (event, about) = record.get("event")?.as_object()?.iter().next()?;
        Some(Self {
            event: event.clone(),
            position: about.get("position")?.as_str()?.to_owned(),
        })
    }

    /// Whether something begins with it, or is looked at before it begins.
    pub fn begins(&self) -> bool {
        ["started", "checked", "guard-measured"].contains(&self.event.as_str())
    }

    /// Its host.
    pub fn host(&self) -> &str {
        self.position.rsplit_once('@').map_or("", |(_, host)| host)
    }
}

/// The journal of the only run below a state folder.
#[derive(Debug)]
pub struct Rows {
    state: PathBuf,
    seen: i64,
}

impl Rows {
    /// From its first row on.
    pub fn new(state: PathBuf) -> Self {
        Self { state, seen: 0 }
    }

    /// Rows that came since the last look; none when the journal cannot be read just now.
    pub fn fresh(&mut self) -> Vec<Row> {
        moment::journal(&self.state)
            .and_then(|journal| self.read(&journal))
            .unwrap_or_default()
    }

    fn read(&mut self, journal: &Path) -> Option<Vec<Row>> {
        let connection =
            Connection::open_with_flags(journal, OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
        let mut select = connection
            .prepare("select seq, record from journal where seq > ?1 order by seq")
            .ok()?;
        let rows = select
            .query_map([self.seen], |row| Ok((row.get(0)?, row.get(1)?)))
            .ok()?;
        let rows: Vec<(i64, String)> = rows.collect::<Result<_, _>>().ok()?;
        self.seen = rows.last().map_or(self.seen, |(seq, _)| *seq);
        Some(rows.iter().filter_map(|(_, row)| Row::parse(row)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("runs/one");
        std::fs::create_dir_all(&run).unwrap();
        let mut rows = Rows::new(folder.path().to_path_buf());
        assert_eq!(rows.fresh(), []);
        let connection = Connection::open(run.join("journal.sqlite")).unwrap();
        connection
            .execute_batch(
                r#"create table journal (seq integer primary key, record text not null);
                insert into journal values (1, '{"event": {"run-opened": {"run": "r"}}}');
                insert into journal values (2, '{"event": {"started": {"position": "a/b@h", "attempt": 1}}}');"#,
            )
            .unwrap();
        let row = Row {
            event: "started".into(),
            position: "a/b@h".into(),
        };
        assert_eq!(row.host(), "h");
        assert_eq!(rows.fresh(), [row]);
        assert_eq!(rows.fresh(), []);
    }
}
