//! The plan as people read it: a tree with everything that decides, and nothing that repeats.

mod clocks;

pub use clocks::lengths;

use overhaul_model::action::{Action, OnceScope, Repeat, Undo};
use overhaul_model::definition::Test;
use overhaul_model::effects::is_no_return;
use overhaul_model::id::StepId;
use overhaul_model::plan::{Block, Plan};
use overhaul_model::primitive::Measure;
use overhaul_model::step::{Lane, Step};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The plan as a tree of lines: without colour, the same for the same plan.
pub fn tree(plan: &Plan) -> String {
    let mut printer = Printer {
        plan,
        out: String::new(),
    };
    printer.head();
    printer.block(&plan.root, 0);
    printer.no_return();
    printer.space();
    printer.windows();
    printer.turning_back();
    printer.length();
    printer.calendar();
    printer.out
}

struct Printer<'p> {
    plan: &'p Plan,
    out: String,
}

impl Printer<'_> {
    fn line(&mut self, depth: usize, text: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.out, "{:indent$}{text}", "", indent = depth * 2);
    }

    fn head(&mut self) {
        let plan = self.plan;
        let hash = plan
            .hash()
            .map_or_else(|error| error.to_string(), |hash| hash.to_string());
        self.line(0, &format!("plan {hash}"));
        self.line(
            0,
            &format!(
                "{} on fleet {}: {}; hosts: {}; positions: {}",
                plan.upgrade,
                plan.fleet,
                if plan.from == plan.to {
                    format!("{} stays", plan.to)
                } else {
                    format!("{} to {}", plan.from, plan.to)
                },
                plan.hosts.len(),
                plan.positions().len(),
            ),
        );
        self.line(0, "");
    }

    fn block(&mut self, block: &Block, depth: usize) {
        match block {
            Block::Step(step) => self.step(step, depth, ""),
            Block::Sequence { id, title, blocks } => {
                // The whole and a host's turn say nothing that their surroundings do not.
                let shown = !(id.as_str().is_empty()
                    || id.as_str().ends_with("/turn")
                    || id.as_str().ends_with("/body"));
                if shown {
                    self.line(depth, &format!("{title}  [{id}]"));
                }
                let inner = if shown { depth + 1 } else { depth };
                for block in blocks {
                    self.block(block, inner);
                }
            }
            Block::Parallel { id, title, blocks } => {
                self.line(depth, &format!("at once: {title}  [{id}]"));
                for block in blocks {
                    self.block(block, depth + 1);
                }
            }
            Block::Roll { id, title, body } => {
                self.line(depth, &format!("each host of {title}  [{id}]"));
                if let Some(turns) = self.plan.rolls.get(id) {
                    let batches: Vec<String> = turns
                        .batches
                        .iter()
                        .map(|batch| {
                            let names: Vec<&str> = batch.iter().map(|h| h.as_str()).collect();
                            names.join(", ")
                        })
                        .collect();
                    self.line(depth + 1, &format!("turns: {}", batches.join(" | ")));
                }
                self.block(body, depth + 1);
            }
            Block::Scope {
                id,
                title,
                open,
                body,
                close,
            } => {
                self.line(depth, &format!("scope {title}  [{id}]"));
                self.step(open, depth + 1, "open: ");
                self.block(body, depth + 2);
                self.step(close, depth + 1, "close, whatever happens: ");
            }
            Block::Repair {
                id,
                title,
                body,
                when,
                remedy,
                attempts,
            } => {
                self.line(depth, &format!("repair {title}  [{id}]"));
                self.block(body, depth + 1);
                let measure = measure_words(when);
                self.line(
                    depth + 1,
                    &format!("if it fails and {measure}, at most {attempts} times:"),
                );
                self.block(remedy, depth + 2);
            }
        }
    }

    fn step(&mut self, step: &Step, depth: usize, before: &str) {
        let mark = if is_no_return(step) { "!" } else { "-" };
        let word = match &step.action {
            Action::Later { what, .. } => format!("not available: `{}`", what.written()),
            action => action.word().to_owned(),
        };
        let mut tail = vec![word, repeat_word(step.repeat)];
        match (&step.lane, &step.only) {
            (_, Some(only)) => {
                let names: Vec<&str> = only.iter().map(|h| h.as_str()).collect();
                tail.push(format!("only {}", names.join(", ")));
            }
            (Lane::Host(host), None) => tail.push(format!("on {host}")),
            (Lane::Run, None) => tail.push("on no host".to_owned()),
            (Lane::Turn, None) => {}
        }
        self.line(
            depth,
            &format!(
                "{mark} {before}{}  [{}]  ({})",
                step.title,
                step.id,
                tail.join("; ")
            ),
        );
        for guard in &step.guards {
            let text = format!(
                "guard: {} ({}), held at most {}",
                guard.name,
                test_words(&guard.test),
                guard.at_most
            );
            self.line(depth + 1, &text);
        }
    }

    /// Steps that follow each other with the same way back are told as one.
    fn no_return(&mut self) {
        let mut told: Vec<(StepId, StepId, &str)> = Vec::new();
        let mut seen = BTreeSet::new();
        let positions = self.plan.positions();
        for step in positions.iter().map(|placed| placed.step) {
            let Undo::None { way_back } = &step.undo else {
                continue;
            };
            if !is_no_return(step) || !seen.insert(&step.id) {
                continue;
            }
            match told.last_mut() {
                Some((_, last, way)) if *way == way_back && same_slot(last, &step.id) => {
                    *last = step.id.clone();
                }
                _ => told.push((step.id.clone(), step.id.clone(), way_back)),
            }
        }
        if told.is_empty() {
            return;
        }
        self.line(0, "");
        self.line(0, "points of no return (marked ! above)");
        for (first, last, way_back) in told {
            let from = if first == last { "" } else { "from " };
            self.line(1, &format!("{from}{first}: {way_back}"));
        }
    }

    fn space(&mut self) {
        if self.plan.space.is_empty() {
            return;
        }
        self.line(0, "");
        self.line(0, "free space that it relies on");
        for space in &self.plan.space {
            let place = match &space.host {
                Some(host) => format!("{host}:{}", space.path),
                None => "controller".to_owned(),
            };
            let bytes = space
                .bytes
                .map_or_else(|| "unknown".to_owned(), bytes_words);
            self.line(1, &format!("{place}: {bytes} ({})", space.because));
        }
    }
}

