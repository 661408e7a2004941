//! The upgrade of the fleet of six, its controller killed at seeded moments and continued; the end must be that of an undisturbed run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitCode};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::say::{complain, say};

use super::controller::{Controller, Failure, path, wait};
use super::host::Lab;
use super::moment;

/// The whole upgrade takes about six minutes on two busy cores; six times that means that it hangs.
const RUN_S_MAX: u64 = 2_400;
/// Rows come in bursts, a few milliseconds apart; looking more often costs the run its processor time.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// The lab's topology.
const TOPOLOGY: &str = "six";

/// Arguments of `xtask kill-fleet`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// From which the moments are drawn; the same seed gives the same rows of the journal.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How often the controller is killed.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    moments: u32,
    /// The end of an undisturbed run, as `scripts/demo` writes it to DEMO_END; without it an undisturbed run comes first.
    #[arg(long)]
    undisturbed: Option<PathBuf>,
    /// Megabytes in the database.
    #[arg(long, default_value_t = 200)]
    mb: u32,
    /// The lab instance.
    #[arg(long, default_value = "killsix")]
    id: String,
    /// The program under test.
    #[arg(long, default_value = "target/release/overhaul")]
    overhaul: PathBuf,
    /// The definition.
    #[arg(long, default_value = "workflows/debian-major/upgrade.yaml")]
    definition: PathBuf,
}

/// Runs it; success when the end is that of the undisturbed run.
pub fn run(args: &Args) -> ExitCode {
    let tried = Lab::new(&args.id).and_then(|lab| {
        let tried = compared(args, &lab);
        lab.down()?;
        tried
    });
    match tried {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(format_args!("kill-fleet: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn compared(args: &Args, lab: &Lab) -> Result<(), Failure> {
    let undisturbed = match &args.undisturbed {
        Some(file) => read_end(file)?,
        None => carried_out(args, lab, None)?,
    };
    let rows = undisturbed.get("journal_rows").and_then(Value::as_u64);
    let rows = rows.ok_or_else(|| Failure::new("the undisturbed end does not say its rows"))?;
    let moments = moment::drawn(args.seed, args.moments, rows);
    say(format_args!(
        "seed {}: the controller dies at rows {moments:?} of about {rows}",
        args.seed
    ));
    let end = carried_out(args, lab, Some(&moments))?;
    for part in ["hosts", "rows"] {
        if end.get(part) != undisturbed.get(part) {
            return Err(Failure::new(format!(
                "another end than undisturbed: {part} are\n{:#}\nand not\n{:#}",
                end.get(part).unwrap_or(&Value::Null),
                undisturbed.get(part).unwrap_or(&Value::Null)
            )));
        }
    }
    say(format_args!(
        "PASS seed {}, {} moments: the same end as undisturbed",
        args.seed,
        moments.len()
    ));
    Ok(())
}

/// A new fleet, its upgrade with the controller's deaths, and how it ended.
fn carried_out(args: &Args, lab: &Lab, moments: Option<&[u64]>) -> Result<Value, Failure> {
    let began = Instant::now();
    lab.fresh(TOPOLOGY, args.mb)?;
    let controller = Controller {
        overhaul: &args.overhaul,
        dir: lab.dir()?,
    };
    let (before, end) = (
        controller.dir.join("before.json"),
        controller.dir.join("end.json"),
    );
    lab.lab(&["remember", &path(&before)])?;
    let fleet = controller.dir.join("inventory");
    let definition = lab.lab(&["definition", &path(&args.definition)])?;
    let mut child =
        controller.start(&["run", definition.trim(), "--fleet", &path(&fleet), "--yes"])?;
    let mut asked = Vec::new();
    for row in moments.unwrap_or_default() {
        asked.extend(kill_at(&controller, &mut child, *row)?);
        child = controller.start(&["resume"])?;
    }
    let code = wait(&mut child, RUN_S_MAX)?;
    let (resumes, more) = controller.resume_to_the_end(code, RUN_S_MAX)?;
    asked.extend(more);
    controller.must_be_complete()?;
    let state = controller.dir.join("state");
    lab.lab(&[
        "prove",
        &path(&before),
        "--end",
        &path(&end),
        "--state",
        &path(&state),
    ])?;
    say(format_args!(
        "ended after {} s; resumed {resumes} times beyond the deaths; asked: {asked:?}",
        began.elapsed().as_secs()
    ));
    read_end(&end)
}

fn read_end(file: &Path) -> Result<Value, Failure> {
    let wrong = |why: String| Failure::new(format!("{}: {why}", file.display()));
    let text = fs::read(file).map_err(|error| wrong(error.to_string()))?;
    serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))
}

/// Waits until the journal has the row, and kills the controller; what a person was asked before is decided.
fn kill_at(
    controller: &Controller<'_>,
    child: &mut Child,
    row: u64,
) -> Result<Vec<String>, Failure> {
    let began = Instant::now();
    let mut asked = Vec::new();
    let state = controller.dir.join("state");
    while began.elapsed() < Duration::from_secs(RUN_S_MAX) {
        let now = moment::journal(&state).and_then(|journal| moment::rows(&journal));
        if let Some(now) = now.filter(|now| *now >= row) {
            child
                .kill()
                .map_err(|error| Failure::new(format!("kill: {error}")))?;
            let _ = child.wait();
            let running = controller.steps_in("running");
            say(format_args!(
                "killed at row {now} (wanted {row}), in {running:?}"
            ));
            return Ok(asked);
        }
        if let Ok(Some(status)) = child.try_wait() {
            let more = controller.decide()?;
            if more.is_empty() {
                return Err(Failure::new(format!(
                    "the run ended ({status}) before row {row}; see {}",
                    path(&controller.log())
                )));
            }
            asked.extend(more);
            *child = controller.start(&["resume"])?;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    let _ = child.kill();
    Err(Failure::new(format!("row {row} was not reached in time")))
}
