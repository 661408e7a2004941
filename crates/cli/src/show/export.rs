//! The plan as a runbook: what people do by hand, in the plan's order, with nothing but a shell on each host.

use super::export_work::{self as by_hand, Piece, markdown};
use super::status::down;
use crate::text;
use jiff::Timestamp;
use overhaul_machine::report::{LeftoverKind, Report, report};
use overhaul_machine::{Run, StepState};
use overhaul_model::action::{Repeat, Undo};
use overhaul_model::event::Record;
use overhaul_model::fleet::{Become, Host};
use overhaul_model::id::{HostName, Position, StepId};
use overhaul_model::plan::{Block, CLEANUP, Child, Plan};
use overhaul_model::primitive::{Measure, Primitive};
use overhaul_model::step::Step;
use overhaul_model::template::{Context, Renderer};
use overhaul_model::windows::critical_path;
use overhaul_reach::openssh::login_words;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Headings deeper than this look like text.
const DEPTH_MAX: usize = 5;

/// The present state of a run.
#[derive(Clone, Copy)]
pub struct Remaining<'r> {
    /// The run.
    pub run: &'r Run,
    /// Its journal.
    pub records: &'r [Record],
    /// Now.
    pub now: Timestamp,
}

struct Book<'p> {
    plan: &'p Plan,
    numbers: BTreeMap<&'p StepId, usize>,
    remaining: Option<(Remaining<'p>, Report)>,
    renderer: Renderer,
    out: String,
}

/// The runbook, or what remains of it.
pub fn runbook<'p>(plan: &'p Plan, remaining: Option<Remaining<'p>>) -> String {
    let mut numbers = BTreeMap::new();
    number(Child::Block(&plan.root), &mut numbers);
    let remaining = remaining.map(|r| (r, report(r.run.opened_with(), r.records)));
    let mut book = Book {
        plan,
        numbers,
        remaining,
        renderer: Renderer::new(),
        out: String::new(),
    };
    book.head();
    book.state();
    book.hosts();
    book.no_return();
    book.child(Child::Block(&plan.root), None, 2);
    let mut out = book.out.trim_end().to_owned();
    out.push('\n');
    out
}

/// Steps by their order in the tree, from 1.
fn number<'p>(child: Child<'p>, out: &mut BTreeMap<&'p StepId, usize>) {
    match child {
        Child::Step(step) => {
            let next = out.len().saturating_add(1);
            out.entry(&step.id).or_insert(next);
        }
        Child::Block(Block::Step(step)) => number(Child::Step(step), out),
        Child::Block(block) => {
            for child in block.children() {
                number(child, out);
            }
        }
    }
}

impl<'p> Book<'p> {
    /// A paragraph.
    fn say(&mut self, text: &str) {
        let _ = writeln!(self.out, "{}\n", text::clean(text).trim_end());
    }

    fn heading(&mut self, depth: usize, text: &str) {
        let marks = "#".repeat(depth.min(DEPTH_MAX));
        self.say(&format!("{marks} {}", text::one_line(text, 400)));
    }

    fn head(&mut self) {
        let plan = self.plan;
        let what = if self.remaining.is_some() {
            "What remains"
        } else {
            "Runbook"
        };
        self.say(&format!("# {what}: {}", plan.upgrade));
        let hash = plan
            .hash()
            .map_or_else(|error| error.to_string(), |hash| hash.to_string());
        self.say(&format!(
            "{} to {}, fleet {}, {}, plan `{hash}`. Expected to take {} without failures and without waits for people.",
            plan.from,
            plan.to,
            plan.fleet,
            text::count(plan.hosts.len(), "host"),
            text::span(critical_path(plan)),
        ));
        self.say(
            "Carry the steps out one after the other, each on the hosts that it names. Commands are for a shell with \
             the rights that the step needs, as root as a rule. If \"Already so?\" holds, go to the next step. If \
             \"So now?\" does not hold afterwards, stop. What has been opened must be closed, **whatever happens**.",
        );
        if self.remaining.is_none() {
            self.say("While Overhaul runs this plan, nobody may do it by hand as well: `overhaul abort` first.");
        }
    }

