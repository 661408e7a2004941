//! A target: a receipt store with the same acceptance rules as the helper's, and work that is carried
//! out exactly when it was begun, whether anybody listens or not.

use crate::ports::{Order, Unbegun};
use overhaul_model::event::{Generation, Outcome, Settlement};
use overhaul_model::facts::BootProof;
use overhaul_model::id::{AttemptKey, InstallId};
use overhaul_model::machine::Machine;
use overhaul_model::primitive::{Command, Exec, Measurement, Primitive};
use overhaul_model::receipt::WorkEnd;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// What a test's command means: `do EFFECT MS`, `fail EFFECT MS`, `needs EFFECT MS OTHER`, `echo EFFECT MS TEXT`.
#[derive(Clone, Debug)]
pub struct Work {
    pub verb: String,
    pub effect: String,
    pub takes_ms: u64,
    pub rest: String,
    /// Ends with the connection.
    pub streamed: bool,
}

impl Work {
    pub fn of(primitive: &Primitive) -> Self {
        let exec = |exec: &Exec, streamed| {
            let Command::Argv(argv) = &exec.command else {
                panic!("tests use argument lists");
            };
            let word = |i: usize| argv.get(i).cloned().unwrap_or_default();
            Self {
                verb: word(0),
                effect: word(1),
                takes_ms: word(2).parse().unwrap_or(10),
                rest: word(3),
                streamed,
            }
        };
        let own = |effect: &str, takes_ms| Self {
            verb: "do".to_owned(),
            effect: effect.to_owned(),
            takes_ms,
            rest: String::new(),
            streamed: false,
        };
        match primitive {
            Primitive::Exec(e) | Primitive::Local(e) => exec(e, false),
            Primitive::Machine(act) => own(&format!("{} machine", act.op.word()), 2_000),
            Primitive::Belonging(act) => own(act.word(), 1_000),
            Primitive::Fetch(f) => exec(&f.exec, true),
            Primitive::Feed(f) => exec(&f.exec, true),
            Primitive::WriteFile(f) => own(&format!("file {}", f.content), 5),
            Primitive::EditFile(f) => own(&f.path, 5),
            Primitive::Persist(p) => own(&format!("copy {}", p.file), 5),
            Primitive::Restore(r) => own(&format!("restore {}", r.file), 5),
            Primitive::Receive(r) => Self {
                streamed: true,
                ..own(&format!("receive {}", r.data.dataset), 300)
            },
            Primitive::TakeOver(t) => own(&format!("take over {}", t.data.dataset), 50),
            Primitive::Reboot(_) => own("reboot", 3_000),
            Primitive::Wait(_)
            | Primitive::Ask(_)
            | Primitive::Announce(_)
            | Primitive::NotAvailable(_) => panic!("the loop does these itself"),
        }
    }
}

/// The effect of a machine made anew, on the controller that orders it.
pub const REBUILT: &str = "rebuild machine";

#[derive(Clone, Debug)]
pub struct Receipt {
    pub work: Work,
    pub begun_ms: u64,
    /// Cut off before its end.
    pub cut: bool,
    /// Its outcome was decided when it began.
    pub fails: bool,
}

impl Receipt {
    fn is_over(&self, now_ms: u64) -> bool {
        now_ms >= self.begun_ms + self.work.takes_ms
    }
}

#[derive(Clone, Debug)]
pub struct Target {
    pub install_id: InstallId,
    pub sequence: u64,
    pub holder: Option<Generation>,
    pub receipts: BTreeMap<AttemptKey, Receipt>,
    /// Attempts that never begin.
    pub ruled_out: BTreeSet<AttemptKey>,
    /// Effects in the order in which work began.
    pub log: Vec<String>,
}

impl Target {
    pub fn new(install_id: &str) -> Self {
        Self {
            install_id: install_id.into(),
            sequence: 0,
            holder: None,
            receipts: BTreeMap::new(),
            ruled_out: BTreeSet::new(),
            log: Vec::new(),
        }
    }

    pub fn boot(&self) -> BootProof {
        let boots = self.log.iter().filter(|e| *e == "reboot").count() as u64;
        BootProof {
            boot_id: format!("boot-{boots} of {}", self.install_id),
            init_started_ticks: boots,
        }
    }

    /// The helper's rule: a lower counter, an equal one with another nonce, and another run are refused.
    pub fn register(&mut self, generation: &Generation) -> Result<(), String> {
        match &self.holder {
            Some(held) if held.run != generation.run => {
                Err(format!("run {} holds this host", held.run))
            }
            Some(held) if held.counter > generation.counter => {
                Err(format!("generation {} has taken over", held.counter))
            }
            Some(held) if held.counter == generation.counter && held.nonce != generation.nonce => {
                Err("another controller has the same generation".to_owned())
            }
            _ => {
                self.holder = Some(generation.clone());
                Ok(())
            }
        }
    }

