//! What `doctor` found, for people.

use crate::text;
use overhaul_machine::RunStanding;
use overhaul_model::event::Verdict;
use overhaul_model::plan::PLAN_FORMAT;
use overhaul_store::{FileIs, Inspection, Salvage};
use serde::Serialize;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Files that are listed; the others are counted.
const LISTED_MAX: usize = 10;

/// Permissions that a state folder should have.
const MODE: u32 = 0o700;

/// What was found in a state folder.
#[derive(Debug, Serialize)]
pub struct Health {
    /// The folder.
    pub state: StateHealth,
    /// Its runs.
    pub runs: Vec<RunHealth>,
}

/// What was found of the folder itself.
#[derive(Debug, Serialize)]
pub struct StateHealth {
    /// Where.
    pub folder: PathBuf,
    /// The version of this program.
    pub version: &'static str,
    /// Its permission bits.
    pub mode: u32,
    /// Free space, if it could be measured.
    pub free_bytes: Option<u64>,
    /// Folders of runs that were cut off while they were made.
    pub cut_off: Vec<PathBuf>,
}

/// What was found of a run.
#[derive(Debug, Serialize)]
pub struct RunHealth {
    /// Its files.
    #[serde(flatten)]
    pub inspection: Inspection,
    /// How it stands after its whole rows.
    pub standing: Option<RunStanding>,
    /// Why whole rows do not fit the plan.
    pub misfit: Option<String>,
    /// Rows from the first on with which the run could go on.
    pub salvable: u64,
}

impl RunHealth {
    /// Whether everything is as it was written, and fits.
    pub fn is_whole(&self) -> bool {
        self.inspection.is_whole() && self.misfit.is_none()
    }

    /// What is wrong with the rows that cannot be kept.
    pub fn why(&self) -> String {
        let journal = &self.inspection.journal;
        let why = journal.broken.as_ref().or(self.misfit.as_ref());
        let why = why.or(journal.complaints.first());
        why.map_or_else(|| "nothing was found wrong".to_owned(), Clone::clone)
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let is = &self.inspection;
        let word = if self.is_whole() { "whole" } else { "DAMAGED" };
        writeln!(out, "\nrun {}: {word}", is.run)?;
        if let Some(standing) = self.standing {
            let of = match is.journal.is_whole() {
                true => "",
                false => ", after the rows that are whole",
            };
            writeln!(out, "  it {}{of}", standing_words(standing))?;
        }
        match &is.held_by {
            Some(process) => writeln!(out, "  controller: process {process} has it")?,
            None => writeln!(out, "  controller: none")?,
        }
        writeln!(out, "  plan: {}", file_words(&is.plan))?;
        writeln!(out, "  facts: {}", file_words(&is.facts))?;
        self.write_journal(out)?;
        listed(out, "open to others than their owner", &is.open_to_others)?;
        if !is.open_to_others.is_empty() {
            let folder = text::shell_word(&is.folder.to_string_lossy());
            writeln!(out, "    close them with: chmod -R go= {folder}")?;
        }
        if !self.is_whole() {
            self.write_ways(out)?;
        }
        Ok(())
    }

    fn write_journal(&self, out: &mut String) -> std::fmt::Result {
        let journal = &self.inspection.journal;
        let format = match journal.format {
            Some(format) => format!("format {format}"),
            None => "its format cannot be read".to_owned(),
        };
        let last = match journal.last {
            Some(last) => format!(", the last of {}", text::moment(last)),
            None => String::new(),
        };
        match &journal.broken {
            None => writeln!(
                out,
                "  journal: whole, {}{last}; {format}",
                text::count(usize::try_from(journal.rows).unwrap_or(usize::MAX), "row")
            )?,
            Some(why) => {
                let (rows, known) = (journal.rows, journal.known_rows);
                writeln!(
                    out,
                    "  journal: {rows} of at least {known} rows are whole{last}; {format}"
                )?;
                writeln!(out, "    {}", text::clean(why))?;
            }
        }
        for complaint in &journal.complaints {
            writeln!(out, "    SQLite: {}", text::one_line(complaint, 200))?;
        }
        if let Some(why) = &self.misfit {
            writeln!(
                out,
                "    row {} does not fit: {}",
                self.salvable.saturating_add(1),
                text::clean(why)
            )?;
        }
        match journal.requests {
            Some(0) => Ok(()),
            Some(requests) => writeln!(out, "  {} not taken up", text::count(requests, "request")),
            None => writeln!(out, "  requests cannot be read"),
        }
    }

