//! What the watchers of all sorts of work have in common.

use crate::process;
use overhaul_model::primitive::Exec;
use overhaul_model::receipt::WorkEnd;
use overhaul_model::span::Span;
use std::time::{Duration, Instant};

/// Looks at the processes per bound without progress: a stall is seen at most a tenth too late.
const LOOKS_PER_BOUND: u32 = 10;

/// Shortest pause between two looks at all processes of the host.
const LOOK_MS_MIN: u64 = 100;

/// Longest pause between two looks.
const LOOK_MS_MAX: u64 = 5_000;

/// Sees a work that makes no progress: no byte moved, and no processor time used.
#[derive(Debug)]
pub(crate) struct Stall {
    bound: Span,
    every: Duration,
    looked: Instant,
    progress: Instant,
    bytes: u64,
    ticks: u64,
}

impl Stall {
    /// For works that have such a bound.
    pub(crate) fn new(bound: Option<Span>) -> Option<Self> {
        let bound = bound?;
        let every = (bound.as_duration() / LOOKS_PER_BOUND).clamp(
            Duration::from_millis(LOOK_MS_MIN),
            Duration::from_millis(LOOK_MS_MAX),
        );
        let now = Instant::now();
        Some(Self {
            bound,
            every,
            looked: now,
            progress: now,
            bytes: 0,
            ticks: 0,
        })
    }

    /// The bound, when it is exceeded. `of` and `group` name the work's processes.
    pub(crate) fn exceeded(&mut self, bytes: u64, of: i32, group: i32) -> Option<Span> {
        let now = Instant::now();
        if now.duration_since(self.looked) < self.every {
            return None;
        }
        self.looked = now;
        let ticks = process::work_ticks(of, &process::descendants(of, group));
        if bytes != self.bytes || ticks != self.ticks {
            self.bytes = bytes;
            self.ticks = ticks;
            self.progress = now;
        }
        (now.duration_since(self.progress) > self.bound.as_duration()).then_some(self.bound)
    }
}

/// How a command ended by itself.
pub(crate) fn exit_of(exec: &Exec, code: Option<i32>, signal: Option<i32>) -> WorkEnd {
    match (code, signal) {
        (Some(code), _) => WorkEnd::Exited {
            code,
            success: exec.success.contains(&code),
        },
        (None, signal) => WorkEnd::Signaled {
            signal: signal.unwrap_or(0),
        },
    }
}
