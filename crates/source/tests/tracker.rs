//! The tracker: what is wrong in it is told with its place, and what people wrote into it is kept byte for byte.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use overhaul_model::id::HostName;
use overhaul_model::tracker::{Change, DataWay, Pace, Progress, Proposal, Reason, State, Turn};
use overhaul_source::SourceFile;
use overhaul_source::tracker::{Update, fresh, parse, updated};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fmt::Write as _;

fn proposal(change: Option<Change>, data: Option<DataWay>, rank: u32, why: &str) -> Proposal {
    Proposal {
        change,
        data,
        turn: Turn {
            rank,
            group: "web".to_owned(),
            pace: Pace::OneByOne,
            after: [HostName::new("db1")].into(),
        },
        data_bytes: Some(7),
        reasons: vec![Reason {
            rule: "stored".to_owned(),
            says: why.to_owned(),
        }],
        not_known: vec!["what listens: permission denied".to_owned()],
        release: Some("debian 12".to_owned()),
        facts_of: Some("2026-11-21T10:00:00Z".parse().unwrap()),
    }
}

fn update(proposal: Proposal) -> Update {
    Update {
        roles: ["web".into()].into(),
        zone: Some("a".into()),
        proposed: Some(proposal),
        progress: Some(Progress {
            state: State::NotStarted,
            run: None,
            leftovers: vec!["/srv/x.bak: remove it".to_owned()],
            vanished: None,
        }),
    }
}

fn updates(hosts: &[&str]) -> BTreeMap<HostName, Update> {
    let of = |host: &&str| {
        let data = DataWay::Carry(vec!["/srv".to_owned()]);
        let proposal = proposal(Some(Change::Rebuild), Some(data), 2, "/srv holds 7 B");
        (HostName::new(*host), update(proposal))
    };
    hosts.iter().map(of).collect()
}

fn file(text: &str) -> SourceFile {
    SourceFile::new("tracker.yaml", text)
}

#[test]
fn every_problem_of_a_tracker_is_told_with_its_place() {
    let mut out = String::new();
    for block in include_str!("cases/tracker-bad.txt")
        .split("##### ")
        .skip(1)
    {
        let (name, text) = block.split_once('\n').unwrap();
        let problems = parse(&SourceFile::new(name, text)).unwrap_err();
        writeln!(out, "##### {name}\n{problems}").unwrap();
    }
    insta::assert_snapshot!(out);
}

#[test]
fn a_new_tracker_is_read_again_and_writing_it_twice_changes_nothing() {
    let text = fresh("shop", &updates(&["web1", "no", "10.0.0.1"])).unwrap();
    insta::assert_snapshot!("fresh", text);
    let tracker = parse(&file(&text)).unwrap();
    assert_eq!(tracker.hosts.len(), 3);
    let host = tracker.hosts.get(&HostName::new("web1")).unwrap();
    let wanted = updates(&["web1"]).remove(&HostName::new("web1")).unwrap();
    assert_eq!(
        (&host.proposed, &host.progress),
        (&wanted.proposed, &wanted.progress)
    );
    assert_eq!((&host.roles, &host.zone), (&wanted.roles, &wanted.zone));
    let again = updated(&file(&text), &updates(&["web1", "no", "10.0.0.1"])).unwrap();
    assert_eq!(again, text);
}

