//! Crash points of every workflow, as a table.

use crate::scenes;
use overhaul_sim::{CrashPlan, Crashes, Scene};
use std::process::ExitCode;
use std::time::Instant;

/// Violations that are printed of one plan.
const SHOWN_MAX: usize = 10;

/// Plays all of them and prints what came of it.
pub fn print(threads: usize, every: usize, pairs: usize) -> Result<ExitCode, String> {
    let mut good = true;
    println!(
        "| plan | points | kept | pairs | kept | receipts | kept | aborted | kept | controllers | decisions | s |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    let mut broken = Vec::new();
    let mut not_covered = Vec::new();
    let mut plans = scenes::workflows()?;
    plans.insert("scenes/small".to_owned(), scenes::small());
    for (name, plan) in plans {
        let plan = match plan {
            Ok(plan) => plan,
            Err(why) => {
                not_covered.push((name, why));
                continue;
            }
        };
        let began = Instant::now();
        let scene = Scene::new(&name, plan).map_err(|error| error.to_string())?;
        let played = |plan: CrashPlan| plan.play(&scene, threads).map_err(|e| e.to_string());
        let single = played(CrashPlan::singles(&scene, every))?;
        let double = played(CrashPlan::pairs(&scene, pairs))?;
        let receipts = played(CrashPlan::receipts(&scene, every))?;
        let ended = CrashPlan::aborted(&scene, every).map_err(|error| error.to_string())?;
        let ended = played(ended)?;
        let all = [&single, &double, &receipts, &ended];
        println!(
            "| {name} | {} of {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {:.0} |",
            single.played,
            scene.calm.points,
            single.kept,
            double.played,
            double.kept,
            receipts.played,
            receipts.kept,
            ended.played,
            ended.kept,
            all.iter().map(|crashes| crashes.controllers).sum::<u64>(),
            all.iter().map(|crashes| crashes.decided).sum::<u64>(),
            began.elapsed().as_secs_f64(),
        );
        for crashes in all {
            good &= crashes.broken.is_empty();
            broken.extend(told(&name, crashes));
        }
    }
    for (name, why) in not_covered {
        let first = why.lines().next().unwrap_or_default();
        println!(
            "not covered: {name}: {} reasons, the first: {first}",
            why.lines().count()
        );
    }
    for line in broken {
        println!("{line}");
    }
    Ok(match good {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn told(name: &str, crashes: &Crashes) -> Vec<String> {
    let some = crashes.broken.iter().take(SHOWN_MAX);
    some.flat_map(|(script, violations)| {
        violations
            .iter()
            .map(move |v| format!("{name}: {script}: {}: {}", v.law, v.what))
    })
    .collect()
}