    fn state(&mut self) {
        let Some((remaining, report)) = &self.remaining else {
            return;
        };
        let Remaining { run, records, now } = *remaining;
        let mut out = String::new();
        let id = run.id().map_or("", |id| id.as_str());
        let last = report.last_row.map(text::moment).unwrap_or_default();
        let _ = writeln!(out, "## Where run {id} stands\n");
        let _ = writeln!(
            out,
            "By its journal, whose last row is of {last}; written {}. If any controller may still be alive, end it before you touch a host.\n",
            text::moment(now)
        );
        let counts = report.counts.iter();
        let counts: Vec<String> = counts
            .map(|(standing, n)| format!("{n} {}", format!("{standing:?}").to_lowercase()))
            .collect();
        let _ = writeln!(out, "- steps: {}", counts.join(", "));
        self.under_way(run, &mut out);
        for left in &report.leftovers {
            if left.kind == LeftoverKind::ScopeOpen {
                let on = left
                    .host
                    .as_ref()
                    .map(|h| format!(" on {h}"))
                    .unwrap_or_default();
                let _ = writeln!(
                    out,
                    "- **OPEN SCOPE{on}**: {}. It must be closed by hand: {}",
                    text::clean(&left.what),
                    text::clean(&left.way)
                );
            }
        }
        for service in down(self.plan, records, now) {
            let _ = writeln!(out, "- **{}**, as last seen", service.text());
        }
        for (host, postponed) in run.postponed() {
            let until = text::moment(postponed.until);
            let reason = text::one_line(&postponed.reason, 200);
            let _ = writeln!(out, "- {host} is postponed until {until}: {reason}");
        }
        for row in report.hosts.iter().filter(|row| !row.released) {
            let _ = writeln!(
                out,
                "- {} still belongs to the run; it is freed with `overhaul abort --lost --host {}`",
                row.host,
                text::shell_word(row.host.as_str())
            );
        }
        out.push('\n');
        self.out.push_str(&out);
    }

    /// What was begun and is not over, or waits for a person.
    fn under_way(&self, run: &Run, out: &mut String) {
        for (position, state) in run.positions() {
            let number = self.numbers.get(&position.step).copied().unwrap_or(0);
            let word = match state {
                StepState::Running { .. } => "**UNDER WAY, not known how it goes**",
                StepState::Unknown { .. } => {
                    "**UNKNOWN, nobody can say whether it was carried out**"
                }
                StepState::Failed { .. } => "**failed**",
                StepState::Asked { .. } => "waits for a decision",
                _ => continue,
            };
            let why = match state {
                StepState::Unknown { why, .. } | StepState::Failed { why, .. } => {
                    format!(": {}", text::one_line(why, 300))
                }
                _ => String::new(),
            };
            let _ = writeln!(
                out,
                "- step {number}, `{position}`: {word}{why}. Look at the host before anything else is done there."
            );
        }
    }

