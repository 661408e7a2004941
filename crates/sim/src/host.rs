//! A simulated host: what is true of it, and the receipts that its helper keeps.
//!
//! Who may act is judged by the shipped helper's own rules ([`overhaul_helper::acceptance`]).

use crate::meaning::{Deed, StepMeaning};
use crate::trace::{Happened, Why};
use overhaul_engine::ports::Order;
use overhaul_helper::acceptance::{self, Accept, Begin};
use overhaul_model::action::ServiceOp;
use overhaul_model::definition::Release;
use overhaul_model::event::Generation;
use overhaul_model::facts::BootProof;
use overhaul_model::id::{AttemptKey, Digest, HostName, InstallId, Position, StepId};
use overhaul_model::primitive::Primitive;
use overhaul_model::receipt::WorkEnd;
use overhaul_model::wire::Refusal;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::Notify;

/// What is true of a host, as a person sees it who looks: everything that an upgrade is about.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Body {
    pub release: Release,
    pub units: BTreeMap<String, Unit>,
    /// Digests of files that steps wrote.
    pub files: BTreeMap<String, Option<Digest>>,
    /// Digests of edits that steps made.
    pub edits: BTreeSet<Digest>,
    /// Steps that have been done to this machine.
    pub done: BTreeSet<StepId>,
    /// What lies at paths that are carried.
    pub data: BTreeMap<String, String>,
    /// What was set aside, by its path: it lies there until somebody clears it away.
    pub aside: BTreeSet<String>,
    /// Packages are half configured.
    pub broken: bool,
}

/// A unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unit {
    pub active: bool,
    pub held: bool,
    pub enabled: bool,
}

impl Unit {
    pub const UP: Self = Self {
        active: true,
        held: false,
        enabled: true,
    };
}

/// A receipt.
#[derive(Clone, Debug)]
pub(crate) struct Receipt {
    pub position: Position,
    pub step: Digest,
    pub work: Arc<Work>,
    pub sequence: u64,
    pub stands: Stands,
}

/// What is to be done, with everything that was rendered.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    pub meaning: Arc<StepMeaning>,
    pub primitive: Primitive,
    /// The host that is changed: not the one whose helper does it, for steps of the controller.
    pub subject: HostName,
    pub takes_ms: u64,
    /// It ends with this exit code.
    pub code: i32,
}

#[derive(Clone, Debug)]
pub(crate) enum Stands {
    Running { ends_ms: u64 },
    Ended(WorkEnd),
    Lost(String),
}

/// A simulated host.
#[derive(Clone)]
pub(crate) struct Host {
    pub name: HostName,
    pub install_id: InstallId,
    pub machine_id: String,
    pub machines_made: u32,
    pub boots: u64,
    pub body: Body,
    pub holder: Option<Generation>,
    pub last: Option<Generation>,
    /// Attempts that the holder was told to have never begun.
    pub ruled_out: BTreeSet<AttemptKey>,
    pub sequence: u64,
    pub receipts: BTreeMap<AttemptKey, Receipt>,
    /// Nothing reaches it before then.
    pub away_until: u64,
    /// It runs, and nothing reaches it before then.
    pub cut_until: u64,
    pub disk_full_until: u64,
    /// Another host key answers.
    pub other_key: bool,
    /// Its interface has another name from the next boot on, and nothing reaches it until a person has seen to it.
    pub interface: Interface,
    /// How often its receipt store was set back.
    pub set_back: u32,
    /// Measures get no answer before then.
    pub silent_until: u64,
    /// Told whenever a connection or a work of it ends otherwise than it would have.
    pub changed: Arc<Notify>,
}

/// The name of a host's interface, to which its address belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interface {
    Known,
    /// The next boot gives it another one.
    WillChange,
    Changed,
}

/// What a host does with work that is asked for.
pub(crate) enum Begun {
    Fresh { ends_ms: u64 },
    Known,
}

