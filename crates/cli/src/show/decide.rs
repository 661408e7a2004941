//! What a person must know to decide about a step, and the exact commands for each choice.

use crate::text;
use overhaul_machine::{Run, StepState};
use overhaul_model::action::{Repeat, Undo};
use overhaul_model::event::Choice;
use overhaul_model::id::{Position, RunId};
use serde::Serialize;
use std::fmt::Write as _;

/// Lines of a failed step's output that are shown.
const TAIL_LINES_MAX: usize = 12;

/// What can be decided about a position.
#[derive(Clone, Debug, Serialize)]
pub struct Decidable {
    /// The position.
    pub position: Position,
    /// What people read.
    pub title: String,
    /// Its state in one word.
    pub state: &'static str,
    /// Why a person must decide.
    pub why: String,
    /// The last output of the attempt.
    pub tail: String,
    /// What else is to be known.
    pub remarks: Vec<String>,
    /// The commands.
    pub commands: Vec<CommandFor>,
}

/// A command for a choice.
#[derive(Clone, Debug, Serialize)]
pub struct CommandFor {
    /// The command line.
    pub command: String,
    /// What it means.
    pub means: &'static str,
}

/// What is to be known of a position that waits for a person.
pub fn decidable(
    run: &Run,
    id: &RunId,
    position: &Position,
    why: &str,
    choices: &[Choice],
) -> Decidable {
    let state = run.state(position);
    let tail = match state {
        StepState::Failed { tail, .. } => tail.as_str(),
        _ => "",
    };
    let step = run.step(position);
    // To answer a question needs no reason; to let a host begin outside of the calendar does.
    let asked = matches!(state, StepState::Asked { .. });
    Decidable {
        position: position.clone(),
        title: step.map(|step| step.title.clone()).unwrap_or_default(),
        state: state.word(),
        why: text::clean(why),
        tail: text::clean(tail),
        remarks: step
            .map(|step| remarks(run, position, step))
            .unwrap_or_default(),
        commands: choices
            .iter()
            .filter_map(|c| command(id, c, asked))
            .collect(),
    }
}

fn remarks(run: &Run, position: &Position, step: &overhaul_model::step::Step) -> Vec<String> {
    let mut out = vec![remains(run, position)];
    if run.state(position).is_bad() {
        out.push(about_repeating(&step.repeat).to_owned());
    }
    if let Undo::None { way_back } = &step.undo {
        out.push(format!("no way back by itself: {way_back}"));
    }
    out
}

fn about_repeating(repeat: &Repeat) -> &'static str {
    match repeat {
        Repeat::Safe => "the step may be begun again freely",
        Repeat::CheckFirst => "the step may be begun again when its check says `not so`",
        Repeat::Once(_) => "the step must happen once only: look before `retry`",
        Repeat::Person => "nobody but you can say whether it may be begun again",
    }
}

fn remains(run: &Run, position: &Position) -> String {
    let mut lane = 0_usize;
    let mut all = 0_usize;
    for (other, state) in run.positions() {
        if state.is_over() || other == *position {
            continue;
        }
        all = all.saturating_add(1);
        if other.host.is_some() && other.host == position.host {
            lane = lane.saturating_add(1);
        }
    }
    match &position.host {
        Some(host) => format!(
            "remains: {} on {host}, {} in all",
            text::count(lane, "step"),
            all
        ),
        None => format!("remains: {}", text::count(all, "step")),
    }
}

fn command(id: &RunId, choice: &Choice, asked: bool) -> Option<CommandFor> {
    let means = match choice {
        Choice::Approve { .. } if asked => "go on",
        Choice::Approve { .. } => "let the host begin all the same",
        Choice::Retry { .. } => "begin the step again",
        Choice::Done { .. } => "it was done by hand; its verify must pass",
        Choice::Skip { .. } => "leave it out",
        Choice::Void { .. } => "count its effect as not there, and go on",
        Choice::Pause => "let nothing new begin",
        Choice::Unpause => {
            return Some(CommandFor {
                command: format!("overhaul resume {id}"),
                means: "let steps begin again",
            });
        }
        Choice::Abort => "end the run; scopes are closed, hosts freed",
        // Offered where hosts are told of, not where a position is.
        Choice::Postpone { .. } | Choice::TakeUp { .. } | Choice::LeaveOut { .. } => return None,
    };
    let command = match choice.position() {
        Some(position) => {
            let reason = match choice {
                Choice::Approve { .. } if asked => "",
                _ => " --reason 'TEXT'",
            };
            let position = text::shell_word(&position.to_string());
            format!("overhaul {} {position}{reason} --run {id}", choice.word())
        }
        None => format!("overhaul {} {id} --reason 'TEXT'", choice.word()),
    };
    Some(CommandFor { command, means })
}

impl Decidable {
    /// As people read it.
    pub fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{}  [{}]", self.title, self.position);
        let _ = writeln!(out, "  {}: {}", self.state, indent_rest(&self.why));
        let lines: Vec<&str> = self.tail.lines().collect();
        let shown = lines.len().saturating_sub(TAIL_LINES_MAX);
        if !lines.is_empty() {
            let _ = writeln!(out, "  last output:");
        }
        for line in lines.iter().skip(shown) {
            let _ = writeln!(out, "    | {}", line.trim_end());
        }
        for remark in &self.remarks {
            let _ = writeln!(out, "  {}", text::clean(remark));
        }
        let width = self
            .commands
            .iter()
            .map(|c| c.command.chars().count())
            .max();
        for CommandFor { command, means } in &self.commands {
            let _ = writeln!(
                out,
                "    {command:<width$}  # {means}",
                width = width.unwrap_or(0)
            );
        }
        out
    }
}

fn indent_rest(text: &str) -> String {
    text.trim_end().replace('\n', "\n    ")
}
