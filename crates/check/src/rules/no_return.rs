//! Points of no return are stated.

use crate::rule::Complaint;
use crate::view::View;
use overhaul_model::action::Undo;
use overhaul_model::effects::Effect;

pub(super) fn look(view: &View<'_>) -> Vec<Complaint> {
    let mut out = Vec::new();
    for step in view.steps {
        let what = step.effects.iter().find_map(|effect| match effect {
            Effect::ReleaseChanges(release) => Some(format!("brings the host to {release}")),
            Effect::MachineDestroyed => Some("ends the machine with all that is on it".to_owned()),
            Effect::MachineReplaced => Some("puts another machine in its place".to_owned()),
            Effect::OldMachineDestroyed => {
                Some("ends the old machine with all that is on it".to_owned())
            }
            Effect::DatasetChanges(dataset) => Some(format!("brings {dataset} to another form")),
            Effect::AuthorityMoves => Some("moves the authority over data".to_owned()),
            _ => None,
        });
        let stated = match &step.undo {
            Undo::By(_) => true,
            Undo::None { way_back } => !way_back.trim().is_empty(),
            Undo::Nothing => false,
        };
        if let Some(what) = what
            && !stated
        {
            let sentence =
                format!("it {what}, and does not say what is left to do instead of going back");
            let help = "write its `undo`, or what the way back is";
            out.push(Complaint::error(
                format!("step:{}", step.id),
                sentence,
                help,
            ));
        }
    }
    out
}