impl Host {
    pub fn new(name: &HostName, body: Body) -> Self {
        Self {
            name: name.clone(),
            install_id: InstallId::new(format!("install-0 of {name}")),
            machine_id: format!("machine-0 of {name}"),
            machines_made: 0,
            boots: 0,
            body,
            holder: None,
            last: None,
            ruled_out: BTreeSet::new(),
            sequence: 0,
            receipts: BTreeMap::new(),
            away_until: 0,
            cut_until: 0,
            disk_full_until: 0,
            other_key: false,
            interface: Interface::Known,
            set_back: 0,
            silent_until: 0,
            changed: Arc::new(Notify::new()),
        }
    }

    pub fn boot(&self) -> BootProof {
        BootProof {
            boot_id: format!("boot-{} of {}", self.boots, self.machine_id),
            init_started_ticks: self.boots.saturating_add(u64::from(self.machines_made)),
        }
    }

    /// From when on it can be reached.
    pub fn reachable_from(&self) -> u64 {
        if self.interface == Interface::Changed {
            return u64::MAX;
        }
        self.away_until.max(self.cut_until)
    }

    pub fn register(&mut self, asked: &Generation, now: u64) -> Result<(), Refusal> {
        self.writable(now)?;
        let accepted = acceptance::accept(self.holder.as_ref(), self.last.as_ref(), asked)?;
        if accepted != Accept::Again {
            self.ruled_out.clear();
        }
        self.holder = Some(asked.clone());
        self.last = self.holder.clone();
        Ok(())
    }

    pub fn release(&mut self, asked: &Generation, now: u64) -> Result<(), Refusal> {
        acceptance::release(self.holder.as_ref(), asked)?;
        self.writable(now)?;
        self.holder = None;
        self.ruled_out.clear();
        Ok(())
    }

    /// An attempt without a receipt never begins.
    pub fn rule_out(
        &mut self,
        asked: &Generation,
        key: &AttemptKey,
        now: u64,
    ) -> Result<(), Refusal> {
        if self.receipts.contains_key(key) {
            return Ok(());
        }
        if acceptance::rule_out(self.holder.as_ref(), &self.ruled_out, asked, key)? {
            self.writable(now)?;
            self.ruled_out.insert(key.clone());
        }
        Ok(())
    }

    fn writable(&self, now: u64) -> Result<(), Refusal> {
        if now < self.disk_full_until {
            return Err(Refusal::Store {
                why: "no space left on device".to_owned(),
            });
        }
        Ok(())
    }

    /// The beginning of an attempt: on record before anything is done.
    pub fn begin(&mut self, order: &Order, work: &Arc<Work>, now: u64) -> Result<Begun, Refusal> {
        let (asked, key) = (&order.generation, &order.key);
        let has_receipt = self.receipts.contains_key(key);
        let runs = |key: &&AttemptKey| {
            let receipt = self.receipts.get(*key);
            receipt.is_some_and(|receipt| matches!(receipt.stands, Stands::Running { .. }))
        };
        let at_work = order.earlier.iter().find(runs);
        let (held, ruled_out) = (self.holder.as_ref(), &self.ruled_out);
        if acceptance::begin(held, ruled_out, has_receipt, at_work, asked, key)? == Begin::Known {
            return Ok(Begun::Known);
        }
        for earlier in &order.earlier {
            self.rule_out(asked, earlier, now)?;
        }
        self.writable(now)?;
        self.sequence = self.sequence.saturating_add(1);
        let ends_ms = now.saturating_add(work.takes_ms);
        let receipt = Receipt {
            position: order.position.clone(),
            step: order.step.clone(),
            work: Arc::clone(work),
            sequence: self.sequence,
            stands: Stands::Running { ends_ms },
        };
        self.receipts.insert(key.clone(), receipt);
        Ok(Begun::Fresh { ends_ms })
    }

    /// Everything at work on it is gone with its boot.
    pub fn goes_down(&mut self, back_ms: u64, why: &Why, out: &mut Vec<Happened>) {
        self.away_until = self.away_until.max(back_ms);
        self.cut_work(|_| true, "the host was started anew", out);
        self.services_down(why, out);
        let (host, why) = (self.name.clone(), why.clone());
        out.push(Happened::HostDown { host, why });
        self.changed.notify_waiters();
    }

