//! What came of many runs, as tables.

use crate::cells::{self, Looked};
use overhaul_model::definition::Slot;
use overhaul_sim::{Campaign, Kind, Scene, Tally};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Prints everything about a campaign. Says whether every cell has a hit or a reason, as far as that can be said after
/// so many runs.
pub fn print(scene: &Scene, campaign: &Campaign, tally: &Tally, took: Duration) -> bool {
    let per_s = tally.runs as f64 / took.as_secs_f64().max(0.001);
    println!(
        "{} runs on {} from seed {}, {} threads: {:.1} s, {per_s:.0} runs/s",
        tally.runs,
        scene.name,
        campaign.first,
        campaign.threads,
        took.as_secs_f64(),
    );
    println!(
        "{} hosts, {} points in an undisturbed run; in all {} controllers, {} decisions, {} journal rows, {} h of virtual time",
        scene.plan().hosts.len(),
        scene.calm.points,
        tally.controllers,
        tally.decided,
        tally.rows,
        tally.ms / 3_600_000,
    );
    let faults: Vec<String> = tally
        .faults
        .iter()
        .map(|(n, runs)| format!("{n} in {runs}"))
        .collect();
    println!("faults that struck: {}", faults.join(", "));
    println!(
        "the plan was amended in {}, something was cleared away in {}",
        tally.amended, tally.cleaned
    );
    println!("\nfaults by slot\n");
    struck(tally);
    let of = if campaign.count_all {
        "all journals"
    } else {
        "one journal of eight"
    };
    println!(
        "\nevents by the state that they met ({of}): {} pairs\n",
        tally.pairs.len()
    );
    for ((state, event), count) in &tally.pairs {
        println!("| {state} | {event} | {count} |");
    }
    let looked = [
        ("states and events", cells::pairs(tally)),
        ("faults and slots", cells::strikes(tally, scene.slots())),
    ];
    for (of, looked) in &looked {
        told(of, looked);
    }
    println!("\nviolations: {} of {} runs", tally.broken, tally.runs);
    for (seed, violations) in &tally.violations {
        for violation in violations.iter().take(3) {
            println!("seed {seed}: {}: {}", violation.law, violation.what);
        }
    }
    let enough = campaign.count_all && tally.runs >= cells::ENOUGH;
    let known = looked.iter().all(|(_, looked)| looked.unknown.is_empty());
    known && (!enough || looked.iter().all(|(_, looked)| looked.is_explained()))
}

fn struck(tally: &Tally) {
    let slots: BTreeSet<Option<Slot>> = tally.struck.keys().map(|(_, slot)| *slot).collect();
    let heads: Vec<String> = slots
        .iter()
        .map(|slot| {
            slot.map_or("journal".to_owned(), |slot| {
                format!("{slot:?}").to_lowercase()
            })
        })
        .collect();
    println!("| fault | {} |", heads.join(" | "));
    println!("|---|{}", "---:|".repeat(heads.len()));
    for kind in Kind::ALL {
        let counts: Vec<String> = slots
            .iter()
            .map(|slot| {
                tally
                    .struck
                    .get(&(kind, *slot))
                    .map_or("0".to_owned(), u64::to_string)
            })
            .collect();
        println!("| {kind} | {} |", counts.join(" | "));
    }
}

/// Cells without a hit, each with the reason that the table has for it.
fn told(of: &str, looked: &Looked) {
    println!(
        "\n{of}: {} cells, {} without a hit, {} of them without a reason",
        looked.cells,
        looked.unhit.len(),
        looked.unhit.iter().filter(|(_, why)| why.is_none()).count()
    );
    let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (cell, why) in &looked.unhit {
        by_reason
            .entry(why.unwrap_or("NO REASON"))
            .or_default()
            .push(cell);
    }
    for (why, cells) in by_reason {
        println!("  {why}: {}", cells.join("; "));
    }
    for cell in &looked.unknown {
        println!("  NOT IN THE TABLE: {cell}");
    }
}
