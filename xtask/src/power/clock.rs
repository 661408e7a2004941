//! A run on a machine whose clock is set forward and back meanwhile, over a connection that has nothing to do with the run.

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;

use super::site::{Answer, Site};
use crate::kill::controller::Failure;
use crate::lab::guest::Guest;
use crate::say::say;

/// What the machine runs.
const DEFINITION: &str = "lab/power-loss/clock.yaml";
/// Facts, helper and plan come before the first step, and one step boots the machine.
const STEP_S_MAX: u64 = 1_800;
/// So long each step goes on under its clock: helpers look at their bounds every 50 ms, controllers at their waits every second.
const UNDER_ITS_CLOCK: Duration = Duration::from_secs(5);
/// How often the run's state is asked for.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The bound of the step `too-long`, as the definition has it.
const BOUND_S: u64 = 20;
/// What the end of a command and the way of its news take under emulation, at most.
const BOUND_SLACK_S: u64 = 120;
/// A controller's own clock may be corrected by this much while the trial goes on.
const OWN_CLOCK_SLACK_S: i64 = 60;

/// Hours and years, as clocks are wrong in practice: a time zone, and an empty battery.
const TWO_HOURS_S: i64 = 2 * 3_600;
const THREE_YEARS_S: i64 = 3 * 365 * 86_400;

/// How a step ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    /// When it is told that it may.
    Told,
    /// At its bound, as failed; a person leaves it out.
    AtItsBound,
    /// With the machine's boot.
    Booted,
}

/// A step, and what becomes of the clock while it is at work.
#[derive(Clone, Copy, Debug)]
struct Jump {
    step: &'static str,
    seconds: i64,
    ends: Ends,
}

const fn jump(step: &'static str, seconds: i64, ends: Ends) -> Jump {
    Jump {
        step,
        seconds,
        ends,
    }
}

/// In the order of the definition. The machine boots with a clock that is still wrong, and has the true time afterwards.
const JUMPS: [Jump; 7] = [
    jump("forward", TWO_HOURS_S, Ends::Told),
    jump("back", -2 * TWO_HOURS_S, Ends::Told),
    jump("years", -THREE_YEARS_S, Ends::Told),
    jump("waits", THREE_YEARS_S, Ends::Told),
    jump("too-long", -THREE_YEARS_S, Ends::AtItsBound),
    jump("boots", 0, Ends::Booted),
    jump("after", -TWO_HOURS_S, Ends::Told),
];

/// A row of the table in `docs/reliability.md`.
#[derive(Clone, Debug)]
pub struct Row {
    jump: Jump,
    lasted: Duration,
    decided: Vec<String>,
}

/// Carries it out, and tells of each step.
pub fn carry_out(guest: Guest, overhaul: &Path) -> Result<Vec<Row>, Failure> {
    let from = Timestamp::now();
    let mut site = Site::new(guest, overhaul, &["patient", "look"])?;
    site.begin(Path::new(DEFINITION))?;
    let mut rows = Vec::new();
    for jump in JUMPS {
        let row = under(&mut site, jump)?;
        say(&row);
        rows.push(row);
    }
    site.wait(
        "the end of the run",
        STEP_S_MAX,
        |site| Ok(site.is_over()),
        nobody,
    )?;
    site.must_be_complete()?;
    let truth = site.truth()?;
    for Jump { step, .. } in JUMPS.iter().filter(|jump| jump.ends == Ends::Told) {
        if *step != "waits" && truth.count(step) != (1, 1) {
            return Err(Failure::new(format!(
                "{step} has begun and come to its end {:?} times",
                truth.count(step)
            )));
        }
    }
    let report = site.controller.ask(&["report", "--json"])?;
    match out_of(&report, from, Timestamp::now()).as_slice() {
        [] => Ok(rows),
        strange => Err(Failure::new(format!(
            "the report has times that lie outside of the run: {strange:?}"
        ))),
    }
}

/// One step under its clock, until it is over.
fn under(site: &mut Site<'_>, jump: Jump) -> Result<Row, Failure> {
    let step = jump.step;
    let begun = |site: &mut Site<'_>| Ok(is_in(site, step, &["running"]));
    site.wait(step, STEP_S_MAX, begun, nobody)?;
    let began = Instant::now();
    site.decided.clear();
    if jump.seconds != 0 {
        let line = format!("date -s @$(($(date +%s) + {}))", jump.seconds);
        site.on_guest(&line)?;
    }
    if jump.ends == Ends::Told {
        std::thread::sleep(UNDER_ITS_CLOCK);
        site.on_guest(&format!("touch /var/lib/effects/go-{step}"))?;
    }
    let is_over = |site: &mut Site<'_>| Ok(is_in(site, step, &["done", "skipped"]));
    site.wait(
        "the end of the step",
        STEP_S_MAX,
        is_over,
        |site, failed| {
            let answer = Answer {
                verb: "skip",
                reason: "it was to be ended by its bound",
            };
            let as_wanted = jump.ends == Ends::AtItsBound && failed == step;
            as_wanted
                .then_some(answer)
                .ok_or_else(|| unasked(site, failed))
        },
    )?;
    let row = Row {
        jump,
        lasted: began.elapsed(),
        decided: std::mem::take(&mut site.decided),
    };
    row.must_be_right()?;
    Ok(row)
}

