//! What a plan says about time: outages, the last moment to turn back, its length, its calendar.

use super::Printer;
use overhaul_model::id::HostName;
use overhaul_model::plan::{Plan, PlannedService};
use overhaul_model::span::Span;
use overhaul_model::timing::Basis;
use overhaul_model::windows::{
    PredictedWindow, ServiceForecast, TurnBack, critical_path, forecast, turn_backs,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Hosts that are named where all of them could be; the rest is counted.
const HOSTS_NAMED_MAX: usize = 5;

impl Printer<'_> {
    pub(super) fn windows(&mut self) {
        let services = forecast(self.plan).services;
        if services.iter().all(|service| service.hosts.is_empty()) {
            return;
        }
        self.line(0, "");
        self.line(0, "predicted outages");
        for service in &services {
            let planned = self.plan.services.get(&service.service);
            let Some(planned) = planned.filter(|_| !service.hosts.is_empty()) else {
                continue;
            };
            for window in &service.hosts {
                let text = of_host(window, planned);
                self.line(1, &text);
            }
            if planned.hosts.len() > 1 {
                self.whole(service, planned);
            }
        }
    }

    /// A service of several hosts, as its users see it.
    fn whole(&mut self, service: &ServiceForecast, planned: &PlannedService) {
        let name = &service.service;
        let budget = of_budget(planned.window);
        for window in &service.windows {
            let sure = perhaps(window.certain);
            let end = match window.closes {
                true => format!("to {} on {}", window.to_step, window.to_host),
                false => "and nothing ends it".to_owned(),
            };
            let text = format!(
                "{name}, on all its hosts at once: {}{budget}{sure}, from {} on {} {end}",
                window.length, window.from_step, window.from_host
            );
            self.line(1, &text);
        }
        if service.windows.is_empty() {
            self.line(1, &format!("{name}, on all its hosts at once: never"));
        }
        let Some(longest) = service.single.iter().max_by_key(|single| single.length) else {
            return;
        };
        let text = format!(
            "{name}, on a single one of its {} hosts: {} in all, at most {} by {}",
            planned.hosts.len(),
            service.single_in_all(),
            longest.length,
            longest.host
        );
        self.line(1, &text);
    }

    /// Hosts for which the same is to be said are told together.
    pub(super) fn turning_back(&mut self) {
        let mut told: BTreeMap<(Span, String), Vec<HostName>> = BTreeMap::new();
        for turn in turn_backs(self.plan) {
            let first = told.iter().find(|((_, text), _)| *text == words(&turn));
            let key = first.map_or_else(|| (turn.begins, words(&turn)), |(key, _)| key.clone());
            told.entry(key).or_default().push(turn.host);
        }
        if told.is_empty() {
            return;
        }
        self.line(0, "");
        self.line(0, "last moment to turn back");
        for ((_, text), hosts) in told {
            self.line(1, &format!("{}: {text}", names(&hosts)));
        }
    }

    pub(super) fn length(&mut self) {
        let (mut recorded, mut written, mut runs) = (0_usize, 0_usize, 0);
        let mut seen = BTreeSet::new();
        for placed in self.plan.positions() {
            if !seen.insert(&placed.step.id) {
                continue;
            }
            match self.plan.basis(&placed.step.id) {
                Basis::Recorded { runs: of, .. } => {
                    recorded = recorded.saturating_add(1);
                    runs = of.max(runs);
                }
                Basis::Written => written = written.saturating_add(1),
                Basis::Shipped => {}
            }
        }
        let shipped = seen.len().saturating_sub(recorded).saturating_sub(written);
        let mut parts = Vec::new();
        if recorded > 0 {
            let basis = Basis::Recorded { runs, samples: 0 };
            parts.push(format!("{recorded} from {basis}"));
        }
        if written > 0 {
            parts.push(format!("{written} as written"));
        }
        if shipped > 0 {
            parts.push(format!("{shipped} shipped defaults"));
        }
        let length = critical_path(self.plan);
        self.line(0, "");
        let text = format!(
            "predicted length: {length}, when nothing fails and nobody is waited for (lengths of steps: {})",
            parts.join(", ")
        );
        self.line(0, &text);
    }

    pub(super) fn calendar(&mut self) {
        let timing = self.plan.timing.clone();
        let calendar = &timing.calendar;
        if calendar.is_empty() && timing.prework.is_none() {
            return;
        }
        self.line(0, "");
        self.line(0, "calendar");
        if let Some(not_before) = &calendar.not_before {
            self.line(1, &format!("nothing begins before {not_before}"));
        }
        if let Some(not_after) = &calendar.not_after {
            self.line(1, &format!("all is over by {not_after}"));
        }
        for freeze in &calendar.freeze {
            let (from, to, reason) = (&freeze.from, &freeze.to, &freeze.reason);
            self.line(
                1,
                &format!("nothing is under way from {from} to {to}: {reason}"),
            );
        }
        if let Some(valid_for) = timing.prework {
            let text = format!("pre-work (stage prepare) counts for {valid_for}");
            self.line(1, &text);
        }
    }
}

fn of_budget(budget: Option<Span>) -> String {
    budget.map_or_else(String::new, |span| format!(" of {span} agreed on"))
}

fn perhaps(certain: bool) -> &'static str {
    if certain { "" } else { " (perhaps)" }
}

fn of_host(window: &PredictedWindow, planned: &PlannedService) -> String {
    // What was agreed on is about the service: with several hosts, not about one of them.
    let budget = of_budget(planned.window.filter(|_| planned.hosts.len() == 1));
    let end = if window.closes {
        format!("to {}", window.to_step)
    } else {
        "and nothing ends it".to_owned()
    };
    format!(
        "{} on {}: {}{budget}{}, from {} {end}",
        window.service,
        window.host,
        window.predicted,
        perhaps(window.certain),
        window.from_step
    )
}

fn words(turn: &TurnBack) -> String {
    let before = format!("before {}, way back {}", turn.step, turn.way_back);
    let Some(window) = &turn.window else {
        return before;
    };
    let (service, budget) = (&window.service, window.budget);
    match window.until {
        Some(until) if window.fits() => format!(
            "{before}; within the {budget} of {service} until {until} after it went (the step is reached after {})",
            window.reached_after
        ),
        Some(until) => format!(
            "{before}; within the {budget} of {service} until {until} after it went, which is before the step is reached ({})",
            window.reached_after
        ),
        None => format!("{before}; that is longer than the {budget} of {service}"),
    }
}

fn names(hosts: &[HostName]) -> String {
    let named: Vec<&str> = hosts
        .iter()
        .take(HOSTS_NAMED_MAX)
        .map(|host| host.as_str())
        .collect();
    match hosts.len().saturating_sub(HOSTS_NAMED_MAX) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// The expected length of every step, and where each figure comes from: a table.
pub fn lengths(plan: &Plan) -> String {
    let mut out = String::from("expected lengths of steps, and where they come from\n");
    let mut seen = BTreeSet::new();
    for placed in plan.positions() {
        let step = placed.step;
        if !seen.insert(&step.id) {
            continue;
        }
        let length = plan.expected(step, None).to_string();
        let basis = plan.basis(&step.id);
        // Writing to a String cannot fail.
        let _ = writeln!(out, "  {length:>9}  {basis:<22}  {}", step.id);
        let expected = plan.timing.expected.get(&step.id);
        for (host, own) in expected.into_iter().flat_map(|expected| &expected.hosts) {
            let own = own.to_string();
            let _ = writeln!(out, "  {own:>9}  {:<22}    on {host}", "");
        }
    }
    out
}
