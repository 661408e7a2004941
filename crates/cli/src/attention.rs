//! What people are called for while a run goes on: each thing once, while it is so. Time is an argument.

use crate::hooks::Call;
use crate::text;
use jiff::Timestamp;
use overhaul_machine::clocks::{Clock, Clocks, Notice, ServiceState};
use overhaul_machine::{Doing, Standing, Work};
use overhaul_model::event::{Event, Record, Verdict};
use overhaul_model::id::{Position, ServiceName, StepId};
use overhaul_model::plan::Plan;
use overhaul_model::span::Span;
use overhaul_source::CallFor;
use std::collections::{BTreeMap, BTreeSet};

/// A step that waits so long for a guard, a host or the calendar is told: a short wait is usual, this is not.
const HELD_AFTER: Span = Span::from_s(10 * 60);

/// A step at work without output for so long is told, if it also takes twice as long as expected; its own
/// bound (`stall`) ends it later.
const STALLED_AFTER: Span = Span::from_s(5 * 60);

/// Characters of foreign text in a call.
const FOREIGN_CHARS_MAX: usize = 200;

/// Watches a run for what people must be called for.
pub struct Attention {
    clocks: Clocks,
    titles: BTreeMap<StepId, String>,
    expected: BTreeMap<Position, Span>,
    /// The number of the last event that was there before this controller.
    old: u64,
    /// Gates whose question is open.
    asked: BTreeSet<Position>,
    needs: BTreeSet<Position>,
    waits: BTreeMap<Position, Since>,
    works: BTreeMap<Position, Since>,
}

/// Since when something is so, and whether it was told.
struct Since {
    at: Timestamp,
    /// The last sign of life.
    last: Timestamp,
    why: String,
    told: bool,
}

impl Since {
    fn new(at: Timestamp, why: &str) -> Self {
        Self {
            at,
            last: at,
            why: text::one_line(why, FOREIGN_CHARS_MAX),
            told: false,
        }
    }
}

impl Attention {
    /// For a run of this plan whose journal has this many events already.
    pub fn new(plan: &Plan, old: u64) -> Self {
        let mut titles = BTreeMap::new();
        let mut expected = BTreeMap::new();
        for placed in plan.positions() {
            let (step, host) = (placed.step, placed.position.host.as_ref());
            titles
                .entry(step.id.clone())
                .or_insert_with(|| text::clean(&step.title));
            expected.insert(placed.position.clone(), plan.expected(step, host));
        }
        Self {
            clocks: Clocks::new(plan),
            titles,
            expected,
            old,
            asked: BTreeSet::new(),
            needs: BTreeSet::new(),
            waits: BTreeMap::new(),
            works: BTreeMap::new(),
        }
    }

    /// The clocks that run.
    pub fn clocks(&self, now: Timestamp) -> Vec<Clock> {
        self.clocks.running(now)
    }

    /// Takes an event into account.
    pub fn take(&mut self, record: &Record) -> Vec<Call> {
        self.clocks.take(record);
        match &record.event {
            Event::Asked { position, .. } => {
                self.asked.insert(position.clone());
            }
            Event::Decided(decision) => {
                if let Some(position) = decision.choice.position() {
                    self.asked.remove(position);
                    self.needs.remove(position);
                }
            }
            Event::Finished { verdict } if record.seq > self.old => {
                let how = match verdict {
                    Verdict::Complete => "complete",
                    Verdict::Aborted => "aborted by a person",
                };
                let text = format!("the run is over: {how}");
                return vec![call(CallFor::Over, record.at, text, None, None)];
            }
            _ => {}
        }
        Vec::new()
    }

    /// A running step printed something.
    pub fn output(&mut self, position: &Position, now: Timestamp) {
        if let Some(works) = self.works.get_mut(position) {
            works.last = now;
            works.told = false;
        }
    }

