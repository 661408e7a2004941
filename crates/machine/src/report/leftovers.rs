//! What a run has left behind: open scopes, masked units, copies, old clusters, held hosts.

use super::timeline::{Track, Tracks};
use super::{HostRow, Leftover, LeftoverKind, Noticed, StepStanding};
use overhaul_model::action::{Action, DatabaseOp, ServiceOp};
use overhaul_model::id::{HostName, Position};
use overhaul_model::plan::{Block, Child, NOTICED_OUTPUT, Plan};
use overhaul_model::primitive::{Fetch, Persist, Primitive};
use overhaul_model::step::Step;
use std::collections::{BTreeMap, BTreeSet};

/// An output whose name begins so tells, line by line, what its step has left behind.
pub const LEFTOVER_OUTPUT_PREFIX: &str = "leftover";

/// Where sshd listens when nothing is said.
const SSH_PORT: u16 = 22;

/// The output of a streamed copy that holds its digest.
const DIGEST_OUTPUT: &str = "sha256";

pub(super) fn leftovers(plan: &Plan, tracks: &Tracks<'_>, hosts: &[HostRow]) -> Vec<Leftover> {
    let mut out = Vec::new();
    open_scopes(plan, tracks, &mut out);
    units(tracks, &mut out);
    for (position, track) in tracks.over() {
        left_out(position, track, &mut out);
        of_step(position, track, &mut out);
        named(position, track, &mut out);
        known_hosts(plan, position, track, &mut out);
    }
    out.extend(
        hosts
            .iter()
            .filter(|row| !row.released)
            .map(|row| Leftover {
                kind: LeftoverKind::HostHeld,
                host: Some(row.host.clone()),
                what: "the host still belongs to this run; others are refused there".to_owned(),
                way: "overhaul resume, or overhaul abort".to_owned(),
                sha256: None,
            }),
    );
    // Stable: what one step names stays in its order, headings included.
    out.sort_by(|a, b| (a.kind, &a.host).cmp(&(b.kind, &b.host)));
    out
}

/// What steps say that they have seen, line by line.
pub(super) fn noticed(tracks: &Tracks<'_>) -> Vec<Noticed> {
    let mut out = Vec::new();
    for (position, track) in tracks.over() {
        let told = track.outputs.get(NOTICED_OUTPUT).and_then(|v| v.as_str());
        let lines = told.into_iter().flat_map(str::lines);
        let lines = lines.map(str::trim).filter(|line| !line.is_empty());
        out.extend(lines.map(|line| Noticed {
            host: position.host.clone(),
            what: line.to_owned(),
        }));
        out.extend(track.unsynced().map(|lacking| Noticed {
            host: position.host.clone(),
            what: format!(
                "{}: when it ended, not all it had written was known to be on the disk ({lacking}); if the host lost its \
                 power within a minute after, look at what the step did",
                position.step
            ),
        }));
    }
    // What two steps have seen is told once.
    let mut seen = BTreeSet::new();
    out.retain(|row| seen.insert((row.host.clone(), row.what.clone())));
    out.sort_by(|a, b| a.host.cmp(&b.host));
    out
}

/// A provider made a new machine: its host keys are proven for this run alone, and the operator's files
/// still have those of the machine before.
fn known_hosts(plan: &Plan, position: &Position, track: &Track<'_>, out: &mut Vec<Leftover>) {
    let made = match &track.step.work {
        Primitive::Machine(act) => act.provider.is_some() && act.makes_new(),
        _ => false,
    };
    let host = position.host.as_ref().and_then(|name| plan.hosts.get(name));
    let Some(host) = host.filter(|_| made && track.standing == StepStanding::Done) else {
        return;
    };
    let connection = &host.connection;
    let name = match connection.port {
        Some(port) if port != SSH_PORT => format!("'[{}]:{port}'", connection.address),
        _ => connection.address.clone(),
    };
    let files = connection.known_hosts.iter();
    let files = files.fold(String::new(), |out, file| out + " -f " + file);
    out.push(Leftover {
        kind: LeftoverKind::KnownHosts,
        host: None,
        what: format!(
            "known host keys of {} ({name}) are those of the machine before, where it has any",
            host.name
        ),
        way: format!(
            "ssh-keygen -F {name}{files} shows the lines with their numbers, ssh-keygen -R {name}{files} takes them away; the new keys that the provider proved lie in the folder known_hosts of the run"
        ),
        sha256: None,
    });
}

