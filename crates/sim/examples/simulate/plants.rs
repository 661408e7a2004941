//! Deliberate faults: by which checker, and after how many runs, each is found.

use overhaul_sim::{Campaign, PLANTED, Scene, laws};
use std::process::ExitCode;

/// Plants one after the other and prints the table.
pub fn print(scene: &Scene, threads: usize, runs: u64) -> Result<ExitCode, String> {
    println!("| planted fault | crate | what | found by | after runs |");
    println!("|---|---|---|---|---:|");
    let mut found = 0;
    for planted in PLANTED {
        let campaign = Campaign {
            first: 0,
            runs,
            threads,
            stop_at_first: true,
            planted: planted.name,
        };
        let tally = campaign.play(scene).map_err(|error| error.to_string())?;
        let first = tally.violations.first_key_value();
        let (by, after) = match first {
            Some((seed, violations)) => {
                let by = laws().find(|law| violations.iter().any(|v| v.law == *law));
                (by.unwrap_or("-"), (seed + 1).to_string())
            }
            None => ("NOT FOUND", "-".to_owned()),
        };
        found += usize::from(first.is_some());
        println!(
            "| {} | {} | {} | {by} | {after} |",
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
