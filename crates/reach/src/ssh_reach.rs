//! Hands on real hosts, over SSH.

use crate::belonging::BelongingWork;
use crate::descriptors;
use crate::detached::{self, Begun, out_of_sight, unexpected};
use crate::error::{ReachError, SetupError};
use crate::hosts::{Ways, become_of};
use crate::link::{Hope, Link, Road};
use crate::machine::MachineWork;
use crate::near::{self, Near};
use crate::openssh;
use crate::outcome::not_begun;
use crate::pins;
use crate::probe;
use crate::reboot;
use crate::settings::Settings;
use crate::settle;
use crate::stream::Stream;
use crate::transport::Way;
use crate::turns::Turns;
use crate::upload::{HelperBinary, Starter};
use jiff::Timestamp;
use overhaul_engine::ports::{Fault, Order, Progress, Reach, Registration, Unbegun, Vantage};
use overhaul_model::authority::AuthorityRecord;
use overhaul_model::event::{Generation, Outcome, Settlement};
use overhaul_model::facts::{FactsWanted, HostFacts};
use overhaul_model::fleet::{Fleet, Host, Transport};
use overhaul_model::id::{Digest, HostName, InstallId, Person};
use overhaul_model::machine::Machine;
use overhaul_model::primitive::{Exec, Measure, Measurement, Primitive};
use overhaul_model::secret::Secret;
use overhaul_model::span::Span;
use overhaul_model::wire::{HostWork, RequestBody, ResponseBody};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How long a helper may take to sync a generation to a busy disk.
const REGISTER_S_MAX: u64 = 60;
/// Facts: dpkg's database and the units of a busy host.
const FACTS_S_MAX: u64 = 120;
/// What deep facts may take beyond that: 45 s to fetch indexes, 60 s to work out the upgrade, 15 s to read
/// them, 30 s to compare files, each of which the helper bounds itself, and as much again for a busy host.
const DEEP_FACTS_S_MAX: u64 = 2 * (45 + 60 + 15 + 30);
/// What a measure's answer may take beyond the measure's own bound: the way and a busy host.
const MEASURE_GRACE_MS: u64 = 1_500;
/// Shorter passwords are not blotted out of outputs: ordinary words would go with them.
const REDACT_BYTES_MIN: usize = 4;

pub(crate) struct HostEntry {
    /// As the inventory names it.
    host: Host,
    link: RwLock<Current>,
    /// Values that must not appear in what is kept.
    pub(crate) redact: Vec<String>,
}

/// The connection to a host, and the machine that it leads to when that is not the inventory's.
struct Current {
    link: Arc<Link>,
    machine: Option<Machine>,
}

impl HostEntry {
    pub(crate) fn link(&self) -> Arc<Link> {
        let current = self.link.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current.link)
    }

    /// Where it is reached now.
    pub(crate) fn address(&self) -> String {
        let current = self.link.read().unwrap_or_else(PoisonError::into_inner);
        let moved = current
            .machine
            .as_ref()
            .and_then(|machine| machine.address.clone());
        moved.unwrap_or_else(|| self.host.connection.address.clone())
    }
}

/// What every new link takes along.
struct Makings {
    helper: HelperBinary,
    passwords: BTreeMap<HostName, Secret>,
    settings: Arc<Settings>,
    turns: Arc<Turns>,
}

impl Makings {
    fn link(&self, host: &Host, ways: &Ways) -> Result<Arc<Link>, SetupError> {
        let starter = Starter {
            helper: self.helper.clone(),
            who: become_of(host, &self.passwords),
            state_dir: host.connection.state_dir.clone(),
        };
        let way = way(host, ways, &self.settings)?;
        let road = Road::Far { way, starter };
        let (settings, turns) = (Arc::clone(&self.settings), Arc::clone(&self.turns));
        Ok(Arc::new(Link::new(road, settings, turns)))
    }
}

/// The way to a host over the client that is chosen for it.
fn way(host: &Host, ways: &Ways, settings: &Settings) -> Result<Way, SetupError> {
    match host.connection.transport {
        Transport::Native => Ok(ways.of(host)),
        Transport::Openssh => openssh::Target::new(host.name.as_str(), &host.connection, settings)
            .map(Way::from)
            .map_err(|error| SetupError::SshWords {
                host: host.name.clone(),
                error,
            }),
    }
}

