//! Loads an inventory as every command does, and says how much there is: for `bench/inventory`.

use overhaul_source::fleet::vault::VaultKeys;
use overhaul_source::fleet::{Request, load};
use overhaul_source::read::Folders;
use std::io::Write as _;
use std::process::ExitCode;

#[expect(clippy::disallowed_methods, reason = "a program's arguments")]
fn main() -> ExitCode {
    let sources: Vec<String> = std::env::args().skip(1).collect();
    let request = Request {
        sources: &sources,
        beside: None,
        working_folder: None,
        keys: &VaultKeys::default(),
    };
    let mut no_programs = |program: &str, _: &[&str]| Err(format!("{program} is not run"));
    let said = match load(request, &mut Folders::new(&mut no_programs)) {
        Ok(input) => {
            let hosts = input.fleet.hosts.values();
            let variables: usize = hosts.map(|host| host.vars.len()).sum();
            Ok(format!(
                "{} hosts, {} groups, {variables} variables",
                input.fleet.hosts.len(),
                input.membership.groups.len()
            ))
        }
        Err(problems) => Err(problems
            .iter()
            .map(|all| format!("{all}\n"))
            .collect::<String>()),
    };
    match said {
        Ok(line) => {
            let _ = writeln!(std::io::stdout(), "{line}");
            ExitCode::SUCCESS
        }
        Err(lines) => {
            let _ = writeln!(std::io::stderr(), "{lines}");
            ExitCode::FAILURE
        }
    }
}
