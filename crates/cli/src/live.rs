//! What a person sees while a run goes on: plain lines, or one moving line for each lane.

use crate::attention::clock_text;
use crate::commands::decide::about_what;
use crate::console::Console;
use crate::show::status::{Down, work_word};
use crate::text;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use overhaul_engine::Watcher;
use overhaul_machine::clocks::{Clock, ServiceState};
use overhaul_machine::{Doing, RunStanding, Standing};
use overhaul_model::event::{Event, Outcome, Record, Settlement};
use overhaul_model::id::{HostName, Position, ServiceName, StepId};
use overhaul_model::plan::Plan;
use overhaul_model::primitive::Measurement;
use overhaul_model::span::Span;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes of a running step's output that are kept, to show its last line.
const OUTPUT_BYTES_MAX: usize = 4 * 1024;

/// Lanes that move on the screen; the others are counted in the line of the whole run.
const LANES_SHOWN_MAX: usize = 20;

/// Moving lines are drawn so often per second: enough for the eye, little for a slow line.
const DRAWS_PER_S: u8 = 10;

/// Width of a moving line when the terminal does not tell its own.
const WIDTH_USUAL: usize = 100;

/// A title is not cut below this, however narrow the terminal.
const TITLE_CHARS_MIN: usize = 16;

/// Characters of what was measured that a line shows.
const EVIDENCE_CHARS_MAX: usize = 80;

/// Lines of a failed step's output in the plain form.
const TAIL_LINES_MAX: usize = 12;

/// Shows a run while it goes on.
pub struct Live {
    console: Console,
    titles: BTreeMap<StepId, String>,
    windows: BTreeMap<ServiceName, Option<Span>>,
    /// The number of the last event that was there before this controller: it is not told again.
    old: u64,
    inner: Mutex<Inner>,
}

struct Inner {
    screen: Option<Screen>,
    outputs: BTreeMap<Position, String>,
    began: BTreeMap<Position, Timestamp>,
    down: BTreeMap<(ServiceName, Option<HostName>), Timestamp>,
    /// Clocks of services, as they stood a moment ago.
    clocks: Vec<Clock>,
    standing: Option<Standing>,
    /// Guards and waits that were told: each is told once, not at every measurement.
    told: BTreeMap<Position, String>,
}

struct Screen {
    all: MultiProgress,
    run: ProgressBar,
    lanes: BTreeMap<String, ProgressBar>,
}

impl Live {
    /// For a run of this plan whose journal has this many events already.
    pub fn new(console: Console, plan: &Plan, old: u64) -> Self {
        let placed = plan.positions();
        let titles = placed
            .iter()
            .map(|p| (p.step.id.clone(), p.step.title.clone()));
        let windows = plan
            .services
            .iter()
            .map(|(name, s)| (name.clone(), s.window));
        Self {
            console,
            titles: titles.collect(),
            windows: windows.collect(),
            old,
            inner: Mutex::new(Inner {
                screen: console.live.then(Screen::new),
                outputs: BTreeMap::new(),
                began: BTreeMap::new(),
                down: BTreeMap::new(),
                clocks: Vec::new(),
                standing: None,
                told: BTreeMap::new(),
            }),
        }
    }

    /// Takes the moving lines away, so that what is printed next stands alone.
    pub fn end(&self) {
        if let Some(screen) = self.lock().screen.take() {
            let _ = screen.all.clear();
        }
    }

    /// A remark that stays on the screen.
    pub fn say(&self, line: &str) {
        self.print(&self.lock(), line);
    }

