//! What came of many runs, as tables.

use overhaul_model::definition::Slot;
use overhaul_sim::{Campaign, Kind, Scene, Tally};
use std::collections::BTreeSet;
use std::time::Duration;

/// Prints everything about a campaign.
pub fn print(scene: &Scene, campaign: &Campaign, tally: &Tally, took: Duration) {
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
    println!("\nviolations: {} of {} runs", tally.broken, tally.runs);
    for (seed, violations) in &tally.violations {
        for violation in violations.iter().take(3) {
            println!("seed {seed}: {}: {}", violation.law, violation.what);
        }
    }
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
    let not = |kind: Kind, slot: Option<Slot>| !tally.struck.contains_key(&(kind, slot));
    let unhit = Kind::ALL.into_iter().flat_map(|kind| {
        let fits = slots
            .iter()
            .filter(move |slot| slot.is_none() == kind.of_journal());
        fits.filter(move |slot| not(kind, **slot))
            .map(move |slot| match slot {
                Some(slot) => format!("{kind} at {slot:?}"),
                None => kind.to_string(),
            })
    });
    let unhit: Vec<String> = unhit.collect();
    println!(
        "\ncells without a hit: {} ({})",
        unhit.len(),
        unhit.join(", ")
    );
}
