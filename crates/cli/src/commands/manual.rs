//! `overhaul completions` and `overhaul man`: made from the same description as the help texts.

use crate::args::{Cli, CompletionShell, CompletionsArgs, ManArgs};
use crate::console::Console;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use clap::CommandFactory as _;
use clap_complete::Shell;
use clap_mangen::Man;

/// Prints completions.
pub fn completions(args: &CompletionsArgs, console: Console) -> Outcome {
    let shell = match args.shell {
        CompletionShell::Bash => Shell::Bash,
        CompletionShell::Zsh => Shell::Zsh,
        CompletionShell::Fish => Shell::Fish,
    };
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "overhaul", &mut out);
    console.out(&text(out)?);
    Ok(Exit::Ok)
}

/// Prints the page of the program, or writes all pages into a folder.
pub fn man(args: &ManArgs, console: Console) -> Outcome {
    let command = Cli::command();
    let Some(dir) = &args.dir else {
        console.out(&page(command)?);
        return Ok(Exit::Ok);
    };
    let wrong = |error| Failure::input(format!("{}: {error}", dir.display()));
    std::fs::create_dir_all(dir).map_err(wrong)?;
    clap_mangen::generate_to(command, dir).map_err(wrong)?;
    Ok(Exit::Ok)
}

fn page(command: clap::Command) -> Result<String, Failure> {
    let mut out = Vec::new();
    Man::new(command)
        .render(&mut out)
        .map_err(Failure::internal)?;
    text(out)
}

fn text(bytes: Vec<u8>) -> Result<String, Failure> {
    String::from_utf8(bytes).map_err(Failure::internal)
}
