//! Virtual time: it stands still while anybody is at work, and goes to the next moment that somebody waits for.

use jiff::Timestamp;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// The moment at which a simulated run begins that is of no fleet, in milliseconds since the epoch.
pub(crate) const BEGIN_MS: i64 = 1_800_000_000_000;

/// The clock of one simulated world.
pub(crate) struct Clockwork {
    /// The time of day in the beginning, in milliseconds since the epoch.
    begin_ms: i64,
    now_ms: AtomicU64,
    /// By how much the time of day is wrong.
    wrong_ms: AtomicI64,
    /// By how much it was set back in all.
    went_back_ms: AtomicU64,
    timers: Mutex<Timers>,
}

#[derive(Default)]
struct Timers {
    /// By moment and number, so that equal moments come in the order in which they were asked for.
    waiting: BTreeMap<(u64, u64), Waker>,
    next: u64,
}

impl Clockwork {
    /// A clock that shows this time of day, in milliseconds since the epoch.
    pub fn at(begin_ms: i64) -> Self {
        Self {
            begin_ms,
            now_ms: AtomicU64::default(),
            wrong_ms: AtomicI64::default(),
            went_back_ms: AtomicU64::default(),
            timers: Mutex::default(),
        }
    }

    /// Milliseconds since the world began.
    pub fn now_ms(&self) -> u64 {
        self.now_ms.load(Ordering::Relaxed)
    }

    /// The time of day, as wrong as it may be.
    pub fn time_of_day(&self) -> Timestamp {
        let passed = i64::try_from(self.now_ms()).unwrap_or(i64::MAX);
        let now = self
            .begin_ms
            .saturating_add(passed)
            .saturating_add(self.wrong_ms.load(Ordering::Relaxed));
        Timestamp::from_millisecond(now).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// The time of day jumps.
    pub fn jump(&self, by_ms: i64) {
        self.wrong_ms.fetch_add(by_ms, Ordering::Relaxed);
        let back = u64::try_from(by_ms.saturating_neg()).unwrap_or(0);
        self.went_back_ms.fetch_add(back, Ordering::Relaxed);
    }

    /// By how many milliseconds the time of day was set back in all: who waits for a moment of it waits longer by as much.
    pub fn went_back_ms(&self) -> u64 {
        self.went_back_ms.load(Ordering::Relaxed)
    }

    /// Waits until that moment.
    pub fn until(self: &Arc<Self>, at_ms: u64) -> Alarm {
        Alarm {
            clock: Arc::clone(self),
            at_ms,
            number: None,
        }
    }

    /// Waits so long.
    pub fn after(self: &Arc<Self>, ms: u64) -> Alarm {
        self.until(self.now_ms().saturating_add(ms))
    }

    /// Goes to the next moment that somebody waits for; `false` when nobody waits.
    pub fn advance(&self) -> bool {
        let waker = {
            let mut timers = self.timers();
            let Some(((at_ms, _), waker)) = timers.waiting.pop_first() else {
                return false;
            };
            self.now_ms.fetch_max(at_ms, Ordering::Relaxed);
            waker
        };
        waker.wake();
        true
    }

    /// Lets time pass while nobody is there.
    pub fn pass(&self, ms: u64) {
        self.now_ms.fetch_add(ms, Ordering::Relaxed);
    }

    fn timers(&self) -> MutexGuard<'_, Timers> {
        // A table of alarms is whole at any moment.
        self.timers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A moment that somebody waits for.
pub(crate) struct Alarm {
    clock: Arc<Clockwork>,
    at_ms: u64,
    number: Option<u64>,
}

impl Future for Alarm {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let clock = Arc::clone(&self.clock);
        let mut timers = clock.timers();
        if clock.now_ms() >= self.at_ms {
            if let Some(number) = self.number.take() {
                timers.waiting.remove(&(self.at_ms, number));
            }
            return Poll::Ready(());
        }
        let number = *self.number.get_or_insert_with(|| {
            timers.next = timers.next.wrapping_add(1);
            timers.next
        });
        timers
            .waiting
            .insert((self.at_ms, number), cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.clock.timers().waiting.remove(&(self.at_ms, number));
        }
    }
}
