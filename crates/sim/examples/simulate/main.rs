//! `cargo xtask sim`: simulated runs, crash points and planted faults, and what came of them.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool speaks on its standard streams"
)]

mod cells;
mod crashes;
mod disk;
#[cfg(feature = "planted")]
mod plants;
mod power;
mod scenes;
mod syscalls;
mod tables;

use overhaul_sim::{Campaign, PLANTED, Scene, Script, Tally};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

/// Runs live of small pieces of memory that come and go.
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs within which each deliberate fault must be found.
const PLANTED_RUNS_MAX: u64 = 4_000;

#[cfg(not(feature = "planted"))]
const NO_FAULTS: &str = "this build has no deliberate faults: cargo xtask sim --planted builds one";

/// How the program is called.
const USAGE: &str = "\
simulate --seed N                one run as a story
simulate --seed N --runs K       K runs from seed N on, on all processors
simulate --seed N --runs K --counts   the same, with the state that each event met in every run
simulate --crash-points          every place at which a controller can be killed, of every workflow that runs
simulate --crash-points --every N --pairs K   one of N places, and K pairs of each plan
simulate --power-cuts            the shipped journal, with the power cut after each call of a program that writes it (needs strace)
simulate --power-cuts --runs K   K power cuts, 4000 if left out
simulate --planted               every deliberate fault is found (a build with the feature `planted`)
simulate --planted --runs K      each within K runs, 4000 if left out";

#[derive(Default)]
struct Args {
    seed: u64,
    runs: Option<u64>,
    threads: Option<usize>,
    crash_points: bool,
    planted: bool,
    power_cuts: bool,
    /// The folder that the writer of power cuts writes to; it is another process of this program.
    writer: Option<PathBuf>,
    fault: &'static str,
    counts: bool,
    every: Option<usize>,
    pairs: Option<usize>,
}

impl Args {
    fn threads(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        self.threads.unwrap_or(cores)
    }
}

fn main() -> ExitCode {
    match args().and_then(|args| run(&args)) {
        Ok(code) => code,
        Err(why) => {
            eprintln!("simulate: {why}");
            ExitCode::FAILURE
        }
    }
}

fn args() -> Result<Args, String> {
    let mut out = Args::default();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || {
            let value = words.next().ok_or(format!("{word} needs a number"))?;
            value
                .parse::<u64>()
                .map_err(|error| format!("{word} {value}: {error}"))
        };
        match word.as_str() {
            "--seed" => out.seed = number()?,
            "--runs" => out.runs = Some(number()?),
            "--threads" => out.threads = usize::try_from(number()?).ok(),
            "--every" => out.every = usize::try_from(number()?).ok(),
            "--pairs" => out.pairs = usize::try_from(number()?).ok(),
            "--crash-points" => out.crash_points = true,
            "--planted" => out.planted = true,
            "--power-cuts" => out.power_cuts = true,
            "--writer" => out.writer = words.next().map(PathBuf::from),
            "--fault" => out.fault = fault(&words.next().unwrap_or_default())?,
            "--counts" => out.counts = true,
            _ => return Err(format!("{word} is not understood\n{USAGE}")),
        }
    }
    Ok(out)
}

/// The name of a deliberate fault; the empty one is none.
fn fault(name: &str) -> Result<&'static str, String> {
    let known = PLANTED.iter().map(|planted| planted.name).chain([""]);
    let mut known = known.filter(|known| *known == name);
    known.next().ok_or(format!("{name} is no deliberate fault"))
}

#[cfg(feature = "planted")]
fn everywhere(fault: &'static str) -> Result<(), String> {
    overhaul_model::planted::choose_everywhere(fault);
    Ok(())
}

#[cfg(not(feature = "planted"))]
fn everywhere(_: &'static str) -> Result<(), String> {
    Err(NO_FAULTS.to_owned())
}

