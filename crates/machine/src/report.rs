//! The report of a run, from its plan and its journal alone.

mod compare;
mod downtime;
mod leftovers;
mod redundancy;
#[cfg(test)]
mod tests;
mod timeline;

pub use compare::{COMPARISON_FORMAT, Comparison, Down, Pair, StepPair, StepSide, Whole, compare};
pub use downtime::resolution;

use crate::{Amendment, Postponed, Run};
use jiff::Timestamp;
use overhaul_model::definition::Release;
use overhaul_model::event::{Choice, Event, Outcome, ProbeTally, Record, Settlement, Verdict};
use overhaul_model::finding::Waiver;
use overhaul_model::id::{
    Digest, HostName, InstallId, Nonce, Person, Position, RunId, ServiceName,
};
use overhaul_model::plan::Plan;
use overhaul_model::primitive::Measurement;
use overhaul_model::span::Span;
use overhaul_model::windows::{PredictedWindow, ServiceWindow, critical_path};
use serde::Serialize;
use std::collections::BTreeMap;

/// The version of the report's JSON.
pub const REPORT_FORMAT: u32 = 1;

/// What happened, for people and for their tools.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// [`REPORT_FORMAT`].
    pub format: u32,
    /// The run.
    pub run: Option<RunId>,
    /// The hash of the plan that the run was opened with.
    pub plan: Option<Digest>,
    /// The upgrade's name.
    pub upgrade: String,
    /// The fleet's name.
    pub fleet: String,
    /// Before.
    pub from: Release,
    /// After.
    pub to: Release,
    /// Who began it.
    pub person: Option<Person>,
    /// When it was opened.
    pub began: Option<Timestamp>,
    /// When it was over.
    pub ended: Option<Timestamp>,
    /// The journal's last row.
    pub last_row: Option<Timestamp>,
    /// How it ended; `None` while it is not over.
    pub verdict: Option<Verdict>,
    /// How long it was expected to take without failures and without waits for people.
    pub predicted: Span,
    /// How many steps are in which state.
    pub counts: BTreeMap<StepStanding, usize>,
    /// The controllers that led it, in order.
    pub controllers: Vec<Controller>,
    /// The hosts that took part.
    pub hosts: Vec<HostRow>,
    /// Every step that something happened to, in the order in which they began.
    pub timeline: Vec<TimelineRow>,
    /// Outages of services, predicted and measured.
    pub services: Vec<ServiceRow>,
    /// What people decided.
    pub decisions: Vec<DecisionRow>,
    /// Limits that sittings of the run had.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<LimitsRow>,
    /// Plans that took the place of the one before them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub amendments: Vec<AmendmentRow>,
    /// Hosts that are left for later.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub postponed: BTreeMap<HostName, Postponed>,
    /// What people had cleared away after the end.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cleanups: Vec<CleanupRow>,
    /// Requests that were not carried out.
    pub declined: Vec<DeclinedRow>,
    /// Exceptions that the plan was made with.
    pub waivers: Vec<Waiver>,
    /// Findings that the run was begun in spite of.
    pub warnings: Vec<String>,
    /// What steps have seen on their hosts and want people to know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub noticed: Vec<Noticed>,
    /// What the run has left behind and somebody may want to clear away.
    pub leftovers: Vec<Leftover>,
    /// Attempts after the first.
    pub retries: Vec<RetryRow>,
    /// Times at which nobody could say what was so.
    pub unknowns: Vec<UnknownRow>,
}

/// A plan that took the place of the one before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AmendmentRow {
    /// When.
    pub at: Timestamp,
    /// Who decided it.
    pub person: Person,
    /// Why.
    pub reason: String,
    /// Its hash, if it can be written as JSON.
    pub plan: Option<Digest>,
    /// What became of steps that were over or begun.
    pub steps: Amendment,
}

/// A controller that led the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Controller {
    /// Its generation's counter.
    pub counter: u64,
    /// Who started it.
    pub person: Person,
    /// When it took the run.
    pub took: Timestamp,
    /// The span before it in which no controller watched: nothing was observed in it.
    pub not_observed: Option<Gap>,
}

