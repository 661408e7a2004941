//! Development tasks: lab, tidy, bench.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool speaks on its standard streams"
)]

mod chaos;
mod kill;
mod lab;
mod power;
mod say;
mod sim;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Development tasks of this workspace.
#[derive(Debug, Parser)]
#[command(name = "xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Real Debian hosts on this machine, to upgrade and to break.
    Lab(lab::Args),
    /// Upgrades of real hosts, cut off at named moments, continued, and measured.
    KillTable(kill::Args),
    /// The upgrade of the fleet of six, its controller killed at seeded moments, continued, and compared with an undisturbed one.
    KillFleet(kill::FleetArgs),
    /// The upgrade of a Galera cluster that a client writes to, its controller killed in every slot and continued.
    KillGalera(kill::GaleraArgs),
    /// A detached run inside a lab host, under its systemd: killed, stopped, rebooted, and continued.
    Detach(kill::DetachArgs),
    /// Faults of every kind, thrown by a seed at the upgrade of the fleet of six; it must go on to the same end.
    Chaos(chaos::Args),
    /// A machine with a kernel of its own loses its power while receipts are written on it, and a run goes on; or its clock is set.
    PowerLoss(power::Args),
    /// The shipped loop against simulated hosts, faults and people, all from one seed.
    Sim(sim::Args),
    /// Checks the laws of this workspace that compiler and clippy do not know.
    Tidy,
}

fn main() -> ExitCode {
    match Cli::parse().task {
        Task::Lab(args) => lab::run(args),
        Task::KillTable(args) => kill::run(args),
        Task::KillFleet(args) => kill::run_fleet(&args),
        Task::KillGalera(args) => kill::run_galera(&args),
        Task::Detach(args) => kill::run_detached(&args),
        Task::Chaos(args) => chaos::run(&args),
        Task::PowerLoss(args) => power::run(&args),
        Task::Sim(args) => sim::run(&args),
        Task::Tidy => tidy::run(),
    }
}
