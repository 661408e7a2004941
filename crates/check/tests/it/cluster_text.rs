//! A kind of cluster for plans of a few lines.

use overhaul_model::cluster_kind::{ClusterKind, Deeds, Detect, Place, Readings, RoleReading};
use overhaul_model::membership::Membership;
use overhaul_model::primitive::Measure;
use std::collections::BTreeMap;

/// Membership of a cluster of Galera, in which members from this version on feed no older one.
pub fn member_of(border: &str) -> Measure {
    let place = |at: &str| Place {
        of: "status".to_owned(),
        at: at.to_owned(),
    };
    let kind = ClusterKind {
        name: "galera".to_owned(),
        describes: "a cluster".to_owned(),
        detect: Detect::default(),
        instances: None,
        ask: BTreeMap::new(),
        member_when: Vec::new(),
        owns: Vec::new(),
        no_mix: Vec::new(),
        no_feed: vec![border.to_owned()],
        deeds: Deeds::default(),
        read: Readings {
            cluster: place("cluster"),
            member: place("member"),
            role: RoleReading {
                place: place("state"),
                words: BTreeMap::new(),
                otherwise: None,
            },
            members: None,
            known: None,
            alive: None,
            quorate: Vec::new(),
            healthy: Vec::new(),
            lag: None,
            data: None,
            version: Some(place("version")),
        },
    };
    Measure::Member(Box::new(Membership {
        kind,
        cluster: None,
        beyond: None,
    }))
}