/// Hands on the hosts of a fleet. Nothing is connected before something is asked.
pub struct SshReach {
    hosts: BTreeMap<HostName, HostEntry>,
    /// The run's folder for data that comes from hosts.
    data: PathBuf,
    makings: Makings,
    /// The controller's own helper.
    near: Option<Arc<Link>>,
    /// The folder for host keys that providers proved.
    pins: Option<PathBuf>,
}

impl SshReach {
    /// Reads nothing and connects to nothing yet. `passwords` are those that sudo asks for; `data` is
    /// the run's own folder for fetched files.
    ///
    /// # Errors
    /// When this process may not hold as many files open as the hosts need.
    pub fn new(
        fleet: &Fleet,
        passwords: &BTreeMap<HostName, Secret>,
        helper: &HelperBinary,
        data: impl Into<PathBuf>,
        settings: Settings,
    ) -> Result<Self, SetupError> {
        let settings = Arc::new(settings);
        descriptors::room_for(fleet.hosts.len())?;
        let turns = Arc::new(Turns::new(settings.connects_max));
        let ways = Ways::new(&settings);
        let makings = Makings {
            helper: helper.clone(),
            passwords: passwords.clone(),
            settings,
            turns,
        };
        let mut hosts = BTreeMap::new();
        for (name, host) in &fleet.hosts {
            let redact = passwords
                .get(name)
                .map(|password| password.reveal().to_owned())
                .filter(|password| password.len() >= REDACT_BYTES_MIN)
                .into_iter()
                .collect();
            let link = RwLock::new(Current {
                link: makings.link(host, &ways)?,
                machine: None,
            });
            let host = host.clone();
            hosts.insert(name.clone(), HostEntry { host, link, redact });
        }
        Ok(Self {
            hosts,
            data: data.into(),
            makings,
            near: None,
            pins: None,
        })
    }

    /// With a helper on the controller itself. In `folder`, which is the run's own, it keeps its receipts
    /// (`controller`), and host keys that providers prove are kept (`known_hosts`).
    #[must_use]
    pub fn with_controller(mut self, folder: &Path) -> Self {
        let near = self.makings.helper.path().map(|program| Near {
            program: program.to_owned(),
            state: folder.join("controller"),
        });
        self.near = near.map(|near| {
            let settings = Arc::clone(&self.makings.settings);
            let turns = Arc::clone(&self.makings.turns);
            Arc::new(Link::new(Road::Near(near), settings, turns))
        });
        self.pins = Some(folder.join("known_hosts"));
        self
    }

