//! `overhaul run --simulate`: the loop that carries out runs, against hosts that are not there.

use crate::args::RunArgs;
use crate::commands::run::{Input, wanted};
use crate::compile::{blocked, checked_at, first_chance};
use crate::console::Console;
use crate::durations;
use crate::exit::Exit;
use crate::facts_file::stored_facts;
use crate::failure::{Failure, Outcome};
use crate::live::Live;
use crate::runs;
use crate::show;
use crate::text;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use overhaul_machine::report::report;
use overhaul_model::event::Verdict;
use overhaul_model::facts::FleetFacts;
use overhaul_model::id::RunId;
use overhaul_model::plan::Plan;
use overhaul_plan::compile;
use overhaul_sim::{Basis, Happened, How, Played, Scene, Script};
use overhaul_store::{SIMULATED, SimulatedDir};
use std::collections::BTreeSet;
use std::path::Path;

/// A plan, a seed, and what came of them.
struct Told {
    run: RunId,
    plan: Plan,
    begins: Timestamp,
    script: Script,
    played: Played,
}

/// Plays a definition or a stored plan.
pub fn simulate(args: &RunArgs, state: Option<&Path>, console: Console) -> Outcome {
    let Some(path) = &args.simulation.facts else {
        return Err(Failure::input(
            "--simulate needs --facts FILE: no host is asked",
        ));
    };
    let mut facts = stored_facts(path)?;
    let state = runs::state_dir(state)?;
    let plan = plan(args, &facts, &state, console)?;
    // As if it were begun when the last fact was measured, or when the calendar lets it begin after that.
    let measured = plan.hosts.keys().filter_map(|host| facts.get(host));
    let Some(last) = measured.map(|facts| facts.gathered_at).max() else {
        return Err(Failure::input(format!(
            "{} has no facts of any host of the plan",
            path.display()
        ))
        .hint("overhaul plan --save-facts FILE keeps them"));
    };
    let begins = first_chance(&plan, last.to_zoned(TimeZone::system()));
    let checked = checked_at(&plan, &mut facts, &BTreeSet::new(), &state, &begins);
    if !console.json {
        console.out(&show::findings::findings(&checked.findings));
    }
    let Some(passed) = checked.passed else {
        return Err(blocked(&checked.findings));
    };
    let run = RunId::new(format!("{SIMULATED}-{}", runs::new_id(Timestamp::now())));
    let basis = Basis {
        run: &run,
        begins: begins.timestamp(),
        facts: &facts,
    };
    let scene = Scene::of_fleet(&plan.upgrade, passed, &basis).map_err(Failure::internal)?;
    let seed = args.simulation.seed;
    let seed = seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let script = Script::with_faults(&scene, seed, usize::from(args.simulation.faults));
    let played = scene.play(&script).map_err(Failure::internal)?;
    let told = Told {
        run,
        begins: begins.timestamp(),
        plan,
        script,
        played,
    };
    told.show(&SimulatedDir::create(&state, &told.run)?, console)
}

fn plan(
    args: &RunArgs,
    facts: &FleetFacts,
    state: &Path,
    console: Console,
) -> Result<Plan, Failure> {
    Ok(match wanted(args, console)?.input {
        Input::Plan(plan) => *plan,
        Input::Definition(both) => {
            let mut plan = compile(&both.0, &both.1, facts)?;
            durations::foresee(state, &mut plan, console);
            plan
        }
    })
}

impl Told {
    fn show(&self, dir: &SimulatedDir, console: Console) -> Outcome {
        let head = self.head();
        let story = self.story();
        let report = report(&self.plan, &self.played.records);
        dir.keep("journal.jsonl", &self.journal()?)?;
        dir.keep("story.txt", &text::simulated(&format!("{head}\n{story}")))?;
        dir.keep(
            "report.txt",
            &text::simulated(&format!("{head}\n{}", show::report::report(&report))),
        )?;
        let exit = self.exit();
        if console.json {
            for record in &self.played.records {
                console.out(&format!(
                    "{}\n",
                    serde_json::to_string(record).map_err(Failure::internal)?
                ));
            }
            let last = serde_json::json!({
                "end": if exit.is_ok() { "ok" } else { "internal" },
                "seed": self.script.seed, "faults": self.faults(), "decisions": self.played.decided,
                "controllers": self.played.controllers, "folder": dir.path(), "report": report,
            });
            console.out(&format!("{last}\n"));
            return exit;
        }
        console.out(&format!("\n{head}\n"));
        console.out(&story);
        console.out(&format!("\n{}", show::report::summary(&report)));
        console.out(&self.people());
        console.out(&format!("\nkept in {}\n", dir.path().display()));
        exit
    }

