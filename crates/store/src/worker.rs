//! The thread that owns the database: SQLite blocks, and the loop must not.

use crate::{database, journal};
use overhaul_engine::ports::JournalError;
use overhaul_model::id::Digest;
use rusqlite::Connection;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use tokio::sync::oneshot;

/// Jobs that may wait for the thread: one per open port is usual, so this never holds anybody back.
const JOBS_MAX: usize = 64;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A handle on the thread; the thread ends with the last handle.
#[derive(Clone)]
pub struct Worker {
    jobs: SyncSender<Job>,
}

impl Worker {
    /// Opens the database and starts its thread. With it comes the number and digest of the journal's last row.
    pub fn start(path: &Path) -> Result<(Self, (u64, Digest)), JournalError> {
        let connection = database::open(path)?;
        let head = journal::head(&connection)?;
        let (jobs, queue) = sync_channel(JOBS_MAX);
        std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || work(connection, &queue))
            .map_err(|error| storage("opened", &error))?;
        Ok((Self { jobs }, head))
    }

    /// Does something with the database, on its thread.
    pub async fn call<T, F>(&self, job: F) -> Result<T, JournalError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T, JournalError> + Send + 'static,
    {
        let gone = |_| storage("used", &"its thread has ended");
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // Whoever asked may be gone; the row is written all the same.
            let _ = answer.send(job(connection));
        });
        self.jobs
            .try_send(job)
            .map_err(|error| storage("used", &error))?;
        answered.await.map_err(gone)?
    }
}

fn work(mut connection: Connection, queue: &Receiver<Job>) {
    while let Ok(job) = queue.recv() {
        job(&mut connection);
    }
}

/// A failure of the storage, in words.
pub fn storage(doing: &'static str, error: &dyn std::fmt::Display) -> JournalError {
    JournalError::Storage {
        doing,
        why: error.to_string(),
    }
}