    pub(crate) fn near(&self) -> Result<&Arc<Link>, ReachError> {
        let none = || ReachError::NoSuchHost(HostName::controller());
        self.near.as_ref().ok_or_else(none)
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    pub(crate) fn connect_bound(&self) -> Duration {
        self.makings.settings.connect_timeout
    }

    /// The connection to a host, or to the controller itself.
    pub(crate) fn link(&self, host: &HostName) -> Result<Arc<Link>, ReachError> {
        match host.is_controller() {
            true => self.near().cloned(),
            false => Ok(self.host(host)?.link()),
        }
    }

    /// A connection of its own to a machine under a host's name, with known hosts as they are now.
    pub(crate) fn link_to(
        &self,
        name: &HostName,
        machine: &Machine,
    ) -> Result<Arc<Link>, SetupError> {
        self.link_of(name, name, machine)
    }

    /// The same to the machine beside a host's, whose host keys must not take the place of those of the host.
    pub(crate) fn link_beside(
        &self,
        name: &HostName,
        machine: &Machine,
    ) -> Result<Arc<Link>, SetupError> {
        self.link_of(name, &HostName::new(format!("{name} beside")), machine)
    }

    fn link_of(
        &self,
        name: &HostName,
        pinned: &HostName,
        machine: &Machine,
    ) -> Result<Arc<Link>, SetupError> {
        let lacking = || SetupError::NoSuchHost(name.clone());
        let mut host = self.hosts.get(name).ok_or_else(lacking)?.host.clone();
        if let Some(address) = &machine.address {
            host.connection.address.clone_from(address);
        }
        if let Some(folder) = self.pins.as_ref().filter(|_| !machine.host_keys.is_empty()) {
            let unwritten = |error: std::io::Error| SetupError::Pins {
                folder: folder.clone(),
                why: error.to_string(),
            };
            let file = pins::write(folder, pinned, &machine.host_keys).map_err(unwritten)?;
            host.connection.known_hosts = vec![file.display().to_string()];
        }
        self.makings.link(&host, &Ways::new(&self.makings.settings))
    }

    /// What the programs of a step on the controller find in their environment.
    fn with_environment(&self, exec: &Exec, host: &HostName) -> Exec {
        let mut exec = exec.clone();
        for (name, value) in near::environment() {
            exec.env.entry(name).or_insert(value);
        }
        let pinned = self.pins.as_ref().map(|folder| pins::file(folder, host));
        if let Some(file) = pinned.filter(|file| file.is_file()) {
            let words = format!(
                "-o UserKnownHostsFile={} -o GlobalKnownHostsFile=/dev/null",
                file.display()
            );
            exec.env
                .entry("ANSIBLE_SSH_EXTRA_ARGS".to_owned())
                .or_insert(words);
        }
        exec
    }

    pub(crate) fn host(&self, host: &HostName) -> Result<&HostEntry, ReachError> {
        self.hosts
            .get(host)
            .ok_or_else(|| ReachError::NoSuchHost(host.clone()))
    }

    async fn ask(
        &self,
        host: &HostName,
        what: &'static str,
        body: RequestBody,
        bound_s: u64,
    ) -> Result<ResponseBody, ReachError> {
        let link = self.link(host)?;
        let bound = Duration::from_secs(bound_s);
        Ok(link.ask(what, body, bound).await?.1)
    }

    /// Ends the connection to a host with which nothing more is to be done, so that thousands of them
    /// do not stand at one time. Work on it that is under way is not to be left so.
    pub async fn leave(&self, host: &HostName) {
        if let Ok(entry) = self.host(host) {
            entry.link().leave().await;
        }
    }

    /// The run that holds a host at this moment, for people whose journal is lost.
    ///
    /// # Errors
    /// When the host is not reached.
    pub async fn holder(&self, host: &HostName) -> Result<Option<Generation>, Fault> {
        // Asked anew: the greeting of a standing connection may be old.
        match self
            .ask(host, "who holds it", RequestBody::Holder, REGISTER_S_MAX)
            .await?
        {
            ResponseBody::Held { holder } => Ok(holder),
            other => Err(odd(&other)),
        }
    }

    /// Frees a host of a run whose journal is lost. `holder` is what [`SshReach::holder`] told the
    /// person who decides; person and reason stay in the host's store.
    ///
    /// # Errors
    /// When the host is not reached or another run holds it by now.
    pub async fn force_release(
        &self,
        host: &HostName,
        holder: Generation,
        person: Person,
        reason: String,
    ) -> Result<(), Fault> {
        let body = RequestBody::ForceRelease {
            holder,
            person,
            reason,
        };
        self.released(host, body).await
    }

    /// What a host keeps of the authority over datasets.
    ///
    /// # Errors
    /// When the host is not reached, or its records cannot be read.
    pub async fn authority(&self, host: &HostName) -> Result<Vec<AuthorityRecord>, Fault> {
        let body = RequestBody::Authority;
        match self.ask(host, "its records", body, REGISTER_S_MAX).await? {
            ResponseBody::Authority { records } => Ok(records),
            other => Err(odd(&other)),
        }
    }

    /// Declares a record of authority void. `seen` is that of the record that the person saw; person and
    /// reason stay in it.
    ///
    /// # Errors
    /// When the host is not reached, or has another record by now.
    pub async fn void_authority(
        &self,
        host: &HostName,
        seen: Digest,
        person: Person,
        reason: String,
    ) -> Result<Vec<AuthorityRecord>, Fault> {
        let body = RequestBody::VoidAuthority {
            seen,
            person,
            reason,
        };
        match self.ask(host, "a decision", body, REGISTER_S_MAX).await? {
            ResponseBody::Authority { records } => Ok(records),
            other => Err(odd(&other)),
        }
    }

    async fn released(&self, host: &HostName, body: RequestBody) -> Result<(), Fault> {
        match self.ask(host, "a release", body, REGISTER_S_MAX).await? {
            ResponseBody::Released => Ok(()),
            other => Err(odd(&other)),
        }
    }

    pub(crate) async fn measure_at(
        &self,
        host: &HostName,
        measure: Measure,
        within: Span,
    ) -> Measurement {
        let measured = self.measure_on_host(host, measure, within).await;
        measured.unwrap_or_else(|error| Measurement::Unknown {
            reason: error.to_string(),
        })
    }

    async fn measure_on_host(
        &self,
        host: &HostName,
        measure: Measure,
        within: Span,
    ) -> Result<Measurement, ReachError> {
        let link = self.link(host)?;
        let grace = Duration::from_millis(MEASURE_GRACE_MS);
        let deadline = Instant::now() + within.as_duration();
        let live = link.live_until(deadline, Hope::Usual).await?;
        let body = RequestBody::Measure { measure, within };
        let bound = within.as_duration() + grace;
        // A connection that is slow to answer may be a loaded host's: it stays.
        let answer = live.client.ask("a measure", body, bound).await;
        match answer.map_err(|error| link.client_error(error))? {
            ResponseBody::Measured(measurement) => Ok(measurement),
            other => Err(link.client_error(unexpected(&other))),
        }
    }
}

fn odd(answer: &ResponseBody) -> Fault {
    Fault {
        why: unexpected(answer).to_string(),
        transient: false,
    }
}

/// One measure of several.
fn all(mut parts: Vec<Measure>) -> Measure {
    match (parts.pop(), parts.is_empty()) {
        (Some(only), true) => only,
        (last, _) => {
            parts.extend(last);
            Measure::All(parts)
        }
    }
}

impl Reach for SshReach {
    fn moved(&self, host: &HostName, machine: &Machine) {
        let Ok(entry) = self.host(host) else {
            return;
        };
        let mut current = entry.link.write().unwrap_or_else(PoisonError::into_inner);
        if current.machine.as_ref() == Some(machine) {
            return;
        }
        // Without a new way the old one stays, whose host keys then refuse the new machine.
        if let Ok(link) = self.link_to(host, machine) {
            current.link = link;
            current.machine = Some(machine.clone());
        }
    }

