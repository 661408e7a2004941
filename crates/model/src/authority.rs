//! The authority over a dataset: the one host whose copy of it counts.
//!
//! It moves by a transfer, once. Both hosts keep a record of that, so that every later request, of any run and
//! any controller, is judged by who has it: the old side is not written again, and the transfer is not repeated,
//! until a named person has voided the record.

use crate::action::{Action, DatabaseOp, ServiceOp, TransferOp};
use crate::id::{DatasetName, Digest, HostName, Person, Position, RunId};
use crate::primitive::Primitive;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What a host keeps of the authority over a dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorityRecord {
    /// What it is about.
    pub about: Subject,
    /// How the host stands to it.
    pub stand: AuthorityStand,
    /// The transfer by which it came to that.
    pub moved: Moved,
}

/// A dataset as a host knows it: another definition may name it otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// The fleet.
    pub fleet: String,
    /// Its name there.
    pub dataset: DatasetName,
    /// Its paths.
    pub paths: Vec<String>,
    /// Units of the services that write to it.
    pub units: Vec<String>,
}

/// How a host stands to a dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum AuthorityStand {
    /// It has the authority.
    Held {
        /// Who had it before.
        from: HostName,
    },
    /// It has given it away: what it has of the dataset counts no more.
    Given {
        /// To whom.
        to: HostName,
    },
    /// A person has declared the record void: nothing is known of the authority here.
    Voided {
        /// Who.
        person: Person,
        /// Why.
        reason: String,
        /// When, by the host's clock.
        at: Timestamp,
        /// How it stood before.
        before: Box<AuthorityStand>,
    },
}

/// A transfer that was completed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// The run.
    pub run: RunId,
    /// The step.
    pub position: Position,
    /// The digest of all that was sent, equal at both ends.
    pub digest: String,
    /// When, by the host's clock.
    pub at: Timestamp,
}

impl AuthorityRecord {
    /// The word by which a person says which record was seen.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn seen(&self) -> Result<Digest, serde_json::Error> {
        Digest::of_json(self)
    }

    /// For people: how the host stands, and since when.
    pub fn words(&self) -> String {
        let Moved { run, at, .. } = &self.moved;
        let dataset = &self.about.dataset;
        match &self.stand {
            AuthorityStand::Held { from } => {
                format!(
                    "this host has the authority over {dataset}, from {from}, since {at} (run {run})"
                )
            }
            AuthorityStand::Given { to } => {
                format!("the authority over {dataset} went to {to} at {at} (run {run})")
            }
            AuthorityStand::Voided { person, reason, .. } => {
                format!("the authority over {dataset} was declared void by {person}: {reason}")
            }
        }
    }
}

/// What a request would do to data, for whoever keeps records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Claim {
    /// Something is written, or something begins to run that writes.
    Writes {
        /// The dataset, where it is known.
        dataset: Option<DatasetName>,
        /// Paths that are written.
        paths: Vec<String>,
        /// Units that are started.
        units: Vec<String>,
    },
    /// The dataset is received from another host.
    Receives {
        /// The dataset.
        dataset: DatasetName,
        /// Its paths.
        paths: Vec<String>,
        /// From whom.
        from: HostName,
    },
    /// The dataset is sent to another host.
    Sends {
        /// The dataset.
        dataset: DatasetName,
        /// Its paths.
        paths: Vec<String>,
    },
}

impl Claim {
    fn dataset(&self) -> Option<&DatasetName> {
        match self {
            Self::Writes { dataset, .. } => dataset.as_ref(),
            Self::Receives { dataset, .. } | Self::Sends { dataset, .. } => Some(dataset),
        }
    }

    fn paths(&self) -> &[String] {
        match self {
            Self::Writes { paths, .. }
            | Self::Receives { paths, .. }
            | Self::Sends { paths, .. } => paths,
        }
    }

    fn units(&self) -> &[String] {
        match self {
            Self::Writes { units, .. } => units,
            Self::Receives { .. } | Self::Sends { .. } => &[],
        }
    }

    fn meets(&self, fleet: &str, about: &Subject) -> bool {
        let named = self.dataset() == Some(&about.dataset) && fleet == about.fleet;
        let below = |one: &String| about.paths.iter().any(|other| overlap(one, other));
        let unit = |one: &String| about.units.iter().any(|other| same_unit(one, other));
        named || self.paths().iter().any(below) || self.units().iter().any(unit)
    }
}

/// What a host's records say against a request.
///
/// # Errors
/// The first record that stands against it, in words.
pub fn judge(records: &[AuthorityRecord], fleet: &str, claims: &[Claim]) -> Result<(), String> {
    for claim in claims {
        for record in records
            .iter()
            .filter(|record| claim.meets(fleet, &record.about))
        {
            let against = match (&record.stand, claim) {
                (AuthorityStand::Voided { .. }, _)
                | (AuthorityStand::Held { .. }, Claim::Writes { .. } | Claim::Sends { .. }) => {
                    false
                }
                // It may come back from the one that has it.
                (AuthorityStand::Given { to }, Claim::Receives { from, .. }) => to != from,
                (AuthorityStand::Held { .. }, Claim::Receives { .. })
                | (AuthorityStand::Given { .. }, Claim::Writes { .. } | Claim::Sends { .. }) => {
                    true
                }
            };
            if against {
                return Err(format!(
                    "{}; a person who knows better voids that record: overhaul void --dataset {} --host HOST --reason TEXT",
                    record.words(),
                    record.about.dataset
                ));
            }
        }
    }
    Ok(())
}

/// What the act of a step claims on the host of its lane; `work` is rendered.
pub fn claims(action: &Action, work: &Primitive) -> Vec<Claim> {
    let writes = |paths: &[String], units: &[String]| {
        vec![Claim::Writes {
            dataset: None,
            paths: paths.to_vec(),
            units: units.to_vec(),
        }]
    };
    match (action, work) {
        (_, Primitive::Restore(restore)) => writes(&restore.paths, &[]),
        (_, Primitive::WriteFile(file)) => writes(std::slice::from_ref(&file.path), &[]),
        (_, Primitive::EditFile(file)) => writes(std::slice::from_ref(&file.path), &[]),
        (_, Primitive::Receive(receive)) => vec![Claim::Receives {
            dataset: receive.data.dataset.clone(),
            paths: receive.data.paths.clone(),
            from: receive.from.clone(),
        }],
        (
            Action::Transfer {
                dataset,
                from,
                op: TransferOp::Load,
            },
            _,
        ) => vec![Claim::Receives {
            dataset: dataset.clone(),
            paths: Vec::new(),
            from: from.clone(),
        }],
        (
            Action::Service {
                unit,
                op: ServiceOp::Start | ServiceOp::Restart | ServiceOp::LetGo,
                ..
            },
            _,
        ) => writes(&[], std::slice::from_ref(unit)),
        (
            Action::Database {
                dataset,
                op: DatabaseOp::MoveCluster,
            },
            _,
        ) => vec![Claim::Writes {
            dataset: Some(dataset.clone()),
            paths: Vec::new(),
            units: Vec::new(),
        }],
        _ => Vec::new(),
    }
}

/// Whether one of the paths lies in the other.
fn overlap(one: &str, other: &str) -> bool {
    let below = |path: &str, folder: &str| {
        path.strip_prefix(folder.trim_end_matches('/'))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    below(one, other) || below(other, one)
}

fn same_unit(one: &str, other: &str) -> bool {
    let plain = |unit: &str| unit.trim_end_matches(".service").to_owned();
    plain(one) == plain(other)
}

#[cfg(test)]
mod tests;
