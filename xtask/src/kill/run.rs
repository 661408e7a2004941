//! Runs rows of the kill table and prints what was seen.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use super::case::{CASES, Case};
use super::controller::Failure;
use super::host::Lab;
use super::trial::Trial;

/// Arguments of `xtask kill-table`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The rows; all when none is named. The undisturbed one always comes first.
    rows: Vec<String>,
    /// Print the rows and do nothing.
    #[arg(long)]
    list: bool,
    /// Megabytes in the database.
    #[arg(long, default_value_t = 20)]
    mb: u32,
    /// The lab instance.
    #[arg(long, default_value = "kill")]
    id: String,
    /// The program under test.
    #[arg(long, default_value = "target/release/overhaul")]
    overhaul: PathBuf,
    /// The definition.
    #[arg(long, default_value = "lab/demo/upgrade.yaml")]
    definition: PathBuf,
}

/// Runs the rows; success when each reached the undisturbed end.
pub fn run(args: Args) -> ExitCode {
    if args.list {
        for case in &CASES {
            println!("{:28} {}", case.name, case.shows);
        }
        return ExitCode::SUCCESS;
    }
    let chosen: Vec<&Case> = CASES
        .iter()
        .enumerate()
        .filter(|(at, case)| {
            *at == 0 || args.rows.is_empty() || args.rows.iter().any(|row| row == case.name)
        })
        .map(|(_, case)| case)
        .collect();
    if let Some(unknown) = args
        .rows
        .iter()
        .find(|row| !CASES.iter().any(|case| case.name == **row))
    {
        eprintln!("kill-table: no row is called `{unknown}`; `--list` shows them");
        return ExitCode::from(2);
    }
    let lab = match Lab::new(&args.id) {
        Ok(lab) => lab,
        Err(error) => {
            eprintln!("kill-table: {error}");
            return ExitCode::FAILURE;
        }
    };
    let (mut passed, mut failed, mut undisturbed) = (0_u32, 0_u32, None);
    for case in chosen {
        match try_row(case, &lab, &args, &mut undisturbed) {
            Ok(line) => {
                passed += 1;
                println!("PASS {line}");
            }
            Err(error) => {
                failed += 1;
                println!("FAIL {:28} {error}", case.name);
                if undisturbed.is_none() {
                    println!(
                        "without an undisturbed end there is nothing to compare the other rows with"
                    );
                    break;
                }
            }
        }
    }
    if let Err(error) = lab.down() {
        eprintln!("kill-table: {error}");
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn try_row(
    case: &Case,
    lab: &Lab,
    args: &Args,
    undisturbed: &mut Option<String>,
) -> Result<String, Failure> {
    let began = Instant::now();
    let trial = Trial {
        case,
        lab,
        overhaul: &args.overhaul,
        definition: &args.definition,
        mb: args.mb,
    };
    let seen = trial.carry_out()?;
    match undisturbed {
        None => *undisturbed = Some(seen.end),
        Some(end) if *end == seen.end => {}
        Some(end) => {
            return Err(Failure::new(format!(
                "another end than undisturbed:\n{}\nnot\n{end}",
                seen.end
            )));
        }
    }
    let asked = if seen.asked.is_empty() {
        "nothing asked".to_owned()
    } else {
        seen.asked.join("; ")
    };
    Ok(format!(
        "{:28} {:4} s, {} resumes, {asked}: {}",
        case.name,
        began.elapsed().as_secs(),
        seen.resumes,
        case.shows
    ))
}
