//! `overhaul check`.

use crate::args::CheckArgs;
use crate::compile::compiled;
use crate::console::Console;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::gather;
use crate::show;

/// Compiles, checks, and prints what speaks against the plan.
pub async fn check(args: &CheckArgs, state: Option<&std::path::Path>, console: Console) -> Outcome {
    let compiled = compiled(&args.input, &args.facts, state, console).await?;
    let can_run = compiled.checked.passed.is_some();
    if console.json {
        console.out_json(&serde_json::json!({
            "hash": compiled.plan.hash().map_err(Failure::internal)?,
            "findings": compiled.checked.findings,
            "can_run": can_run,
        }));
    } else {
        console.out(&show::findings::findings(&compiled.checked.findings));
    }
    gather::none_in_trouble(&compiled.facts)?;
    // The process ends here, and nobody is to wait until a large fleet was taken apart piece by piece.
    std::mem::forget(compiled);
    Ok(if can_run { Exit::Ok } else { Exit::Findings })
}
