//! One controller as one executor: a controller that is killed is an executor that is dropped, with every task in it.

use crate::clock::Clockwork;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

/// How a controller ended.
pub(crate) enum Ended<T> {
    /// By itself.
    Itself(T),
    /// It was killed.
    Killed,
    /// Nobody in it waits for anything any more.
    Stuck,
    /// It went on beyond the time that was given to it.
    Endless,
}

/// The end of a controller, from wherever it comes.
#[derive(Default)]
pub(crate) struct Death {
    killed: AtomicBool,
    stuck: AtomicBool,
    /// A controller stands still, and nobody has taken its run yet.
    stopped: AtomicBool,
    main: Mutex<Option<Waker>>,
}

impl Death {
    /// The controller is killed: it does nothing more.
    pub fn kill(&self) {
        self.killed.store(true, Ordering::Relaxed);
        self.wake();
    }

    /// The controller stands still: another one begins beside it.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.wake();
    }

    /// Whether it was killed.
    pub fn is_killed(&self) -> bool {
        self.killed.load(Ordering::Relaxed)
    }

    /// Another controller begins.
    pub fn revive(&self) {
        self.killed.store(false, Ordering::Relaxed);
        self.stuck.store(false, Ordering::Relaxed);
        self.stopped.store(false, Ordering::Relaxed);
    }

    fn stick(&self) {
        self.stuck.store(true, Ordering::Relaxed);
        self.wake();
    }

    fn wake(&self) {
        let main = self.main.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waker) = main.as_ref() {
            waker.wake_by_ref();
        }
    }

    fn listen(&self, waker: &Waker) {
        let mut main = self.main.lock().unwrap_or_else(PoisonError::into_inner);
        *main = Some(waker.clone());
    }
}

/// Carries a controller to its end, whichever that is; `until_ms` is its bound in virtual time, which is later by as
/// much as the time of day was set back: a host may be postponed until a moment of it. While one stands still, `next`
/// gives the one that takes its run; the end of the last one counts.
///
/// # Errors
/// When the operating system gives no executor.
pub(crate) fn drive<F: Future>(
    clock: &Arc<Clockwork>,
    death: &Arc<Death>,
    until_ms: u64,
    mut next: impl FnMut() -> F,
) -> std::io::Result<Ended<F::Output>> {
    let (idle_clock, idle_death) = (Arc::clone(clock), Arc::clone(death));
    let runtime = tokio::runtime::Builder::new_current_thread()
        // Everybody waits: only time can go on.
        .on_thread_park(move || {
            if !idle_clock.advance() {
                idle_death.stick();
            }
        })
        .build()?;
    death.revive();
    let ended = runtime.block_on(async {
        let mut controllers: Vec<Option<Pin<Box<F>>>> = vec![Some(Box::pin(next()))];
        poll_fn(|cx| {
            death.listen(cx.waker());
            if death.is_killed() {
                return Poll::Ready(Ended::Killed);
            }
            if death.stopped.swap(false, Ordering::Relaxed) {
                controllers.push(Some(Box::pin(next())));
            }
            let last = controllers.len().saturating_sub(1);
            for (number, controller) in controllers.iter_mut().enumerate() {
                let polled = controller.as_mut().map(|c| c.as_mut().poll(cx));
                match polled {
                    Some(Poll::Ready(output)) if number == last => {
                        return Poll::Ready(Ended::Itself(output));
                    }
                    Some(Poll::Ready(_)) => *controller = None,
                    Some(Poll::Pending) | None => {}
                }
            }
            if death.is_killed() {
                return Poll::Ready(Ended::Killed);
            }
            if death.stuck.load(Ordering::Relaxed) {
                return Poll::Ready(Ended::Stuck);
            }
            if clock.now_ms() > until_ms.saturating_add(clock.went_back_ms()) {
                return Poll::Ready(Ended::Endless);
            }
            Poll::Pending
        })
        .await
    });
    drop(runtime);
    Ok(ended)
}