    /// Begins work, or finds it begun.
    pub fn begin(&mut self, order: &Order, now_ms: u64) -> Result<Receipt, Outcome> {
        if self.holder.as_ref() != Some(&order.generation) {
            return Err(Outcome::Failed {
                why: "this controller has not registered".to_owned(),
                tail: String::new(),
                end: None,
            });
        }
        if let Some(receipt) = self.receipts.get(&order.key) {
            return Ok(receipt.clone());
        }
        if self.ruled_out.contains(&order.key) {
            return Err(Outcome::Failed {
                why: "it was told that this attempt never began".to_owned(),
                tail: String::new(),
                end: None,
            });
        }
        let work = Work::of(&order.work);
        self.sequence += 1;
        let fails = match work.verb.as_str() {
            "fail" => true,
            "needs" => !self.has(&work.rest, now_ms),
            _ => false,
        };
        self.log.push(work.effect.clone());
        let receipt = Receipt {
            work,
            begun_ms: now_ms,
            cut: false,
            fails,
        };
        self.receipts.insert(order.key.clone(), receipt.clone());
        Ok(receipt)
    }

    /// The connection of streamed work is gone.
    pub fn cut(&mut self, key: &AttemptKey, now_ms: u64) {
        if let Some(receipt) = self.receipts.get_mut(key)
            && receipt.work.streamed
            && !receipt.is_over(now_ms)
        {
            receipt.cut = true;
        }
    }

    pub fn outcome(&self, key: &AttemptKey) -> Outcome {
        let receipt = &self.receipts[key];
        let work = &receipt.work;
        if receipt.cut {
            return Outcome::Unknown {
                reason: "the work was cut off".to_owned(),
            };
        }
        if receipt.fails {
            return Outcome::Failed {
                why: "exit code 1".to_owned(),
                tail: format!("{} failed", work.effect),
                end: Some(WorkEnd::Exited {
                    code: 1,
                    success: false,
                }),
            };
        }
        let mut outputs = BTreeMap::new();
        if work.streamed {
            let digest = overhaul_model::id::Digest::of(&work.effect);
            outputs.insert("sha256".to_owned(), json!(digest.as_str()));
        }
        if work.effect == REBUILT {
            outputs = Machine {
                identity: Some("i-new".to_owned()),
                machine_id: Some("new".to_owned()),
                ..Machine::default()
            }
            .outputs();
        }
        if work.verb == "echo" {
            outputs.insert("said".to_owned(), json!(work.rest));
        }
        Outcome::Succeeded {
            changed: true,
            outputs,
            evidence: work.effect.clone(),
            unsynced: None,
        }
    }

    pub fn settle(
        &mut self,
        order: &Order,
        (install_id, known): (&InstallId, u64),
        unbegun: Unbegun,
        now_ms: u64,
    ) -> Settlement {
        let unknown = |reason: &str| Settlement::Unknown {
            reason: reason.to_owned(),
        };
        let same = self.install_id == *install_id;
        if same && unbegun == Unbegun::Refuse && !self.receipts.contains_key(&order.key) {
            self.ruled_out.insert(order.key.clone());
        }
        if self.install_id != *install_id || self.sequence < known {
            return unknown("the store is not the one that the journal knows");
        }
        match self.receipts.get(&order.key) {
            None => Settlement::NeverBegan,
            Some(receipt) if receipt.cut => unknown("the work was cut off"),
            Some(receipt) if !receipt.is_over(now_ms) => Settlement::Running,
            Some(_) => Settlement::Ended(self.outcome(&order.key)),
        }
    }

    /// Whether the effect is there.
    pub fn has(&self, effect: &str, now_ms: u64) -> bool {
        self.receipts
            .values()
            .any(|r| r.work.effect == effect && !r.cut && !r.fails && r.is_over(now_ms))
    }

    /// How often the effect was begun.
    pub fn count(&self, effect: &str) -> usize {
        self.log.iter().filter(|e| *e == effect).count()
    }

    /// `has EFFECT`, `lacks EFFECT`, `slow`, `up STOP START`: up unless the last of the two was the stop.
    pub fn measure(&self, argv: &[String], now_ms: u64) -> Measurement {
        let word = |i: usize| argv.get(i).map_or("", String::as_str);
        let so = match word(0) {
            "has" => self.has(word(1), now_ms),
            "slow" => true,
            "lacks" => !self.has(word(1), now_ms),
            "up" => {
                let last = |effect| self.log.iter().rposition(|e| e == effect);
                last(word(1)) <= last(word(2))
            }
            "unmeasurable" => {
                return Measurement::Unknown {
                    reason: "no such command".to_owned(),
                };
            }
            other => panic!("tests know no measure `{other}`"),
        };
        let evidence = format!("{} {so}", argv.join(" "));
        if so {
            Measurement::So { evidence }
        } else {
            Measurement::NotSo { evidence }
        }
    }
}
