//! An upgrade of the fleet of six with the events: the journal is followed, faults strike where they are wanted, and a person answers.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::kill::controller::{Controller, Failure, path};
use crate::kill::host::{HOST, Lab};
use crate::say::say;

use super::draw::Event;
use super::fault::DISKS_MB;
use super::fleet::Fleet;
use super::outcome::{Client, Struck, unexcused};
use super::person::answer;
use super::rows::{Row, Rows};
use super::run::read_end;
use super::strike::{Means, Stage, means};

/// The upgrade takes six minutes on two processors of its own; this is for one whose processors are wanted by many others too.
const RUN_S_MAX: u64 = 5_400;
/// Rows come in bursts, a few milliseconds apart; looking more often costs the run its processor time.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// A person who needs so many commands for one run is not helped.
const SITTINGS_MAX: usize = 40;
/// How long a person waits before a command that was refused is given again.
const PATIENCE: Duration = Duration::from_secs(5);
/// With silence counted as broken after three of these.
const KEEPALIVE: &str = "5s";
/// Longer than a short cut, shorter than a long one.
const RECONNECT_BUDGET: &str = "40s";
/// A service that was stopped by a fault is up so long after its start.
const STARTS_AGAIN: Duration = Duration::from_secs(10);
/// The library that gives the controller a clock of its own.
const FAKE_CLOCK: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";
/// A program that must be refused: as held, or because a host that is just made anew cannot even be asked.
const REFUSED: &str = "\"$@\"; case $? in 8 | 6) ;; *) exit 1 ;; esac";
/// A decision is written down at once.
const DECISION_S_MAX: u64 = 120;

/// What a trial saw.
pub struct Seen {
    /// The end of all hosts.
    pub end: Value,
    /// Events that struck.
    pub struck: Vec<Struck>,
    /// Events that did not, and why.
    pub missed: Vec<String>,
    /// The client's requests, in words.
    pub client: String,
}

/// An event that was begun, and what is still to be done for it.
struct Open {
    struck: Struck,
    stages: VecDeque<Stage>,
    working: Option<(Child, Stage)>,
    /// When the fault itself struck.
    since: Option<Instant>,
    /// When the last row about its position came.
    last: Option<Instant>,
    missed: Option<String>,
}

/// A trial.
pub struct Trial<'a> {
    lab: &'a Lab,
    overhaul: &'a Path,
    fleet: Fleet,
    dir: PathBuf,
    /// The address of the site, in the fleet that has one.
    site: Option<String>,
    pending: Vec<Event>,
    open: Vec<Open>,
    rows: Rows,
    moves_clock: bool,
    /// Where the present controller's words begin in the log.
    said_from: u64,
}