fn same_slot(a: &StepId, b: &StepId) -> bool {
    let slot = |id: &StepId| {
        id.as_str()
            .rsplit_once('/')
            .map(|(slot, _)| slot.to_owned())
    };
    slot(a) == slot(b)
}

fn repeat_word(repeat: Repeat) -> String {
    match repeat {
        Repeat::Safe => "repeats freely",
        Repeat::CheckFirst => "repeats after its check",
        Repeat::Once(OnceScope::Host) => "once for each host",
        Repeat::Once(OnceScope::Role) => "once for the role",
        Repeat::Once(OnceScope::Dataset) => "once for its dataset",
        Repeat::Once(OnceScope::Fleet) => "once for the fleet",
        Repeat::Person => "a person decides about repeating",
    }
    .to_owned()
}

fn test_words(test: &Test) -> String {
    match test {
        Test::Measure(measure) => measure_words(measure),
        Test::Members { service, at_least } => {
            format!("at least {at_least} other hosts of {service} serve")
        }
        Test::Quiet { service } => format!("{service} is stopped on all other hosts"),
        Test::Donors { service } => {
            format!("no newer host of {service} would feed this one")
        }
    }
}

fn measure_words(measure: &Measure) -> String {
    match measure {
        Measure::Command(_) => "a command succeeds".to_owned(),
        Measure::Unit { unit, state } => {
            format!("{unit} is {}", format!("{state:?}").to_lowercase())
        }
        Measure::Release { os, version } => format!("the release is {os} {version}"),
        Measure::PackagesClean => "packages are clean".to_owned(),
        Measure::PackagesInstalled { names } => format!("{} are installed", names.join(", ")),
        Measure::FileIs(file) => format!("{} is as written", file.path),
        Measure::FileEdited(edit) => format!("{} is as edited", edit.path),
        Measure::Http { url, status } => format!("{url} answers {status}"),
        Measure::Tcp { address } => format!("{address} accepts connections"),
        Measure::Member(member) => format!("it works in its {} cluster", member.kind.name),
        Measure::All(parts) if parts.is_empty() => "nothing stands against it".to_owned(),
        Measure::All(parts) => {
            let parts: Vec<String> = parts.iter().map(measure_words).collect();
            parts.join(" and ")
        }
    }
}

fn bytes_words(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    for (unit, size) in UNITS {
        if bytes >= size {
            let tenths = bytes.saturating_mul(10) / size;
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
    }
    format!("{bytes} B")
}
