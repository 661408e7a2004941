//! Trackers: read; written again, what people wrote is kept, and writing twice changes nothing.

use overhaul_model::id::HostName;
use overhaul_model::tracker::{Change, DataWay, Pace, Progress, Proposal, Reason, State, Turn};
use overhaul_source::SourceFile;
use overhaul_source::tracker::{Update, parse, updated};
use std::collections::BTreeMap;

fn update() -> Update {
    Update {
        roles: ["web".into()].into(),
        zone: Some("a".into()),
        proposed: Some(Proposal {
            change: Some(Change::Rebuild),
            data: Some(DataWay::Carry(vec!["/srv".to_owned()])),
            turn: Turn {
                rank: 2,
                group: "web".to_owned(),
                pace: Pace::OneByOne,
                after: [HostName::new("db1")].into(),
            },
            data_bytes: Some(7),
            reasons: vec![Reason {
                rule: "stored".to_owned(),
                says: "/srv holds 7 B".to_owned(),
            }],
            not_known: vec!["what listens: permission denied".to_owned()],
            release: Some("debian 12".to_owned()),
            facts_of: None,
        }),
        progress: Some(Progress {
            state: State::NotStarted,
            run: None,
            leftovers: vec!["/srv/x.bak: remove it".to_owned()],
            vanished: None,
        }),
    }
}

/// Whether all bytes of `small` stand in `large`, in their order; the braces of a list without hosts go, with the blanks between them.
fn is_kept(small: &str, large: &str) -> bool {
    let mut bytes = large.bytes();
    let mut told = small.bytes().filter(|byte| !b"{} \t\r\n".contains(byte));
    told.all(|wanted| bytes.any(|byte| byte == wanted))
}

pub fn run(bytes: &[u8]) {
    let text = super::text(bytes);
    let file = SourceFile::new("tracker.yaml", text);
    let before = match parse(&file) {
        Ok(before) => before,
        Err(problems) => return assert!(!problems.to_string().is_empty()),
    };
    match updated(&file, &BTreeMap::new()) {
        Ok(same) => assert_eq!(same, text),
        Err(error) => return assert!(!error.to_string().is_empty()),
    }
    let fresh = HostName::new("a-new-host-of-the-fuzzer");
    let first = before.hosts.keys().next().cloned();
    for host in [Some(fresh.clone()), first].into_iter().flatten() {
        let updates = BTreeMap::from([(host.clone(), update())]);
        let again = match updated(&file, &updates) {
            Ok(after) => SourceFile::new("tracker.yaml", after),
            Err(error) => {
                assert!(!error.to_string().is_empty());
                continue;
            }
        };
        let mut after = parse(&again).expect("what we write can be read");
        assert_eq!(updated(&again, &updates).expect("it was written by us"), again.text);
        if host == fresh {
            assert!(is_kept(text, &again.text));
            after.hosts.remove(&fresh);
            assert_eq!(after, before);
        }
    }
}