fn wrong(what: &str) -> impl Fn(std::io::Error) -> Failure {
    move |error| Failure::new(format!("{what}: {error}"))
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

impl<'a> Trial<'a> {
    /// A new fleet for it.
    pub fn new(
        lab: &'a Lab,
        overhaul: &'a Path,
        fleet: Fleet,
        mb: u32,
        events: &[Event],
    ) -> Result<Self, Failure> {
        let disks: Vec<String> = DISKS_MB
            .iter()
            .filter(|(host, _)| fleet.hosts().contains(host))
            .map(|(host, size)| format!("--disk={host}={size}"))
            .collect();
        lab.fresh_hosts(fleet.topology(), &disks)?;
        if fleet.hosts().contains(&HOST) {
            lab.load(mb)?;
        }
        let dir = lab.dir()?;
        let vars = dir.join("inventory/group_vars/all.yml");
        let text = fs::read_to_string(&vars).map_err(wrong("the inventory"))?;
        let site = text
            .lines()
            .find_map(|line| line.strip_prefix("site_address: "))
            .map(|address| address.trim().to_owned());
        Ok(Self {
            lab,
            overhaul,
            fleet,
            site,
            pending: events.to_vec(),
            open: Vec::new(),
            rows: Rows::new(dir.join("state")),
            moves_clock: events.iter().any(|event| event.fault.moves_clock()),
            said_from: 0,
            dir,
        })
    }

    /// Carries it out and proves its end.
    pub fn carry_out(mut self) -> Result<Seen, Failure> {
        let (before, end) = (self.dir.join("before.json"), self.dir.join("end.json"));
        self.lab.lab(&["remember", &path(&before)])?;
        self.set_clock(0)?;
        let (client_end, report) = (self.dir.join("client-ends"), self.dir.join("client.json"));
        let client = match &self.site {
            Some(site) => Some(self.client(site, &client_end, &report)?),
            None => None,
        };
        let asks = client.is_some();
        let tried = self.upgraded();
        // The client ends whatever has happened.
        fs::write(&client_end, "").map_err(wrong("the client's end"))?;
        if let Some(mut client) = client {
            client.wait().map_err(wrong("the client"))?;
        }
        tried?;
        let controller = Controller {
            overhaul: self.overhaul,
            dir: self.dir.clone(),
        };
        controller.must_be_complete()?;
        let state = path(&self.dir.join("state"));
        let (before, to) = (path(&before), path(&end));
        self.lab
            .lab(&["prove", &before, "--end", &to, "--state", &state])?;
        let (struck, missed) = self.outcome();
        Ok(Seen {
            end: read_end(&end)?,
            client: match asks {
                true => judged(&report, &struck)?,
                false => "none".to_owned(),
            },
            struck,
            missed,
        })
    }

    fn client(&self, site: &str, until: &Path, report: &Path) -> Result<Child, Failure> {
        let from = site.rsplit_once('.').map_or("", |(net, _)| net);
        let (from, url) = (format!("{from}.1"), format!("http://{site}/"));
        let (until, report) = (path(until), path(report));
        let words = [
            "client", "--from", &from, "--url", &url, "--until", &until, "--report", &report,
        ];
        let client = self.lab.command(words);
        // Without us nobody would tell it to end.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(client.get_program())
            .args(client.get_args())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command.spawn().map_err(wrong("the client"))
    }

    fn upgraded(&mut self) -> Result<(), Failure> {
        let began = Instant::now();
        let definition = self.lab.lab(&["definition", self.fleet.definition()])?;
        let fleet = path(&self.dir.join("inventory"));
        let first = ["run", definition.trim(), "--fleet", &fleet, "--yes"].map(str::to_owned);
        let mut child = self.start(&first)?;
        let mut sittings = 1;
        while began.elapsed() < Duration::from_secs(RUN_S_MAX) {
            for row in self.rows.fresh() {
                self.heed(&row, &mut child)?;
            }
            self.tend()?;
            if let Some(status) = child.try_wait().map_err(wrong("wait"))? {
                if status.success() {
                    return self.settle();
                }
                if sittings == SITTINGS_MAX {
                    return Err(Failure::new(format!("not over after {sittings} sittings")));
                }
                sittings += 1;
                child = self.act(status.code())?;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        let _ = child.kill();
        Err(Failure::new(format!("not over after {RUN_S_MAX} s")))
    }

    /// A controller that ends with us, its words in the log.
    fn start(&mut self, words: &[String]) -> Result<Child, Failure> {
        let log = self.dir.join("overhaul.log");
        let out = File::options().create(true).append(true).open(&log);
        let out = out.map_err(wrong("the log"))?;
        self.said_from = out.metadata().map_err(wrong("the log"))?.len();
        let err = out.try_clone().map_err(wrong("the log"))?;
        let mut command = self.program("state", words);
        command.stdout(out).stderr(err);
        command.spawn().map_err(wrong("overhaul"))
    }

    /// The program with a state folder of the instance; it is killed when this process ends.
    fn program(&self, state: &str, words: &[String]) -> Command {
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(self.overhaul)
            .args(["--state", &path(&self.dir.join(state))])
            .args(words)
            .env("OVERHAUL_RECONNECT_BUDGET", RECONNECT_BUDGET)
            .env("OVERHAUL_KEEPALIVE", KEEPALIVE)
            .stdin(Stdio::null());
        if self.moves_clock {
            command
                .env("LD_PRELOAD", FAKE_CLOCK)
                .env("FAKETIME_TIMESTAMP_FILE", self.clock_file())
                .env("FAKETIME_NO_CACHE", "1")
                .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
                .env("DONT_FAKE_MONOTONIC", "1")
                .env("NO_FAKE_STAT", "1");
        }
        command
    }

    fn clock_file(&self) -> PathBuf {
        self.dir.join("clock")
    }

    fn set_clock(&self, seconds: i64) -> Result<(), Failure> {
        // In one step: it is read at every look at the clock.
        let beside = self.dir.join("clock.new");
        fs::write(&beside, format!("{seconds:+}\n"))
            .and_then(|()| fs::rename(&beside, self.clock_file()))
            .map_err(wrong("the clock"))
    }

    /// A row of the journal: what was struck may have gone on, and the place of an event may have come.
    fn heed(&mut self, row: &Row, child: &mut Child) -> Result<(), Failure> {
        let now = Instant::now();
        for open in &mut self.open {
            let (Some(since), None) = (open.since, open.struck.continued) else {
                continue;
            };
            if row.position == open.struck.position {
                open.last = Some(now);
            } else if row.host() == open.struck.event.place.host && row.begins() {
                open.goes_on(since, now);
            }
        }
        let found = self.pending.iter().position(|event| {
            row.begins() && row.event != "checked" && event.place.is(&row.position)
        });
        match found {
            Some(at) => {
                let event = self.pending.remove(at);
                self.strike(event, row, child)
            }
            None => Ok(()),
        }
    }

    fn strike(&mut self, event: Event, row: &Row, child: &mut Child) -> Result<(), Failure> {
        say(format_args!("{} at {}", event.fault.word(), row.position));
        let mut open = Open {
            struck: Struck {
                event,
                position: row.position.clone(),
                at_ms: now_ms(),
                healed_ms: None,
                continued: None,
                person: Vec::new(),
                remarks: Vec::new(),
            },
            stages: VecDeque::new(),
            working: None,
            since: None,
            last: None,
            missed: None,
        };
        let site = self.site.as_deref().unwrap_or_default();
        match means(&event, self.lab, site) {
            Means::Kill => {
                child.kill().map_err(wrong("kill"))?;
                open.since = Some(Instant::now());
            }
            Means::Clock(seconds) => {
                self.set_clock(seconds)?;
                open.since = Some(Instant::now());
            }
            Means::Second => {
                open.stages = self.second();
                open.since = Some(Instant::now());
            }
            Means::Lab(stages) => open.stages = stages,
        }
        self.open.push(open);
        Ok(())
    }

    /// The same run from another terminal, and another run of the same fleet from another state folder: both must be refused as held.
    fn second(&self) -> VecDeque<Stage> {
        let definition = path(&self.dir.join("upgrade.yaml"));
        let fleet = path(&self.dir.join("inventory"));
        let other = ["run", &definition, "--fleet", &fleet, "--yes"].map(str::to_owned);
        let refused = |command: &Command, shows| {
            let mut refused = Command::new("sh");
            refused
                .args(["-c", REFUSED, "sh"])
                .arg(command.get_program())
                .args(command.get_args())
                .stdin(Stdio::null());
            for (name, value) in command.get_envs() {
                if let Some(value) = value {
                    refused.env(name, value);
                }
            }
            Stage {
                command: refused,
                or_else: None,
                shows: Some(shows),
                strikes_at_once: false,
            }
        };
        let same = self.program("state", &["resume".to_owned()]);
        let another = self.program("other-state", &other);
        VecDeque::from([
            refused(&same, "a second controller was refused"),
            refused(&another, "another run was refused"),
        ])
    }

    /// Looks after what brings the faults about.
    fn tend(&mut self) -> Result<(), Failure> {
        for open in &mut self.open {
            open.tend()?;
        }
        Ok(())
    }

    /// A controller has ended: the person does what was said, and nothing else.
    fn act(&mut self, code: Option<i32>) -> Result<Child, Failure> {
        let said = match code {
            Some(_) => self.said()?,
            // Who finds it gone looks first.
            None => self.ask(&["status".to_owned()])?,
        };
        let Some(answer) = answer(&said) else {
            return Err(Failure::new(format!(
                "overhaul ended with {code:?} and named no command:\n{said}"
            )));
        };
        let mut given = Vec::new();
        for words in &answer.decisions {
            self.ask(words)?;
            given.push(words);
        }
        given.push(&answer.go_on);
        for words in given {
            let verb = words.first().map(String::as_str).unwrap_or_default();
            let about = words.get(1).filter(|_| verb != "resume");
            let line = match about {
                Some(position) => format!("{verb} {position}"),
                None => verb.to_owned(),
            };
            say(format_args!("  exit {code:?}; the person: overhaul {line}"));
            let waits = |open: &&mut Open| {
                let struck = &open.struck;
                open.since.is_some()
                    && struck.continued.is_none()
                    && about.is_none_or(|position| *position == struck.position)
            };
            for open in self.open.iter_mut().filter(waits) {
                open.struck.person.push(verb.to_owned());
            }
        }
        if answer.decisions.is_empty() && code.is_some() {
            std::thread::sleep(PATIENCE);
        }
        self.start(&answer.go_on)
    }

    /// What the controller that has just ended said.
    fn said(&self) -> Result<String, Failure> {
        let mut log = File::open(self.dir.join("overhaul.log")).map_err(wrong("the log"))?;
        log.seek(SeekFrom::Start(self.said_from))
            .map_err(wrong("the log"))?;
        let mut said = Vec::new();
        log.read_to_end(&mut said).map_err(wrong("the log"))?;
        Ok(String::from_utf8_lossy(&said).into_owned())
    }

    fn ask(&self, words: &[String]) -> Result<String, Failure> {
        let program = self.program("state", words);
        let mut command = Command::new("timeout");
        command
            .arg(DECISION_S_MAX.to_string())
            .arg(program.get_program())
            .args(program.get_args())
            .stdin(Stdio::null());
        let output = command.output().map_err(wrong("overhaul"))?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        // `status` tells by its code how the run stands.
        let is_status = words.first().is_some_and(|word| word == "status");
        if output.status.success() || is_status {
            return Ok(said);
        }
        let errors = String::from_utf8_lossy(&output.stderr);
        Err(Failure::new(format!(
            "overhaul {}: {}: {said}{errors}",
            words.join(" "),
            output.status
        )))
    }

    /// The run is over: so is the wait for each event, but for what still heals.
    fn settle(&mut self) -> Result<(), Failure> {
        while self.open.iter().any(|open| open.working.is_some()) {
            self.tend()?;
            std::thread::sleep(LOOK_EVERY);
        }
        // What heals on the host by itself has its time, and a moment to start.
        while now_ms() < self.open.iter().map(Open::healed_by_ms).max().unwrap_or(0) {
            std::thread::sleep(LOOK_EVERY);
        }
        let now = Instant::now();
        for open in &mut self.open {
            match (open.since, open.struck.continued) {
                (Some(since), None) => open.goes_on(since, now),
                (None, _) if open.missed.is_none() => {
                    open.missed = Some("the run was over before".to_owned());
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn outcome(&self) -> (Vec<Struck>, Vec<String>) {
        let name = |event: &Event| format!("{} {:?}", event.fault.word(), event.place);
        let never = self.pending.iter();
        let mut missed: Vec<String> = never
            .map(|event| format!("{}: its step never began", name(event)))
            .collect();
        let mut struck = Vec::new();
        for open in &self.open {
            match &open.missed {
                Some(why) => missed.push(format!("{}: {why}", name(&open.struck.event))),
                None => struck.push(open.struck.clone()),
            }
        }
        (struck, missed)
    }
}

impl Open {
    fn tend(&mut self) -> Result<(), Failure> {
        if let Some((mut child, mut stage)) = self.working.take() {
            let Some(status) = child.try_wait().map_err(wrong("wait"))? else {
                self.working = Some((child, stage));
                return Ok(());
            };
            match (status.success(), stage.or_else.take(), stage.shows) {
                (false, Some(command), _) => {
                    self.stages.push_front(Stage { command, ..stage });
                }
                (false, None, Some(shows)) => {
                    self.struck.remarks.push(format!("NOT so: {shows}"));
                }
                (false, None, None) => {
                    self.missed = Some(format!("{:?}: {status}", stage.command));
                    self.stages.clear();
                }
                (true, _, shows) => {
                    self.struck.remarks.extend(shows.map(str::to_owned));
                    if self.stages.is_empty() {
                        self.struck.healed_ms = Some(now_ms());
                    }
                    let moments_left = self.stages.iter().any(|stage| stage.strikes_at_once);
                    if self.since.is_none() && !moments_left {
                        self.strikes();
                    }
                }
            }
        }
        if let Some(mut stage) = self.stages.pop_front() {
            let child = stage.command.spawn().map_err(wrong("the lab"))?;
            if stage.strikes_at_once {
                self.strikes();
            }
            self.working = Some((child, stage));
        }
        Ok(())
    }

    /// When nothing of the fault is left, at the latest.
    fn healed_by_ms(&self) -> i64 {
        let lasts = Duration::from_secs(self.struck.event.fault.lasts_s()) + STARTS_AGAIN;
        let lasts = i64::try_from(lasts.as_millis()).unwrap_or(i64::MAX);
        self.struck.at_ms.saturating_add(lasts)
    }

    /// The lane is behind the position that was struck.
    fn goes_on(&mut self, since: Instant, now: Instant) {
        if self.last.is_none() {
            let over = "its step had ended just before; the host's next is what is timed";
            self.struck.remarks.push(over.to_owned());
        }
        let last = self.last.unwrap_or(now);
        self.struck.continued = Some(last.saturating_duration_since(since));
        say(&self.struck);
    }

    fn strikes(&mut self) {
        self.since = Some(Instant::now());
        self.struck.at_ms = now_ms();
    }
}

/// Reads what the client saw; requests that failed without a fault that excuses them are a failure.
fn judged(report: &Path, struck: &[Struck]) -> Result<String, Failure> {
    let text = fs::read(report).map_err(wrong("the client's report"))?;
    let client: Client = serde_json::from_slice(&text)
        .map_err(|error| Failure::new(format!("the client's report: {error}")))?;
    let (others, excused) = unexcused(&client, struck);
    if others.is_empty() {
        return Ok(format!(
            "{} requests, {excused} failed, all while a fault had taken the site away",
            client.total
        ));
    }
    let times: Vec<String> = struck
        .iter()
        .map(|one| {
            format!(
                "  {} {} from {}",
                one.event.fault.word(),
                one.position,
                one.at_ms
            )
        })
        .collect();
    Err(Failure::new(format!(
        "{} requests failed without a fault that takes the site away, at {others:?}; faults:\n{}",
        others.len(),
        times.join("\n")
    )))
}