    fn write_ways(&self, out: &mut String) -> std::fmt::Result {
        let is = &self.inspection;
        writeln!(
            out,
            "  best: put a whole copy of {} back",
            is.folder.display()
        )?;
        if is.the_plan.is_some() {
            writeln!(
                out,
                "  else go on from row {}, in another state folder: overhaul doctor {} --salvage DIR",
                self.salvable, is.run
            )?;
        } else {
            writeln!(
                out,
                "  without its plan nothing of it can go on: free each host with overhaul abort --lost"
            )?;
        }
        Ok(())
    }
}

impl Health {
    /// As people read it.
    pub fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let state = &self.state;
        writeln!(out, "state folder {}", state.folder.display())?;
        let free = match state.free_bytes {
            Some(bytes) => format!("{} free", text::size(bytes)),
            None => "free space unknown".to_owned(),
        };
        writeln!(out, "  {free}, mode {:04o}", state.mode)?;
        if state.mode & !MODE != 0 {
            let folder = text::shell_word(&state.folder.to_string_lossy());
            writeln!(
                out,
                "  others than its owner can look into it: chmod go= {folder}"
            )?;
        }
        let journals = overhaul_model::event::JOURNAL_FORMAT;
        writeln!(
            out,
            "  overhaul {}: journals up to format {journals}, plans of format {PLAN_FORMAT}",
            state.version
        )?;
        listed(out, "cut off in the making, can be removed", &state.cut_off)?;
        if self.runs.is_empty() {
            writeln!(out, "  no runs")?;
        }
        for run in &self.runs {
            run.write(out)?;
        }
        Ok(())
    }
}

fn listed(out: &mut String, words: &str, paths: &[PathBuf]) -> std::fmt::Result {
    if paths.is_empty() {
        return Ok(());
    }
    writeln!(out, "  {words}:")?;
    for path in paths.iter().take(LISTED_MAX) {
        writeln!(out, "    {}", text::clean(&path.to_string_lossy()))?;
    }
    if paths.len() > LISTED_MAX {
        writeln!(
            out,
            "    and {} more",
            paths.len().saturating_sub(LISTED_MAX)
        )?;
    }
    Ok(())
}

fn file_words(file: &FileIs) -> String {
    match file {
        FileIs::Whole => "whole".to_owned(),
        FileIs::Unverified => "readable; without a sum to verify it by".to_owned(),
        FileIs::Damaged { why } => text::clean(why),
    }
}

fn standing_words(standing: RunStanding) -> &'static str {
    match standing {
        RunStanding::Working => "has work to do",
        RunStanding::Waiting => "waits",
        RunStanding::NeedsPerson => "needs a person",
        RunStanding::Paused => "is paused",
        RunStanding::Limited => "stands at the limits of its sitting",
        RunStanding::Postponed { .. } => "has only postponed hosts left",
        RunStanding::Ending(Verdict::Complete) => "is coming to its end",
        RunStanding::Ending(Verdict::Aborted) => "is being aborted",
        RunStanding::Over(Verdict::Complete) => "is complete",
        RunStanding::Over(Verdict::Aborted) => "was aborted",
    }
}

/// What was kept and lost, and how to go on.
pub fn salvaged(health: &RunHealth, salvage: &Salvage, into: &Path) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_salvaged(&mut out, health, salvage, into);
    out
}

fn write_salvaged(
    out: &mut String,
    health: &RunHealth,
    salvage: &Salvage,
    into: &Path,
) -> std::fmt::Result {
    let is = &health.inspection;
    let known = is.journal.known_rows;
    writeln!(out, "run {} in {}", is.run, salvage.dir.path().display())?;
    writeln!(
        out,
        "  kept: rows 1 to {} of its journal, its plan, its copies",
        salvage.kept
    )?;
    match known.saturating_sub(salvage.kept) {
        0 => writeln!(out, "  lost: no row that is known of")?,
        lost => writeln!(
            out,
            "  lost: {} or more, from row {} on, and requests that were not taken up: {}",
            text::count(usize::try_from(lost).unwrap_or(usize::MAX), "row"),
            salvage.kept.saturating_add(1),
            text::clean(&health.why())
        )?,
    }
    if !salvage.facts {
        writeln!(
            out,
            "  lost: the facts that the plan was made from; fresh ones are gathered"
        )?;
    }
    listed(out, "not copied, neither file nor folder", &salvage.left)?;
    let into = text::shell_word(&into.to_string_lossy());
    writeln!(
        out,
        "What was begun in the lost rows is asked of the hosts' receipts; what they cannot tell is unknown.\n\
         Decisions of people in the lost rows are to be made again.\n\
         The old files are as they were; never let them go on as well.\n\
         go on with: overhaul --state {into} resume {}",
        is.run
    )
}
