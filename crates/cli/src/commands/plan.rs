//! `overhaul plan`.

use crate::args::PlanArgs;
use crate::compile::compiled;
use crate::console::Console;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::gather;
use crate::inputs::{stored_plan, write_json};
use crate::runs;
use crate::show;
use overhaul_model::id::RunId;
use overhaul_model::plan::Plan;
use overhaul_plan::diff::diff;
use overhaul_plan::print::{lengths, tree};
use overhaul_plan::print_diff;
use std::path::Path;

/// Compiles, checks and prints; the findings block only a run.
pub async fn plan(args: &PlanArgs, state: Option<&Path>, console: Console) -> Outcome {
    // Read before hosts are asked: a name that is wrong costs nothing then.
    let before = args.diff.as_deref().map(|old| plan_of(old, state));
    let before = before.transpose()?;
    let compiled = compiled(&args.input, &args.facts, state, console).await?;
    if let Some(path) = &args.output {
        write_json(path, &compiled.plan)?;
        console.note(&format!("plan written to {}", path.display()));
    }
    if let Some(before) = &before {
        let diff = diff(before, &compiled.plan).map_err(Failure::internal)?;
        match console.json {
            true => console.out_json(&serde_json::json!({ "diff": diff })),
            false => console.out(&print_diff::text(&diff)),
        }
        gather::none_in_trouble(&compiled.facts)?;
        return Ok(Exit::Ok);
    }
    if console.json {
        console.out_json(&serde_json::json!({
            "hash": compiled.plan.hash().map_err(Failure::internal)?,
            "plan": compiled.plan,
            "findings": compiled.checked.findings,
            "can_run": compiled.checked.passed.is_some(),
        }));
    } else {
        console.out(&tree(&compiled.plan));
        if args.why {
            console.out(&format!("\n{}", lengths(&compiled.plan)));
        }
        console.out(&format!(
            "\n{}",
            show::findings::findings(&compiled.checked.findings)
        ));
    }
    gather::none_in_trouble(&compiled.facts)?;
    Ok(Exit::Ok)
}

/// A plan that was kept, or that of a run: a file with that name counts first.
fn plan_of(named: &str, state: Option<&Path>) -> Result<Plan, Failure> {
    let path = Path::new(named);
    if path.exists() {
        return stored_plan(path);
    }
    let unknown = || {
        Failure::input(format!("{named} is neither a file nor a run"))
            .hint("name a plan that overhaul plan -o wrote, or a run as overhaul status names it")
    };
    // Only what looks like the name of a run is looked for among them.
    let dir = runs::open_store(state)?
        .run(&RunId::new(named))
        .map_err(|_| unknown())?;
    Ok(dir.plan()?)
}
