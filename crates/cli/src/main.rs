//! The command overhaul: wiring, words and exit codes.

mod agreed;
mod args;
mod attention;
mod commands;
mod compile;
mod console;
mod detach;
mod draft;
mod durations;
mod exit;
mod facts_cache;
mod facts_file;
mod failure;
mod gather;
mod hooks;
mod inputs;
mod kinds;
mod lead;
mod live;
mod near;
mod one_host;
mod person;
mod programs;
mod run_args;
mod runs;
mod secrets;
mod show;
mod sitting;
mod text;
mod tracker_args;
mod tracking;
mod vault;
mod wiring;

use args::{Cli, Command};
use clap::Parser as _;
use console::Console;
use failure::{Failure, Outcome};
use overhaul_model::event::Choice;
use std::process::ExitCode;

// A build with deliberate faults gives no program.
const _: () = assert!(!overhaul_model::planted::AVAILABLE);

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            let exit = if error.use_stderr() {
                exit::Exit::BadInput
            } else {
                exit::Exit::Ok
            };
            return exit.into();
        }
    };
    let console = match &cli.command {
        Command::Run(args) if args.simulation.simulate => Console::new(cli.json).of_simulation(),
        _ => Console::new(cli.json),
    };
    match carry_out(&cli, console) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            if console.json {
                // On one line, like the events of a run that it may follow.
                console.out(&format!("{}\n", text::json(&failure.json().to_string())));
            }
            console.note(&failure.to_string());
            failure.exit.into()
        }
    }
}

fn carry_out(cli: &Cli, console: Console) -> Outcome {
    let state = cli.state.as_deref();
    match &cli.command {
        Command::Try(args) => wait(commands::try_host::try_host(args, state, console)),
        Command::Facts(args) => wait(commands::facts::facts(args, state, console)),
        Command::Classify(args) => wait(commands::classify::run(args, state, console)),
        Command::Fleet(args) => commands::fleet::run(args, state, console),
        Command::Init(args) => wait(commands::init::run(args, state, console)),
        Command::Plan(args) => wait(commands::plan::plan(args, state, console)),
        Command::Check(args) => wait(commands::check::check(args, state, console)),
        Command::Run(args) if args.simulation.simulate => {
            commands::simulate::simulate(args, state, console)
        }
        Command::Run(args) => wait(commands::run::run(args, state, console)),
        Command::Resume(args) => wait(commands::resume::resume(args, state, console)),
        Command::Status(args) => commands::status::status(args, state, console),
        Command::Watch(args) => wait(commands::watch::watch(args, state, console)),
        Command::Approve(args) => commands::decide::approve(args, state, console),
        Command::Retry(args) => {
            let choice = |position| Choice::Retry { position };
            commands::decide::decide(args, choice, state, console)
        }
        Command::Done(args) => {
            let choice = |position| Choice::Done { position };
            commands::decide::decide(args, choice, state, console)
        }
        Command::Skip(args) => commands::decide::skip(args, state, console),
        Command::Void(args) => match (&args.dataset, &args.host, &args.step) {
            (Some(dataset), Some(host), _) => {
                wait(commands::void::authority(args, dataset, host, console))
            }
            (_, _, step) => commands::void::step(args, step.as_deref(), state, console),
        },
        Command::Pause(args) => commands::pause::pause(args, state, console),
        Command::Abort(args) => match &args.host {
            Some(host) if args.lost => wait(commands::abort::abort_lost(args, host, console)),
            _ => commands::abort::abort(args, state, console),
        },
        Command::Report(args) => commands::report::report(args, state, console),
        Command::Postpone(args) => commands::postpone::postpone(args, state, console),
        Command::Amend(args) => wait(commands::amend::amend(args, state, console)),
        Command::Doctor(args) => commands::doctor::doctor(args, state, console),
        Command::Export(args) => commands::export::export(args, state, console),
        Command::Cleanup(args) => wait(commands::cleanup::cleanup(args, state, console)),
        Command::Data(command) => commands::data::data(command, state, console),
        Command::Completions(args) => commands::manual::completions(args, console),
        Command::Man(args) => commands::manual::man(args, console),
        Command::Ssh(args) => commands::ssh::ssh(args, console),
    }
}

/// Runs what waits for hosts.
fn wait(work: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::internal)?;
    let outcome = runtime.block_on(work);
    // Whatever still waits for a host is dropped: what was begun there goes on there.
    runtime.shutdown_background();
    outcome
}
