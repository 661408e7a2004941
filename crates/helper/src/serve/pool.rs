//! A bounded number of threads for requests; more requests wait their turn.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Requests served at once: an attempt that is followed takes one for hours, and a host has one lane
/// and some measurements at a time.
pub(super) const THREADS_MAX: usize = 32;

/// Requests that may wait: far more than a controller asks of one host, and a bound on memory.
pub(super) const WAITING_MAX: usize = 256;

/// How long a thread without work waits for more before it ends: requests come in quick succession, and a thread
/// costs more than most of them.
const IDLE_S_MAX: u64 = 5;

type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct State {
    threads: usize,
    /// Threads that wait for work, less those that are about to find some.
    idle: usize,
    waiting: VecDeque<Job>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    work: Condvar,
}

/// The threads.
#[derive(Clone, Default)]
pub(super) struct Pool(Arc<Shared>);

/// No thread is free and too many requests wait already.
#[derive(Debug)]
pub(super) struct Full;

impl Pool {
    /// Runs the job now or later, after those that came before it.
    pub(super) fn run(&self, job: Job) -> Result<(), Full> {
        let mut state = self.0.state();
        if let Some(fewer) = state.idle.checked_sub(1) {
            state.idle = fewer;
            state.waiting.push_back(job);
            self.0.work.notify_one();
            return Ok(());
        }
        if state.threads >= THREADS_MAX {
            if state.waiting.len() >= WAITING_MAX {
                return Err(Full);
            }
            state.waiting.push_back(job);
            return Ok(());
        }
        state.threads = state.threads.saturating_add(1);
        drop(state);
        let shared = Arc::clone(&self.0);
        let thread = thread::Builder::new().spawn(move || {
            job();
            shared.go_on();
        });
        thread.map(drop).map_err(|_| {
            let mut state = self.0.state();
            state.threads = state.threads.saturating_sub(1);
            Full
        })
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A thread that became free takes the next job, or waits for one, or ends.
    fn go_on(&self) {
        let mut state = self.state();
        loop {
            if let Some(job) = state.waiting.pop_front() {
                drop(state);
                job();
                state = self.state();
                continue;
            }
            state.idle = state.idle.saturating_add(1);
            let bound = Duration::from_secs(IDLE_S_MAX);
            let none = |state: &mut State| state.waiting.is_empty();
            let waited = self.work.wait_timeout_while(state, bound, none);
            let (now, _) = waited.unwrap_or_else(PoisonError::into_inner);
            state = now;
            if state.waiting.is_empty() {
                state.idle = state.idle.saturating_sub(1);
                state.threads = state.threads.saturating_sub(1);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn all_run_although_few_at_once() {
        let pool = Pool::default();
        let (to, from) = mpsc::channel();
        let (go, gate) = mpsc::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        for number in 0..THREADS_MAX + WAITING_MAX {
            let (to, gate) = (to.clone(), Arc::clone(&gate));
            let job = move || {
                let _ = gate.lock().unwrap().recv();
                to.send(number).unwrap();
            };
            assert!(pool.run(Box::new(job)).is_ok(), "{number}");
        }
        assert!(pool.run(Box::new(|| ())).is_err());
        drop((go, to));
        let mut done: Vec<usize> = from.iter().collect();
        done.sort_unstable();
        assert_eq!(done, (0..THREADS_MAX + WAITING_MAX).collect::<Vec<_>>());
    }

    #[test]
    fn requests_that_come_one_after_the_other_need_one_thread() {
        let pool = Pool::default();
        let (to, from) = mpsc::channel();
        for _ in 0..100 {
            let to = to.clone();
            let job = move || to.send(thread::current().id()).unwrap();
            assert!(pool.run(Box::new(job)).is_ok());
            from.recv().unwrap();
            while pool.0.state().idle == 0 {
                thread::yield_now();
            }
        }
        assert_eq!(pool.0.state().threads, 1);
    }
}
