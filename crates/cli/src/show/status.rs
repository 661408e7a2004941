//! How a run stands, as text and as JSON.

use super::decide::{Decidable, decidable};
use crate::commands::decide::about_what;
use crate::runs::Told;
use crate::text;
use jiff::Timestamp;
use overhaul_machine::{Doing, OpenPosition, Postponed, RunStanding, Work};
use overhaul_model::event::{Decision, Event, Record, Verdict};
use overhaul_model::id::{HostName, Position, ServiceName};
use overhaul_model::plan::Plan;
use overhaul_model::span::Span;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Open positions that are listed; the others are counted.
const OPEN_LISTED_MAX: usize = 40;

/// How a run stands.
#[derive(Debug, Serialize)]
pub struct Status {
    /// The run.
    pub run: String,
    /// The plan's hash.
    pub plan: String,
    /// The upgrade's name.
    pub upgrade: String,
    /// The fleet's name.
    pub fleet: String,
    /// How often its plan was amended.
    #[serde(skip_serializing_if = "is_none_of_them")]
    pub amended: usize,
    /// What it does as a whole.
    pub standing: RunStanding,
    /// Whether a controller on this machine has it now.
    pub controller: bool,
    /// Whether nothing new begins.
    pub paused: bool,
    /// When the journal's last row was written.
    pub last_row: Option<Timestamp>,
    /// All steps, in the plan's order.
    pub steps: Vec<StepRow>,
    /// Steps in each state.
    pub counts: BTreeMap<&'static str, usize>,
    /// Positions whose turn has come.
    pub open: Vec<OpenPosition>,
    /// Positions that wait for a person.
    pub decide: Vec<Decidable>,
    /// Services that are down now, as last seen.
    pub down: Vec<Down>,
    /// The limits of the present or last sitting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<String>,
    /// Turns that could begin, but lie outside of these limits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub outside: Vec<Position>,
    /// Hosts that are left for later.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub postponed: BTreeMap<HostName, Postponed>,
    /// Requests that no controller has taken up yet.
    pub pending: Vec<Decision>,
}

/// A step and its state.
#[derive(Debug, Serialize)]
pub struct StepRow {
    /// Where.
    pub position: Position,
    /// What people read.
    pub title: String,
    /// In one word.
    pub state: &'static str,
}

/// A service that is down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Down {
    /// The service.
    pub service: ServiceName,
    /// The host, when it was asked there.
    pub host: Option<HostName>,
    /// Since when.
    pub since: Timestamp,
    /// For how long, until now.
    pub length: Span,
    /// The longest outage agreed on.
    pub budget: Option<Span>,
}

fn is_none_of_them(count: &usize) -> bool {
    *count == 0
}

fn is_amended(record: &&Record) -> bool {
    matches!(record.event, Event::Amended { .. })
}

impl Status {
    /// Puts a run's status together.
    pub fn of(told: &Told, pending: Vec<Decision>, controller: bool, now: Timestamp) -> Self {
        let run = &told.run;
        let standing = run.next(now).standing;
        let mut counts = BTreeMap::new();
        let mut steps = Vec::new();
        for (position, state) in run.positions() {
            steps.push(StepRow {
                title: run
                    .step(&position)
                    .map(|s| s.title.clone())
                    .unwrap_or_default(),
                state: state.word(),
                position,
            });
            let count: &mut usize = counts.entry(state.word()).or_default();
            *count = count.saturating_add(1);
        }
        let decide = standing.open.iter().filter_map(|open| match &open.doing {
            Doing::NeedsPerson { why, choices } => {
                Some(decidable(run, told.dir.id(), &open.position, why, choices))
            }
            Doing::Working { .. } | Doing::Waiting { .. } | Doing::Paused | Doing::Limited => None,
        });
        Self {
            run: told.dir.id().to_string(),
            plan: run.hash().to_string(),
            upgrade: told.plan().upgrade.clone(),
            fleet: told.plan().fleet.clone(),
            amended: told.records.iter().filter(is_amended).count(),
            standing: standing.run,
            controller,
            paused: run.is_paused(),
            last_row: told.records.last().map(|record| record.at),
            steps,
            counts,
            decide: decide.collect(),
            open: standing.open,
            limits: run.sitting().map(|sitting| sitting.words.clone()),
            outside: standing.outside,
            postponed: run
                .postponed()
                .map(|(host, postponed)| (host.clone(), postponed.clone()))
                .collect(),
            down: down(told.plan(), &told.records, now),
            pending,
        }
    }

