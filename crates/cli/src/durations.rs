//! Recorded lengths of steps, kept in the state folder: one file for each fleet, `durations/FLEET.json`,
//! that only its owner may read. Predictions rest on it and nothing else does: a file that cannot be used is
//! told and left out.

use crate::console::Console;
use crate::facts_cache::file_stem;
use crate::failure::{Failure, file};
use crate::inputs::write_text;
use overhaul_model::durations::{DURATIONS_FORMAT, Durations};
use overhaul_model::event::Record;
use overhaul_model::plan::Plan;
use serde::Deserialize;
use std::io::Read as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// Largest file that is read: a thousand roles with thirty steps each, sixty-four lengths of a step.
const DURATIONS_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// What a file gives.
enum Kept {
    Nothing,
    Lengths(Durations),
    /// It cannot be used, and may be replaced.
    Damaged(String),
    /// It cannot be used, and is another program's.
    Newer(u32),
}

fn path(state: &Path, fleet: &str) -> PathBuf {
    let name = format!("{}.json", file_stem(fleet));
    state.join("durations").join(name)
}

fn read(path: &Path, fleet: &str) -> Kept {
    let mut text = String::new();
    let opened = std::fs::File::open(path);
    match opened.and_then(|opened| opened.take(DURATIONS_BYTES_MAX).read_to_string(&mut text)) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Kept::Nothing,
        Err(error) => return Kept::Damaged(error.to_string()),
    }
    #[derive(Deserialize)]
    struct Head {
        format: u32,
    }
    match serde_json::from_str::<Head>(&text) {
        Ok(Head { format }) if format > DURATIONS_FORMAT => return Kept::Newer(format),
        Ok(_) => {}
        Err(error) => return Kept::Damaged(error.to_string()),
    }
    match serde_json::from_str::<Durations>(&text) {
        Ok(kept) if kept.fleet == fleet => Kept::Lengths(kept),
        Ok(kept) => Kept::Damaged(format!("it is of the fleet {:?}", kept.fleet)),
        Err(error) => Kept::Damaged(error.to_string()),
    }
}

/// Puts the recorded lengths of the plan's fleet into it, or says why not.
pub fn foresee(state: &Path, plan: &mut Plan, console: Console) {
    let path = path(state, &plan.fleet);
    let why = match read(&path, &plan.fleet) {
        Kept::Nothing => return,
        Kept::Lengths(kept) => return kept.foresee(plan),
        Kept::Damaged(why) => why,
        Kept::Newer(format) => {
            format!("it has format {format}, this program knows {DURATIONS_FORMAT}")
        }
    };
    console.note(&format!(
        "warning: {}: recorded lengths cannot be used, shipped ones are: {why}",
        path.display()
    ));
}

/// Keeps the lengths of a run for the next one. A damaged file is moved aside.
///
/// # Errors
/// When it cannot be written.
pub fn record(
    state: &Path,
    plan: &Plan,
    records: &[Record],
    console: Console,
) -> Result<(), Failure> {
    let path = path(state, &plan.fleet);
    let mut kept = match read(&path, &plan.fleet) {
        Kept::Nothing => Durations::of(&plan.fleet),
        Kept::Lengths(kept) => kept,
        Kept::Damaged(why) => {
            let aside = path.with_extension("json.damaged");
            console.note(&format!(
                "warning: {}: recorded lengths cannot be used and begin anew; the old file is {}: {why}",
                path.display(),
                aside.display()
            ));
            std::fs::rename(&path, &aside).map_err(|error| file(&path, "moved", &error))?;
            Durations::of(&plan.fleet)
        }
        // What a newer program keeps is not ours to replace.
        Kept::Newer(_) => return Ok(()),
    };
    let before = kept.clone();
    kept.learn(plan, records);
    if kept == before {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|error| file(folder, "made", &error))?;
    }
    write_text(
        &path,
        &serde_json::to_string(&kept).map_err(Failure::internal)?,
    )
}
