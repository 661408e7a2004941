//! Calls on their way to hooks: a queue of its own, so that no hook ever keeps a run waiting.

use super::call::Call;
use super::deliver::deliver;
use overhaul_model::secret::Secret;
use overhaul_source::CallFor;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

/// Calls that may wait: a run that makes more while one is on its way floods whoever is called.
const CALLS_WAITING_MAX: usize = 64;

/// How long the end of a run waits for calls that are on their way, the last one included.
const END_WITHIN: Duration = Duration::from_secs(15);

/// A hook that can be called.
#[derive(Clone, Debug)]
pub struct Ready {
    /// What messages call it.
    pub name: String,
    /// What it is called for.
    pub on: BTreeSet<CallFor>,
    /// How.
    pub way: Way,
}

/// How a hook is called.
#[derive(Clone, Debug)]
pub enum Way {
    /// A program with its arguments.
    Command(Vec<String>),
    /// An address, with headers.
    Webhook {
        /// The address.
        url: String,
        /// Names and values.
        headers: Vec<(String, Secret)>,
    },
}

/// Says something to the person at the terminal.
pub type Say = Arc<dyn Fn(&str) + Send + Sync>;

/// The hooks of a run.
pub struct Hooks {
    /// Gone when no further call is taken.
    sender: Mutex<Option<mpsc::Sender<Call>>>,
    worker: Mutex<Option<JoinHandle<()>>>,
    dropped: AtomicUsize,
    waiting: Arc<AtomicUsize>,
    say: Say,
}

/// What every call of a run says of it.
pub struct About {
    /// The run.
    pub run: String,
    /// The upgrade's name.
    pub upgrade: String,
    /// The fleet's name.
    pub fleet: String,
}

impl Hooks {
    /// Begins to deliver; what goes wrong is said.
    pub fn start(hooks: Vec<Ready>, about: About, say: Say) -> Self {
        let (sender, calls) = mpsc::channel(CALLS_WAITING_MAX);
        let waiting = Arc::new(AtomicUsize::new(0));
        let worker = tokio::spawn(work(
            hooks,
            about,
            calls,
            Arc::clone(&waiting),
            Arc::clone(&say),
        ));
        Self {
            sender: Mutex::new(Some(sender)),
            worker: Mutex::new(Some(worker)),
            dropped: AtomicUsize::new(0),
            waiting,
            say,
        }
    }

    /// Hands a call over. Never waits: when too many are on their way it is dropped, and counted.
    pub fn call(&self, call: Call) {
        let sender = self
            .sender
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let Some(sender) = sender else { return };
        self.waiting.fetch_add(1, Ordering::Relaxed);
        if sender.try_send(call).is_err() {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            let dropped = self
                .dropped
                .fetch_add(1, Ordering::Relaxed)
                .saturating_add(1);
            (self.say)(&format!(
                "hooks: too many calls are waiting; dropped so far: {dropped}"
            ));
        }
    }

    /// Waits until all calls are made, a bounded time; says what was not.
    pub async fn end(&self) {
        drop(
            self.sender
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        let worker = self
            .worker
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(mut worker) = worker else { return };
        if tokio::time::timeout(END_WITHIN, &mut worker).await.is_err() {
            worker.abort();
            let left = self.waiting.load(Ordering::Relaxed);
            (self.say)(&format!(
                "hooks: given up after {} s; calls that were not made to all hooks: {left}",
                END_WITHIN.as_secs()
            ));
        }
    }
}

async fn work(
    hooks: Vec<Ready>,
    about: About,
    mut calls: mpsc::Receiver<Call>,
    waiting: Arc<AtomicUsize>,
    say: Say,
) {
    while let Some(call) = calls.recv().await {
        let body = call
            .json(&about.run, &about.upgrade, &about.fleet)
            .to_string();
        let body: Arc<str> = Arc::from(body);
        let mut tasks = JoinSet::new();
        for hook in hooks.iter().filter(|hook| hook.on.contains(&call.kind)) {
            let (hook, body) = (hook.clone(), Arc::clone(&body));
            tasks.spawn(async move { (hook.name, deliver(&hook.way, &body).await) });
        }
        while let Some(done) = tasks.join_next().await {
            match done {
                Ok((_, Ok(()))) => {}
                Ok((name, Err(why))) => {
                    say(&format!("hook {name}, for `{}`: {why}", call.kind.word()))
                }
                Err(error) => say(&format!("a hook failed: {error}")),
            }
        }
        waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
