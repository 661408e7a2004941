//! Steps in a host's lane that the controller carries out, and machines that are made anew under a
//! host's name.

use crate::next::Command;
use crate::run::Run;
use crate::state::{HostLink, HostState, Left, Phase, Slot, Stage, StepState, Then};
use crate::transition::out_of_itself;
use crate::tree::Key;
use overhaul_model::action::{Action, TransferOp};
use overhaul_model::belonging::Which;
use overhaul_model::event::Record;
use overhaul_model::facts::BootProof;
use overhaul_model::id::{DatasetName, HostName, InstallId};
use overhaul_model::machine::Machine;
use overhaul_model::primitive::{MachineAct, MachineOp, Primitive};
use overhaul_model::step::Step;
use std::collections::BTreeSet;

/// Who carries a step out and keeps its receipt.
pub(crate) fn executor(step: &Step, host: Option<HostName>) -> Option<HostName> {
    match step.work.runs_on_controller() {
        true => Some(HostName::controller()),
        false => host,
    }
}

fn proves(step: &Step) -> bool {
    matches!(&step.work, Primitive::Machine(act) if act.op == MachineOp::Prove)
}

/// Whether what comes next at this position is the act, or about the act: not a condition measured on
/// the host.
fn is_about_the_act(state: &StepState) -> bool {
    match state {
        StepState::Ready { stage } => *stage == Stage::Act,
        StepState::Running { phase, .. } => !matches!(phase, Phase::Verifying { .. }),
        StepState::Failed { then, .. } | StepState::Unknown { then, .. } => {
            matches!(then, Then::Settle)
        }
        StepState::Waiting
        | StepState::Held { .. }
        | StepState::Asked { .. }
        | StepState::Done { .. }
        | StepState::Skipped { .. }
        | StepState::Voided { .. } => false,
    }
}

impl Run {
    /// The host that must have accepted this controller before a position can go on: of a step of the
    /// controller, while it is about the act, the controller itself.
    pub(crate) fn needs(&self, key: &Key) -> Option<HostName> {
        let host = self.tree.host(key).cloned();
        let step = self.tree.step(key.node);
        let state = self.slots.get(key).map(|slot| &slot.state);
        match (step, state) {
            (Some(step), Some(state)) if is_about_the_act(state) => executor(step, host),
            _ => host,
        }
    }

    /// The hosts that must have accepted this controller before a command.
    pub(crate) fn asked_by(&self, command: &Command, key: &Key) -> Vec<HostName> {
        let host = self.tree.host(key).cloned();
        let (asked, other) = match (command, self.tree.step(key.node)) {
            // A person's new machine is looked at before anything is asked of it.
            (Command::Act { .. }, Some(step)) if proves(step) => (None, None),
            (Command::Act { .. }, Some(step)) => (executor(step, host), step.work.other_host()),
            (Command::Settle { .. }, Some(step)) => (executor(step, host), None),
            _ => (host, None),
        };
        asked.into_iter().chain(other.cloned()).collect()
    }

    /// The hosts that an attempt at a position may need: that of its lane, the controller, and the one that data
    /// comes from.
    pub(crate) fn may_need(&self, key: &Key) -> Vec<HostName> {
        let host = self.tree.host(key).cloned();
        let step = self.tree.step(key.node);
        let own = step.and_then(|step| executor(step, host.clone()));
        let other = step.and_then(|step| step.work.other_host()).cloned();
        let mut out: Vec<HostName> = host.into_iter().chain(own).chain(other).collect();
        out.dedup();
        out
    }

    /// Whether the plan has this host, or it is the controller.
    pub(crate) fn knows(&self, host: &HostName) -> bool {
        host.is_controller() || self.plan.hosts.contains_key(host)
    }

    /// What the run's own steps told of the machine under a host's name.
    pub fn machine(&self, host: &HostName) -> Option<&Machine> {
        self.machines.get(host)
    }

    /// All machines that steps of this run told of.
    pub fn machines(&self) -> impl Iterator<Item = (&HostName, &Machine)> {
        self.machines.iter()
    }

    /// The host that has the authority over a dataset, as far as this run's own steps tell.
    pub fn authority(&self, dataset: &DatasetName) -> Option<&HostName> {
        let planned = || Some(&self.plan.datasets.get(dataset)?.authority);
        self.authorities.get(dataset).or_else(planned)
    }

    /// A step has worked that brings the authority over a dataset to its host.
    fn authority_moved(&mut self, step: &Step, host: Option<&HostName>) {
        if let (
            Action::Transfer {
                dataset,
                op: TransferOp::TakeOver,
                ..
            },
            Some(host),
        ) = (&step.action, host)
        {
            self.authorities.insert(dataset.clone(), host.clone());
        }
    }

