//! `overhaul plan`.

use crate::args::PlanArgs;
use crate::compile::compiled;
use crate::console::Console;
use crate::exit::Exit;
use crate::failure::Outcome;
use crate::gather;
use crate::inputs::write_json;
use crate::show;
use overhaul_plan::print::tree;

/// Compiles, checks and prints; the findings block only a run.
pub async fn plan(args: &PlanArgs, state: Option<&std::path::Path>, console: Console) -> Outcome {
    let compiled = compiled(&args.input, &args.facts, state, console).await?;
    if let Some(path) = &args.output {
        write_json(path, &compiled.plan)?;
        console.note(&format!("plan written to {}", path.display()));
    }
    if console.json {
        console.out_json(&serde_json::json!({
            "hash": compiled.plan.hash().map_err(crate::failure::Failure::internal)?,
            "plan": compiled.plan,
            "findings": compiled.checked.findings,
            "can_run": compiled.checked.passed.is_some(),
        }));
    } else {
        console.out(&tree(&compiled.plan));
        console.out(&format!(
            "\n{}",
            show::findings::findings(&compiled.checked.findings)
        ));
    }
    gather::none_in_trouble(&compiled.facts)?;
    Ok(Exit::Ok)
}
