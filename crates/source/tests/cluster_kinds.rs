//! What our kinds of clusters make of answers that real members gave, on good days and bad ones.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail like tests"
)]

use jiff::Timestamp;
use overhaul_model::cluster::{ClusterMember, Evidence};
use overhaul_model::cluster_kind::ClusterKind;
use overhaul_model::facts::Known;
use overhaul_model::membership::Membership;
use overhaul_model::primitive::Measurement;
use overhaul_source::{cluster_kind, read};
use proptest::prelude::*;
use std::fmt::{Debug, Write as _};
use std::path::Path;

fn kind(name: &str) -> ClusterKind {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../kinds");
    let file = read::file(&folder.join(format!("{name}.yaml"))).unwrap();
    cluster_kind::parse(&file).unwrap_or_else(|problems| panic!("{problems}"))
}

fn word<T: Debug>(known: &Known<T>) -> String {
    match known {
        Known::Measured { value, .. } => format!("{value:?}"),
        Known::Unknown { reason } => format!("? {reason}"),
    }
}

/// What a wait for its health, and a guard that counts members, make of it.
fn works(kind: &ClusterKind, member: &ClusterMember) -> String {
    let membership = Membership {
        kind: kind.clone(),
        cluster: None,
        beyond: None,
    };
    match membership.judge(std::slice::from_ref(member)) {
        Measurement::So { evidence } => format!("so: {evidence}"),
        Measurement::NotSo { evidence } => format!("not so: {evidence}"),
        Measurement::Unknown { reason } => format!("? {reason}"),
    }
}

#[test]
fn a_member_of_another_cluster_does_not_count() {
    let text = include_str!("cases/cluster-members.txt");
    let block = text
        .split("##### ")
        .find(|block| block.starts_with("galera"))
        .unwrap();
    let kind = kind("galera");
    let member = kind
        .member("", evidence(block), Timestamp::UNIX_EPOCH)
        .unwrap();
    let own = member.cluster.value().unwrap().clone();
    let judge = |cluster: &str| {
        let membership = Membership {
            kind: kind.clone(),
            cluster: Some(cluster.to_owned()),
            beyond: None,
        };
        membership.judge(std::slice::from_ref(&member))
    };
    assert!(judge(&own).is_so(), "{:?}", judge(&own));
    let other = judge("another");
    assert!(
        matches!(&other, Measurement::NotSo { evidence } if evidence.contains("not to `another`")),
        "{other:?}"
    );
    let none = Membership {
        kind,
        cluster: None,
        beyond: None,
    }
    .judge(&[]);
    assert!(matches!(none, Measurement::NotSo { .. }), "{none:?}");
}

fn words(kind: &ClusterKind, member: &ClusterMember) -> String {
    let mut out = String::new();
    let maybe = |known: Option<String>| known.unwrap_or_else(|| "-".to_owned());
    for (name, told) in [
        ("cluster", word(&member.cluster)),
        ("member", word(&member.member)),
        ("role", word(&member.role)),
        ("state", word(&member.state)),
        ("members", maybe(member.members.as_ref().map(word))),
        ("known", word(&member.size_known)),
        ("alive", word(&member.size_alive)),
        ("quorate", maybe(member.quorate.as_ref().map(word))),
        ("healthy", word(&member.healthy)),
        ("lag", maybe(member.lag.as_ref().map(word))),
        ("data", member.data_paths.join(" ")),
        ("works", works(kind, member)),
    ] {
        writeln!(out, "  {name}: {told}").unwrap();
    }
    out
}

/// Answers as the helper hands them over: `=== NAME`, or `=== NAME fault: WHY`, each with what was printed.
fn evidence(text: &str) -> Vec<Evidence> {
    let one = |block: &str| {
        let (head, output) = block.split_once('\n').unwrap();
        let (ask, fault) = match head.split_once(" fault: ") {
            Some((ask, fault)) => (ask, Some(fault.to_owned())),
            None => (head, None),
        };
        Evidence {
            ask: ask.to_owned(),
            fault,
            output: output.to_owned(),
        }
    };
    text.split("=== ").skip(1).map(one).collect()
}

#[test]
fn recorded_answers_are_read() {
    let mut out = String::new();
    let texts = [
        include_str!("cases/cluster-members.txt"),
        include_str!("cases/cluster-members-odd.txt"),
    ];
    for block in texts.iter().flat_map(|text| text.split("##### ").skip(1)) {
        let title = block.lines().next().unwrap();
        let kind = kind(title.split(':').next().unwrap());
        let instance = block.lines().nth(1).unwrap().strip_prefix("instance ");
        let member = kind.member(
            instance.unwrap_or_default(),
            evidence(block),
            Timestamp::UNIX_EPOCH,
        );
        let told = member.map_or("  no member\n".to_owned(), |member| words(&kind, &member));
        writeln!(out, "{title}\n{told}").unwrap();
    }
    insta::assert_snapshot!(out);
}

proptest! {
    /// Whatever a host prints, it is read; what stays in the facts is bounded, and nothing is healthy that did not say so.
    #[test]
    fn no_answer_makes_a_reading_panic(output in "(\\PC|\t|\n|\u{1b}){0,300}", json in "[\\[\\]{}\",:a-z0-9/* ]{0,200}") {
        for name in ["galera", "ceph-mon", "postgresql-replicas", "redis", "keepalived", "etcd", "rabbitmq", "pacemaker"] {
            let kind = kind(name);
            for output in [&output, &json] {
                let answers = kind.ask.keys().map(|ask| Evidence {
                    ask: ask.clone(),
                    fault: None,
                    output: output.repeat(40),
                });
                if let Some(member) = kind.member("", answers.collect(), Timestamp::UNIX_EPOCH) {
                    prop_assert!(member.evidence.iter().all(|answer| answer.output.len() <= 4_096));
                    prop_assert_ne!(member.healthy.value(), Some(&true));
                }
            }
        }
    }
}
