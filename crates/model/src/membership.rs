//! Membership of a cluster as a condition: whether a host does its work in the right one.

use crate::cluster::ClusterMember;
use crate::cluster_kind::ClusterKind;
use crate::facts::Known;
use crate::primitive::Measurement;
use crate::version;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// A host is a member of a cluster of this kind, and does its work there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The kind, whole: what is asked, and what the answers mean.
    pub kind: ClusterKind,
    /// What tells the cluster from others, where it was measured and does not change on the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Where this is there, it alone is asked: whether what the member runs, or would, is this version or a newer one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beyond: Option<String>,
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
        if let Some(border) = &self.beyond {
            return is_beyond(&who, member, border);
        }
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

fn is_beyond(who: &str, member: &ClusterMember, border: &str) -> Measurement {
    let unknown = |reason: &str| Measurement::Unknown {
        reason: format!("the version of {who} is not known: {reason}"),
    };
    match &member.version {
        None => unknown("its kind does not ask for it"),
        Some(Known::Unknown { reason }) => unknown(reason),
        Some(Known::Measured { value, .. }) => {
            let evidence = format!("{who} has {value}");
            match version::compare(value, border) {
                Ordering::Less => Measurement::NotSo { evidence },
                Ordering::Equal | Ordering::Greater => Measurement::So { evidence },
            }
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
    fn a_version_is_beyond_a_border_from_the_border_on_and_unknown_when_nobody_told_it() {
        let member = |version: serde_json::Value| {
            let known = |value: &str| serde_json::json!({"measured": {"value": value, "at": "2026-01-01T00:00:00Z"}});
            let mut member = serde_json::json!({
                "kind": "galera", "instance": "", "cluster": known("c"), "member": known("m"), "role": known("peer"),
                "state": known("Synced"), "size_known": {"unknown": {"reason": "x"}}, "size_alive": {"unknown": {"reason": "x"}},
                "healthy": {"unknown": {"reason": "x"}}, "data_paths": [], "evidence": [],
            });
            if !version.is_null() {
                member["version"] = version;
            }
            serde_json::from_value::<ClusterMember>(member).unwrap()
        };
        let measured = |value: &str| {
            member(serde_json::json!({"measured": {"value": value, "at": "2026-01-01T00:00:00Z"}}))
        };
        let asked = |member: &ClusterMember| is_beyond("m", member, "11.0");
        for (version, beyond) in [
            ("10.11.14", false),
            ("11.0", true),
            ("11.8.6", true),
            ("9.0", false),
        ] {
            assert_eq!(asked(&measured(version)).is_so(), beyond, "{version}");
        }
        let silent = member(serde_json::Value::Null);
        let failed = member(serde_json::json!({"unknown": {"reason": "no answer"}}));
        for member in [silent, failed] {
            let answer = asked(&member);
            assert!(matches!(answer, Measurement::Unknown { .. }), "{answer:?}");
        }
    }

    #[test]
    fn a_majority_is_more_than_half() {
        let of = |n| majority(n);
        assert_eq!([1, 2, 3, 4, 5].map(of), [1, 2, 2, 3, 3]);
    }
}
