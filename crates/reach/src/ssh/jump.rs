//! Connections to jump hosts, shared by all hosts behind them.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Semaphore, TryAcquireError};

use super::config::Asked;
use super::error::SshError;
use super::session::Session;
use super::via::Seat;

/// Hosts on one connection to a jump host. sshd does not count such channels (`MaxSessions` is about
/// shells and commands), but each takes a descriptor of its process there, which may have 1,024.
const SEATS_MAX: usize = 256;

/// The connections to all jump hosts.
#[derive(Debug, Default)]
pub(super) struct Jumps {
    pools: Mutex<HashMap<Asked, Arc<Pool>>>,
}

/// The connections to one jump host: one, as long as no more than [`SEATS_MAX`] hosts are behind it.
#[derive(Debug, Default)]
struct Pool {
    tries: AtomicU64,
    lines: tokio::sync::Mutex<Lines>,
}

#[derive(Debug, Default)]
struct Lines {
    open: Vec<Line>,
    /// How the last try failed, for those who waited for it.
    failed: Option<SshError>,
}

#[derive(Debug)]
struct Line {
    session: Session,
    seats: Arc<Semaphore>,
}

impl Line {
    fn seat(&self) -> Option<Seat> {
        match Arc::clone(&self.seats).try_acquire_owned() {
            Ok(permit) => Some(Seat {
                session: self.session.clone(),
                _permit: Arc::new(permit),
            }),
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => None,
        }
    }
}

impl Jumps {
    /// A place on a connection to a jump host, which is made now if there is none. Who waits while
    /// somebody tries takes the outcome of that try, so that a dead jump host costs all hosts behind
    /// it one bound and not one each.
    pub(super) async fn seat<F>(
        &self,
        jump: &Asked,
        connect: impl FnOnce() -> F,
    ) -> Result<Seat, SshError>
    where
        F: Future<Output = Result<Session, SshError>>,
    {
        let pool = {
            let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(pools.entry(jump.clone()).or_default())
        };
        let before = pool.tries.load(Ordering::SeqCst);
        let mut lines = pool.lines.lock().await;
        lines.open.retain(|line| line.session.is_open());
        if let Some(seat) = lines.open.iter().find_map(Line::seat) {
            return Ok(seat);
        }
        if pool.tries.load(Ordering::SeqCst) != before
            && let Some(error) = &lines.failed
        {
            return Err(error.clone());
        }
        let made = connect().await;
        pool.tries.fetch_add(1, Ordering::SeqCst);
        lines.failed = made.as_ref().err().cloned();
        let line = Line {
            session: made?,
            seats: Arc::new(Semaphore::new(SEATS_MAX)),
        };
        let seat = line.seat();
        lines.open.push(line);
        seat.ok_or_else(|| SshError::Lost {
            host: jump.host.clone(),
            reason: "no place on a new connection".to_owned(),
        })
    }
}