    async fn register(
        &self,
        host: &HostName,
        generation: &Generation,
    ) -> Result<Registration, Fault> {
        let link = self.link(host)?;
        let body = RequestBody::Register {
            generation: generation.clone(),
        };
        let bound = Duration::from_secs(REGISTER_S_MAX);
        let (live, answer) = link.ask("a registration", body, bound).await?;
        match answer {
            ResponseBody::Registered { sequence } => {
                live.heard_sequence(sequence);
                Ok(Registration {
                    install_id: live.hello().install_id.clone(),
                    sequence,
                    boot: live.hello().boot.clone(),
                })
            }
            other => Err(odd(&other)),
        }
    }

    async fn release(&self, host: &HostName, generation: &Generation) -> Result<(), Fault> {
        let body = RequestBody::Release {
            generation: generation.clone(),
        };
        self.released(host, body).await
    }

    async fn facts(&self, host: &HostName, wanted: &FactsWanted) -> HostFacts {
        let began = Timestamp::now();
        // The clock is read again once the host is there: connecting is no part of the offset.
        let connected = async { self.link(host)?.live().await };
        let answer = match connected.await {
            Ok(_) => {
                let body = RequestBody::Facts {
                    wanted: wanted.clone(),
                    controller_now: Timestamp::now(),
                };
                let deep = if wanted.is_deep() {
                    DEEP_FACTS_S_MAX
                } else {
                    0
                };
                self.ask(host, "facts", body, FACTS_S_MAX + deep).await
            }
            Err(error) => Err(error),
        };
        match answer {
            // Their age is ours to tell: a host's word for it would make them look young for ever.
            Ok(ResponseBody::Facts(facts)) => HostFacts {
                gathered_at: began,
                ..*facts
            },
            Ok(other) => HostFacts::unknown(began, &unexpected(&other).to_string()),
            Err(error) => HostFacts::unknown(began, &error.to_string()),
        }
    }

