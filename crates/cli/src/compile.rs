//! From files and facts to a plan and what the checker says of it.

use crate::args::{FactArgs, InputArgs};
use crate::console::Console;
use crate::durations;
use crate::exit::Exit;
use crate::facts_file;
use crate::failure::Failure;
use crate::gather;
use crate::inputs::{self, Loaded};
use crate::runs;
use crate::text;
use crate::wiring;
use jiff::Zoned;
use overhaul_check::{CONTROLLER, Checked, check};
use overhaul_model::facts::FleetFacts;
use overhaul_model::finding::{Finding, Severity};
use overhaul_model::id::{HostName, Position};
use overhaul_model::plan::Plan;
use overhaul_model::windows::critical_path;
use overhaul_plan::{PlanErrors, compile};
use std::collections::BTreeSet;
use std::path::Path;

/// Where data of hosts would go for commands that take none.
pub const NO_DATA: &str = "/nonexistent/overhaul";

/// A plan, and what speaks against it.
pub struct Compiled {
    /// The facts that it was made from.
    pub facts: FleetFacts,
    /// The plan.
    pub plan: Plan,
    /// What the checker says.
    pub checked: Checked,
}

/// Reads, gathers facts or takes stored ones, compiles and checks.
///
/// # Errors
/// When a file is wrong, or definition and fleet do not go together.
pub async fn compiled(
    input: &InputArgs,
    facts: &FactArgs,
    state: Option<&Path>,
    console: Console,
) -> Result<Compiled, Failure> {
    // A large fleet's facts take longer to read than everything else.
    let stored = facts.facts.clone();
    let stored = stored.map(|path| std::thread::spawn(move || facts_file::stored_facts(&path)));
    let loaded = Loaded::from(input)?;
    for note in loaded.notes() {
        console.note(&note);
    }
    let mut gathered = match stored {
        Some(reading) => reading
            .join()
            .map_err(|_| Failure::internal("the facts could not be read"))??,
        None => {
            let hosts = loaded.hosts();
            let reach = wiring::reach(
                &loaded.fleet.fleet.name,
                &hosts,
                loaded.fleet.passwords.clone(),
                &facts.hosts,
                Path::new(NO_DATA),
            )?;
            let mut wanted = inputs::wanted(&loaded.definition);
            if facts.depth.thorough {
                wanted.go_deep(inputs::codename_ahead(&loaded.definition));
            }
            gather::facts(&reach, hosts.keys(), &wanted).await?
        }
    };
    if let Some(path) = &facts.save_facts {
        facts_file::save_facts(path, &gathered)?;
    }
    let mut plan = compile(&loaded.definition, &loaded.fleet.fleet, &gathered)?;
    let state = runs::state_dir(state)?;
    durations::foresee(&state, &mut plan, console);
    // Who looks at a plan days before it may begin wants to know what will be said then.
    let begins = first_chance(&plan, Zoned::now());
    let checked = checked_at(&plan, &mut gathered, &BTreeSet::new(), &state, &begins);
    Ok(Compiled {
        facts: gathered,
        plan,
        checked,
    })
}

/// What the checker says now, with these positions over; runs are kept in `state`. While it looks, facts of this
/// machine are among those of the hosts.
pub fn checked(
    plan: &Plan,
    facts: &mut FleetFacts,
    settled: &BTreeSet<Position>,
    state: &Path,
) -> Checked {
    checked_at(plan, facts, settled, state, &Zoned::now())
}

/// What the checker says of a plan that begins, or goes on, at this moment.
pub fn checked_at(
    plan: &Plan,
    facts: &mut FleetFacts,
    settled: &BTreeSet<Position>,
    state: &Path,
    begins: &Zoned,
) -> Checked {
    let controller = HostName::new(CONTROLLER);
    facts.insert(controller.clone(), gather::controller(state));
    let checked = check(plan, facts, settled, begins);
    facts.remove(&controller);
    checked
}

/// The first moment from then on at which the calendar lets the plan begin; that one, when it never does.
pub fn first_chance(plan: &Plan, now: Zoned) -> Zoned {
    let calendar = &plan.timing.calendar;
    if calendar.is_empty() {
        return now;
    }
    let chance = calendar.earliest(now.timestamp(), critical_path(plan));
    match chance {
        Some(chance) => chance.to_zoned(now.time_zone().clone()),
        None => now,
    }
}

/// The findings that a run is begun in spite of, as sentences for its journal.
pub fn warned(findings: &[Finding]) -> Vec<String> {
    findings
        .iter()
        .filter(|finding| finding.severity != Severity::Note || finding.waived.is_some())
        .map(|finding| {
            let waived = finding.waived.as_ref();
            let waived = waived
                .map(|by| format!(" (waived: {by})"))
                .unwrap_or_default();
            format!(
                "{} {}: {}{waived}",
                finding.rule, finding.subject, finding.sentence
            )
        })
        .collect()
}

/// The findings do not let the plan run.
pub fn blocked(findings: &[Finding]) -> Failure {
    let count = findings
        .iter()
        .filter(|f| f.severity == Severity::Error && f.waived.is_none())
        .count();
    Failure::new(
        Exit::Findings,
        format!(
            "the plan is not run: {}; nothing was changed",
            text::count(count, "error")
        ),
    )
    .hint(
        "correct what the findings name, or waive a finding by rule and subject in the definition",
    )
}

impl From<PlanErrors> for Failure {
    fn from(errors: PlanErrors) -> Self {
        let count = text::count(errors.0.len(), "reason");
        let list: Vec<String> = errors
            .0
            .iter()
            .map(|e| format!("  {}: {e}\n    help: {}", e.origin, e.help))
            .collect();
        Self::input(format!(
            "definition and fleet give no plan, for {count}; nothing was changed\n{}",
            list.join("\n")
        ))
    }
}
