//! The job on a machine whose power goes at each of some moments.

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::job::STEPS;
use super::judge::{Seen, breaches, place};
use super::moment::Moment;
use super::site::{Answer, Site};
use super::truth::Truth;
use crate::kill::controller::Failure;
use crate::lab::guest::{Cut, Guest, Loss};
use crate::say::say;

/// What the machine runs.
pub const DEFINITION: &str = "lab/power-loss/upgrade.yaml";
/// Facts, helper and plan come before the first step, each step takes a second or two under emulation; ten times that.
const STEP_S_MAX: u64 = 1_200;
/// The rest of the job.
const JOB_S_MAX: u64 = 3_600;
/// It is gone already; how much was lost is written into the file meanwhile.
const CUT_S_MAX: u64 = 60;

/// A power cut and what became of it: a row of the table in `docs/reliability.md`.
#[derive(Clone, Debug)]
pub struct Row {
    step: String,
    moment: Moment,
    cut: Cut,
    place: &'static str,
    /// Steps that were done so far and have lost a file that nobody had waited for, and all that were done.
    loose: (usize, usize),
    outcome: String,
    booted: Duration,
    continued: Duration,
}

/// Carries it out, and tells each power cut.
pub fn carry_out(guest: Guest, overhaul: &Path, moments: &[Moment]) -> Result<Vec<Row>, Failure> {
    let mut site = Site::new(guest, overhaul, &["effect", "look"])?;
    site.begin(Path::new(DEFINITION))?;
    let mut rows = Vec::new();
    aim(&site, moments.first());
    for (at, moment) in moments.iter().enumerate() {
        let is_gone = |site: &mut Site<'_>| Ok(site.running.is_cut());
        site.wait(step_of(moment), STEP_S_MAX, is_gone, person)?;
        let row = struck(&mut site, *moment, at + 1, moments.get(at + 1))?;
        say(&row);
        rows.push(row);
    }
    site.wait(
        "the end of the run",
        JOB_S_MAX,
        |site| Ok(site.is_over()),
        person,
    )?;
    judge(&site, rows.len(), true)?;
    site.must_be_complete()?;
    Ok(rows)
}

fn step_of(moment: &Moment) -> &'static str {
    STEPS.get(moment.step).copied().unwrap_or_default()
}

/// Tells the disk when its power goes.
fn aim(site: &Site<'_>, moment: Option<&Moment>) {
    if let Some(moment) = moment {
        site.running.cut(moment.aim(step_of(moment)));
    }
}

/// The power is gone, and comes again. The controller stands still until what is on the disk was looked at and the disk knows of the next moment.
fn struck(
    site: &mut Site<'_>,
    moment: Moment,
    cuts: usize,
    next: Option<&Moment>,
) -> Result<Row, Failure> {
    site.hold();
    let bound = Duration::from_secs(CUT_S_MAX);
    let cut = site.running.wait_for_cut(bound).ok_or_else(|| {
        Failure::new(format!(
            "the machine's power did not go within {CUT_S_MAX} s"
        ))
    })?;
    let since = Instant::now();
    site.decided.clear();
    let done = site.steps_in("done");
    let attempts = site.started();
    let last = attempts
        .last()
        .cloned()
        .ok_or_else(|| Failure::new("the journal tells of no attempt"))?;
    let booted = site.power_on()?;
    let truth = judge_with(site, &done, cuts, false)?;
    let loose = truth.loose(done.iter()).len();
    let place = place(&truth, &last.key, &last.step);
    aim(site, next);
    site.let_go();
    let (known, step) = (attempts.len(), last.step.clone());
    site.wait(
        "the next step",
        STEP_S_MAX,
        |site| {
            let is_next = |step: &str| {
                site.started()
                    .iter()
                    .skip(known)
                    .any(|one| one.step != step)
            };
            Ok(is_next(&step) || site.is_over())
        },
        person,
    )?;
    let again = site
        .started()
        .iter()
        .skip(known)
        .filter(|one| one.step == step)
        .count();
    Ok(Row {
        outcome: outcome(again, &site.decided),
        step,
        moment,
        cut,
        place,
        loose: (loose, done.len()),
        booted,
        continued: since.elapsed(),
    })
}

fn outcome(again: usize, decided: &[String]) -> String {
    match (again, decided) {
        (0, []) => "went on by itself".to_owned(),
        (_, []) => "begun again by itself".to_owned(),
        (_, decided) => format!("a person: {}", decided.join(", ")),
    }
}

/// Whoever is asked looks at the machine: what is done is done, all else is begun again.
fn person(site: &mut Site<'_>, step: &str) -> Result<Answer, Failure> {
    let is_done = site.truth()?.count(step).1 > 0;
    Ok(match is_done {
        true => Answer {
            verb: "done",
            reason: "the machine was looked at: its effect is there",
        },
        false => Answer {
            verb: "retry",
            reason: "the machine was looked at: its effect is not there",
        },
    })
}

fn judge(site: &Site<'_>, cuts: usize, over: bool) -> Result<Truth, Failure> {
    judge_with(site, &site.steps_in("done"), cuts, over)
}

fn judge_with(
    site: &Site<'_>,
    done: &std::collections::BTreeSet<String>,
    cuts: usize,
    over: bool,
) -> Result<Truth, Failure> {
    let truth = site.truth()?;
    let found = breaches(&Seen {
        truth: &truth,
        done,
        retried: &site.retried,
        told: &site.told,
        cuts,
        over,
    });
    match found.is_empty() {
        true => Ok(truth),
        false => Err(Failure::new(format!(
            "after {cuts} power cuts:\n{}",
            found.join("\n")
        ))),
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Moment {
            writing, flushes, ..
        } = self.moment;
        let loss = match self.moment.loss {
            Loss::All => "all",
            Loss::Nothing => "nothing",
            Loss::Some(_) => "some",
        };
        write!(
            f,
            "| `{}` | {writing}, {flushes} | {loss}: {} of {} | {} | {} | {} of {} | {} s | {} s |",
            self.step,
            self.cut.lost,
            self.cut.unflushed,
            self.place,
            self.outcome,
            self.loose.0,
            self.loose.1,
            self.booted.as_secs(),
            self.continued.as_secs()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::moment::Writing;
    use super::*;

    #[test]
    fn a_row_tells_what_was_lost_and_what_was_done() {
        let row = Row {
            step: "once-06".into(),
            moment: Moment {
                step: 5,
                writing: Writing::End,
                flushes: 1,
                loss: Loss::Some(4),
            },
            cut: Cut {
                unflushed: 9,
                lost: 5,
            },
            place: "in the midst of its work",
            loose: (1, 5),
            outcome: outcome(1, &["`retry` of once-06, which was unknown".into()]),
            booted: Duration::from_secs(31),
            continued: Duration::from_secs(48),
        };
        assert_eq!(
            row.to_string(),
            "| `once-06` | its receipt's end, 1 | some: 5 of 9 | in the midst of its work | a person: `retry` of once-06, which was unknown | 1 of 5 | 31 s | 48 s |"
        );
        assert_eq!(outcome(0, &[]), "went on by itself");
        assert_eq!(outcome(2, &[]), "begun again by itself");
    }
}