    /// Draws the clocks again. Called about once a second.
    pub fn tick(&self, clocks: Vec<Clock>) {
        let mut inner = self.lock();
        inner.clocks = clocks;
        self.draw(&mut inner);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic while drawing harms the picture only.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn print(&self, inner: &Inner, line: &str) {
        let line = &self.painted(line);
        match &inner.screen {
            Some(screen) => screen.all.suspend(|| self.console.note(line)),
            None => self.console.note(line),
        }
    }

    /// What people must not miss is red, what they are asked is yellow.
    fn painted(&self, line: &str) -> String {
        const RED: [&str; 4] = [" FAILED ", " UNKNOWN ", " NOT SO ", " is DOWN"];
        const YELLOW: [&str; 2] = [" asked ", " waits "];
        let has = |words: &[&str]| words.iter().any(|word| line.contains(word));
        match self.console.colour {
            true if has(&RED) => format!("\u{1b}[31m{line}\u{1b}[0m"),
            true if has(&YELLOW) => format!("\u{1b}[33m{line}\u{1b}[0m"),
            _ => line.to_owned(),
        }
    }

    fn name(&self, position: &Position) -> String {
        match self.titles.get(&position.step) {
            Some(title) => format!("{} [{position}]", text::clean(title)),
            None => position.to_string(),
        }
    }
}

impl Watcher for Live {
    fn recorded(&self, record: &Record) {
        let mut inner = self.lock();
        inner.take(record);
        if record.seq <= self.old {
            return;
        }
        if self.console.json {
            let line = serde_json::to_string(record).unwrap_or_default();
            self.console.out(&format!("{line}\n"));
            return;
        }
        for line in self.words(&inner, record) {
            self.print(&inner, &line);
        }
        self.draw(&mut inner);
    }

    fn progress(&self, position: &Position, bytes: &[u8]) {
        if !self.console.live {
            return;
        }
        let mut inner = self.lock();
        let output = inner.outputs.entry(position.clone()).or_default();
        output.push_str(&String::from_utf8_lossy(bytes));
        if output.len() > OUTPUT_BYTES_MAX {
            let mut from = output.len().saturating_sub(OUTPUT_BYTES_MAX / 2);
            while !output.is_char_boundary(from) {
                from = from.saturating_add(1);
            }
            output.drain(..from);
        }
    }

    fn standing(&self, standing: &Standing) {
        let mut inner = self.lock();
        inner.standing = Some(standing.clone());
        if !self.console.json {
            for line in self.waits(&mut inner, standing) {
                let at = text::clock(Timestamp::now());
                self.print(&inner, &format!("{at} {line}"));
            }
        }
        self.draw(&mut inner);
    }
}

impl Inner {
    fn take(&mut self, record: &Record) {
        match &record.event {
            Event::Started { position, .. } => {
                self.outputs.remove(position);
                self.began.insert(position.clone(), record.at);
            }
            Event::Probed {
                service, host, up, ..
            } => {
                let key = (service.clone(), host.clone());
                if *up {
                    self.down.remove(&key);
                } else {
                    self.down.entry(key).or_insert(record.at);
                }
            }
            _ => {}
        }
    }
}

/// What an event says in the plain form.
impl Live {
    /// The lines of an event of a run that nobody watches.
    pub fn told(&self, record: &Record) -> Vec<String> {
        let mut inner = self.lock();
        inner.take(record);
        self.words(&inner, record)
    }

    fn words(&self, inner: &Inner, record: &Record) -> Vec<String> {
        let at = text::clock(record.at);
        let lines = self.lines(inner, record).into_iter();
        lines.map(|line| format!("{at} {line}")).collect()
    }

    fn lines(&self, inner: &Inner, record: &Record) -> Vec<String> {
        if let Event::Ended {
            position, outcome, ..
        } = &record.event
        {
            return self.ended(inner, record.at, position, outcome);
        }
        let line = of_run(&record.event).or_else(|| self.of_step(&record.event));
        line.into_iter().collect()
    }

