//! Whose turn it is to connect: enough at one time to be fast, never so many that a fleet storms.
//!
//! A key exchange costs processor time here and on whatever stands before the hosts, so that only some are
//! made at one time. A host that answers slowly or not at all costs nothing but patience: it gives its
//! turn to another and is waited for beside the others, so that dead hosts delay nobody.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::sleep;

/// How long a host keeps its turn: a login with PAM and sudo on a loaded host takes about so long.
const TURN_S_MAX: u64 = 1;
/// Hosts that are waited for beside those whose turn it is. When so many are slow at one time, it is our
/// own network or machine that is, and more connections would make it worse.
const WAITED_FOR_MAX: usize = 1_024;
/// Uploads of the helper at one time: 1.6 MB each where the host unpacks it, else 3.3, over a line that may be thin.
const UPLOADS_MAX: usize = 64;

/// The turns of all hosts.
#[derive(Debug)]
pub(crate) struct Turns {
    connects: Semaphore,
    waited_for: Semaphore,
    uploads: Semaphore,
}

impl Turns {
    /// So many hosts connect at one time.
    pub(crate) fn new(connects_max: usize) -> Self {
        Self {
            connects: Semaphore::new(connects_max.max(1)),
            waited_for: Semaphore::new(WAITED_FOR_MAX),
            uploads: Semaphore::new(UPLOADS_MAX.min(connects_max.max(1))),
        }
    }

    /// Does this when its turn has come; the turn is given up when it takes long.
    pub(crate) async fn take<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        // The semaphores are never closed; without a permit the work would only be less bounded.
        let turn = self.connects.acquire().await;
        let slow = async {
            sleep(Duration::from_secs(TURN_S_MAX)).await;
            self.waited_for.acquire().await
        };
        let waited_for = tokio::select! {
            biased;
            done = &mut work => return done,
            waited_for = slow => waited_for,
        };
        drop(turn);
        let done = work.await;
        drop(waited_for);
        done
    }

    /// Uploads when fewer others do.
    pub(crate) async fn upload<T>(&self, work: impl Future<Output = T>) -> T {
        let _turn = self.uploads.acquire().await;
        work.await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use std::sync::Arc;
    use tokio::task::JoinSet;
    use tokio::time::Instant;

    /// Seconds until all the quick ones are done, with so many dead ones that came before them.
    async fn with_dead_ones(dead: usize) -> u64 {
        let turns = Arc::new(Turns::new(8));
        let began = Instant::now();
        let mut dead_ones = JoinSet::new();
        for _ in 0..dead {
            let turns = Arc::clone(&turns);
            dead_ones.spawn(async move { turns.take(pending::<()>()).await });
        }
        tokio::task::yield_now().await;
        let mut quick = JoinSet::new();
        for _ in 0..800 {
            let turns = Arc::clone(&turns);
            quick.spawn(async move {
                turns
                    .take(async { sleep(Duration::from_millis(100)).await })
                    .await
            });
        }
        quick.join_all().await;
        began.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn dead_hosts_give_their_turn_to_others() {
        let at_best = with_dead_ones(0).await;
        assert_eq!(at_best, 10);
        // Each of them costs one of eight turns for a second.
        assert_eq!(with_dead_ones(80).await, at_best + 10);
    }

    #[tokio::test(start_paused = true)]
    async fn when_nearly_all_are_slow_connections_stay_bounded() {
        let turns = Arc::new(Turns::new(8));
        let mut all = JoinSet::new();
        for _ in 0..3 * WAITED_FOR_MAX {
            let turns = Arc::clone(&turns);
            all.spawn(async move { turns.take(pending::<()>()).await });
        }
        sleep(Duration::from_secs(10_000)).await;
        assert_eq!(turns.waited_for.available_permits(), 0);
        assert_eq!(turns.connects.available_permits(), 0);
    }
}