    /// What was played.
    fn head(&self) -> String {
        let (seed, faults) = (self.script.seed, self.script.faults.len());
        let mut out = format!(
            "seed {seed}, {}: no host was reached, time was virtual, nothing of this happened.\n\
             The same seed, plan and facts give the same again: --simulate --seed {seed} --faults {faults}\n",
            text::count(faults, "fault"),
        );
        for fault in self.faults() {
            out.push_str(&format!("  {fault}\n"));
        }
        out
    }

    fn faults(&self) -> Vec<String> {
        let faults = self.script.faults.iter();
        faults.map(|f| format!("{}, {}", f.kind, f.when)).collect()
    }

    /// The journal as people are shown it, and between its rows what no journal knows.
    fn story(&self) -> String {
        let live = Live::new(Console::new(false).of_simulation(), &self.plan, 0);
        let mut rows = self.played.records.iter().peekable();
        let mut out = String::new();
        for line in &self.played.trace {
            match &line.happened {
                Happened::Durable(last) => {
                    while let Some(record) = rows.next_if(|record| record.seq <= *last) {
                        for line in live.told(record) {
                            out.push_str(&format!("{line}\n"));
                        }
                    }
                }
                Happened::Controller(1) => {}
                what @ (Happened::Controller(_)
                | Happened::Killed
                | Happened::Ended(_)
                | Happened::Fault { .. }
                | Happened::Person { .. }) => {
                    let at = text::clock(self.after(line.at_ms));
                    out.push_str(&format!("{at} *** {}\n", text::clean(&what.to_string())));
                }
                _ => {}
            }
        }
        out
    }

    fn after(&self, ms: u64) -> Timestamp {
        let passed = SignedDuration::from_millis(i64::try_from(ms).unwrap_or(i64::MAX));
        self.begins.checked_add(passed).unwrap_or(Timestamp::MAX)
    }

    /// Where people were needed.
    fn people(&self) -> String {
        let decided = self.played.trace.iter().filter_map(|line| {
            let Happened::Person { choice, .. } = &line.happened else {
                return None;
            };
            let position = choice.position().map(|p| format!(" {p}"));
            Some(format!(
                "  {}{}\n",
                choice.word(),
                position.unwrap_or_default()
            ))
        });
        let decided: Vec<String> = decided.collect();
        match decided.as_slice() {
            [] => "\nnobody had to decide anything\n".to_owned(),
            all => format!(
                "\npeople decided; in a run it would wait for them:\n{}",
                all.concat()
            ),
        }
    }

    /// The rows, one a line, below a head that says what they are.
    fn journal(&self) -> Result<String, Failure> {
        let head = serde_json::json!({
            "seed": self.script.seed, "faults": self.faults(), "run": self.run,
            "plan": self.plan.hash().map_err(Failure::internal)?,
        });
        let mut out = format!("{}\n", text::simulated_json(&head.to_string()));
        for record in &self.played.records {
            let row = serde_json::to_string(record).map_err(Failure::internal)?;
            out.push_str(&format!("{}\n", text::simulated_json(&row)));
        }
        Ok(out)
    }

    fn exit(&self) -> Outcome {
        let broken = self.played.violations.iter();
        let mut why: Vec<String> = broken.map(|v| format!("{}: {}", v.law, v.what)).collect();
        match &self.played.how {
            How::Over(Verdict::Complete) if why.is_empty() => return Ok(Exit::Ok),
            How::Over(_) => {}
            How::Not(reason) => why.push(reason.clone()),
        }
        why.dedup();
        Err(Failure::internal(format!(
            "what overhaul promises did not hold: {}",
            why.join("; ")
        ))
        .hint(format!(
            "this is a fault of overhaul or of its simulator: please report it, with definition, fleet, facts and the seed {}",
            self.script.seed
        )))
    }
}