/// Scopes whose opening took effect and whose closing did not.
fn open_scopes(plan: &Plan, tracks: &Tracks<'_>, out: &mut Vec<Leftover>) {
    let mut scopes = Vec::new();
    find_scopes(Child::Block(&plan.root), &mut scopes);
    let placed = plan.positions();
    for (open, close) in scopes {
        for position in placed.iter().filter(|p| p.step.id == open.id) {
            let host = position.position.host.clone();
            let closing = Position {
                step: close.id.clone(),
                host: host.clone(),
            };
            let took_effect = tracks.get(&position.position).is_some_and(took_effect);
            let closed = tracks.get(&closing).is_some_and(|track| {
                track.standing == StepStanding::Done
                    || (track.standing == StepStanding::Skipped && track.by_person.is_none())
            });
            if took_effect && !closed {
                out.push(Leftover {
                    kind: LeftoverKind::ScopeOpen,
                    host,
                    what: format!("set up and not taken away: {}", open.title),
                    way: format!("carry out `{closing}` ({})", close.title),
                    sha256: None,
                });
            }
        }
    }
}

/// Whether a step has begun to have its effect.
fn took_effect(track: &Track<'_>) -> bool {
    match track.standing {
        StepStanding::Waiting | StepStanding::Held | StepStanding::Asked => false,
        StepStanding::Skipped => track.by_person.is_none(),
        StepStanding::Running
        | StepStanding::Done
        | StepStanding::Failed
        | StepStanding::Unknown
        | StepStanding::Voided => true,
    }
}

fn find_scopes<'a>(child: Child<'a>, out: &mut Vec<(&'a Step, &'a Step)>) {
    let Child::Block(block) = child else { return };
    if let Block::Scope { open, close, .. } = block {
        out.push((open, close));
    }
    for child in block.children() {
        find_scopes(child, out);
    }
}

/// Units that were stopped or masked and not given back since.
fn units(tracks: &Tracks<'_>, out: &mut Vec<Leftover>) {
    let mut standing: BTreeMap<(Option<HostName>, String), LeftoverKind> = BTreeMap::new();
    for (position, track) in tracks.over() {
        let Action::Service { unit, op, .. } = &track.step.action else {
            continue;
        };
        if track.standing != StepStanding::Done && track.by_person.is_some() {
            continue;
        }
        let key = (position.host.clone(), unit.clone());
        match op {
            ServiceOp::Hold => standing.insert(key, LeftoverKind::UnitHeld),
            ServiceOp::Stop => standing.insert(key, LeftoverKind::UnitStopped),
            ServiceOp::LetGo | ServiceOp::Start | ServiceOp::Restart => standing.remove(&key),
            ServiceOp::Reload | ServiceOp::Enable | ServiceOp::Disable => None,
        };
    }
    for ((host, unit), kind) in standing {
        let (what, way) = if kind == LeftoverKind::UnitHeld {
            (
                format!("{unit} is stopped and masked"),
                format!("systemctl unmask --now {unit}; systemctl start {unit}"),
            )
        } else {
            (
                format!("{unit} is stopped"),
                format!("systemctl start {unit}"),
            )
        };
        out.push(Leftover {
            kind,
            host,
            what,
            way,
            sha256: None,
        });
    }
}

fn left_out(position: &Position, track: &Track<'_>, out: &mut Vec<Leftover>) {
    let voided = track.standing == StepStanding::Voided;
    if voided || (track.standing == StepStanding::Skipped && track.by_person.is_some()) {
        out.push(Leftover {
            kind: LeftoverKind::LeftOut,
            host: position.host.clone(),
            what: format!("{}: {}", position.step, track.how()),
            way: "make sure by hand that what the step was for is so".to_owned(),
            sha256: None,
        });
    }
}

