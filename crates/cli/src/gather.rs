//! Facts of many hosts, and what to do about hosts that give none.

use crate::console::Console;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::text;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use overhaul_engine::ports::{Fault, Reach as _};
use overhaul_model::facts::{FactsWanted, FleetFacts, HostFacts, Known, Mount};
use overhaul_model::id::HostName;
use overhaul_reach::SshReach;
use rustix::fs::{StatVfsMountFlags, statvfs};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How long a resumed run waits for hosts that are away: a reboot of a large machine passes within it.
const RESUME_WAIT_S_MAX: u64 = 300;

/// Time between two looks at a host that is away.
const RESUME_EVERY_S: u64 = 5;

/// Draws of the counting line in a second.
const COUNTS_PER_S: u8 = 10;

/// Hosts whose trouble is listed; the others are counted.
const TROUBLE_LISTED_MAX: usize = 20;

/// Facts of these hosts, all asked at once; the transport bounds the connections.
pub async fn facts<'a>(
    reach: &Arc<SshReach>,
    hosts: impl IntoIterator<Item = &'a HostName>,
    wanted: &FactsWanted,
) -> Result<FleetFacts, Failure> {
    let mut out = FleetFacts::new();
    ask(reach, hosts, wanted, After::Stay, |host, facts| {
        out.insert(host, facts);
    })
    .await?;
    Ok(out)
}

/// The same for hosts with which nothing else is to be done: each is left as soon as it has answered, and
/// what it answered is handed over then.
pub async fn each<'a>(
    reach: &Arc<SshReach>,
    hosts: impl IntoIterator<Item = &'a HostName>,
    wanted: &FactsWanted,
    heard: impl FnMut(HostName, HostFacts),
) -> Result<(), Failure> {
    ask(reach, hosts, wanted, After::Leave, heard).await
}

/// What becomes of a connection over which facts came.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    Stay,
    Leave,
}

async fn ask<'a>(
    reach: &Arc<SshReach>,
    hosts: impl IntoIterator<Item = &'a HostName>,
    wanted: &FactsWanted,
    after: After,
    mut heard: impl FnMut(HostName, HostFacts),
) -> Result<(), Failure> {
    let mut tasks = JoinSet::new();
    let wanted = Arc::new(wanted.clone());
    for host in hosts {
        let (reach, host, wanted) = (Arc::clone(reach), host.clone(), Arc::clone(&wanted));
        tasks.spawn(async move {
            let facts = reach.facts(&host, &wanted).await;
            if after == After::Leave {
                reach.leave(&host).await;
            }
            (host, facts)
        });
    }
    while let Some(done) = tasks.join_next().await {
        let (host, facts) = done.map_err(Failure::internal)?;
        heard(host, facts);
    }
    Ok(())
}

/// The line that counts answers while they come, on a terminal.
pub struct Count {
    bar: ProgressBar,
    trouble: usize,
}

impl Count {
    /// Of so many hosts.
    pub fn new(hosts: usize, console: Console) -> Self {
        let bar = if console.live {
            let length = u64::try_from(hosts).unwrap_or(u64::MAX);
            ProgressBar::with_draw_target(
                Some(length),
                ProgressDrawTarget::stderr_with_hz(COUNTS_PER_S),
            )
        } else {
            ProgressBar::hidden()
        };
        // A template that cannot be read would be a fault of the build; the usual one does as well.
        if let Ok(style) =
            ProgressStyle::with_template("facts of {pos} of {len} hosts{msg}, {elapsed}")
        {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_secs(1));
        Self { bar, trouble: 0 }
    }

    /// One host has answered, or is in trouble.
    pub fn one(&mut self, in_trouble: bool) {
        if in_trouble {
            self.trouble = self.trouble.saturating_add(1);
            self.bar
                .set_message(format!(", {} in trouble", self.trouble));
        }
        self.bar.inc(1);
    }

    /// Takes the line away.
    pub fn end(self) {
        self.bar.finish_and_clear();
    }
}

/// What to do about a host, by what its reason says. Tests over a real connection hold the words together.
const WAYS_OUT: [(&str, &str); 5] = [
    (
        "sudo wants a password",
        "give it: --ask-sudo-password, or --sudo-password-file FILE",
    ),
    (
        "wrong sudo password",
        "it was tried once on each host: many wrong ones lock an account",
    ),
    (
        "helper of another version",
        "overhaul and overhaul-helper must be of one build; the helper is the file beside overhaul, or --helper FILE",
    ),
    (
        "overhaul_state_dir",
        "in an INI inventory it is a variable of the host; in our own form it is the host's key `state_dir`",
    ),
    (
        "No space left on device",
        "make room there, or name a folder on another disk: `state_dir` of the host, `overhaul_state_dir` in an INI inventory",
    ),
];