#[test]
fn lines_of_people_stay_where_they_are() {
    let text = "\
# about the fleet
tracker: shop   # the small one
hosts:
  # the front
  web1:   # do not forget
    # my thoughts
    decided:
      change: in-place     # Anna wants it so

      note: |
        two
          lines

    # below
  web2: ~
  web3:
      progress: {state: done}
      # between
      proposed:
        change: in-place
        data: stays
        rank: 1
        group: g
        pace: batches
      # behind
      decided: {postponed: {until: 2026-12-24, by: anna, reason: \"freeze: all\"}}
  gone:
    decided: {note: keep me}
# the end
";
    let out = updated(&file(text), &updates(&["web1", "web2", "web3", "new1"])).unwrap();
    insta::assert_snapshot!("spliced", out);
    let dos = text.replace('\n', "\r\n");
    let out_dos = updated(&file(&dos), &updates(&["web1", "web2", "web3", "new1"])).unwrap();
    assert_eq!(out_dos, out.replace('\n', "\r\n"));
}

#[test]
fn braces_without_hosts_go_but_never_with_a_remark_in_them() {
    let blank = "tracker: shop\nhosts: { \n }\n";
    assert!(updated(&file(blank), &updates(&["web1"])).is_ok());
    for unusual in [
        "tracker: shop\nhosts: { # nobody yet\n }\n",
        "tracker: shop\nhosts: \r# nobody yet\n",
    ] {
        let refused = updated(&file(unusual), &updates(&["web1"])).unwrap_err();
        assert!(
            refused.to_string().contains("without touching yours"),
            "{refused}"
        );
    }
}

#[test]
fn texts_of_hosts_cannot_break_out() {
    let nasty =
        "a\"\\\u{1b}[2J\n  decided: {change: rebuild}\n# \u{202e}\u{feff}\u{2028}{{ x }}: - \u{85}";
    let mut update = update(proposal(None, None, 1, nasty));
    update.zone = None;
    let text = fresh("shop", &[(HostName::new("h"), update)].into()).unwrap();
    let tracker = parse(&file(&text)).unwrap();
    let host = tracker.hosts.get(&HostName::new("h")).unwrap();
    assert!(host.decided == overhaul_model::tracker::Decided::default());
    let says = &host
        .proposed
        .as_ref()
        .unwrap()
        .reasons
        .first()
        .unwrap()
        .says;
    assert_eq!(
        says,
        "a\"\\?[2J?  decided: {change: rebuild}?# ???{{ x }}: - ?"
    );
}

/// What people write below a host, as lines without the host's indentation.
fn decided() -> impl Strategy<Value = Vec<String>> {
    let key = prop::sample::select(vec![
        vec!["  change: rebuild"],
        vec!["  change: 'in-place'   # why not"],
        vec!["  note: \"with: colon # and hash\""],
        vec!["  note: |", "    first", "", "    third # not a remark"],
        vec!["  note: >-", "    folded", "    text"],
        vec!["  note: plain words", "    that go on"],
        vec![
            "  data:",
            "    carry:",
            "      - /srv",
            "      - \"/var/www\"  # all of it",
        ],
        vec!["  data: {carry: [/srv,", "    /home]}"],
        vec!["  rank: 3", "  # a remark", "  pace: batches"],
        vec![
            "  postponed:",
            "    until: 2026-12-24",
            "    by: anna",
            "    reason: freeze",
        ],
        vec!["  after: [db1]", ""],
        vec!["  after:", "  - db1", "  - db2"],
    ]);
    key.prop_map(|lines| {
        let mut out = vec!["decided:".to_owned()];
        out.extend(lines.into_iter().map(str::to_owned));
        out
    })
}

/// A block of ours as an earlier run wrote it, or as a person has moved it about.
fn ours() -> impl Strategy<Value = Vec<String>> {
    prop::sample::select(vec![
        vec![
            "proposed:",
            "  change: in-place",
            "  data: stays",
            "  rank: 1",
            "  group: g",
            "  pace: batches",
            "  why:",
            "    - \"stored: x\"",
        ],
        vec!["proposed: {change: cannot-say, data: cannot-say, rank: 1, group: g, pace: batches}"],
        vec!["proposed:"],
    ])
    .prop_map(|lines| lines.into_iter().map(str::to_owned).collect())
}

fn remark() -> impl Strategy<Value = Vec<String>> {
    prop::sample::select(vec![
        vec![],
        vec!["# a remark: with a colon".to_owned()],
        vec![String::new()],
        vec!["#".to_owned(), String::new()],
    ])
}

/// A host's lines, each with whether it is a person's.
fn host() -> impl Strategy<Value = Vec<(String, bool)>> {
    let mine = |lines: Vec<String>| {
        lines
            .into_iter()
            .map(|line| (line, true))
            .collect::<Vec<_>>()
    };
    let progress = prop::sample::select(vec![
        vec![],
        vec!["progress: {state: done}"],
        vec!["progress:", "  state: not-started"],
    ]);
    (
        prop::option::of(ours()),
        progress,
        prop::option::of(decided()),
        remark(),
        remark(),
        any::<bool>(),
    )
        .prop_map(
            move |(ours, progress, decided, first, second, ours_first)| {
                let old = |lines: Vec<String>| {
                    lines
                        .into_iter()
                        .map(|line| (line, false))
                        .collect::<Vec<_>>()
                };
                let mut ours = old(ours.unwrap_or_default());
                ours.extend(progress.into_iter().map(|line| (line.to_owned(), false)));
                let decided = mine(decided.unwrap_or_default());
                let (one, two) = if ours_first {
                    (ours, decided)
                } else {
                    (decided, ours)
                };
                let mut out = one;
                // A remark that nothing follows would stand at the end of the host before the next one.
                out.extend(mine(first));
                out.extend(two);
                out.extend(mine(second));
                out
            },
        )
}

/// A tracker's text, and the lines of it that are people's, in order.
fn text() -> impl Strategy<Value = (String, Vec<String>)> {
    let indent = prop::sample::select(vec![1_usize, 2, 4]);
    (
        prop::collection::vec(host(), 0..4),
        indent,
        prop::sample::select(vec!["\n", "\r\n"]),
        any::<bool>(),
    )
        .prop_map(|(hosts, indent, newline, end)| {
            let mut lines = vec![
                ("# mine".to_owned(), true),
                ("tracker: shop".to_owned(), true),
                ("hosts:".to_owned(), true),
            ];
            for (number, host) in hosts.into_iter().enumerate() {
                lines.push((format!("{}h{number}:", " ".repeat(indent)), true));
                for (line, mine) in host {
                    let pad = if line.is_empty() {
                        String::new()
                    } else {
                        " ".repeat(indent * 3)
                    };
                    lines.push((format!("{pad}{line}"), mine));
                }
            }
            let mut text = String::new();
            for (line, _) in &lines {
                text.push_str(line);
                text.push_str(newline);
            }
            if !end {
                text.truncate(text.trim_end().len());
            }
            let mine = lines
                .into_iter()
                .filter(|(_, mine)| *mine)
                .map(|(line, _)| line);
            (text, mine.filter(|line| !line.trim().is_empty()).collect())
        })
}

fn change() -> impl Strategy<Value = Update> {
    let words = prop_oneof![
        Just((None, None)),
        Just((Some(Change::InPlace), Some(DataWay::Stays))),
        Just((Some(Change::Rebuild), Some(DataWay::Rejoin))),
        "/[a-z \"']{1,12}"
            .prop_map(|path| (Some(Change::Rebuild), Some(DataWay::Carry(vec![path])))),
    ];
    (words, 1_u32..9, ".{0,40}")
        .prop_map(|((change, data), rank, why)| update(proposal(change, data, rank, &why)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    /// Whatever is proposed, every line of people stands there as before, in its order, and means the same.
    #[test]
    fn decisions_are_kept_byte_for_byte(
        (text, mine) in text(),
        changes in prop::collection::btree_map(prop::sample::select(vec!["h0", "h1", "h2", "new", "other"]), change(), 0..5),
    ) {
        let updates: BTreeMap<HostName, Update> =
            changes.into_iter().map(|(host, update)| (HostName::new(host), update)).collect();
        let before = parse(&file(&text)).unwrap_or_else(|problems| panic!("{problems}\n{text}"));
        let out = updated(&file(&text), &updates).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let mut lines = out.split('\n').map(|line| line.trim_end_matches('\r'));
        for line in &mine {
            prop_assert!(lines.any(|other| other == line), "lost {line:?}\n--- before\n{text}\n--- after\n{out}");
        }
        let after = parse(&file(&out)).unwrap();
        for (host, tracked) in &before.hosts {
            prop_assert_eq!(&after.hosts[host].decided, &tracked.decided);
        }
        for (host, update) in &updates {
            let now = &after.hosts[host];
            prop_assert_eq!(now.proposed.as_ref().unwrap().change, update.proposed.as_ref().unwrap().change);
        }
        prop_assert_eq!(updated(&file(&out), &updates).unwrap(), out);
    }

    /// No text makes the reader panic.
    #[test]
    fn any_text_is_read_or_refused(text in "(tracker: a\nhosts:\n)?( {0,6}(h1|decided|proposed|progress|change|data)?:? ?[a-z{}\\[\\]&*|>#'\"-]{0,8}\n){0,12}") {
        let source = file(&text);
        if parse(&source).is_ok() {
            let _ = updated(&source, &updates(&["h1"]));
        }
    }
}
