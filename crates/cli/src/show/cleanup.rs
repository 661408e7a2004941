//! What can be cleared away of a run, as people read it.

use crate::runs::Told;
use crate::text;
use overhaul_machine::report::{LeftoverKind, Report};
use serde::Serialize;
use std::fmt::Write as _;

/// What has a name.
#[derive(Debug, Serialize)]
pub struct Named {
    /// Blocks and steps of the plan's stage `cleanup`.
    pub steps: Vec<NamedSteps>,
    /// Copies on this machine.
    pub copies: Vec<NamedCopy>,
}

/// A block of the stage `cleanup`.
#[derive(Debug, Serialize)]
pub struct NamedSteps {
    /// Its id, which is its name.
    pub name: String,
    /// Whether all of it is over.
    pub over: bool,
    /// Positions in it.
    pub positions: usize,
}

/// A copy on this machine.
#[derive(Debug, Serialize)]
pub struct NamedCopy {
    /// Its name below the run's data folder.
    pub file: String,
    /// Its size; `None` when it is not there.
    pub bytes: Option<u64>,
    /// Why it must stay, if it must.
    pub stays: Option<String>,
}

impl Named {
    /// What can be named of a run.
    pub fn of(told: &Told, report: &Report) -> Self {
        let steps = told.run.cleanups().into_iter().map(|id| {
            let positions = told.run.positions_in(id);
            NamedSteps {
                name: id.to_string(),
                over: positions.iter().all(|p| told.run.state(p).is_over()),
                positions: positions.len(),
            }
        });
        let copies = report.leftovers.iter();
        let copies = copies.filter(|left| left.kind == LeftoverKind::Backup);
        Self {
            steps: steps.collect(),
            copies: copies
                .map(|left| NamedCopy {
                    bytes: std::fs::metadata(told.dir.data().join(&left.what))
                        .ok()
                        .map(|found| found.len()),
                    stays: told.run.permits_removal(&left.what).err(),
                    file: left.what.clone(),
                })
                .collect(),
        }
    }
}

/// All that a run has left behind: first what can be named, then what is left to people.
pub fn list(told: &Told, named: &Named, report: &Report) -> String {
    let mut out = String::new();
    let id = told.dir.id();
    let _ = writeln!(out, "run {id} has left behind");
    let _ = writeln!(out, "\nby name: overhaul cleanup NAME... --run {id}");
    for step in &named.steps {
        let over = match step.over {
            true => ", done".to_owned(),
            false => String::new(),
        };
        let count = text::count(step.positions, "position");
        let _ = writeln!(out, "  {}  ({count}{over})", text::clean(&step.name));
    }
    for copy in &named.copies {
        let size = copy
            .bytes
            .map_or_else(|| "not there any more".to_owned(), text::size);
        let _ = writeln!(
            out,
            "  {}  (copy on this machine, {size})",
            text::clean(&copy.file)
        );
        if let Some(why) = &copy.stays {
            let _ = writeln!(out, "    stays: {}", text::clean(why));
        }
    }
    if named.steps.is_empty() && named.copies.is_empty() {
        let _ = writeln!(out, "  nothing");
    }
    let others = report.leftovers.iter();
    let others: Vec<_> = others
        .filter(|left| left.kind != LeftoverKind::Backup)
        .collect();
    let hosts = report.hosts.iter();
    let held: Vec<&str> = hosts.map(|row| row.host.as_str()).collect();
    let _ = writeln!(out, "\nby hand");
    for left in others {
        let host = left
            .host
            .as_ref()
            .map(|h| format!("{h}: "))
            .unwrap_or_default();
        let _ = writeln!(out, "  {host}{}", text::clean(&left.what));
        let _ = writeln!(out, "    {}", text::clean(&left.way));
    }
    if !held.is_empty() {
        let _ = writeln!(
            out,
            "  {}: receipts and helper, in the state folder of the account (/var/lib/overhaul for root)",
            held.join(", ")
        );
        let _ = writeln!(
            out,
            "    they tell a later controller what was done; remove the folder when no run needs the host any more"
        );
    }
    out
}