    /// It has booted.
    pub fn comes_up(&mut self, out: &mut Vec<Happened>) {
        self.boots = self.boots.saturating_add(1);
        if self.interface == Interface::WillChange {
            self.interface = Interface::Changed;
        }
        let host = self.name.clone();
        out.push(Happened::HostUp { host });
        self.services_up(out);
    }

    /// Services go.
    pub fn services_down(&mut self, why: &Why, out: &mut Vec<Happened>) {
        for (unit, state) in self.body.units.iter_mut().filter(|(_, u)| u.active) {
            state.active = false;
            let (host, unit, why) = (self.name.clone(), unit.clone(), why.clone());
            out.push(Happened::UnitDown { host, unit, why });
        }
    }

    /// Services come that start with the system.
    pub fn services_up(&mut self, out: &mut Vec<Happened>) {
        for (unit, state) in &mut self.body.units {
            let comes = state.enabled && !state.held && !state.active;
            state.active |= comes;
            if comes {
                let (host, unit) = (self.name.clone(), unit.clone());
                out.push(Happened::UnitUp { host, unit });
            }
        }
    }

    /// Work that is at it is cut off; a reboot cannot be.
    pub fn cut_work(&mut self, which: impl Fn(&Work) -> bool, why: &str, out: &mut Vec<Happened>) {
        let cut = self.receipts.iter().filter(|(_, receipt)| {
            let running = matches!(receipt.stands, Stands::Running { .. });
            running && receipt.work.meaning.deed != Deed::Reboot && which(&receipt.work)
        });
        let cut: Vec<_> = cut.map(|(k, r)| (k.clone(), r.position.clone())).collect();
        for (key, position) in cut {
            self.cut_one(&key, position, why, out);
        }
    }

    fn cut_one(
        &mut self,
        key: &AttemptKey,
        position: Position,
        why: &str,
        out: &mut Vec<Happened>,
    ) {
        if let Some(receipt) = self.receipts.get_mut(key) {
            receipt.stands = Stands::Lost(why.to_owned());
            self.body.broken |= matches!(receipt.work.meaning.deed, Deed::Release(_));
        }
        out.push(Happened::Cut {
            host: self.name.clone(),
            key: key.clone(),
            position,
        });
    }

    /// The work of a receipt is over as its code says.
    pub fn ends(&mut self, key: &AttemptKey) -> Option<Receipt> {
        let receipt = self.receipts.get_mut(key)?;
        let code = receipt.work.code;
        let helper = !matches!(
            receipt.work.primitive,
            Primitive::Exec(_) | Primitive::Local(_) | Primitive::Fetch(_) | Primitive::Feed(_)
        );
        receipt.stands = Stands::Ended(match (helper, code) {
            (true, 0) => WorkEnd::Done {
                detail: "done".to_owned(),
            },
            (true, _) => WorkEnd::Refused {
                why: "it could not".to_owned(),
            },
            (false, code) => WorkEnd::Exited {
                code,
                success: code == 0,
            },
        });
        Some(receipt.clone())
    }

    /// The helper dies with what it does, before the end of it is on record.
    pub fn helper_dies(&mut self, key: &AttemptKey, out: &mut Vec<Happened>) {
        let why = "the work was killed with its supervisor";
        let Some(receipt) = self.receipts.get_mut(key) else {
            return;
        };
        let reboots = receipt.work.meaning.deed == Deed::Reboot;
        if matches!(receipt.stands, Stands::Running { .. }) && !reboots {
            let position = receipt.position.clone();
            self.cut_one(key, position, why, out);
        }
    }

