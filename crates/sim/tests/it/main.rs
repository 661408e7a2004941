//! Simulated runs within the time of a test: some seeds, and places at which a controller is killed, of every workflow.
//! `cargo xtask sim` plays all of them.
#![expect(
    clippy::unwrap_used,
    reason = "a test ends where its expectation does not hold"
)]

#[path = "../../examples/simulate/scenes.rs"]
mod scenes;

use overhaul_sim::{Campaign, CrashPlan, Scene, Script};

/// Seeds that are played: what a build without optimisation plays in some seconds.
const SEEDS: u64 = 150;

/// Places that are played of each workflow, evenly spread.
const PLACES: usize = 60;

/// Pairs of places that are played of each workflow.
const PAIRS: usize = 20;

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn small() -> Scene {
    scenes::small_with_amendment().unwrap()
}

#[test]
fn simulated_runs_keep_every_law_and_come_to_the_same_end() {
    let campaign = Campaign {
        first: 0,
        runs: SEEDS,
        threads: threads(),
        stop_at_first: false,
        count_all: false,
        planted: "",
    };
    let tally = campaign.play(&small()).unwrap();
    assert_eq!(tally.runs, SEEDS);
    assert!(tally.violations.is_empty(), "{:#?}", tally.violations);
    let faults: u64 = tally.struck.values().sum();
    assert!(faults > 2 * SEEDS, "{faults} faults in {SEEDS} runs");
}

#[test]
fn the_same_seed_gives_the_same_story() {
    let scene = small();
    for seed in [3, 14] {
        let story = || {
            let played = scene.play(&Script::of_seed(&scene, seed)).unwrap();
            let lines = played.trace.iter().map(ToString::to_string);
            lines.collect::<Vec<_>>().join("\n")
        };
        assert_eq!(story(), story());
    }
}

#[test]
fn every_workflow_outlives_its_controller_wherever_it_is_killed() {
    let mut covered = Vec::new();
    for (name, plan) in scenes::workflows().unwrap() {
        let plan = match plan {
            Ok(plan) => plan,
            Err(why) => {
                let others: Vec<_> = why
                    .lines()
                    .filter(|l| !l.starts_with("not-available "))
                    .collect();
                assert_eq!(others, Vec::<&str>::new(), "{name}");
                continue;
            }
        };
        let scene = Scene::new(&name, plan).unwrap();
        let every = scene.calm.points.div_ceil(PLACES);
        let singles = CrashPlan::singles(&scene, every);
        for plan in [
            singles,
            CrashPlan::pairs(&scene, PAIRS),
            CrashPlan::receipts(&scene, 10),
        ] {
            let crashes = plan.play(&scene, threads()).unwrap();
            assert!(crashes.broken.is_empty(), "{name}: {:#?}", crashes.broken);
            println!(
                "{name}: {} of {} places, {} kept",
                crashes.played, scene.calm.points, crashes.kept
            );
        }
        covered.push(name);
    }
    assert_eq!(covered, ["chef-server-ha", "debian-major", "lab/demo"]);
}