    async fn measure(&self, from: &Vantage, measure: &Measure, within: Span) -> Measurement {
        let Vantage::Host(host) = from else {
            return probe::measure(measure, within.as_duration()).await;
        };
        let (here, there): (Vec<_>, Vec<_>) = probe::flat(measure)
            .into_iter()
            .cloned()
            .partition(Measure::from_controller);
        let ours = async {
            if here.is_empty() {
                return None;
            }
            Some(probe::measure(&all(here), within.as_duration()).await)
        };
        let theirs = async {
            if there.is_empty() {
                return None;
            }
            let bound = within.as_duration() + Duration::from_millis(2 * MEASURE_GRACE_MS);
            let measured = self.measure_on_host(host, all(there), within);
            let unknown = |reason: String| Measurement::Unknown { reason };
            Some(match timeout(bound, measured).await {
                Ok(Ok(measurement)) => measurement,
                Ok(Err(error)) => unknown(error.to_string()),
                Err(_) => unknown(format!("{host}: no answer within {within}")),
            })
        };
        let (ours, theirs) = tokio::join!(ours, theirs);
        let mut parts: Vec<_> = theirs.into_iter().chain(ours).collect();
        if parts.len() == 1 {
            parts.remove(0)
        } else {
            Measurement::all(parts)
        }
    }

    async fn act(&self, order: Order, progress: Progress) -> Outcome {
        match &order.work {
            Primitive::Local(exec) => {
                let near = match self.near() {
                    Ok(near) => near,
                    Err(error) => return out_of_sight(Begun::of(&order), &error.to_string()),
                };
                let work = HostWork::Exec(self.with_environment(exec, &order.host));
                return detached::run(near, &order, work, &[], &progress).await;
            }
            Primitive::Machine(act) => {
                return MachineWork::new(self, &order, act).run(&progress).await;
            }
            Primitive::Belonging(act) => {
                return BelongingWork::new(self, &order, act).run(&progress).await;
            }
            _ => {}
        }
        let entry = match self.host(&order.host) {
            Ok(entry) => entry,
            Err(error) => return not_begun(error.to_string()),
        };
        let (link, redact) = (&entry.link(), entry.redact.as_slice());
        let stream = Stream {
            link,
            data: &self.data,
            order: &order,
            redact,
            progress: &progress,
        };
        let work = match &order.work {
            Primitive::Exec(exec) => HostWork::Exec(exec.clone()),
            Primitive::WriteFile(file) => HostWork::WriteFile(file.clone()),
            Primitive::EditFile(file) => HostWork::EditFile(file.clone()),
            Primitive::Reboot(reboot) => {
                return reboot::run(link, &order, reboot, redact, &progress).await;
            }
            Primitive::Fetch(fetch) => return stream.fetch(fetch).await,
            Primitive::Feed(feed) => return stream.feed(feed).await,
            Primitive::Persist(persist) => return stream.persist(persist).await,
            Primitive::Restore(restore) => return stream.restore(restore).await,
            Primitive::Receive(receive) => return self.receive(&order, receive, &progress).await,
            Primitive::TakeOver(take) => return self.take_over(&order, take, &progress).await,
            Primitive::Local(_)
            | Primitive::Machine(_)
            | Primitive::Belonging(_)
            | Primitive::Wait(_)
            | Primitive::Ask(_)
            | Primitive::Announce(_) => {
                return not_begun("this is no work for a host");
            }
            Primitive::NotAvailable(_) => {
                return not_begun("this is not available in this version");
            }
        };
        detached::run(link, &order, work, redact, &progress).await
    }

    async fn settle(
        &self,
        order: Order,
        install_id: &InstallId,
        known_sequence: u64,
        unbegun: Unbegun,
    ) -> Settlement {
        if let Primitive::Machine(act) = &order.work {
            return MachineWork::new(self, &order, act)
                .settle(install_id, known_sequence, unbegun)
                .await;
        }
        if let Primitive::Belonging(act) = &order.work {
            return BelongingWork::new(self, &order, act)
                .settle(install_id, known_sequence, unbegun)
                .await;
        }
        match self.link(&order.executor()) {
            Ok(link) => {
                let known = (install_id, known_sequence);
                settle::settle(&link, &self.data, &order, known, unbegun).await
            }
            Err(error) => Settlement::Unknown {
                reason: error.to_string(),
            },
        }
    }
}