/// Facts of this machine, as far as the checker asks for them: free space where runs are kept.
pub fn controller(state: &Path) -> HostFacts {
    let now = Timestamp::now();
    let mut facts = HostFacts::unknown(now, "not asked");
    // The folder may not be there yet; then its filesystem is that of the first folder above it.
    let there = state.ancestors().find(|path| path.exists());
    let Some((path, stat)) = there.and_then(|path| Some((path, statvfs(path).ok()?))) else {
        return facts;
    };
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    facts.mounts = Known::Measured {
        value: vec![Mount {
            path: path.display().to_string().into(),
            source: "unknown".into(),
            kind: "unknown".into(),
            size_bytes: bytes(stat.f_blocks),
            free_bytes: bytes(stat.f_bavail),
            exec: !stat.f_flag.contains(StatVfsMountFlags::NOEXEC),
            read_only: stat.f_flag.contains(StatVfsMountFlags::RDONLY),
        }],
        at: now,
    };
    facts
}

/// Why nothing at all is known of a host, if so: then it was not worked with.
pub fn trouble(facts: &HostFacts) -> Option<&str> {
    match (
        &facts.release,
        &facts.machine_id,
        &facts.install_id,
        &facts.boot,
    ) {
        (
            Known::Unknown { reason },
            Known::Unknown { reason: second },
            Known::Unknown { reason: third },
            Known::Unknown { reason: fourth },
        ) if reason == second && reason == third && reason == fourth => Some(reason),
        _ => None,
    }
}

/// The hosts that could not be worked with, as a failure.
///
/// # Errors
/// When there are any.
pub fn none_in_trouble(facts: &FleetFacts) -> Result<(), Failure> {
    let troubled: Vec<(&HostName, &str)> = facts
        .iter()
        .filter_map(|(host, facts)| Some((host, trouble(facts)?)))
        .collect();
    if troubled.is_empty() {
        return Ok(());
    }
    let mut message = format!(
        "{} of {} could not be worked with; nothing was changed",
        troubled.len(),
        text::count(facts.len(), "host")
    );
    for (host, why) in troubled.iter().take(TROUBLE_LISTED_MAX) {
        let why = why.strip_prefix(&format!("{host}: ")).unwrap_or(why);
        message.push_str(&format!("\n  {host}: {}", text::clean(why)));
    }
    if troubled.len() > TROUBLE_LISTED_MAX {
        let more = troubled.len().saturating_sub(TROUBLE_LISTED_MAX);
        message.push_str(&format!("\n  and {more} more"));
    }
    let failure = Failure::new(Exit::HostTrouble, message);
    Err(WAYS_OUT
        .iter()
        .filter(|(words, _)| troubled.iter().any(|(_, why)| why.contains(words)))
        .fold(failure, |failure, (_, hint)| failure.hint(hint)))
}

/// Facts for a run that is taken up: hosts that are away for a moment, as in a reboot, are waited for.
///
/// # Errors
/// When a host cannot be worked with in the end.
pub async fn facts_of_present(
    reach: &Arc<SshReach>,
    hosts: &BTreeSet<HostName>,
    wanted: &FactsWanted,
    console: Console,
) -> Result<FleetFacts, Failure> {
    let until = Instant::now() + Duration::from_secs(RESUME_WAIT_S_MAX);
    let mut out = FleetFacts::new();
    let mut away = hosts.clone();
    loop {
        let absent = absent(reach, &away).await?;
        let present = away.iter().filter(|host| !absent.contains_key(*host));
        out.extend(facts(reach, present, wanted).await?);
        let may_pass = absent.values().all(|fault| fault.transient);
        for (host, fault) in absent {
            out.insert(host, HostFacts::unknown(Timestamp::now(), &fault.why));
        }
        away.retain(|host| out.get(host).is_none_or(|facts| trouble(facts).is_some()));
        if away.is_empty() || Instant::now() >= until || !may_pass {
            return Ok(out);
        }
        let names: Vec<&str> = away.iter().map(HostName::as_str).collect();
        console.note(&format!(
            "waiting for {}",
            text::cut(&names.join(", "), 100)
        ));
        tokio::time::sleep(Duration::from_secs(RESUME_EVERY_S)).await;
    }
}

/// The hosts that cannot be reached, with the reason. Each is tried once: what does not pass by waiting, as
/// a wrong key or password, must not be tried again, because accounts are locked for that.
async fn absent(
    reach: &Arc<SshReach>,
    hosts: &BTreeSet<HostName>,
) -> Result<BTreeMap<HostName, Fault>, Failure> {
    let mut tasks = JoinSet::new();
    for host in hosts {
        let (reach, host) = (Arc::clone(reach), host.clone());
        tasks.spawn(async move { (host.clone(), reach.holder(&host).await) });
    }
    let mut out = BTreeMap::new();
    while let Some(done) = tasks.join_next().await {
        if let (host, Err(fault)) = done.map_err(Failure::internal)? {
            out.insert(host, fault);
        }
    }
    Ok(out)
}