/// A span without an observer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// The last row of the controller before.
    pub from: Timestamp,
    /// The takeover.
    pub to: Timestamp,
    /// How long it is.
    pub length: Span,
}

/// A host that took part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostRow {
    /// The host.
    pub host: HostName,
    /// The identities of its receipt store; more than one means that the host was made anew.
    pub install_ids: Vec<InstallId>,
    /// Boots that were seen at registrations.
    pub boots_seen: usize,
    /// Whether the run has freed it.
    pub released: bool,
    /// Why it was last refused, if the last try was.
    pub refused: Option<String>,
}

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepStanding {
    /// Nothing yet.
    Waiting,
    /// Its guard is measured.
    Held,
    /// A person is asked.
    Asked,
    /// It was begun and is not over.
    Running,
    /// It is done, or was so already.
    Done,
    /// It was left out by decision.
    Skipped,
    /// It failed.
    Failed,
    /// Nobody can say.
    Unknown,
    /// Its effect was declared void.
    Voided,
}

/// A step of the timeline.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TimelineRow {
    /// The step.
    pub position: Position,
    /// What people read.
    pub title: String,
    /// The action's word.
    pub action: &'static str,
    /// When something first happened to it.
    pub began: Timestamp,
    /// When it was over.
    pub ended: Option<Timestamp>,
    /// From began to ended.
    pub length: Option<Span>,
    /// How long it was expected to take.
    pub expected: Span,
    /// Attempts that were begun.
    pub attempts: u32,
    /// What became of it.
    pub standing: StepStanding,
    /// In a few words, why.
    pub how: String,
    /// The last output of a failed attempt.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tail: String,
    /// What of its traces was not known to be on the host's disk when it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unsynced: Option<String>,
}

/// How finely a service was watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Resolution {
    /// Where the question was asked.
    pub asked_from: Observer,
    /// Time between two questions.
    pub every: Span,
    /// An answer that takes longer counts as down.
    pub limit: Span,
}

/// Who asks a service how it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Observer {
    /// The controller, over the network as users do.
    Controller,
    /// The helper on the host.
    Host,
}

/// A service: predicted, measured, agreed on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServiceRow {
    /// The service.
    pub service: ServiceName,
    /// The longest outage that was agreed on.
    pub budget: Option<Span>,
    /// How it was watched; `None`: the definition names no way to measure its health.
    pub resolution: Option<Resolution>,
    /// What was predicted, host by host.
    pub predicted: Vec<PredictedWindow>,
    /// Spans in which no host was predicted to serve.
    pub predicted_down: Vec<ServiceWindow>,
    /// The longest of them.
    pub predicted_longest: Span,
    /// What was measured, host by host, or at the address that all hosts share.
    pub outages: Vec<Outage>,
    /// Spans in which it was down for its users: no host that was asked gave a good answer.
    pub down: Vec<Outage>,
    /// The longest of them.
    pub measured_longest: Span,
    /// How often it was asked, by all controllers that told it before they ended.
    pub probes: Vec<ProbeTally>,
    /// The time with a single serving host; `None` for a service of one host.
    pub no_redundancy: Option<NoRedundancy>,
    /// Whether the longest outage is within the budget; `None` when there is no budget or no measurement.
    pub within_budget: Option<bool>,
}

/// How long a service of several hosts was served by a single one, in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct NoRedundancy {
    /// What was predicted.
    pub predicted: Span,
    /// From when the steps that take hosts away, and those that bring them back, were really carried out.
    pub by_steps: Span,
    /// As the probes saw it; `None` when they ask at an address that the hosts share, or not at all.
    pub by_probes: Option<Span>,
}