    /// As people read it.
    pub fn text(&self, now: Timestamp) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "run {}: {} on fleet {}",
            self.run, self.upgrade, self.fleet
        );
        let _ = writeln!(out, "  {}", self.sentence());
        if let Some(last) = self.last_row {
            let ago = text::span(Span::between(last, now));
            let _ = writeln!(out, "  last event {} ({ago} ago)", text::moment(last));
        }
        if self.amended > 0 {
            let times = text::count(self.amended, "time");
            let _ = writeln!(
                out,
                "  its plan was amended {times}: overhaul report {}",
                self.run
            );
        }
        let counts: Vec<String> = self
            .counts
            .iter()
            .map(|(word, n)| format!("{n} {word}"))
            .collect();
        let _ = writeln!(out, "  steps: {}", counts.join(", "));
        for down in &self.down {
            let _ = writeln!(out, "  {}", down.text());
        }
        let listed = |open: &&OpenPosition| !matches!(open.doing, Doing::NeedsPerson { .. });
        let open: Vec<&OpenPosition> = self.open.iter().filter(listed).collect();
        for position in open.iter().take(OPEN_LISTED_MAX) {
            let _ = writeln!(
                out,
                "  {}: {}",
                position.position,
                self.doing(&position.doing, now)
            );
        }
        if open.len() > OPEN_LISTED_MAX {
            let more = open.len().saturating_sub(OPEN_LISTED_MAX);
            let _ = writeln!(out, "  and {} more", text::count(more, "open position"));
        }
        self.waiting_hosts(&mut out);
        for request in &self.pending {
            let _ = writeln!(
                out,
                "  asked for, not taken up yet: {}",
                request_text(request)
            );
        }
        if !self.decide.is_empty() {
            let _ = writeln!(out, "\ndecisions are needed:");
        }
        for decide in &self.decide {
            let _ = write!(out, "\n{}", decide.text());
        }
        out
    }

    /// Turns outside of the limits, and hosts that are left for later, with the commands about them.
    fn waiting_hosts(&self, out: &mut String) {
        for position in self.outside.iter().take(OPEN_LISTED_MAX) {
            let _ = writeln!(
                out,
                "  {position}: its turn could begin, but is outside of the limits"
            );
        }
        if self.outside.len() > OPEN_LISTED_MAX {
            let more = self.outside.len().saturating_sub(OPEN_LISTED_MAX);
            let _ = writeln!(out, "  and {} more outside", text::count(more, "turn"));
        }
        for (host, postponed) in &self.postponed {
            let _ = writeln!(
                out,
                "  {host} is postponed until {} by {}: {}",
                text::moment(postponed.until),
                postponed.by,
                text::one_line(&postponed.reason, 200)
            );
            let word = text::shell_word(host.as_str());
            let _ = writeln!(
                out,
                "    overhaul postpone {word} --now --run {}  # take it up",
                self.run
            );
            let _ = writeln!(
                out,
                "    overhaul skip {word} --reason 'TEXT' --run {}  # leave it out for good",
                self.run
            );
        }
    }

    fn sentence(&self) -> String {
        let standing = match self.standing {
            RunStanding::Working => "steps are under way",
            RunStanding::Waiting => "it waits",
            RunStanding::NeedsPerson => "it stands until a person decides",
            RunStanding::Paused => "it is paused",
            RunStanding::Limited => "what its limits allow is done",
            RunStanding::Postponed { until } => {
                let until = text::moment(until);
                return self.with_way(&format!("only postponed hosts are left, until {until}"));
            }
            RunStanding::Ending(Verdict::Complete) => "it comes to its end",
            RunStanding::Ending(Verdict::Aborted) => "it is being aborted",
            RunStanding::Over(Verdict::Complete) => return "it is complete".to_owned(),
            RunStanding::Over(Verdict::Aborted) => return "it was aborted".to_owned(),
        };
        self.with_way(standing)
    }

    fn with_way(&self, standing: &str) -> String {
        if self.controller {
            standing.to_owned()
        } else {
            format!(
                "{standing}; no process of this machine has it: `overhaul resume {}` takes it up",
                self.run
            )
        }
    }

    fn doing(&self, doing: &Doing, now: Timestamp) -> String {
        match doing {
            // Without a controller nobody sees it: the journal tells only that it was begun.
            Doing::Working {
                since: Some(since), ..
            } if !self.controller => {
                format!("begun {}, not known how it goes", text::moment(*since))
            }
            Doing::Working { work, since } => {
                let word = work_word(*work);
                match since {
                    Some(since) => format!("{word} for {}", text::span(Span::between(*since, now))),
                    None => word.to_owned(),
                }
            }
            Doing::Waiting { on, until } => {
                let on = text::clean(on);
                match until {
                    Some(until) => format!("waits for {on}, until {}", text::clock(*until)),
                    None => format!("waits for {on}"),
                }
            }
            Doing::NeedsPerson { why, .. } => format!("needs a decision: {}", text::clean(why)),
            Doing::Paused => "would begin, but nothing new begins now".to_owned(),
            Doing::Limited => {
                let limits = self.limits.as_deref().unwrap_or_default();
                format!("would begin, but is outside of `{}`", text::clean(limits))
            }
        }
    }
}

/// What is being done, in a word.
pub fn work_word(work: Work) -> &'static str {
    match work {
        Work::Registering => "its host is being registered",
        Work::Measuring => "conditions are measured",
        Work::Acting => "running",
        Work::Settling => "its receipt is asked for",
        Work::Verifying => "its result is measured",
    }
}

fn request_text(request: &Decision) -> String {
    let about = about_what(&request.choice);
    format!("{}{about} by {}", request.choice.word(), request.person)
}

impl Down {
    /// As people read it.
    pub fn text(&self) -> String {
        let host = self
            .host
            .as_ref()
            .map(|h| format!(" on {h}"))
            .unwrap_or_default();
        let budget = match self.budget {
            Some(budget) if self.length > budget => {
                format!(", over its window of {}", text::span(budget))
            }
            Some(budget) => format!(" of {}", text::span(budget)),
            None => String::new(),
        };
        format!(
            "service {}{host} is down for {}{budget}",
            self.service,
            text::seconds(self.length)
        )
    }
}

/// Services that are down, as last seen.
pub fn down(plan: &Plan, records: &[Record], now: Timestamp) -> Vec<Down> {
    let mut since: BTreeMap<(&ServiceName, Option<&HostName>), Timestamp> = BTreeMap::new();
    for record in records {
        if let Event::Probed {
            service, host, up, ..
        } = &record.event
        {
            let key = (service, host.as_ref());
            if *up {
                since.remove(&key);
            } else {
                since.entry(key).or_insert(record.at);
            }
        }
    }
    since
        .into_iter()
        .map(|((service, host), since)| Down {
            service: service.clone(),
            host: host.cloned(),
            since,
            length: Span::between(since, now),
            budget: plan.services.get(service).and_then(|s| s.window),
        })
        .collect()
}
