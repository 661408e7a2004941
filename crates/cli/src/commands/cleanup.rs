//! `overhaul cleanup`: what a run has left behind, and what of it is cleared away by name.

use super::resume;
use crate::agreed::Agreed;
use crate::args::CleanupArgs;
use crate::console::Console;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::runs::{self, Told};
use crate::show::cleanup::{Named, list};
use overhaul_engine::ports::Journal as _;
use overhaul_machine::report;
use overhaul_model::event::Event;
use overhaul_model::id::StepId;
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

/// Lists, or clears away.
pub async fn cleanup(args: &CleanupArgs, state: Option<&Path>, console: Console) -> Outcome {
    let store = runs::open_store(state)?;
    let told = runs::any(&store, args.run.as_deref())?;
    let report = report::report(told.run.opened_with(), &told.records);
    let named = Named::of(&told, &report);
    if args.names.is_empty() {
        if console.json {
            console.out_json(&serde_json::json!({
                "run": told.dir.id(), "steps": named.steps, "copies": named.copies, "leftovers": report.leftovers,
            }));
        } else {
            console.out(&list(&told, &named, &report));
        }
        return Ok(Exit::Ok);
    }
    let (steps, copies) = chosen(args, &told, &named)?;
    for name in steps
        .iter()
        .map(StepId::as_str)
        .chain(copies.iter().map(String::as_str))
    {
        console.note(&format!("to be cleared away: {name}"));
    }
    let agreed = Agreed {
        whether: "whether to clear it away",
        hint: "give --yes when you have looked at the list: overhaul cleanup",
        question: "It does not come back. Clear it away?",
        otherwise: "nothing was cleared away",
    };
    agreed.or_asked(args.yes, console)?;
    let dir = told.dir.clone();
    if !steps.is_empty() {
        let exit = resume::clean(told, steps, args, console).await?;
        if exit != Exit::Ok {
            return Ok(exit);
        }
    }
    remove(&Told::of(dir)?, &copies, console).await
}

/// What the names mean, if all of it may go now.
fn chosen(
    args: &CleanupArgs,
    told: &Told,
    named: &Named,
) -> Result<(Vec<StepId>, BTreeSet<String>), Failure> {
    let refused = |why: String| {
        Failure::input(format!("{why}; nothing was cleared away"))
            .hint("overhaul cleanup lists what there is, overhaul status how the run stands")
    };
    let (mut steps, mut copies) = (Vec::new(), BTreeSet::new());
    for name in &args.names {
        if let Some(copy) = named.copies.iter().find(|copy| copy.file == *name) {
            told.run
                .permits_removal(&copy.file)
                .map_err(|why| refused(format!("{name}: {why}")))?;
            copies.insert(copy.file.clone());
            continue;
        }
        let ending = format!("/{name}");
        let fits = |id: &&StepId| id.as_str() == name || id.as_str().ends_with(&ending);
        let all = told.run.cleanups();
        let found: Vec<&StepId> = all.into_iter().filter(fits).collect();
        match found.as_slice() {
            [one] => steps.push((*one).clone()),
            [] => return Err(refused(format!("there is no `{name}` to be cleared away"))),
            many => {
                return Err(refused(format!("`{name}` could be {} things", many.len())));
            }
        }
    }
    if !steps.is_empty() {
        told.run.permits_cleanup(&steps).map_err(refused)?;
    }
    Ok((steps, copies))
}

/// Removes copies, and writes down what was removed. A copy that is gone already is written down too: the
/// journal's row follows the removal, so that it never tells of a copy that is still there.
async fn remove(told: &Told, copies: &BTreeSet<String>, console: Console) -> Outcome {
    if copies.is_empty() {
        return Ok(Exit::Ok);
    }
    let _lock = told.dir.lock()?;
    let (mut journal, _inbox) = told.dir.open()?;
    journal.replay().await?;
    for file in copies {
        let path = below(&told.dir.data(), file)?;
        let gone = match std::fs::remove_file(&path) {
            Ok(()) => true,
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            Err(error) => {
                return Err(Failure::internal(format!("{}: {error}", path.display())));
            }
        };
        let parent = path.parent().unwrap_or(&path);
        if let Ok(folder) = std::fs::File::open(parent) {
            folder.sync_all().map_err(Failure::internal)?;
        }
        let event = Event::CopyRemoved {
            person: crate::person::person(),
            file: file.clone(),
        };
        let now = jiff::Timestamp::now();
        let last = told.records.last().map_or(now, |record| record.at);
        journal.append(now.max(last), event).await?;
        let word = if gone { "removed" } else { "was gone already" };
        console.note(&format!("{file}: {word}"));
    }
    if console.json {
        console.out_json(&serde_json::json!({ "run": told.dir.id(), "removed": copies }));
    }
    Ok(Exit::Ok)
}

/// The name comes from a plan, and must stay below the run's data folder.
fn below(data: &Path, file: &str) -> Result<PathBuf, Failure> {
    let plain = Path::new(file)
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    match plain && !file.is_empty() {
        true => Ok(data.join(file)),
        false => Err(Failure::input(format!("{file} is no name of a copy"))),
    }
}