    fn hosts(&mut self) {
        let mut out =
            "## Hosts\n\n| host | address | roles | zone | shell |\n|---|---|---|---|---|\n"
                .to_owned();
        for host in self.plan.hosts.values() {
            let roles: Vec<&str> = host.roles.iter().map(|role| role.as_str()).collect();
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} | {} |",
                cell(host.name.as_str()),
                cell(&host.connection.address),
                cell(&roles.join(", ")),
                cell(host.zone.as_ref().map_or("", |zone| zone.as_str())),
                cell(&shell_of(host)),
            );
        }
        out.push('\n');
        self.out.push_str(&out);
    }

    fn no_return(&mut self) {
        let positions = self.plan.positions();
        let mut seen: Vec<(usize, &Step, &str)> = Vec::new();
        for placed in &positions {
            let step = placed.step;
            if let Undo::None { way_back } = &step.undo {
                let number = self.numbers.get(&step.id).copied().unwrap_or(0);
                if seen.iter().all(|(known, _, _)| *known != number) {
                    seen.push((number, step, way_back));
                }
            }
        }
        if seen.is_empty() {
            return;
        }
        let mut out = "## Points of no return\n\n".to_owned();
        for (number, step, way_back) in seen {
            let _ = writeln!(
                out,
                "- **step {number}, {}**: {}",
                text::clean(&step.title),
                text::clean(way_back)
            );
        }
        out.push('\n');
        self.out.push_str(&out);
    }

    fn child(&mut self, child: Child<'p>, turns: Option<&[HostName]>, depth: usize) {
        let block = match child {
            Child::Step(step) => return self.step(step, turns, depth),
            Child::Block(Block::Step(step)) => return self.step(step, turns, depth),
            Child::Block(block) => block,
        };
        match block {
            Block::Step(_) => {}
            Block::Sequence { id, title, blocks } => {
                // The whole and a host's turn say nothing that their surroundings do not.
                let shown = !id.as_str().is_empty()
                    && !id.as_str().ends_with("/turn")
                    && !id.as_str().ends_with("/body");
                if shown {
                    self.heading(depth, title);
                }
                if id.as_str() == CLEANUP {
                    self.say("Later, and only what is named: nothing of this belongs to the upgrade itself.");
                }
                let inner = depth.saturating_add(usize::from(shown));
                for block in blocks {
                    self.child(Child::Block(block), turns, inner);
                }
            }
            Block::Parallel { title, blocks, .. } => {
                self.heading(depth, &format!("At once: {title}"));
                self.say("The parts of this need not wait for each other.");
                for block in blocks {
                    self.child(Child::Block(block), turns, depth.saturating_add(1));
                }
            }
            Block::Roll { id, title, body } => self.roll(id, title, body, depth),
            Block::Scope {
                open, body, close, ..
            } => {
                self.step(open, turns, depth);
                let number = self.numbers.get(&close.id).copied().unwrap_or(0);
                self.say(&format!(
                    "**Whatever happens afterwards: step {number} ({}) must be carried out on each host where step {} was begun.**",
                    close.title,
                    self.numbers.get(&open.id).copied().unwrap_or(0)
                ));
                self.child(Child::Block(body), turns, depth);
                self.step(close, turns, depth);
            }
            Block::Repair {
                title,
                body,
                when,
                remedy,
                attempts,
                ..
            } => {
                self.child(Child::Block(body), turns, depth);
                self.heading(depth, &format!("If that fails: {title}"));
                self.say(&format!("A known failure has a remedy. It helps when this is so; at most {attempts} times, then begin the failed step again:"));
                let host = turns.and_then(<[HostName]>::first);
                let pieces = by_hand::measure(&self.measure(when, host));
                markdown(&pieces, &mut self.out);
                self.child(Child::Block(remedy), turns, depth.saturating_add(1));
            }
        }
    }

    fn roll(&mut self, id: &StepId, title: &str, body: &'p Block, depth: usize) {
        self.heading(depth, &format!("Each host of {title}"));
        let Some(turns) = self.plan.rolls.get(id) else {
            return;
        };
        let batches: Vec<String> = turns
            .batches
            .iter()
            .map(|batch| {
                let names: Vec<&str> = batch.iter().map(HostName::as_str).collect();
                names.join(", ")
            })
            .collect();
        let at_once = match turns.at_once {
            1 => "one host after the other".to_owned(),
            n => format!("at most {n} hosts at once"),
        };
        self.say(&format!(
            "All steps of this section on one host, then on the next: {at_once}. Batches, each when the one before is over and healthy: {}.",
            batches.join(" | ")
        ));
        let hosts: Vec<HostName> = turns.batches.iter().flatten().cloned().collect();
        self.child(Child::Block(body), Some(&hosts), depth.saturating_add(1));
    }

    /// The positions of a step in these turns.
    fn positions(&self, step: &Step, turns: Option<&[HostName]>) -> Vec<Position> {
        match turns {
            None => step.position(None).into_iter().collect(),
            Some(hosts) => {
                let mut all: Vec<Position> = hosts
                    .iter()
                    .filter_map(|host| step.position(Some(host)))
                    .collect();
                all.dedup();
                all
            }
        }
    }

    fn context(&self, host: Option<&HostName>, position: Option<&Position>) -> Context {
        let host = host.and_then(|host| self.plan.hosts.get(host));
        let mut context = Context::new(host, &self.plan.from, &self.plan.to);
        if let (Some((remaining, _)), Some(position)) = (&self.remaining, position) {
            for (step, outputs) in remaining.run.outputs_for(position) {
                context.add_outputs(step, outputs);
            }
        }
        context
    }

    fn measure(&self, measure: &Measure, host: Option<&HostName>) -> Measure {
        let context = self.context(host, None);
        let rendered = self.renderer.measure(measure, &context);
        rendered.unwrap_or_else(|_| measure.clone())
    }

    fn step(&mut self, step: &'p Step, turns: Option<&[HostName]>, depth: usize) {
        let number = self.numbers.get(&step.id).copied().unwrap_or(0);
        let positions = self.positions(step, turns);
        let (over, left): (Vec<Position>, Vec<Position>) =
            positions.into_iter().partition(|position| {
                let state = self.remaining.as_ref().map(|(r, _)| r.run.state(position));
                state.is_some_and(StepState::is_over)
            });
        let done = if left.is_empty() && !over.is_empty() {
            " (over)"
        } else {
            ""
        };
        self.heading(depth, &format!("{number}. {}{done}", step.title));
        self.over(&over);
        if left.is_empty() {
            return;
        }
        if let Undo::None { .. } = step.undo {
            self.say("**POINT OF NO RETURN.**");
        }
        self.facts_of(step, &left);
        // Hosts for which everything is the same are told of together.
        let mut groups: Vec<(Vec<Piece>, Vec<String>)> = Vec::new();
        for position in &left {
            let pieces = self.pieces(step, position);
            let name = position.host.as_ref().map_or("", |host| host.as_str());
            match groups.iter_mut().find(|(known, _)| *known == pieces) {
                Some((_, names)) => names.push(name.to_owned()),
                None => groups.push((pieces, vec![name.to_owned()])),
            }
        }
        let several = groups.len() > 1;
        for (pieces, names) in groups {
            if several {
                self.say(&format!("On **{}**:", names.join(", ")));
            }
            markdown(&pieces, &mut self.out);
        }
    }

    /// What is over of a step, with its time.
    fn over(&mut self, over: &[Position]) {
        let Some((remaining, report)) = &self.remaining else {
            return;
        };
        let mut lines = String::new();
        for position in over {
            let row = report.timeline.iter().find(|row| row.position == *position);
            let at = row.and_then(|row| row.ended).map(text::moment);
            let how = row
                .map(|row| text::one_line(&row.how, 200))
                .unwrap_or_default();
            let how = if how.is_empty() {
                how
            } else {
                format!(": {how}")
            };
            let on = position
                .host
                .as_ref()
                .map(|h| format!(" on {h}"))
                .unwrap_or_default();
            let _ = writeln!(
                lines,
                "- {}{on}{}{how}",
                remaining.run.state(position).word(),
                at.map(|at| format!(", {at}")).unwrap_or_default()
            );
        }
        if !lines.is_empty() {
            let _ = writeln!(self.out, "{lines}");
        }
    }

    /// Which step it is, where, why, and within which bounds.
    fn facts_of(&mut self, step: &Step, left: &[Position]) {
        let hosts: Vec<&str> = left
            .iter()
            .filter_map(|p| p.host.as_ref().map(HostName::as_str))
            .collect();
        let on = if hosts.is_empty() {
            "on no host".to_owned()
        } else {
            format!("on {}", hosts.join(", "))
        };
        let stall = step
            .limits
            .stall
            .map(|stall| format!(", or {stall} without progress"));
        let again = match step.repeat {
            Repeat::Safe => "may be begun again freely",
            Repeat::CheckFirst => "may be begun again only when \"Already so?\" says no",
            Repeat::Once(_) => "**must happen once only**",
            Repeat::Person => "may be begun again only by who has looked at what became of it",
        };
        self.say(&format!(
            "`{}`, {on}. Takes about {}; something is wrong after {}{}. It {again}. Why: {}",
            step.id,
            step.limits.expected,
            step.limits.total,
            stall.unwrap_or_default(),
            step.why
        ));
    }

    /// Everything that is done and looked at for a position.
    fn pieces(&self, step: &Step, position: &Position) -> Vec<Piece> {
        let context = self.context(position.host.as_ref(), Some(position));
        let measure = |measure: &Measure| {
            let rendered = self.renderer.measure(measure, &context);
            by_hand::measure(&rendered.unwrap_or_else(|_| measure.clone()))
        };
        let mut out = Vec::new();
        for guard in &step.guards {
            out.push(Piece::Say(format!(
                "Before it, `{}` must hold; wait for it at most {}:",
                guard.name, guard.at_most
            )));
            out.extend(by_hand::test(&guard.test, self.plan));
        }
        if let Some(check) = &step.check {
            out.push(Piece::Say("Already so?".to_owned()));
            out.extend(measure(check));
            out.push(Piece::Say("Otherwise:".to_owned()));
        }
        match self.renderer.primitive(&step.work, &context) {
            Ok(work) => out.extend(by_hand::work(&work)),
            Err(_) => {
                out.extend(by_hand::work(&step.work));
                out.push(Piece::Say(
                    "What stands in `{{ }}` is an output of an earlier step; put it in by hand."
                        .to_owned(),
                ));
            }
        }
        if !matches!(step.work, Primitive::Ask(_))
            && let Some(verify) = &step.verify
        {
            out.push(Piece::Say("So now?".to_owned()));
            out.extend(measure(verify));
        }
        out.extend(by_hand::undo(&step.undo));
        out
    }
}

/// A cell of a table.
fn cell(text: &str) -> String {
    text::one_line(text, 400).replace('|', "\\|")
}

/// The command line that opens a shell on a host.
fn shell_of(host: &Host) -> String {
    let own = match login_words(&host.connection) {
        Ok(own) => own,
        Err(error) => return format!("({error})"),
    };
    let mut words = vec!["ssh".to_owned()];
    words.extend(own);
    let root = match &host.connection.become_user {
        Become::Sudo { user } => vec!["sudo", "-u", user.as_str(), "-i"],
        Become::No => Vec::new(),
    };
    if !root.is_empty() {
        words.push("-t".to_owned());
    }
    words.extend(["--".to_owned(), host.connection.address.clone()]);
    words.extend(root.into_iter().map(ToOwned::to_owned));
    let words: Vec<String> = words.iter().map(|word| text::shell_word(word)).collect();
    format!("`{}`", words.join(" "))
}