    /// Events that are about a step; the rest is not worth a line.
    fn of_step(&self, event: &Event) -> Option<String> {
        let about = |word: &str, position: &Position, what: &str| {
            let what = text::clean(what);
            Some(format!(
                "{word:<8} {}: {}",
                self.name(position),
                what.trim_end()
            ))
        };
        match event {
            Event::Started {
                position, attempt, ..
            } => {
                let again = match attempt {
                    1 => String::new(),
                    more => format!(" (attempt {more})"),
                };
                Some(format!("begun    {}{again}", self.name(position)))
            }
            Event::Checked {
                position,
                result: Measurement::So { evidence },
            } => about(
                "is so",
                position,
                &text::one_line(evidence, EVIDENCE_CHARS_MAX),
            ),
            Event::Settled {
                position,
                settlement,
                ..
            } => about("settled", position, &settled(settlement)),
            Event::Verified {
                position,
                result: Measurement::NotSo { evidence },
                ..
            } => about("NOT SO", position, evidence),
            Event::Verified {
                position,
                result: Measurement::Unknown { reason },
                ..
            } => about("UNKNOWN", position, reason),
            Event::Asked {
                position, question, ..
            } => about("asked", position, question),
            _ => None,
        }
    }

    fn ended(
        &self,
        inner: &Inner,
        at: Timestamp,
        position: &Position,
        outcome: &Outcome,
    ) -> Vec<String> {
        let name = self.name(position);
        match outcome {
            Outcome::Succeeded { unsynced, .. } => {
                let took = inner
                    .began
                    .get(position)
                    .map(|began| Span::between(*began, at));
                let took = took
                    .map(|t| format!(" in {}", text::span(t)))
                    .unwrap_or_default();
                let mut out = vec![format!("ended    {name}{took}")];
                out.extend(unsynced.iter().map(|lacking| {
                    let lacking = text::one_line(lacking, EVIDENCE_CHARS_MAX);
                    format!("         | not known to be on its disk: {lacking}")
                }));
                out
            }
            Outcome::Failed { why, tail, .. } => {
                let mut out = vec![format!("FAILED   {name}: {}", text::clean(why))];
                let tail = text::clean(tail);
                let lines: Vec<&str> = tail.lines().collect();
                let skip = lines.len().saturating_sub(TAIL_LINES_MAX);
                out.extend(
                    lines
                        .iter()
                        .skip(skip)
                        .map(|line| format!("         | {line}")),
                );
                out
            }
            Outcome::Unknown { reason } => {
                vec![format!("UNKNOWN  {name}: {}", text::clean(reason))]
            }
        }
    }

