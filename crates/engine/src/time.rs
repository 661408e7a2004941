//! Time that does not go back while this controller lives.

use crate::ports::Clock;
use jiff::Timestamp;
use overhaul_model::span::Span;
use std::sync::Arc;

/// The time of day as long as it goes forward; where it is set back, it goes on from the last moment
/// at the pace of the monotonic clock. So waits and outages keep their length.
pub(crate) struct SteadyTime<C> {
    clock: Arc<C>,
    last: Option<(Timestamp, Span)>,
}

impl<C: Clock> SteadyTime<C> {
    pub fn new(clock: Arc<C>) -> Self {
        Self { clock, last: None }
    }

    pub fn now(&mut self) -> Timestamp {
        let (wall, elapsed) = (self.clock.now(), self.clock.elapsed());
        let now = match self.last {
            Some((last, then)) if wall < last => {
                let passed = elapsed.as_ms().saturating_sub(then.as_ms());
                Span::from_ms(passed).after(last)
            }
            _ => wall,
        };
        self.last = Some((now, elapsed));
        now
    }
}
