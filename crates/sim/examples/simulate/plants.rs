//! Deliberate faults: by which checker, and after how many runs, each is found.

use crate::power;
use overhaul_sim::{Campaign, PLANTED, Planted, Scene, laws};
use std::process::ExitCode;
use std::time::Instant;

/// The crate whose faults are looked for under power cuts, and not in simulated runs: those have a journal of their own.
const STORE: &str = "store";

/// How a fault was found.
struct Found {
    law: &'static str,
    after: u64,
}

/// Plants one after the other and prints the table.
pub fn print(scene: &Scene, threads: usize, runs: u64) -> Result<ExitCode, String> {
    println!("| planted fault | crate | what | found by | after runs | s |");
    println!("|---|---|---|---|---:|---:|");
    let mut found = 0;
    for planted in PLANTED {
        let began = Instant::now();
        let how = match planted.of {
            STORE => under_power_cuts(scene, planted, runs)?,
            _ => in_runs(scene, planted, threads, runs)?,
        };
        found += usize::from(how.is_some());
        let (by, after) = match how {
            Some(Found { law, after }) => (law, after.to_string()),
            None => ("NOT FOUND", "-".to_owned()),
        };
        let took = began.elapsed().as_secs_f64();
        println!(
            "| {} | {} | {} | {by} | {after} | {took:.1} |",
            planted.name, planted.of, planted.what
        );
    }
    println!(
        "\n{found} of {} found within {runs} runs each",
        PLANTED.len()
    );
    Ok(match found == PLANTED.len() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// The first run that breaks a law with the fault and none without it.
fn in_runs(
    scene: &Scene,
    planted: Planted,
    threads: usize,
    runs: u64,
) -> Result<Option<Found>, String> {
    let campaign = Campaign {
        first: 0,
        runs,
        threads,
        stop_at_first: true,
        count_all: false,
        planted: planted.name,
    };
    let tally = campaign.play(scene).map_err(|error| error.to_string())?;
    for seed in &tally.anyway {
        println!("seed {seed} breaks a law without {} too", planted.name);
    }
    let first = tally.violations.first_key_value();
    Ok(first.map(|(seed, violations)| {
        let law = laws().find(|law| violations.iter().any(|v| v.law == *law));
        Found {
            law: law.unwrap_or("-"),
            after: seed.saturating_add(1),
        }
    }))
}

/// The first power cut that breaks a law with the fault, where none does without it.
fn under_power_cuts(scene: &Scene, planted: Planted, runs: u64) -> Result<Option<Found>, String> {
    let cuts = power::play(scene, planted.name, runs)?;
    let Some((after, law, _)) = cuts.broken else {
        return Ok(None);
    };
    let without = power::play(scene, "", after)?;
    Ok(without.broken.is_none().then_some(Found { law, after }))
}
