//! The clocks of a run that goes on: how long a service is down, when it is expected back, until when turning
//! back still fits, and what of it people must be told now.
//!
//! A service that is probed is down when no host that is asked answers well; one that is not is down while the
//! steps of all its hosts say so. Time is an argument.

#[cfg(test)]
pub(crate) mod tests;

use jiff::Timestamp;
use overhaul_model::event::{Event, Outcome, Record, Settlement};
use overhaul_model::id::{HostName, Position, ServiceName};
use overhaul_model::plan::Plan;
use overhaul_model::span::Span;
use overhaul_model::timing::Calendar;
use overhaul_model::windows::{Way, WayStep, Ways, ways};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Parts of a hundred of a budget at which people are called: while there is time left, and when it is over.
pub const CALL_AT_PERCENT: [u64; 2] = [80, 100];

/// The clock of one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Clock {
    /// The service.
    pub service: ServiceName,
    /// What it is.
    pub state: ServiceState,
    /// Since when.
    pub since: Timestamp,
    /// For how long.
    pub length: Span,
    /// The longest outage agreed on.
    pub budget: Option<Span>,
    /// When its steps are expected to bring it back.
    pub back_at: Option<Timestamp>,
    /// Until when turning back fits the budget and the calendar; `None` beyond the point of no return, and
    /// where neither says anything.
    pub turn_back_until: Option<Timestamp>,
}

/// What is wrong with a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum ServiceState {
    /// No host serves.
    Down,
    /// A single one of several hosts serves.
    Single {
        /// Which.
        host: HostName,
    },
}

/// Something that people must be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(
    tag = "what",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case"
)]
pub enum Notice {
    /// So much of a budget is used up.
    Used {
        /// The service.
        service: ServiceName,
        /// Since when it is down.
        since: Timestamp,
        /// The budget.
        budget: Span,
        /// The part of it, of a hundred.
        percent: u64,
    },
    /// The steps that are left are expected to end beyond the budget; told before the one that does begins.
    Beyond {
        /// The service.
        service: ServiceName,
        /// The budget.
        budget: Span,
        /// When it is expected back.
        back_at: Timestamp,
        /// The first step that is expected to end too late.
        step: Position,
        /// Until when turning back fits.
        turn_back_until: Option<Timestamp>,
    },
}

