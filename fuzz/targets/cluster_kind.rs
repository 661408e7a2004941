//! Kinds of clusters, and what members answer. The first byte says which: a digit is one of our own kinds, whose questions are
//! answered with what zero bytes part; otherwise the rest is the text of a kind.

use overhaul_model::cluster::Evidence;
use overhaul_model::cluster_kind::ClusterKind;
use overhaul_source::{SourceFile, cluster_kind};
use std::sync::LazyLock;

static KINDS: LazyLock<Vec<ClusterKind>> = LazyLock::new(|| {
    let texts = [
        include_str!("../../kinds/ceph-mon.yaml"),
        include_str!("../../kinds/galera.yaml"),
        include_str!("../../kinds/keepalived.yaml"),
        include_str!("../../kinds/postgresql-replicas.yaml"),
        include_str!("../../kinds/redis.yaml"),
    ];
    let parse = |text: &str| cluster_kind::parse(&SourceFile::new("kind.yaml", text)).expect("our own kind is whole");
    texts.into_iter().map(parse).collect()
});

fn evidence(kind: &ClusterKind, text: &str) -> Vec<Evidence> {
    let mut answers = text.split('\0');
    let answered = kind.ask.keys().zip(answers.by_ref());
    answered
        .map(|(ask, output)| Evidence {
            ask: ask.clone(),
            fault: None,
            output: output.to_owned(),
        })
        .collect()
}

pub fn run(bytes: &[u8]) {
    let text = super::text(bytes);
    let Some(which) = text.chars().next() else {
        return;
    };
    let rest = &text[which.len_utf8()..];
    if let Some(kind) = which.to_digit(10).and_then(|at| KINDS.get(at as usize)) {
        if let Some(member) = kind.member("main", evidence(kind, rest), Default::default()) {
            assert!(member.data_paths.iter().all(|path| path.starts_with('/')));
            assert!(serde_json::to_string(&member).is_ok());
        }
        return;
    }
    match cluster_kind::parse(&SourceFile::new("kind.yaml", rest)) {
        Ok(kind) => {
            let answers = kind.ask.values().map(|_| "{}").collect::<Vec<_>>().join("\0");
            let _ = kind.member("", evidence(&kind, &answers), Default::default());
        }
        Err(problems) => assert!(!problems.to_string().is_empty()),
    }
}
