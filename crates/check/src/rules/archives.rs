//! What archives that people had made of a host's files are worth when its machine ends.

use super::machines::mount_of;
use crate::view::{Act, View};
use overhaul_model::action::Action;
use overhaul_model::effects::Effect;
use overhaul_model::facts::Mount;
use overhaul_model::id::{HostName, ServiceName};
use overhaul_model::primitive::{Persist, Primitive};
use std::collections::BTreeSet;

/// An archive that was made before.
pub(super) struct Made<'s> {
    pub(super) persist: &'s Persist,
    /// Whether nothing was written while it was made, nor since.
    pub(super) at_rest: bool,
}

/// The archives among the steps of a host before its machine ends. One counts as at rest when all services
/// that the plan knows on the host were stopped, and none was started since.
pub(super) fn made<'s>(view: &View<'_>, host: &HostName, before: &[&'s Act<'s>]) -> Vec<Made<'s>> {
    let here = view.services_on(host).iter();
    let mut up: BTreeSet<ServiceName> = here.map(|(name, _)| (*name).clone()).collect();
    let mut out: Vec<Made<'s>> = Vec::new();
    for act in before {
        let step = act.step;
        if let (Action::Archive { .. }, Primitive::Persist(persist)) = (&step.action, &step.work) {
            out.push(Made {
                persist,
                at_rest: up.is_empty() && !persist.live,
            });
        }
        for effect in &act.effects {
            match effect {
                Effect::ServiceStops(name) => {
                    up.remove(name);
                }
                Effect::ServiceStarts(name) => {
                    up.insert(name.clone());
                    for made in &mut out {
                        made.at_rest = false;
                    }
                }
                _ => {}
            }
        }
    }
    out
}

impl Made<'_> {
    /// Whether all that lies below a path is in it.
    pub(super) fn holds(&self, path: &str, mounts: Option<&[Mount]>) -> bool {
        let Persist {
            paths,
            exclude,
            one_filesystem,
            ..
        } = self.persist;
        let Some(top) = paths.iter().find(|top| is_below(path, top)) else {
            return false;
        };
        let left_out = |out: &String| is_below(path, out) || is_below(out, path);
        if exclude.iter().any(left_out) {
            return false;
        }
        if !one_filesystem {
            return true;
        }
        let Some(mounts) = mounts else {
            return false;
        };
        let place = |path: &str| mount_of(mounts, path).map(|mount| mount.path.as_str());
        let below = |mount: &Mount| mount.path != path && is_below(&mount.path, path);
        place(path).is_some() && place(path) == place(top) && !mounts.iter().any(below)
    }
}

/// Whether a path is a folder, or lies below it.
pub(super) fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder.trim_end_matches('/'))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
