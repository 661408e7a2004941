//! A bounded number of threads for requests; more requests wait their turn.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Requests served at once: an attempt that is followed takes one for hours, and a host has one lane
/// and some measurements at a time.
pub(super) const THREADS_MAX: usize = 32;

/// Requests that may wait: far more than a controller asks of one host, and a bound on memory.
pub(super) const WAITING_MAX: usize = 256;

type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct State {
    running: usize,
    waiting: VecDeque<Job>,
}

/// The threads.
#[derive(Clone, Default)]
pub(super) struct Pool {
    state: Arc<Mutex<State>>,
}

/// No thread is free and too many requests wait already.
#[derive(Debug)]
pub(super) struct Full;

impl Pool {
    /// Runs the job now or later, after those that came before it.
    pub(super) fn run(&self, job: Job) -> Result<(), Full> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.running >= THREADS_MAX {
            if state.waiting.len() >= WAITING_MAX {
                return Err(Full);
            }
            state.waiting.push_back(job);
            return Ok(());
        }
        state.running = state.running.saturating_add(1);
        drop(state);
        let pool = self.clone();
        thread::Builder::new()
            .spawn(move || {
                job();
                pool.go_on();
            })
            .map(drop)
            .map_err(|_| {
                self.state
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .running -= 1;
                Full
            })
    }

    /// A thread that became free takes the next job, or ends.
    fn go_on(&self) {
        loop {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(job) = state.waiting.pop_front() else {
                state.running = state.running.saturating_sub(1);
                return;
            };
            drop(state);
            job();
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
}