fn run(args: &Args) -> Result<ExitCode, String> {
    if let Some(state) = &args.writer {
        if !args.fault.is_empty() {
            everywhere(args.fault)?;
        }
        return power::write(state, args.seed).map(|()| ExitCode::SUCCESS);
    }
    if args.crash_points {
        return crashes::print(
            args.threads(),
            args.every.unwrap_or(1),
            args.pairs.unwrap_or(2_000),
        );
    }
    let scene = scenes::small_with_amendment()?;
    if args.planted {
        return planted(
            &scene,
            args.threads(),
            args.runs.unwrap_or(PLANTED_RUNS_MAX),
        );
    }
    if args.power_cuts {
        return cuts(&scene, args.runs.unwrap_or(PLANTED_RUNS_MAX));
    }
    match args.runs {
        None => story(&scene, args.seed),
        Some(runs) => many(&scene, args, runs),
    }
}

#[cfg(feature = "planted")]
fn planted(scene: &Scene, threads: usize, runs: u64) -> Result<ExitCode, String> {
    plants::print(scene, threads, runs)
}

#[cfg(not(feature = "planted"))]
fn planted(_: &Scene, _: usize, _: u64) -> Result<ExitCode, String> {
    Err(NO_FAULTS.to_owned())
}

/// The journal that is shipped, without a fault.
fn cuts(scene: &Scene, runs: u64) -> Result<ExitCode, String> {
    let began = Instant::now();
    let cuts = power::play(scene, "", runs)?;
    let took = began.elapsed().as_secs_f64();
    Ok(match cuts.broken {
        None => {
            println!(
                "{} power cuts, the journal kept every law after each: {took:.0} s",
                cuts.played
            );
            ExitCode::SUCCESS
        }
        Some((cut, law, what)) => {
            println!("power cut {cut}: {law}: {what}");
            ExitCode::FAILURE
        }
    })
}

/// One run, told line by line.
fn story(scene: &Scene, seed: u64) -> Result<ExitCode, String> {
    let script = Script::of_seed(scene, seed);
    println!("SIMULATED: seed {seed} on {}", scene.name);
    for fault in &script.faults {
        println!("  {}: {}", fault.kind, fault.when);
    }
    for point in &script.deaths {
        println!(
            "  controller killed at point {point} of {}",
            scene.calm.points
        );
    }
    if let Some(point) = script.amend {
        println!("  the plan is amended from point {point} on");
    }
    if script.cleanup.is_some() {
        println!("  what is left behind is cleared away after the end");
    }
    let played = scene.play(&script).map_err(|error| error.to_string())?;
    for line in &played.trace {
        println!("{line}");
    }
    println!(
        "{:?}; {} controllers, {} decisions",
        played.how, played.controllers, played.decided
    );
    for violation in &played.violations {
        println!("VIOLATION: {}: {}", violation.law, violation.what);
    }
    Ok(match played.violations.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Plays a campaign in as many parts as it has threads, each on a scene of its own: threads that count the holders of the
/// same texts wait for each other.
fn apart(campaign: &Campaign) -> Result<Tally, String> {
    let threads = campaign.threads.max(1) as u64;
    let part = |number: u64| {
        let upto = |number: u64| campaign.runs.saturating_mul(number) / threads;
        let part = Campaign {
            first: campaign.first.wrapping_add(upto(number)),
            runs: upto(number.saturating_add(1)).saturating_sub(upto(number)),
            threads: 1,
            ..*campaign
        };
        let scene = scenes::small_with_amendment()?;
        part.play(&scene).map_err(|error| error.to_string())
    };
    std::thread::scope(|scope| {
        let parts: Vec<_> = (0..threads).map(|n| scope.spawn(move || part(n))).collect();
        let mut all = Tally::default();
        for part in parts {
            let tally = part
                .join()
                .map_err(|_| "a thread ended by a panic".to_owned())??;
            all.merge(tally);
        }
        Ok(all)
    })
}

fn many(scene: &Scene, args: &Args, runs: u64) -> Result<ExitCode, String> {
    let campaign = Campaign {
        first: args.seed,
        runs,
        threads: args.threads(),
        stop_at_first: false,
        count_all: args.counts,
        planted: "",
    };
    let began = Instant::now();
    let tally = apart(&campaign)?;
    let took = began.elapsed();
    let explained = tables::print(scene, &campaign, &tally, took);
    Ok(match tally.broken == 0 && explained {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