    /// What is waited for, told once for each reason.
    fn waits(&self, inner: &mut Inner, standing: &Standing) -> Vec<String> {
        let mut out = Vec::new();
        let mut now = BTreeMap::new();
        for open in &standing.open {
            let Doing::Waiting { on, until } = &open.doing else {
                continue;
            };
            // The part after the first colon is what was measured last; it changes all the time.
            let reason = on.split(':').next().unwrap_or(on).to_owned();
            if inner.told.get(&open.position) != Some(&reason) {
                let until = until
                    .map(|u| format!(", until {}", text::clock(u)))
                    .unwrap_or_default();
                out.push(format!(
                    "waits    {}: {}{until}",
                    self.name(&open.position),
                    text::clean(on)
                ));
            }
            now.insert(open.position.clone(), reason);
        }
        inner.told = now;
        out
    }
}

/// Events that are about the run, a host or a service.
fn of_run(event: &Event) -> Option<String> {
    match event {
        Event::RunOpened { run, person, .. } => Some(format!("run {run} begun by {person}")),
        Event::ControllerTook { generation, person } if generation.counter > 1 => Some(format!(
            "taken up by {person} (controller {})",
            generation.counter
        )),
        Event::Amended { person, reason, .. } => Some(format!(
            "the plan was amended by {person}: {}",
            text::one_line(reason, 200)
        )),
        Event::Salvaged { person, kept, .. } => Some(format!(
            "rows behind {kept} were lost; the whole ones were kept by {person}"
        )),
        Event::HostRegistered { host, .. } => Some(format!("{host}: registered")),
        Event::HostRefused {
            host,
            why,
            transient,
        } => {
            let again = if *transient { "; tried again" } else { "" };
            Some(format!("{host}: {}{again}", text::clean(why)))
        }
        Event::HostReleased { host } => Some(format!("{host}: released")),
        Event::Limited { sitting } => {
            Some(format!("limits   {}", text::one_line(&sitting.words, 200)))
        }
        Event::TakenUp { host } => Some(format!("{host}: its day has come, it is taken up")),
        Event::CleanupBegan { person, .. } => Some(format!("cleanup begun by {person}")),
        Event::CopyRemoved { person, file } => Some(format!("{file}: removed by {person}")),
        Event::Decided(decision) => Some(decided(decision)),
        Event::Declined { why, .. } => Some(format!("declined a request: {}", text::clean(why))),
        Event::Probed {
            service,
            host,
            up,
            detail,
        } => {
            let on = host
                .as_ref()
                .map(|h| format!(" on {h}"))
                .unwrap_or_default();
            let state = if *up { "is up" } else { "is DOWN" };
            let detail = text::one_line(detail, EVIDENCE_CHARS_MAX);
            Some(format!("service  {service}{on} {state}: {detail}"))
        }
        Event::RepairMeasured { position, result } if result.is_so() => {
            let seen = text::one_line(result.words(), EVIDENCE_CHARS_MAX);
            Some(format!("repair   {position}: {seen}"))
        }
        _ => None,
    }
}

fn settled(settlement: &Settlement) -> String {
    match settlement {
        Settlement::NeverBegan => "it never began".to_owned(),
        Settlement::Running => "it is at work".to_owned(),
        Settlement::Ended(Outcome::Succeeded { .. }) => "it was carried out".to_owned(),
        Settlement::Ended(Outcome::Failed { why, .. }) => {
            format!("it failed: {}", text::clean(why))
        }
        Settlement::Ended(Outcome::Unknown { reason }) | Settlement::Unknown { reason } => {
            format!("nobody can say: {}", text::clean(reason))
        }
    }
}

fn decided(decision: &overhaul_model::event::Decision) -> String {
    let about = about_what(&decision.choice);
    let reason = match decision.reason.as_str() {
        "" => String::new(),
        reason => format!(": {}", text::one_line(reason, 120)),
    };
    format!(
        "decided  {}{about} by {}{reason}",
        decision.choice.word(),
        decision.person
    )
}

/// The moving lines.
impl Live {
    fn draw(&self, inner: &mut Inner) {
        let now = Timestamp::now();
        let lines = self.lanes(inner, now);
        let whole = self.whole(inner, now);
        let Some(screen) = &mut inner.screen else {
            return;
        };
        screen.set(&whole, lines);
    }

    /// One line for each lane that does something, by lane.
    fn lanes(&self, inner: &Inner, now: Timestamp) -> BTreeMap<String, String> {
        let mut out = BTreeMap::new();
        let Some(standing) = &inner.standing else {
            return out;
        };
        for open in &standing.open {
            let position = &open.position;
            let lane = position
                .host
                .as_ref()
                .map_or("run", |host| host.as_str())
                .to_owned();
            let title = self
                .titles
                .get(&position.step)
                .map_or(position.step.as_str(), String::as_str);
            let title = text::cut(&text::clean(title), title_chars_max(width()));
            let mut line = format!("{lane}: {title}");
            // Writing to a String cannot fail.
            let _ = match &open.doing {
                Doing::Working { work, since } => {
                    let since = since.or_else(|| inner.began.get(position).copied());
                    let clock = since
                        .map(|s| text::seconds(Span::between(s, now)))
                        .unwrap_or_default();
                    let output = inner.outputs.get(position).map(|o| text::last_line(o, 200));
                    match output.filter(|output| !output.is_empty()) {
                        Some(output) => write!(line, " {clock} | {output}"),
                        None => write!(line, " {clock} ({})", work_word(*work)),
                    }
                }
                Doing::Waiting { on, until } => {
                    let until = until
                        .map(|u| format!(" until {}", text::clock(u)))
                        .unwrap_or_default();
                    write!(line, " waits for {}{until}", text::one_line(on, 200))
                }
                Doing::NeedsPerson { why, .. } => {
                    write!(line, " needs a decision: {}", text::one_line(why, 200))
                }
                Doing::Paused => write!(line, " paused"),
                Doing::Limited => write!(line, " outside of this sitting's limits"),
            };
            out.insert(format!("{lane} {}", position.step), line);
        }
        out
    }

