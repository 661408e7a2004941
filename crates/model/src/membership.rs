//! Membership of a cluster as a condition: whether a host does its work in the right one.

use crate::cluster::ClusterMember;
use crate::cluster_kind::ClusterKind;
use crate::facts::Known;
use crate::primitive::Measurement;
use serde::{Deserialize, Serialize};

/// A host is a member of a cluster of this kind, and does its work there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The kind, whole: what is asked, and what the answers mean.
    pub kind: ClusterKind,
    /// What tells the cluster from others, where it was measured and does not change on the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
}

/// The smallest number of members that is more than half of all.
pub fn majority(of: u32) -> u32 {
    of.checked_div(2).unwrap_or(0).saturating_add(1)
}

impl Membership {
    /// So when every membership of the host is one of this cluster, healthy, and on the side of a majority
    /// where the kind has one. What no answer tells is unknown.
    pub fn judge(&self, members: &[ClusterMember]) -> Measurement {
        if members.is_empty() {
            return Measurement::NotSo {
                evidence: format!("it is no member of a {} cluster", self.kind.name),
            };
        }
        Measurement::all(members.iter().map(|member| self.judge_one(member)))
    }

    fn judge_one(&self, member: &ClusterMember) -> Measurement {
        let who = match (member.member.value(), member.instance.as_str()) {
            (Some(name), _) => name.clone(),
            (None, "") => self.kind.name.clone(),
            (None, instance) => instance.to_owned(),
        };
        let state = member.state.value().map_or("no state", String::as_str);
        let mut parts = vec![holds(
            &member.healthy,
            |healthy| *healthy,
            || format!("{who} does not do its work: {state}"),
        )];
        if let Some(quorate) = &member.quorate {
            parts.push(holds(
                quorate,
                |quorate| *quorate,
                || format!("{who} belongs to no majority: {state}"),
            ));
        }
        if let Some(wanted) = &self.cluster {
            parts.push(holds(
                &member.cluster,
                |cluster| cluster == wanted,
                || {
                    let other = member.cluster.value().map_or("", String::as_str);
                    format!("{who} belongs to `{other}`, not to `{wanted}`")
                },
            ));
        }
        match Measurement::all(parts) {
            Measurement::So { .. } => Measurement::So {
                evidence: match (member.size_alive.value(), member.size_known.value()) {
                    (Some(alive), Some(known)) => format!("{who}: {state}, {alive} of {known}"),
                    (Some(alive), None) => format!("{who}: {state}, {alive} take part"),
                    (None, _) => format!("{who}: {state}"),
                },
            },
            other => other,
        }
    }
}

fn holds<T>(
    known: &Known<T>,
    so: impl Fn(&T) -> bool,
    otherwise: impl Fn() -> String,
) -> Measurement {
    match known {
        Known::Unknown { reason } => Measurement::Unknown {
            reason: reason.clone(),
        },
        Known::Measured { value, .. } if so(value) => Measurement::So {
            evidence: String::new(),
        },
        Known::Measured { .. } => Measurement::NotSo {
            evidence: otherwise(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_majority_is_more_than_half() {
        let of = |n| majority(n);
        assert_eq!([1, 2, 3, 4, 5].map(of), [1, 2, 2, 3, 3]);
    }
}
