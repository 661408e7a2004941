//! `xtask chaos`: an undisturbed upgrade, unless its end is given, then one with the events, and the comparison of both.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use serde_json::{Value, json};

use crate::kill::controller::{Failure, path};
use crate::kill::host::Lab;
use crate::say::{complain, say};

use super::draw::{Event, drawn};
use super::fault::Fault;
use super::fleet::Fleet;
use super::trial::{Seen, Trial};

/// So many events in a short run: each takes some seconds, and what it makes the run wait for.
const CI_EVENTS: usize = 4;

/// Arguments of `xtask chaos`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// From which faults and places are drawn.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many events strike in the run.
    #[arg(long, default_value_t = 10)]
    events: usize,
    /// This fault alone.
    #[arg(long)]
    only: Option<Fault>,
    /// The part for CI: few events, the controller's death among them, none that lasts long.
    #[arg(long, conflicts_with_all = ["events", "only"])]
    ci: bool,
    /// Print the events and do nothing.
    #[arg(long)]
    list: bool,
    /// The end of an undisturbed run, as `scripts/demo` writes it to DEMO_END; without it an undisturbed run comes first.
    #[arg(long)]
    undisturbed: Option<PathBuf>,
    /// The fleet.
    #[arg(long, default_value = "six")]
    fleet: Fleet,
    /// Megabytes in the database.
    #[arg(long, default_value_t = 200)]
    mb: u32,
    /// The lab instance.
    #[arg(long, default_value = "chaos")]
    id: String,
    /// The program under test.
    #[arg(long, default_value = "target/release/overhaul")]
    overhaul: PathBuf,
    /// Leave the hosts running.
    #[arg(long)]
    keep: bool,
}

/// Runs it; success when each event was outlived and the end is that of the undisturbed run.
pub fn run(args: &Args) -> ExitCode {
    let events = if args.ci {
        ci(args.seed, args.fleet)
    } else {
        drawn(args.seed, args.events, args.only, &args.fleet.places())
    };
    if args.list {
        for Event { fault, place } in &events {
            say(format_args!(
                "{:18} {} {}/{}",
                fault.word(),
                place.host,
                place.slot,
                place.step
            ));
        }
        return ExitCode::SUCCESS;
    }
    let tried = Lab::new(&args.id).and_then(|lab| {
        let tried = compared(args, &lab, &events);
        if !args.keep {
            lab.down()?;
        }
        tried
    });
    match tried {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(format_args!("chaos: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// The controller dies, and more of what is over soon.
fn ci(seed: u64, fleet: Fleet) -> Vec<Event> {
    let places = fleet.places();
    let quick = |event: &Event| event.fault.lasts_s() <= 20 && !event.fault.moves_clock();
    let mut events = drawn(seed, 1, Some(Fault::Controller), &places);
    for event in drawn(seed, 2 * CI_EVENTS + 10, None, &places) {
        let taken = events
            .iter()
            .any(|e| e.fault == event.fault || e.place == event.place);
        if events.len() < CI_EVENTS && quick(&event) && !taken {
            events.push(event);
        }
    }
    events
}

fn compared(args: &Args, lab: &Lab, events: &[Event]) -> Result<(), Failure> {
    let trial = |events| Trial::new(lab, &args.overhaul, args.fleet, args.mb, events);
    let undisturbed = match args.undisturbed {
        Some(_) => None,
        None => Some(trial(&[])?.carry_out()?.end),
    };
    let began = Instant::now();
    let Seen {
        end,
        struck,
        missed,
        client,
    } = trial(events)?.carry_out()?;
    say(format_args!(
        "\nseed {}: {} of {} events struck; ended after {} s; the site's client: {client}",
        args.seed,
        struck.len(),
        events.len(),
        began.elapsed().as_secs()
    ));
    for why in &missed {
        say(format_args!("missed: {why}"));
    }
    let undisturbed = match (&args.undisturbed, undisturbed) {
        (Some(file), _) => read_end(file)?,
        (None, end) => end.unwrap_or_default(),
    };
    for part in ["hosts", "rows"] {
        let (is, should_be) = (
            args.fleet.part_of(&end, part),
            args.fleet.part_of(&undisturbed, part),
        );
        if is != should_be {
            return Err(Failure::new(format!(
                "another end than undisturbed: {part} are\n{:#}\nand not\n{:#}",
                json!(is),
                json!(should_be)
            )));
        }
    }
    if struck.is_empty() && !events.is_empty() {
        return Err(Failure::new("no event struck"));
    }
    say(format_args!(
        "PASS seed {}: {} events, the same end as undisturbed",
        args.seed,
        struck.len()
    ));
    Ok(())
}

/// How a run ended, as `lab prove` wrote it down.
pub fn read_end(file: &Path) -> Result<Value, Failure> {
    let wrong = |why: String| Failure::new(format!("{}: {why}", path(file)));
    let text = fs::read(file).map_err(|error| wrong(error.to_string()))?;
    serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_part_for_ci_kills_the_controller_and_is_short() {
        for (seed, fleet) in (0..20).flat_map(|seed| [(seed, Fleet::Six), (seed, Fleet::Remade)]) {
            let events = ci(seed, fleet);
            let faults: BTreeSet<Fault> = events.iter().map(|event| event.fault).collect();
            assert_eq!(events.len(), CI_EVENTS, "{seed} {fleet:?}");
            assert_eq!(faults.len(), CI_EVENTS, "{seed} {fleet:?}");
            assert!(faults.contains(&Fault::Controller));
            assert!(events.iter().all(|e| e.fault.lasts_s() <= 20));
        }
    }
}