/// What a database's move to a new major version leaves behind.
fn old_cluster(position: &Position, track: &Track<'_>) -> Option<Leftover> {
    let Action::Database {
        dataset,
        op: DatabaseOp::MoveCluster,
    } = &track.step.action
    else {
        return None;
    };
    let way = "pg_lsclusters shows it; pg_dropcluster removes it when nobody needs it any more";
    Some(Leftover {
        kind: LeftoverKind::OldCluster,
        host: position.host.clone(),
        what: format!("the cluster of the old major version of dataset {dataset} is kept, stopped"),
        way: way.to_owned(),
        sha256: None,
    })
}

/// What a step that was carried out leaves behind by its nature.
fn of_step(position: &Position, track: &Track<'_>, out: &mut Vec<Leftover>) {
    if track.standing != StepStanding::Done {
        return;
    }
    out.extend(old_cluster(position, track));
    let mut add = |kind, host: Option<HostName>, what: String, way: &str, sha256| {
        out.push(Leftover {
            kind,
            host,
            what,
            way: way.to_owned(),
            sha256,
        });
    };
    let host = position.host.clone();
    let before = |path: &str| format!("{path}.overhaul-before");
    match &track.step.work {
        Primitive::Fetch(Fetch { file, .. }) | Primitive::Persist(Persist { file, .. }) => {
            let sha256 = track
                .outputs
                .get(DIGEST_OUTPUT)
                .and_then(|value| value.as_str())
                .map(ToOwned::to_owned);
            add(
                LeftoverKind::Backup,
                None,
                file.clone(),
                "below the run's data folder on the controller; remove it when nobody needs it",
                sha256,
            );
        }
        Primitive::WriteFile(file) if file.backup => {
            let way = "remove it when nobody needs it";
            add(LeftoverKind::OldFile, host, before(&file.path), way, None);
        }
        Primitive::EditFile(file) if file.backup => {
            let way = "remove it when nobody needs it";
            add(LeftoverKind::OldFile, host, before(&file.path), way, None);
        }
        Primitive::TakeOver(take) => add(
            LeftoverKind::Named,
            Some(take.from.clone()),
            format!(
                "what it has of the dataset {} counts no more: {}",
                take.data.dataset,
                take.data.paths.join(", ")
            ),
            "the authority has moved; remove it when nobody needs it any more",
            None,
        ),
        Primitive::Exec(_)
        | Primitive::Local(_)
        | Primitive::Machine(_)
        | Primitive::Belonging(_)
        | Primitive::WriteFile(_)
        | Primitive::EditFile(_)
        | Primitive::Reboot(_)
        | Primitive::Feed(_)
        | Primitive::Restore(_)
        | Primitive::Receive(_)
        | Primitive::Wait(_)
        | Primitive::Ask(_)
        | Primitive::Announce(_)
        | Primitive::NotAvailable(_) => {}
    }
}

/// What a step says itself that it has left behind. All that a release upgrader hands out is of this
/// kind: sources switched off, old code at work, settings not taken.
fn named(position: &Position, track: &Track<'_>, out: &mut Vec<Leftover>) {
    let upgrader = matches!(track.step.action, Action::ReleaseUpgrade { .. });
    for (name, value) in &track.outputs {
        let subject = match name.strip_prefix(LEFTOVER_OUTPUT_PREFIX) {
            Some(subject) => subject,
            None if upgrader => name,
            None => continue,
        };
        let text = match value {
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Null => continue,
            other => other.to_string(),
        };
        let subject = subject.trim_start_matches('_').replace('_', " ");
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let what = match subject.as_str() {
                "" => line.trim().to_owned(),
                subject => format!("{subject}: {}", line.trim()),
            };
            out.push(Leftover {
                kind: LeftoverKind::Named,
                host: position.host.clone(),
                what,
                way: format!("named by {}", track.step.title),
                sha256: None,
            });
        }
    }
}