/// A measured outage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outage {
    /// The host, when it was asked there.
    pub host: Option<HostName>,
    /// The first bad answer.
    pub began: Timestamp,
    /// The first good answer after it; `None`: it was still down at the journal's last row.
    pub ended: Option<Timestamp>,
    /// From the one to the other, or to the last row.
    pub length: Span,
    /// The part of it that no controller observed.
    pub not_observed: Span,
    /// What was seen when it began.
    pub seen: String,
}

/// A decision on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DecisionRow {
    /// When it was taken from the inbox.
    pub at: Timestamp,
    /// Who.
    pub person: Person,
    /// The command.
    pub choice: &'static str,
    /// The step, if it is about one.
    pub position: Option<Position>,
    /// The host, if it is about one as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// Why.
    pub reason: String,
}

/// Limits of a sitting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LimitsRow {
    /// When it began.
    pub at: Timestamp,
    /// As a person gave them.
    pub words: String,
}

/// Something that was cleared away after the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CleanupRow {
    /// When.
    pub at: Timestamp,
    /// Who named it.
    pub person: Person,
    /// What.
    pub what: Vec<String>,
}

/// A request that was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeclinedRow {
    /// When.
    pub at: Timestamp,
    /// The request's own word.
    pub nonce: Nonce,
    /// Why.
    pub why: String,
}

/// Something that a step has seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Noticed {
    /// Where; `None`: on the controller.
    pub host: Option<HostName>,
    /// What.
    pub what: String,
}

/// Something that the run has left behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Leftover {
    /// What kind of thing.
    pub kind: LeftoverKind,
    /// The host; `None`: the controller, or the whole run.
    pub host: Option<HostName>,
    /// What it is.
    pub what: String,
    /// What to do about it.
    pub way: String,
    /// The digest of a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// The kinds of things that stay behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeftoverKind {
    /// Set up for the upgrade and not taken away.
    ScopeOpen,
    /// A unit that is masked.
    UnitHeld,
    /// A unit that was stopped and not started again.
    UnitStopped,
    /// A step that was left out or declared void by a person.
    LeftOut,
    /// A host that the run still holds.
    HostHeld,
    /// A cluster of the old major version.
    OldCluster,
    /// A copy on the controller.
    Backup,
    /// The old content of a file, beside it.
    OldFile,
    /// Lines of known host keys that are those of a machine that is gone.
    KnownHosts,
    /// Something that a step named in an output.
    Named,
}

/// An attempt after the first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RetryRow {
    /// When it began.
    pub at: Timestamp,
    /// The step.
    pub position: Position,
    /// The attempt.
    pub attempt: u32,
    /// What became of the one before.
    pub because: String,
}

/// A moment at which nobody could say what was so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnknownRow {
    /// When.
    pub at: Timestamp,
    /// The step.
    pub position: Position,
    /// Why.
    pub reason: String,
}

/// The report of a run. Rows that do not fit the plan are left aside: a report must always be possible.
///
/// `opened_with` is the plan that the journal was opened with; the report tells of the one in force.
pub fn report(opened_with: &Plan, records: &[Record]) -> Report {
    let plan = in_force(opened_with, records);
    let tracks = timeline::Tracks::of(plan, opened_with, records);
    let controllers = controllers(records);
    let gaps: Vec<Gap> = controllers.iter().filter_map(|c| c.not_observed).collect();
    let mut report = Report {
        format: REPORT_FORMAT,
        run: None,
        plan: None,
        upgrade: plan.upgrade.clone(),
        fleet: plan.fleet.clone(),
        from: plan.from.clone(),
        to: plan.to.clone(),
        person: None,
        began: None,
        ended: None,
        last_row: records.last().map(|record| record.at),
        verdict: None,
        predicted: critical_path(plan),
        counts: tracks.counts(),
        hosts: hosts(records),
        timeline: tracks.rows(plan),
        services: downtime::services(plan, records, &gaps),
        controllers,
        decisions: Vec::new(),
        limits: Vec::new(),
        amendments: amendments(opened_with, records),
        postponed: tracks.postponed(),
        cleanups: Vec::new(),
        declined: Vec::new(),
        waivers: plan.waivers.clone(),
        warnings: Vec::new(),
        noticed: leftovers::noticed(&tracks),
        leftovers: Vec::new(),
        retries: tracks.retries(),
        unknowns: unknowns(records),
    };
    for record in records {
        report.take(record);
    }
    report.leftovers = leftovers::leftovers(plan, &tracks, &report.hosts);
    report.left_out();
    let gone = |file: &String| report.cleanups.iter().any(|row| row.what.contains(file));
    report
        .leftovers
        .retain(|left| left.kind != LeftoverKind::Backup || !gone(&left.what));
    report
}