/// Whether a step is in one of these states, as the run says.
fn is_in(site: &Site<'_>, step: &str, states: &[&str]) -> bool {
    // Each look is a program of its own.
    std::thread::sleep(LOOK_EVERY);
    states
        .iter()
        .any(|state| site.steps_in(state).contains(step))
}

fn nobody(site: &mut Site<'_>, step: &str) -> Result<Answer, Failure> {
    Err(unasked(site, step))
}

fn unasked(site: &Site<'_>, step: &str) -> Failure {
    Failure::new(format!(
        "a person is asked about {step}, and nothing has happened to it; see {}",
        site.controller.log().display()
    ))
}

impl Row {
    fn must_be_right(&self) -> Result<(), Failure> {
        let Jump { step, ends, .. } = self.jump;
        let lasted = self.lasted.as_secs();
        let at_its_bound = (BOUND_S - 1..BOUND_S + BOUND_SLACK_S).contains(&lasted);
        match (ends, self.decided.as_slice()) {
            (Ends::AtItsBound, [_]) if at_its_bound => Ok(()),
            (Ends::Told | Ends::Booted, []) => Ok(()),
            (_, decided) => Err(Failure::new(format!(
                "{step} lasted {lasted} s, and a person was asked: {decided:?}"
            ))),
        }
    }
}

/// Times of a report before or behind these.
fn out_of(report: &Value, from: Timestamp, to: Timestamp) -> Vec<String> {
    let slack = jiff::SignedDuration::from_secs(OWN_CLOCK_SLACK_S);
    match report {
        Value::String(text) => text
            .parse::<Timestamp>()
            .is_ok_and(|at| from.duration_since(at) > slack || at.duration_since(to) > slack)
            .then(|| text.clone())
            .into_iter()
            .collect(),
        Value::Array(all) => all.iter().flat_map(|one| out_of(one, from, to)).collect(),
        Value::Object(all) => all.values().flat_map(|one| out_of(one, from, to)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Jump {
            step,
            seconds,
            ends,
        } = self.jump;
        let clock = match seconds {
            0 => "still three years back, true after the boot".to_owned(),
            _ if seconds % THREE_YEARS_S == 0 => {
                format!("{:+} years", seconds / (THREE_YEARS_S / 3))
            }
            _ => format!("{:+} h", seconds / 3_600),
        };
        let outcome = match ends {
            Ends::Told => "went on, and ended when it was told to",
            Ends::AtItsBound => "ended at its bound of 20 s; `skip`, `resume`",
            Ends::Booted => "booted, proven by its boot id",
        };
        write!(
            f,
            "| `{step}` | {clock} | {outcome} | {} s |",
            self.lasted.as_secs()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_definition_has_these_steps() {
        let text = include_str!("../../../lab/power-loss/clock.yaml");
        let named: Vec<&str> = text
            .lines()
            .filter_map(|line| line.split_once("{name: ")?.1.split_once(','))
            .map(|(name, _)| name)
            .collect();
        let jumps: Vec<&str> = JUMPS.iter().map(|jump| jump.step).collect();
        assert_eq!(named, jumps);
        assert!(text.contains(&format!("timeout: {BOUND_S}s")));
    }

    #[test]
    fn times_outside_of_the_run_are_found_wherever_they_stand() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (from, to) = (at("2026-01-01T10:00:00Z"), at("2026-01-01T11:00:00Z"));
        let report = json!({
            "verdict": "complete",
            "rows": [{"at": "2026-01-01T10:30:00Z"}, {"at": "2023-01-01T10:30:00Z"}],
            "end": "2026-01-01T13:00:00Z", "lasted": 3,
        });
        let mut found = out_of(&report, from, to);
        found.sort();
        assert_eq!(found, ["2023-01-01T10:30:00Z", "2026-01-01T13:00:00Z"]);
    }

    #[test]
    fn a_step_that_nobody_should_be_asked_about_is_told() {
        let row = |jump: Jump, lasted: u64, decided: &[&str]| Row {
            jump,
            lasted: Duration::from_secs(lasted),
            decided: decided.iter().map(|word| (*word).to_owned()).collect(),
        };
        let [forward, .., too_long, boots, _] = JUMPS;
        for (row, right) in [
            (row(forward, 8, &[]), true),
            (row(forward, 8, &["retry"]), false),
            (row(too_long, 25, &["skip"]), true),
            (row(too_long, 3, &["skip"]), false),
            (row(too_long, 900, &["skip"]), false),
            (row(too_long, 25, &[]), false),
            (row(boots, 60, &[]), true),
        ] {
            assert_eq!(row.must_be_right().is_ok(), right, "{row}");
        }
        assert_eq!(
            row(forward, 8, &[]).to_string(),
            "| `forward` | +2 h | went on, and ended when it was told to | 8 s |"
        );
    }
}