impl Notice {
    /// The service that it is about.
    pub fn service(&self) -> &ServiceName {
        match self {
            Self::Used { service, .. } | Self::Beyond { service, .. } => service,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Times {
    began: Timestamp,
    over: bool,
}

struct Watched {
    budget: Option<Span>,
    /// Hosts that are asked, or all where nobody asks.
    hosts: Vec<HostName>,
    probed: bool,
    /// Since when probes say that it is down, at a host or at the address that hosts share.
    down: BTreeMap<Option<HostName>, Timestamp>,
    /// When hosts came back last.
    returned: BTreeMap<HostName, Timestamp>,
}

/// The clocks of all services of a run.
pub struct Clocks {
    ways: Ways,
    /// Windows by the host and place of their first step.
    opened_by: BTreeMap<Position, Vec<usize>>,
    services: BTreeMap<ServiceName, Watched>,
    calendar: Calendar,
    times: BTreeMap<Position, Times>,
    /// Windows whose first step has begun and whose last one is not over.
    open: BTreeSet<usize>,
    told: BTreeSet<(ServiceName, Timestamp, u64)>,
}

/// Stands for "beyond the budget" among the parts of a hundred that were told.
const BEYOND: u64 = u64::MAX;

impl Clocks {
    /// Clocks of a plan, before its first event.
    pub fn new(plan: &Plan) -> Self {
        let ways = ways(plan);
        let mut opened_by: BTreeMap<Position, Vec<usize>> = BTreeMap::new();
        for (index, way) in ways.windows.iter().enumerate() {
            // Whichever step of it is carried out first opens it: those before may have been so already.
            for step in ways.steps(way) {
                let position = Position::on(step.step.clone(), way.window.host.clone());
                opened_by.entry(position).or_default().push(index);
            }
        }
        let services = plan.services.iter().map(|(name, planned)| {
            let probed = planned.healthy.is_some();
            let asked = |host: &&HostName| !probed || plan.hosts.contains_key(*host);
            let watched = Watched {
                budget: planned.window,
                hosts: planned.hosts.iter().filter(asked).cloned().collect(),
                probed,
                down: BTreeMap::new(),
                returned: BTreeMap::new(),
            };
            (name.clone(), watched)
        });
        Self {
            opened_by,
            services: services.collect(),
            calendar: plan.timing.calendar.clone(),
            times: BTreeMap::new(),
            open: BTreeSet::new(),
            told: BTreeSet::new(),
            ways,
        }
    }

    /// Takes an event into account.
    pub fn take(&mut self, record: &Record) {
        let at = record.at;
        match &record.event {
            Event::Probed {
                service, host, up, ..
            } => {
                if let Some(watched) = self.services.get_mut(service) {
                    match up {
                        true => {
                            watched.down.remove(host);
                            if let Some(host) = host {
                                watched.returned.insert(host.clone(), at);
                            }
                        }
                        false => drop(watched.down.entry(host.clone()).or_insert(at)),
                    }
                }
            }
            Event::Started { position, .. } => self.step(position, at, false),
            Event::Checked { position, result } if result.is_so() => self.step(position, at, true),
            Event::Ended {
                position,
                outcome: Outcome::Succeeded { .. },
                ..
            }
            | Event::Settled {
                position,
                settlement: Settlement::Ended(Outcome::Succeeded { .. }),
                ..
            } => self.step(position, at, true),
            Event::Verified {
                position, result, ..
            } if result.is_so() => self.step(position, at, true),
            _ => {}
        }
    }

    fn step(&mut self, position: &Position, at: Timestamp, over: bool) {
        let times = self.times.entry(position.clone());
        let times = times.or_insert(Times { began: at, over });
        times.over = over;
        let windows = self.opened_by.get(position);
        for index in windows.into_iter().flatten().copied() {
            let Some(way) = self.ways.windows.get(index) else {
                continue;
            };
            let last = Position::on(way.window.to_step.clone(), way.window.host.clone());
            let closed = way.window.closes && self.times.get(&last).is_some_and(|t| t.over);
            if !closed {
                self.open.insert(index);
                continue;
            }
            let watched = self.services.get_mut(&way.window.service);
            if let Some(watched) = watched.filter(|_| self.open.remove(&index)) {
                watched.returned.insert(way.window.host.clone(), at);
            }
        }
    }

    /// The clocks that run now, by service.
    pub fn running(&self, now: Timestamp) -> Vec<Clock> {
        let services = self.services.iter();
        services
            .filter_map(|(name, watched)| self.clock(name, watched, now))
            .collect()
    }

    /// What must be told now and was not told before.
    pub fn notices(&mut self, now: Timestamp) -> Vec<Notice> {
        let mut out = Vec::new();
        for clock in self.running(now) {
            let (ServiceState::Down, Some(budget)) = (&clock.state, clock.budget) else {
                continue;
            };
            let mut tell = |percent| {
                self.told
                    .insert((clock.service.clone(), clock.since, percent))
            };
            let used = |percent: &u64| {
                clock.length.as_ms().saturating_mul(100) >= budget.as_ms().saturating_mul(*percent)
            };
            // When much has passed unseen, the most is told alone.
            let passed = CALL_AT_PERCENT.into_iter().filter(used);
            let new = passed.filter(|percent| tell(*percent)).max();
            if let Some(percent) = new {
                out.push(Notice::Used {
                    service: clock.service.clone(),
                    since: clock.since,
                    budget,
                    percent,
                });
            }
            let ends = budget.after(clock.since);
            let late = clock.back_at.filter(|back_at| *back_at > ends);
            let step = late.and_then(|_| self.late_step(&clock.service, ends, now));
            if let (Some(back_at), Some(step)) = (late, step)
                && self
                    .told
                    .insert((clock.service.clone(), clock.since, BEYOND))
            {
                out.push(Notice::Beyond {
                    service: clock.service,
                    budget,
                    back_at,
                    step,
                    turn_back_until: clock.turn_back_until,
                });
            }
        }
        out
    }

    fn clock(&self, name: &ServiceName, watched: &Watched, now: Timestamp) -> Option<Clock> {
        let away = self.away(name, watched);
        let down_for_all = watched.down.get(&None).filter(|_| watched.probed);
        let missing = watched.hosts.len().saturating_sub(away.len());
        let all = (missing == 0).then(|| away.values().max()).flatten();
        let (state, since) = match (down_for_all.or(all), missing) {
            (Some(since), _) => (ServiceState::Down, *since),
            (None, 1) if watched.hosts.len() > 1 => {
                let host = watched
                    .hosts
                    .iter()
                    .find(|host| !away.contains_key(*host))?;
                // Since the last one of the others went, or it came back alone.
                let since = away.values().chain(watched.returned.get(host)).max()?;
                (ServiceState::Single { host: host.clone() }, *since)
            }
            (None, _) => return None,
        };
        let down = state == ServiceState::Down;
        let way = self.first_back(name, now).filter(|_| down);
        let turn_back_until =
            way.and_then(|(way, _)| self.turn_back(way, since, watched.budget, now));
        Some(Clock {
            service: name.clone(),
            state,
            since,
            length: Span::between(since, now),
            budget: watched.budget,
            back_at: way.map(|(_, back_at)| back_at),
            turn_back_until,
        })
    }

    /// Hosts that do not serve, each since when.
    fn away(&self, name: &ServiceName, watched: &Watched) -> BTreeMap<HostName, Timestamp> {
        if watched.probed && !watched.down.keys().all(Option::is_none) {
            let by_host = watched.down.iter();
            return by_host
                .filter_map(|(host, since)| Some((host.clone()?, *since)))
                .collect();
        }
        // What an address that all hosts share says of single hosts is nothing: the steps say it.
        if watched.probed && watched.hosts.len() < 2 {
            return BTreeMap::new();
        }
        let mut out = BTreeMap::new();
        for way in self.open_ways(name) {
            let begun = self
                .ways
                .steps(way)
                .iter()
                .filter_map(|step| self.times_of(way, step));
            let since = begun.map(|times| times.began).min();
            if let Some(since) = since.filter(|_| way.window.certain) {
                let host = way.window.host.clone();
                let known: &mut Timestamp = out.entry(host).or_insert(since);
                *known = since.min(*known);
            }
        }
        match watched.probed && out.len() == watched.hosts.len() {
            // The probe says that it serves.
            true => BTreeMap::new(),
            false => out,
        }
    }

    fn open_ways<'a>(&'a self, name: &'a ServiceName) -> impl Iterator<Item = &'a Way> {
        let open = self
            .open
            .iter()
            .filter_map(|index| self.ways.windows.get(*index));
        open.filter(move |way| way.window.service == *name)
    }

    fn times_of(&self, way: &Way, step: &WayStep) -> Option<&Times> {
        let position = Position::on(step.step.clone(), way.window.host.clone());
        self.times.get(&position)
    }

    /// The open window that is expected to close first, and when.
    fn first_back<'a>(
        &'a self,
        name: &'a ServiceName,
        now: Timestamp,
    ) -> Option<(&'a Way, Timestamp)> {
        let ways = self.open_ways(name).filter(|way| way.window.closes);
        let backs = ways.map(|way| (way, self.ends(way, now).last().map_or(now, |(_, at)| *at)));
        backs.min_by_key(|(_, back_at)| *back_at)
    }

    /// The steps of a window that are not over, each with the moment at which it is expected to be.
    fn ends<'a>(&'a self, way: &'a Way, now: Timestamp) -> Vec<(&'a WayStep, Timestamp)> {
        let mut at = now;
        let mut out = Vec::new();
        for step in self.ways.steps(way) {
            let left = match self.times_of(way, step) {
                Some(times) if times.over => continue,
                Some(times) => step.expected.less(Span::between(times.began, now)),
                None => step.expected,
            };
            at = left.after(at);
            out.push((step, at));
        }
        out
    }

    /// The first step that is expected to end after this moment.
    fn late_step(&self, name: &ServiceName, after: Timestamp, now: Timestamp) -> Option<Position> {
        let (way, _) = self.first_back(name, now)?;
        let late = self
            .ends(way, now)
            .into_iter()
            .find(|(_, at)| *at > after)?;
        Some(Position::on(late.0.step.clone(), way.window.host.clone()))
    }

    /// The way back goes over everything that was begun in the window.
    fn turn_back(
        &self,
        way: &Way,
        since: Timestamp,
        budget: Option<Span>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let begun = self.ways.steps(way).iter();
        let begun = begun.filter(|step| self.times_of(way, step).is_some());
        let mut way_back = Span::default();
        for step in begun {
            if step.no_return {
                return None;
            }
            way_back = way_back.plus(step.back);
        }
        let of_budget = budget.map(|budget| budget.after(since));
        let of_calendar = self.calendar.over_by(now).map(|moment| moment.at);
        let over_by = of_budget.into_iter().chain(of_calendar).min()?;
        over_by.checked_sub(way_back.as_duration()).ok()
    }
}
