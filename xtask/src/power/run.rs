//! `xtask power-loss`: makes the machine, carries the trial out, and takes the machine away.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use super::job::STEPS;
use super::moment::{Moment, drawn};
use super::site::lab;
use super::{clock, trial};
use crate::kill::controller::Failure;
use crate::lab::guest::{make, take_down};
use crate::say::{complain, say};

/// Arguments of `xtask power-loss`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// From which the moments are drawn, and what the disk loses.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How often the power goes; each costs a boot.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=11))]
    cuts: u8,
    /// Set the machine's clock forward and back instead.
    #[arg(long, conflicts_with = "cuts")]
    clock: bool,
    /// Print the moments and do nothing.
    #[arg(long)]
    list: bool,
    /// The lab instance.
    #[arg(long, default_value = "power")]
    id: String,
    /// The program under test; its helper lies beside it.
    #[arg(long, default_value = "target/release/overhaul")]
    overhaul: PathBuf,
    /// Leave the machine's disk and the run's state where they are; `cargo xtask lab --id ID down` removes them.
    #[arg(long)]
    keep: bool,
}

/// Runs it; success when all laws are kept and the run is complete.
pub fn run(args: &Args) -> ExitCode {
    let moments = drawn(args.seed, usize::from(args.cuts), &STEPS);
    if args.list {
        for Moment {
            step,
            writing,
            flushes,
            loss,
        } in &moments
        {
            let step = STEPS.get(*step).copied().unwrap_or_default();
            say(format_args!(
                "{step}: {flushes} flushes behind {writing}; loses {loss:?}"
            ));
        }
        return ExitCode::SUCCESS;
    }
    let began = Instant::now();
    match carried_out(args, &moments) {
        Ok(rows) => {
            say(format_args!(
                "PASS seed {}: {rows} events, {} s",
                args.seed,
                began.elapsed().as_secs()
            ));
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(format_args!(
                "power-loss: seed {}: {error}\ndisk and state are left as they are; remove them with: cargo xtask lab --id {} down",
                args.seed, args.id
            ));
            ExitCode::FAILURE
        }
    }
}

/// How many events there were.
fn carried_out(args: &Args, moments: &[Moment]) -> Result<usize, Failure> {
    let guest = make(&args.id).map_err(lab)?;
    let rows = match args.clock {
        true => clock::carry_out(guest, &args.overhaul)?.len(),
        false => trial::carry_out(guest, &args.overhaul, moments)?.len(),
    };
    if !args.keep {
        take_down(&args.id).map_err(lab)?;
    }
    Ok(rows)
}