    /// The store is gone, and another one is made: as after an installation.
    pub fn forgets(&mut self, out: &mut Vec<Happened>) {
        let goes_down = |r: &Receipt| {
            r.work.meaning.deed == Deed::Reboot && matches!(r.stands, Stands::Running { .. })
        };
        if self.receipts.values().any(goes_down) {
            return;
        }
        self.cut_work(|_| true, "its receipt is gone", out);
        let count = self.install_id.as_str().matches('+').count();
        self.install_id = InstallId::new(format!(
            "install-0 of {}{}",
            self.name,
            "+".repeat(count.saturating_add(1))
        ));
        self.holder = None;
        self.last = None;
        self.ruled_out.clear();
        self.sequence = 0;
        self.receipts.clear();
    }

    /// The store is an older one again: that many of its last receipts are gone. With less than two the host could
    /// stand exactly where the journal last saw it, and nobody could tell.
    pub fn goes_back(&mut self, receipts: u64, out: &mut Vec<Happened>) {
        let to = self.sequence.saturating_sub(receipts.max(2));
        let gone: BTreeSet<AttemptKey> = self
            .receipts
            .iter()
            .filter(|(_, receipt)| receipt.sequence > to)
            .map(|(key, _)| key.clone())
            .collect();
        let reboots = |key: &AttemptKey| {
            self.receipts.get(key).is_some_and(|r| {
                r.work.meaning.deed == Deed::Reboot && matches!(r.stands, Stands::Running { .. })
            })
        };
        if gone.len() < 2 || gone.iter().any(reboots) {
            return;
        }
        self.cut_work(|_| true, "its receipt is gone", out);
        self.receipts.retain(|key, _| !gone.contains(key));
        self.sequence = to;
        self.set_back = self.set_back.saturating_add(1);
        self.ruled_out.clear();
    }

    /// Another machine stands under the name.
    pub fn made_anew(&mut self, release: Option<&Release>, fresh: &Body) {
        self.forgets(&mut Vec::new());
        self.machines_made = self.machines_made.saturating_add(1);
        self.machine_id = format!("machine-{} of {}", self.machines_made, self.name);
        self.install_id = InstallId::new(format!("install of {}", self.machine_id));
        self.boots = 0;
        self.interface = Interface::Known;
        self.body = Body {
            release: release.unwrap_or(&fresh.release).clone(),
            data: BTreeMap::new(),
            aside: BTreeSet::new(),
            ..fresh.clone()
        };
    }
}

impl Body {
    /// Whether all is the same but what has been done to it, and what lies aside.
    pub fn is_like(&self, other: &Self) -> bool {
        let Self {
            release,
            units,
            files,
            edits,
            done: _,
            data,
            aside: _,
            broken,
        } = self;
        let its = (&other.release, &other.units, &other.files, &other.edits);
        (release, units, files, edits) == its && (data, broken) == (&other.data, &other.broken)
    }

    /// The step has been done to it.
    pub fn takes(&mut self, step: &StepId, work: &Work) {
        self.done.insert(step.clone());
        if let Some(open) = &work.meaning.takes_away {
            self.done.remove(open);
        }
        match (&work.meaning.deed, &work.primitive) {
            (Deed::Unit { unit, op }, _) => {
                let unit = self.units.entry(unit.clone()).or_insert(Unit::UP);
                match op {
                    ServiceOp::Start | ServiceOp::Restart => unit.active = !unit.held,
                    ServiceOp::Stop => unit.active = false,
                    ServiceOp::Reload => {}
                    ServiceOp::Hold => (unit.active, unit.held) = (false, true),
                    ServiceOp::LetGo => (unit.active, unit.held) = (true, false),
                    ServiceOp::Enable => unit.enabled = true,
                    ServiceOp::Disable => unit.enabled = false,
                }
            }
            (Deed::Release(to), _) => {
                self.release = to.clone();
                self.broken = false;
            }
            (Deed::File, Primitive::WriteFile(file)) => {
                let digest = (!file.absent).then(|| Digest::of(&file.content));
                self.files.insert(file.path.clone(), digest);
            }
            (Deed::Edit, Primitive::EditFile(edit)) => {
                self.edits.extend(Digest::of_json(edit));
            }
            (Deed::Clear { paths }, _) => self.aside.retain(|path| !paths.contains(path)),
            _ => {}
        }
    }
}
