//! Builds the simulator and starts it.

use std::path::Path;
use std::process::{Command, ExitCode};

/// What the simulator is asked for.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// In the profile of tests: built sooner, and slower by a multiple.
    #[arg(long)]
    debug: bool,
    /// For the simulator: `--seed N` tells one run as a story, `--seed N --runs K` plays many.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// Success when no simulated run broke a law.
pub fn run(args: &Args) -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."));
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root);
    cargo.args(["run", "--quiet", "--locked", "-p", "overhaul-sim"]);
    if !args.debug {
        cargo.arg("--release");
    }
    if args.rest.iter().any(|word| word == "--planted") {
        cargo.args(["--features", "planted"]);
    }
    cargo.args(["--example", "simulate", "--"]).args(&args.rest);
    match cargo.status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("sim: cargo cannot be run: {error}");
            ExitCode::FAILURE
        }
    }
}