impl Report {
    fn take(&mut self, record: &Record) {
        match &record.event {
            Event::RunOpened {
                run,
                plan,
                person,
                warned,
            } => {
                self.run = Some(run.clone());
                self.plan = Some(plan.clone());
                self.person = Some(person.clone());
                self.began = Some(record.at);
                self.warnings.clone_from(warned);
            }
            Event::Decided(decision) => self.decisions.push(DecisionRow {
                at: record.at,
                person: decision.person.clone(),
                choice: decision.choice.word(),
                position: decision.choice.position().cloned(),
                host: decision.choice.host().cloned(),
                reason: decision.reason.clone(),
            }),
            Event::Declined { nonce, why } => self.declined.push(DeclinedRow {
                at: record.at,
                nonce: nonce.clone(),
                why: why.clone(),
            }),
            Event::Finished { verdict } => {
                self.verdict = Some(*verdict);
                // A cleanup afterwards does not belong to the upgrade's time.
                self.ended.get_or_insert(record.at);
            }
            Event::Salvaged { .. } => self.warnings.extend(lost(&record.event)),
            Event::Limited { sitting } => self.limits.push(LimitsRow {
                at: record.at,
                words: sitting.words.clone(),
            }),
            Event::CleanupBegan { person, names } => self.cleanups.push(CleanupRow {
                at: record.at,
                person: person.clone(),
                what: names.iter().map(ToString::to_string).collect(),
            }),
            Event::CopyRemoved { person, file } => self.cleanups.push(CleanupRow {
                at: record.at,
                person: person.clone(),
                what: vec![file.clone()],
            }),
            Event::Amended { warned, .. } => self.warnings.extend(warned.iter().cloned()),
            Event::ControllerTook { .. }
            | Event::HostRegistered { .. }
            | Event::HostRefused { .. }
            | Event::HostReleased { .. }
            | Event::GuardMeasured { .. }
            | Event::Asked { .. }
            | Event::Checked { .. }
            | Event::Started { .. }
            | Event::Settled { .. }
            | Event::Ended { .. }
            | Event::Verified { .. }
            | Event::RepairMeasured { .. }
            | Event::TakenUp { .. }
            | Event::Probed { .. }
            | Event::Tallied { .. } => {}
        }
    }
}

impl Report {
    /// Hosts that a person left out for good.
    fn left_out(&mut self) {
        let word = Choice::LeaveOut { host: "".into() }.word();
        let rows = self.decisions.iter().filter(|row| row.choice == word);
        let rows = rows.map(|row| Leftover {
            kind: LeftoverKind::LeftOut,
            host: row.host.clone(),
            what: format!(
                "all that was left to do on it: left out by {}: {}",
                row.person, row.reason
            ),
            way: "make sure by hand that what the steps were for is so".to_owned(),
            sha256: None,
        });
        let rows: Vec<Leftover> = rows.collect();
        self.leftovers.extend(rows);
        self.leftovers
            .sort_by(|a, b| (a.kind, &a.host).cmp(&(b.kind, &b.host)));
    }
}

/// What is said of a journal that lost rows.
fn lost(event: &Event) -> Option<String> {
    let Event::Salvaged {
        person,
        kept,
        known,
        why,
        ..
    } = event
    else {
        return None;
    };
    Some(format!(
        "the journal was damaged ({why}); {person} kept its first {kept} rows of at least {known}: what hosts did in the others is told by their receipts alone"
    ))
}

