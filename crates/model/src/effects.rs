//! What a step does to the fleet: few, closed, and derived from its action, never stored.
//!
//! Checker, outage clock, guards and pictures all read this one function.

use crate::action::{
    Action, CarryOp, ClusterOp, DatabaseOp, MoveOp, ServiceOp, Touches, TransferOp, Undo,
    UpgradePart,
};
use crate::belonging::{Belonging, Which};
use crate::definition::Release;
use crate::id::{DatasetName, ServiceName};
use crate::primitive::MachineOp;
use crate::step::Step;

/// One effect of a step on its host or on data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The host is away.
    HostDown,
    /// The host is back, proven.
    HostUp,
    /// The host's release becomes this one.
    ReleaseChanges(Release),
    /// The service stops on the host for certain: something must start it again.
    ServiceStops(ServiceName),
    /// The service may be disturbed while the step runs, and is up again after it.
    ServiceMayBlink(ServiceName),
    /// Every service of the host may be disturbed while the step runs, a reboot included.
    AnythingMayBlink,
    /// The service starts on the host.
    ServiceStarts(ServiceName),
    /// A copy of the dataset comes to be, outside the host, with equal digests.
    DatasetCopied(DatasetName),
    /// The copy was read back.
    CopyReadBack(DatasetName),
    /// The machine under the host's name is gone, with everything on it.
    MachineDestroyed,
    /// Another machine stands under the host's name, with nothing but its image on it; the one before is
    /// kept beside it, switched off.
    MachineReplaced,
    /// The machine whose place was taken is gone, with everything that was left on it.
    OldMachineDestroyed,
    /// A new machine stands under the host's name, with nothing but its image on it.
    MachineCreated,
    /// The dataset is brought to another form that the old software cannot read.
    DatasetChanges(DatasetName),
    /// A copy of these paths comes to be outside the host, with equal digests.
    PathsCopied(Vec<String>),
    /// These paths come to be on the host from such a copy, read back.
    PathsRestored(Vec<String>),
    /// A volume with data leaves the host or comes to it.
    VolumeMoves,
    /// An address leaves the host or comes to it.
    AddressMoves,
    /// The host leaves a cluster, joins it, or is one alone.
    MembershipChanges,
    /// The dataset comes to the host from another one, with equal digests.
    DatasetReceived(DatasetName),
    /// The host becomes the authority over data that another one had.
    AuthorityMoves,
}

impl Effect {
    /// Whether what was on the host's machine is not there any more.
    pub fn takes_machine(&self) -> bool {
        matches!(self, Self::MachineDestroyed | Self::MachineReplaced)
    }
}

/// The effects of a step on the host of its lane, in the order in which they come.
pub fn effects(step: &Step) -> Vec<Effect> {
    match &step.action {
        Action::Run { touches } | Action::Ansible { touches, .. } => blinks(touches),
        Action::Machine { op, which, release } => machine_effects(*op, *which, release.as_ref()),
        Action::Moves { kind, op, .. } => match (kind, op) {
            (Belonging::Volume, MoveOp::Come | MoveOp::Leave) => vec![Effect::VolumeMoves],
            (Belonging::Address, MoveOp::Come | MoveOp::Leave) => vec![Effect::AddressMoves],
            _ => Vec::new(),
        },
        Action::Cluster { service, op } => cluster_effects(service, *op),
        Action::Later { what, touches } => {
            let mut effects = what.effects();
            effects.extend(blinks(touches));
            effects
        }
        Action::Service { service, op, .. } => service_effects(service.as_ref(), *op),
        Action::Packages { .. } => vec![Effect::AnythingMayBlink],
        Action::ReleaseUpgrade { part, to, .. } => match part {
            UpgradePart::Prepare | UpgradePart::TakeDown => Vec::new(),
            UpgradePart::Change => {
                vec![Effect::AnythingMayBlink, Effect::ReleaseChanges(to.clone())]
            }
            UpgradePart::Settle => vec![Effect::AnythingMayBlink],
        },
        Action::Reboot => vec![Effect::HostDown, Effect::HostUp],
        Action::Database { dataset, op } => vec![match op {
            DatabaseOp::Backup => Effect::DatasetCopied(dataset.clone()),
            DatabaseOp::ReadBack => Effect::CopyReadBack(dataset.clone()),
            DatabaseOp::MoveCluster => Effect::DatasetChanges(dataset.clone()),
        }],
        Action::Carry { paths, op } => vec![match op {
            CarryOp::Persist => Effect::PathsCopied(paths.clone()),
            CarryOp::Restore => Effect::PathsRestored(paths.clone()),
        }],
        Action::Transfer { dataset, op, .. } => vec![match op {
            TransferOp::Receive | TransferOp::Load => Effect::DatasetReceived(dataset.clone()),
            TransferOp::TakeOver => Effect::AuthorityMoves,
        }],
        Action::Archive { paths } => vec![Effect::PathsCopied(paths.clone())],
        Action::File { .. }
        | Action::Edit { .. }
        | Action::Wait
        | Action::Gate
        | Action::Announce => Vec::new(),
    }
}