    fn whole(&self, inner: &Inner, now: Timestamp) -> String {
        let word = match inner.standing.as_ref().map(|s| s.run) {
            Some(RunStanding::Working) => "under way",
            Some(RunStanding::Waiting) => "waiting",
            Some(RunStanding::NeedsPerson) => "needs a decision: overhaul status",
            Some(RunStanding::Paused) => "paused",
            Some(RunStanding::Limited) => "at its limits",
            Some(RunStanding::Postponed { .. }) => "only postponed hosts are left",
            Some(RunStanding::Ending(_)) => "ending",
            Some(RunStanding::Over(_)) => "over",
            None => "beginning",
        };
        let mut out = word.to_owned();
        for clock in &inner.clocks {
            let _ = write!(out, "; {}", clock_text(clock));
        }
        let told = |service: &ServiceName| {
            let mut clocks = inner.clocks.iter();
            clocks.any(|clock| clock.service == *service && clock.state == ServiceState::Down)
        };
        let down = inner.down.iter().filter(|((service, _), _)| !told(service));
        for ((service, host), since) in down {
            let down = Down {
                service: service.clone(),
                host: host.clone(),
                since: *since,
                length: Span::between(*since, now),
                budget: self.windows.get(service).copied().flatten(),
            };
            let _ = write!(out, "; {}", down.text());
        }
        out
    }
}

impl Screen {
    fn new() -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(DRAWS_PER_S));
        let run = all.add(Self::bar());
        Self {
            all,
            run,
            lanes: BTreeMap::new(),
        }
    }

    fn bar() -> ProgressBar {
        let bar = ProgressBar::new_spinner();
        // The template holds nothing but the message, so that it is always valid.
        if let Ok(style) = ProgressStyle::with_template("{wide_msg}") {
            bar.set_style(style);
        }
        bar
    }

    fn set(&mut self, whole: &str, lines: BTreeMap<String, String>) {
        let width = width();
        let hidden = lines.len().saturating_sub(LANES_SHOWN_MAX);
        let shown: BTreeMap<String, String> = lines.into_iter().take(LANES_SHOWN_MAX).collect();
        self.lanes.retain(|key, bar| {
            let stays = shown.contains_key(key);
            if !stays {
                self.all.remove(bar);
            }
            stays
        });
        for (key, line) in shown {
            let all = &self.all;
            let run = &self.run;
            // A lane has its place by its name, not by when it began.
            let next = self.lanes.range(key.clone()..).next();
            let next = next.map_or_else(|| run.clone(), |(_, bar)| bar.clone());
            let bar = self
                .lanes
                .entry(key)
                .or_insert_with(|| all.insert_before(&next, Self::bar()));
            bar.set_message(text::cut(&line, width));
        }
        let more = if hidden > 0 {
            format!(" ({hidden} more lanes)")
        } else {
            String::new()
        };
        self.run
            .set_message(text::cut(&format!("{whole}{more}"), width));
    }
}

/// What a lane's title may take of the line: what happens right now must stay in sight.
fn title_chars_max(width: usize) -> usize {
    (width / 2).max(TITLE_CHARS_MIN)
}

/// Columns of the terminal.
fn width() -> usize {
    rustix::termios::tcgetwinsize(std::io::stderr())
        .ok()
        .map(|size| usize::from(size.ws_col))
        .filter(|columns| *columns > 10)
        .unwrap_or(WIDTH_USUAL)
}