    /// A step about the machine of a host has worked.
    pub(crate) fn machine_worked(&mut self, step: &Step, host: Option<&HostName>, told: Machine) {
        self.authority_moved(step, host);
        let (Primitive::Machine(act), Some(name)) = (&step.work, host) else {
            return;
        };
        if act.takes_over() {
            self.took_over(name, told);
            return;
        }
        if act.which != Which::Own {
            self.worked_beside(act, name, told);
            return;
        }
        let state = self
            .hosts
            .entry(name.clone())
            .or_insert_with(HostState::new);
        match act.op {
            MachineOp::Stop | MachineOp::Destroy => {
                self.off.insert(name.clone());
            }
            MachineOp::Rebuild | MachineOp::Create | MachineOp::Prove | MachineOp::Start => {
                self.off.remove(name);
            }
            MachineOp::Describe | MachineOp::Rename | MachineOp::Unprotect => {}
        }
        match act.op {
            MachineOp::Rebuild | MachineOp::Create | MachineOp::Prove => state.anew(true),
            MachineOp::Destroy => state.anew(false),
            // Its receipts stay, and it cannot be asked to let the run go.
            MachineOp::Stop => {
                state.link = HostLink::Absent;
                state.holds = false;
            }
            MachineOp::Start => {
                state.link = HostLink::Absent;
                state.holds = true;
            }
            MachineOp::Describe | MachineOp::Rename | MachineOp::Unprotect => {}
        }
        let earlier = self.machines.remove(name).unwrap_or_default();
        let told = match act.op.makes_new() {
            true => told,
            false => told.or(&earlier),
        };
        self.machines.insert(name.clone(), told);
    }

    /// The machine beside stands under the host's name from now on, and the one before is the old one.
    fn took_over(&mut self, name: &HostName, told: Machine) {
        let state = self
            .hosts
            .entry(name.clone())
            .or_insert_with(HostState::new);
        state.anew(true);
        self.off.remove(name);
        let planned = Machine {
            machine_id: self.plan.machines.get(name).cloned(),
            ..Machine::default()
        };
        let before = self.machines.remove(name).unwrap_or_default().or(&planned);
        let beside = self.beside.remove(name).unwrap_or_default();
        self.old.insert(name.clone(), before);
        self.machines.insert(name.clone(), told.or(&beside));
    }

    /// What happens to a machine beside the host's, the host does not notice.
    fn worked_beside(&mut self, act: &MachineAct, name: &HostName, told: Machine) {
        let machines = match act.which {
            Which::Old => &mut self.old,
            Which::Own | Which::Beside => &mut self.beside,
        };
        let earlier = machines.remove(name).unwrap_or_default();
        let told = match act.op.makes_new() {
            true => told,
            false => told.or(&earlier),
        };
        machines.insert(name.clone(), told);
    }

    /// Hosts that may be away by the run's own doing: their machine was switched off or ended, or a step that does so
    /// has begun and nobody knows that it went well.
    pub fn away(&self) -> BTreeSet<HostName> {
        let harms = |key: &&Key| match self.tree.step(key.node).map(|step| &step.work) {
            Some(Primitive::Machine(act)) => act.which == Which::Own && act.op.harms(),
            _ => false,
        };
        let begun = |key: &&Key| {
            let state = self.slots.get(key).map(|slot| &slot.state);
            matches!(
                state,
                Some(
                    StepState::Running { .. }
                        | StepState::Failed { .. }
                        | StepState::Unknown { .. }
                )
            )
        };
        let open = self.open.iter().filter(harms).filter(begun);
        let under_way = open.filter_map(|key| self.tree.host(key).cloned());
        self.off.iter().cloned().chain(under_way).collect()
    }

    /// What the run's own steps told of a machine of a host.
    pub fn machine_of(&self, host: &HostName, which: Which) -> Option<&Machine> {
        match which {
            Which::Own => self.machines.get(host),
            Which::Beside => self.beside.get(host),
            Which::Old => self.old.get(host),
        }
    }

    /// A host that should be another machine by now is still the same one: what said that it was made
    /// anew has failed.
    pub(crate) fn not_new(&mut self, name: &HostName, record: &Record, why: &str) {
        for key in self.open_on(name) {
            let (Some(step), Some(slot)) = (self.tree.step(key.node), self.slots.get_mut(&key))
            else {
                continue;
            };
            let proving = matches!(
                slot.state,
                StepState::Running {
                    phase: Phase::Verifying { .. },
                    ..
                }
            );
            let makes = matches!(&step.work, Primitive::Machine(act) if act.makes_new());
            if proving && makes {
                *slot = Slot {
                    version: record.seq,
                    ..out_of_itself(slot.clone(), record.at, why.to_owned())
                };
            }
        }
    }
}

impl HostState {
    /// Another machine stands under the name from now on, or none.
    fn anew(&mut self, answers: bool) {
        if let Some(install_id) = self.install_id.take() {
            let boot = self.boot.take();
            self.left = Some(Left { install_id, boot });
        }
        self.link = HostLink::Absent;
        self.sequence = 0;
        self.seen = None;
        self.holds = answers;
    }

    /// A person says that it can be used again, as it is now. Says whether there was anything to say.
    pub(crate) fn accept(&mut self) -> bool {
        // A doubt outlives the controller that had it, also before the next one has registered.
        let accepted = self.seen.take();
        if self.blocked().is_none() && accepted.is_none() {
            return false;
        }
        self.link = match self.link {
            HostLink::Doubted { .. } => HostLink::Registered,
            _ => HostLink::Absent,
        };
        if let Some((install_id, sequence)) = accepted {
            self.install_id = Some(install_id);
            self.sequence = sequence;
            self.left = None;
        }
        true
    }

    /// Why this registration cannot be of a machine that was made anew.
    pub(crate) fn still_the_old(
        &self,
        name: &HostName,
        install_id: &InstallId,
        boot: &BootProof,
    ) -> Option<String> {
        let left = self.left.as_ref()?;
        if left.install_id == *install_id {
            return Some(format!(
                "{name} was to be a new machine, and has the receipts of the old one (install id {install_id}): it was not made anew"
            ));
        }
        if left.boot.as_ref() == Some(boot) {
            return Some(format!(
                "{name} was to be a new machine, and is still in the boot of the old one: it was not made anew"
            ));
        }
        None
    }
}