fn blinks(touches: &Touches) -> Vec<Effect> {
    match touches {
        Touches::Anything => vec![Effect::AnythingMayBlink],
        Touches::Only(services) => services
            .iter()
            .cloned()
            .map(Effect::ServiceMayBlink)
            .collect(),
    }
}

/// Whether nothing brings the old release, the old form of the data or the old machine back after the step.
pub fn is_no_return(step: &Step) -> bool {
    let gone = |effect: &Effect| {
        matches!(
            effect,
            Effect::ReleaseChanges(_)
                | Effect::DatasetChanges(_)
                | Effect::MachineDestroyed
                | Effect::OldMachineDestroyed
                | Effect::AuthorityMoves
        )
    };
    let declared = matches!(step.action, Action::Later { .. });
    matches!(step.undo, Undo::None { .. }) && (declared || effects(step).iter().any(gone))
}

fn service_effects(service: Option<&ServiceName>, op: ServiceOp) -> Vec<Effect> {
    let Some(service) = service.cloned() else {
        return Vec::new();
    };
    match op {
        ServiceOp::Stop | ServiceOp::Hold => vec![Effect::ServiceStops(service)],
        ServiceOp::Start | ServiceOp::LetGo => vec![Effect::ServiceStarts(service)],
        ServiceOp::Restart => vec![Effect::ServiceMayBlink(service)],
        ServiceOp::Reload | ServiceOp::Enable | ServiceOp::Disable => Vec::new(),
    }
}

fn cluster_effects(service: &ServiceName, op: ClusterOp) -> Vec<Effect> {
    match op {
        ClusterOp::Leave => vec![
            Effect::ServiceStops(service.clone()),
            Effect::MembershipChanges,
        ],
        ClusterOp::Join | ClusterOp::Bootstrap => vec![
            Effect::MembershipChanges,
            Effect::ServiceStarts(service.clone()),
        ],
        ClusterOp::Forget => Vec::new(),
    }
}

fn machine_effects(op: MachineOp, which: Which, release: Option<&Release>) -> Vec<Effect> {
    match (which, op) {
        (Which::Own, _) => {}
        (Which::Beside, MachineOp::Prove) => {
            let mut out = vec![Effect::HostDown, Effect::MachineReplaced];
            out.extend(release.cloned().map(Effect::ReleaseChanges));
            out.push(Effect::HostUp);
            return out;
        }
        (Which::Old, MachineOp::Destroy) => return vec![Effect::OldMachineDestroyed],
        // What happens beside the host's machine, it does not notice.
        (Which::Beside | Which::Old, _) => return Vec::new(),
    }
    let mut out = Vec::new();
    if op.harms() || op == MachineOp::Prove {
        out.push(Effect::HostDown);
    }
    if matches!(
        op,
        MachineOp::Rebuild | MachineOp::Destroy | MachineOp::Prove
    ) {
        out.push(Effect::MachineDestroyed);
    }
    if op.makes_new() {
        out.push(Effect::MachineCreated);
        out.extend(release.cloned().map(Effect::ReleaseChanges));
    }
    if op.makes_new() || op == MachineOp::Start {
        out.push(Effect::HostUp);
    }
    out
}