    /// What is done and waited for has changed.
    pub fn standing(&mut self, standing: &Standing, now: Timestamp) -> Vec<Call> {
        let mut needs = BTreeMap::new();
        let (mut waits, mut works) = (BTreeMap::new(), BTreeMap::new());
        for open in &standing.open {
            let position = open.position.clone();
            match &open.doing {
                Doing::NeedsPerson { why, .. } => {
                    needs.insert(position, text::one_line(why, FOREIGN_CHARS_MAX));
                }
                Doing::Waiting { on, .. } => {
                    let before = self.waits.remove(&position);
                    waits.insert(position, before.unwrap_or_else(|| Since::new(now, on)));
                }
                Doing::Working {
                    work: Work::Acting,
                    since,
                } => {
                    let before = self.works.remove(&position);
                    let begun = || Since::new(since.unwrap_or(now), "");
                    works.insert(position, before.unwrap_or_else(begun));
                }
                Doing::Working { .. } | Doing::Paused | Doing::Limited => {}
            }
        }
        (self.waits, self.works) = (waits, works);
        let mut out = Vec::new();
        for (position, why) in &needs {
            if self.needs.contains(position) {
                continue;
            }
            let name = self.name(position);
            let (kind, text) = match self.asked.contains(position) {
                true => (CallFor::Asked, format!("{name} asks: {why}")),
                false => (CallFor::Failed, format!("{name} needs a decision: {why}")),
            };
            out.push(call(kind, now, text, Some(position), None));
        }
        self.needs = needs.into_keys().collect();
        out
    }

    /// What has become worth a call by time alone.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Call> {
        let mut out = Vec::new();
        let mut waits = std::mem::take(&mut self.waits);
        for (position, since) in &mut waits {
            let length = Span::between(since.at, now);
            if !since.told && length >= HELD_AFTER {
                since.told = true;
                let name = self.name(position);
                let text = format!("{name} waits for {}: {}", text::span(length), since.why);
                out.push(call(CallFor::Held, now, text, Some(position), None));
            }
        }
        self.waits = waits;
        let mut works = std::mem::take(&mut self.works);
        for (position, since) in &mut works {
            let (length, silent) = (Span::between(since.at, now), Span::between(since.last, now));
            let expected = self.expected.get(position).copied().unwrap_or_default();
            if !since.told && silent >= STALLED_AFTER && length > expected.plus(expected) {
                since.told = true;
                let text = format!(
                    "{} gives no output for {} and takes {}, {} expected",
                    self.name(position),
                    text::span(silent),
                    text::span(length),
                    text::span(expected)
                );
                out.push(call(CallFor::Stalled, now, text, Some(position), None));
            }
        }
        self.works = works;
        for notice in self.clocks.notices(now) {
            let service = notice.service().clone();
            let text = notice_text(&notice);
            out.push(call(CallFor::Window, now, text, None, Some(service)));
        }
        out
    }

    fn name(&self, position: &Position) -> String {
        match self.titles.get(&position.step) {
            Some(title) => format!("{title} [{position}]"),
            None => position.to_string(),
        }
    }
}

fn call(
    kind: CallFor,
    at: Timestamp,
    text: String,
    position: Option<&Position>,
    service: Option<ServiceName>,
) -> Call {
    Call {
        kind,
        at,
        text,
        position: position.cloned(),
        service,
    }
}

fn notice_text(notice: &Notice) -> String {
    match notice {
        Notice::Used {
            service,
            since,
            budget,
            percent: 100..,
        } => format!(
            "{service} is down since {}, longer than the {} agreed on",
            text::clock(*since),
            text::span(*budget)
        ),
        Notice::Used {
            service,
            since,
            budget,
            percent,
        } => format!(
            "{service} is down since {}: {percent} % of the {} agreed on are used up",
            text::clock(*since),
            text::span(*budget)
        ),
        Notice::Beyond {
            service,
            budget,
            back_at,
            step,
            turn_back_until,
        } => {
            let turn = match turn_back_until {
                Some(until) => format!("; turning back fits until {}", text::clock(*until)),
                None => String::new(),
            };
            format!(
                "{service} is expected back at {}, beyond the {} agreed on, because of {step}{turn}",
                text::clock(*back_at),
                text::span(*budget)
            )
        }
    }
}

/// A clock in a few words, for the line of the whole run.
pub fn clock_text(clock: &Clock) -> String {
    let mut out = match &clock.state {
        ServiceState::Down => format!("{} is DOWN {}", clock.service, text::seconds(clock.length)),
        ServiceState::Single { host } => format!(
            "{} only on {host} {}",
            clock.service,
            text::seconds(clock.length)
        ),
    };
    if clock.state != ServiceState::Down {
        return out;
    }
    if let Some(budget) = clock.budget {
        out.push_str(&format!(" of {}", text::span(budget)));
    }
    if let Some(back_at) = clock.back_at {
        out.push_str(&format!(", back at {}", text::clock(back_at)));
    }
    if let Some(until) = clock.turn_back_until {
        out.push_str(&format!(", turn back until {}", text::clock(until)));
    }
    out
}

#[cfg(test)]
mod tests;