/// The plan of the last amendment.
fn in_force<'a>(opened_with: &'a Plan, records: &'a [Record]) -> &'a Plan {
    let amended = records.iter().rev().find_map(|record| match &record.event {
        Event::Amended { plan, .. } => Some(&**plan),
        _ => None,
    });
    amended.unwrap_or(opened_with)
}

fn amendments(opened_with: &Plan, records: &[Record]) -> Vec<AmendmentRow> {
    let is_amended = |record: &Record| matches!(record.event, Event::Amended { .. });
    let mut out = Vec::new();
    if !records.iter().any(is_amended) {
        return out;
    }
    let Ok(mut run) = Run::new(opened_with.clone()) else {
        return out;
    };
    for record in records {
        if let Event::Amended {
            person,
            reason,
            plan,
            was,
            ..
        } = &record.event
        {
            let steps = run.amended(plan, was).map(|(_, steps)| steps);
            out.push(AmendmentRow {
                at: record.at,
                person: person.clone(),
                reason: reason.clone(),
                plan: plan.hash().ok(),
                steps: steps.unwrap_or_default(),
            });
        }
        if run.apply(record).is_err() {
            break;
        }
    }
    out
}

fn controllers(records: &[Record]) -> Vec<Controller> {
    let mut out: Vec<Controller> = Vec::new();
    let mut before: Option<Timestamp> = None;
    for record in records {
        if let Event::ControllerTook { generation, person } = &record.event {
            let from = before.filter(|_| !out.is_empty());
            out.push(Controller {
                counter: generation.counter,
                person: person.clone(),
                took: record.at,
                not_observed: from.map(|from| Gap {
                    from,
                    to: record.at,
                    length: Span::between(from, record.at),
                }),
            });
        }
        before = Some(record.at);
    }
    out
}

fn hosts(records: &[Record]) -> Vec<HostRow> {
    let mut rows: BTreeMap<HostName, (HostRow, Vec<String>)> = BTreeMap::new();
    let row = |host: &HostName| HostRow {
        host: host.clone(),
        install_ids: Vec::new(),
        boots_seen: 0,
        released: false,
        refused: None,
    };
    for record in records {
        match &record.event {
            Event::HostRegistered {
                host,
                install_id,
                boot,
                ..
            } => {
                let (row, boots) = rows
                    .entry(host.clone())
                    .or_insert_with(|| (row(host), Vec::new()));
                if !row.install_ids.contains(install_id) {
                    row.install_ids.push(install_id.clone());
                }
                if !boots.contains(&boot.boot_id) {
                    boots.push(boot.boot_id.clone());
                }
                row.boots_seen = boots.len();
                row.released = false;
                row.refused = None;
            }
            Event::HostRefused { host, why, .. } => {
                let (row, _) = rows
                    .entry(host.clone())
                    .or_insert_with(|| (row(host), Vec::new()));
                row.refused = Some(why.clone());
            }
            Event::HostReleased { host } => {
                if let Some((row, _)) = rows.get_mut(host) {
                    row.released = true;
                }
            }
            _ => {}
        }
    }
    rows.into_values().map(|(row, _)| row).collect()
}

fn unknowns(records: &[Record]) -> Vec<UnknownRow> {
    let mut out = Vec::new();
    for record in records {
        let (position, reason) = match &record.event {
            Event::Ended {
                position,
                outcome: Outcome::Unknown { reason },
                ..
            }
            | Event::Settled {
                position,
                settlement:
                    Settlement::Unknown { reason } | Settlement::Ended(Outcome::Unknown { reason }),
                ..
            }
            | Event::Checked {
                position,
                result: Measurement::Unknown { reason },
            }
            | Event::Verified {
                position,
                result: Measurement::Unknown { reason },
                ..
            } => (position, reason),
            _ => continue,
        };
        out.push(UnknownRow {
            at: record.at,
            position: position.clone(),
            reason: reason.clone(),
        });
    }
    out
}
