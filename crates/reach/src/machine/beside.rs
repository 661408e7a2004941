//! Machines beside the host's own: the new one before it takes over, and the old one after. Nobody is
//! connected with them as with the host, so that their identity, told by earlier steps, is what they are known by.

use super::MachineWork;
use crate::provider::{self, Answer, State};
use overhaul_engine::ports::Progress;
use overhaul_model::belonging::Which;
use overhaul_model::event::Outcome;
use overhaul_model::machine::Machine;
use overhaul_model::primitive::{MachineAct, MachineOp};

/// Why nothing is done to a machine that nobody told of.
const NOBODY_TOLD: &str = "no step of this run told which machine that is: nothing was changed";

/// The identity of the machine that is meant.
fn identity(machine: Option<&Machine>) -> Result<&str, String> {
    let identity = machine.and_then(|machine| machine.identity.as_deref());
    identity.ok_or_else(|| NOBODY_TOLD.to_owned())
}

fn already(machine: &Machine, evidence: String) -> Outcome {
    Outcome::Succeeded {
        changed: false,
        outputs: machine.outputs(),
        unsynced: None,
        evidence,
    }
}

/// The name of a new machine is free, or taken by what this step made itself: its call is made again then.
pub(super) async fn free(work: &MachineWork<'_>) -> Result<Option<Outcome>, String> {
    let again = work.call.about.token.as_ref();
    if again.is_some_and(|token| *token != work.call.order.key) {
        return Ok(None);
    }
    let told = work.described().await?;
    match told.state {
        State::Absent => Ok(None),
        State::Running | State::Stopped => Err(format!(
            "there is a machine {} already ({}); nothing was changed",
            work.act.machine, told.identity
        )),
    }
}

/// What gets another name, or loses its protection, is the machine that is meant.
pub(super) async fn named(work: &MachineWork<'_>) -> Result<Option<Outcome>, String> {
    let known = work.call.about.known.clone().unwrap_or_default();
    let meant = identity(work.call.about.known.as_ref())?;
    if let Some(to) = work.act.other.as_ref() {
        let there = MachineAct {
            machine: to.clone(),
            ..work.act.clone()
        };
        let provider = work.call.provider()?;
        let told = provider::describe(provider, &there, work.call.about.known.as_ref()).await?;
        if told.identity == meant {
            return Ok(Some(already(
                &known,
                format!("{meant} is called {to} already"),
            )));
        }
        if told.state != State::Absent {
            return Err(format!(
                "another machine is called {to} ({}); nothing was changed",
                told.identity
            ));
        }
    }
    let told = work.described().await?;
    if told.state == State::Absent && work.act.which == Which::Old {
        return Ok(Some(already(&known, format!("{meant} is gone already"))));
    }
    is_meant(work, &told, meant)?;
    if work.act.op == MachineOp::Unprotect && !told.protected {
        return Ok(Some(already(&known, format!("{meant} is not protected"))));
    }
    Ok(None)
}

fn is_meant(work: &MachineWork<'_>, told: &Answer, meant: &str) -> Result<(), String> {
    if told.identity == meant {
        return Ok(());
    }
    Err(format!(
        "{} is {} to the provider, and {meant} is meant; nothing was changed",
        work.act.machine, told.identity
    ))
}

/// A machine that is ended beside the host's is the one that is meant, and nobody uses it any more.
pub(super) async fn harmed(work: &MachineWork<'_>) -> Result<Option<Outcome>, String> {
    let meant = identity(work.call.about.known.as_ref())?;
    let told = work.described().await?;
    if told.state == State::Absent {
        let known = work.call.about.known.clone().unwrap_or_default();
        return Ok(Some(already(&known, format!("{meant} is gone already"))));
    }
    is_meant(work, &told, meant)?;
    if told.state == State::Running && work.act.which == Which::Old {
        return Err(format!(
            "{} runs, and was switched off when its place was taken: somebody may use it; switch it off, then `retry`",
            work.act.machine
        ));
    }
    if told.protected && work.act.op == MachineOp::Destroy {
        return Err(format!(
            "{} is protected against being ended; nothing was changed",
            work.act.machine
        ));
    }
    Ok(None)
}

/// The machine whose place was taken is never switched on again: it has the old one's authority and, when
/// nobody took it, its address.
pub(super) async fn not_replaced(work: &MachineWork<'_>) -> Result<(), String> {
    let Some(old) = work.call.about.replaced.as_ref() else {
        return Ok(());
    };
    let old = identity(Some(old))?;
    let told = work.described().await?;
    if told.identity == old {
        return Err(format!(
            "{} ({old}) is the machine whose place was taken: it is not switched on again; nothing was changed",
            work.act.machine
        ));
    }
    Ok(())
}

/// What a call told is about the machine that is meant, and says what was asked for.
pub(super) fn as_meant(work: &MachineWork<'_>, answer: &Answer) -> Result<(), String> {
    match work.act.op {
        MachineOp::Rename | MachineOp::Unprotect => {
            is_meant(work, answer, identity(work.call.about.known.as_ref())?)?;
            if work.act.op == MachineOp::Unprotect && answer.protected {
                return Err(
                    "the provider ended well and says that it is protected still".to_owned(),
                );
            }
            Ok(())
        }
        // At the host's own address the machine answers that is to be replaced.
        MachineOp::Create if work.act.which == Which::Beside && answer.address.is_none() => Err(
            "the provider names no address of the new machine, and the host's own is the old one's"
                .to_owned(),
        ),
        _ => Ok(()),
    }
}

impl MachineWork<'_> {
    /// The new machine answers as the one that was launched, and the one before is off.
    pub(super) async fn taken_over(&self, progress: &Progress) -> Result<Outcome, String> {
        let launched = self.call.about.known.clone().unwrap_or_default();
        let meant = identity(Some(&launched))?.to_owned();
        let told = self.described().await?;
        is_meant(self, &told, &meant)?;
        let provider = self.call.provider()?;
        let before = MachineAct {
            machine: self.act.other.clone().unwrap_or_default(),
            ..self.act.clone()
        };
        let own = self.call.about.own.as_ref();
        let off = provider::describe(provider, &before, own).await?;
        if off.state == State::Running {
            return Err(format!(
                "{} runs still: two machines would have one task; nothing was changed",
                before.machine
            ));
        }
        if let Some(own) = own.and_then(|own| own.identity.as_ref())
            && off.state == State::Stopped
            && off.identity != *own
        {
            return Err(format!(
                "{} is {} to the provider, and {own} is meant; nothing was changed",
                before.machine, off.identity
            ));
        }
        let id = self.answers(&launched, progress).await?;
        let machine = Machine {
            machine_id: Some(id.clone()),
            ..launched
        };
        Ok(Outcome::Succeeded {
            changed: true,
            outputs: machine.outputs(),
            unsynced: None,
            evidence: format!(
                "the machine that was launched answers, machine id {id}; {} is off",
                before.machine
            ),
        })
    }
}
