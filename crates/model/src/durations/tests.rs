//! From journals to lengths, and from lengths to what is expected.

use super::*;
use crate::event::Generation;
use crate::id::{AttemptKey, Digest, Nonce, Person};
use crate::plan::Block;
use crate::primitive::{Measure, Measurement};
use crate::windows::tests::{bare, plan, quiet, sequence, step};

/// Work on two hosts: `work`, `proven` with a verify, `wait`, `gate`; each is shipped as one minute.
fn work() -> Plan {
    let mut proven = bare("proven", quiet(), 1);
    proven.verify = Some(Measure::PackagesClean);
    let body = sequence(vec![
        step("work", quiet(), 1),
        Block::Step(Box::new(proven)),
        step("wait", Action::Wait, 1),
        step("gate", Action::Gate, 1),
    ]);
    let mut plan = plan(body, &[&["a"], &["b"]], 1);
    let host = |name: &str| crate::fleet::Host {
        name: name.into(),
        roles: [].into(),
        zone: None,
        connection: crate::fleet::Connection::to("x"),
        vars: [].into(),
    };
    plan.hosts = ["a", "b"].map(|name| (name.into(), host(name))).into();
    plan
}

fn event(run: &str, what: &str) -> Event {
    let (word, at) = what.split_once(' ').unwrap_or((what, "-@-"));
    let (step, host) = at.split_once('@').unwrap();
    let position = Position::on(step.into(), host.into());
    let so = || Measurement::So {
        evidence: String::new(),
    };
    let ended = |outcome| Event::Ended {
        position: position.clone(),
        attempt: 1,
        outcome,
    };
    let succeeded = |changed| Outcome::Succeeded {
        changed,
        outputs: BTreeMap::new(),
        evidence: String::new(),
        unsynced: None,
    };
    match word {
        "begin" => Event::Started {
            position: position.clone(),
            attempt: 1,
            key: AttemptKey::new("k"),
        },
        "end" => ended(succeeded(true)),
        "same" => ended(succeeded(false)),
        "fail" => ended(Outcome::Unknown {
            reason: String::new(),
        }),
        "so" => Event::Verified {
            position: position.clone(),
            attempt: 1,
            result: so(),
        },
        "already" => Event::Checked {
            position: position.clone(),
            result: so(),
        },
        "took" => Event::ControllerTook {
            generation: Generation {
                fleet: "test".to_owned(),
                run: run.into(),
                counter: 2,
                nonce: Nonce::new("n"),
            },
            person: Person::new("ada"),
        },
        _ => panic!("what is {what}?"),
    }
}

/// One row for each line: the second, then `begin STEP@HOST`, `end`, `same` (nothing changed), `so` (verified),
/// `already` (checked), `fail`, or `took`.
fn journal(run: &str, text: &str) -> Vec<Record> {
    let opened = Event::RunOpened {
        run: run.into(),
        plan: Digest::of(""),
        person: Person::new("ada"),
        warned: Vec::new(),
    };
    let rows = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| {
            let (second, what) = line.split_once(' ').unwrap();
            (second.parse().unwrap(), event(run, what))
        });
    let rows = std::iter::once((0, opened)).chain(rows).zip(1_u64..);
    rows.map(|((second, event), seq)| Record {
        seq,
        at: Timestamp::from_second(1_764_000_000 + second).unwrap(),
        before: Digest::of(""),
        event,
    })
    .collect()
}

fn seen(text: &str) -> Vec<String> {
    let found = lengths(&work(), &journal("r1", text)).into_iter();
    found
        .map(|(key, sample)| format!("{key}@{} {}", sample.host.unwrap(), sample.length))
        .collect()
}

#[test]
fn lengths_are_of_work_that_a_controller_saw_from_begin_to_end() {
    let cases: [(&str, &[&str]); 9] = [
        ("1 begin work@a\n 31 end work@a", &["run work@a 30s"]),
        ("1 begin work@a\n 31 same work@a", &[]),
        (
            "1 begin work@a\n 31 fail work@a\n 40 begin work@a\n 45 end work@a",
            &["run work@a 5s"],
        ),
        ("1 begin work@a\n 9 took\n 31 end work@a", &[]),
        ("1 already work@a", &[]),
        (
            "1 begin proven@b\n 31 end proven@b\n 41 so proven@b",
            &["run proven@b 40s"],
        ),
        ("1 begin proven@b\n 31 end proven@b", &[]),
        ("1 begin wait@a\n 8 same wait@a", &["wait wait@a 7s"]),
        ("1 begin gate@a\n 8 end gate@a", &[]),
    ];
    for (text, expected) in cases {
        assert_eq!(seen(text), expected, "{text}");
    }
}

/// Runs in which `work` took so many seconds on `a` and on `b`.
fn learnt(runs: &[(i64, i64)]) -> Durations {
    let mut out = Durations::of("test");
    for (run, (a, b)) in runs.iter().enumerate() {
        let text = format!("0 begin work@a\n {a} end work@a\n 0 begin work@b\n {b} end work@b");
        let mut records = journal(&format!("r{run}"), &text);
        for record in &mut records {
            record.at = Span::from_s(run as u64 * 86_400).after(record.at);
        }
        out.learn(&work(), &records);
    }
    out
}

#[test]
fn what_is_expected_is_what_most_runs_kept_to() {
    let expected = |runs: &[(i64, i64)]| {
        let mut plan = work();
        learnt(runs).foresee(&mut plan);
        let step = plan.step(&"work".into()).unwrap();
        let of = |host: &str| plan.expected(step, Some(&host.into())).to_string();
        format!(
            "a {}, b {}, from {}",
            of("a"),
            of("b"),
            plan.basis(&step.id)
        )
    };
    assert_eq!(expected(&[]), "a 1m, b 1m, from shipped default");
    assert_eq!(expected(&[(10, 20)]), "a 20s, b 20s, from 1 recorded run");
    assert_eq!(
        expected(&[(10, 20), (30, 22)]),
        "a 30s, b 22s, from 2 recorded runs"
    );
    let many = [(10, 20), (11, 21), (12, 22), (13, 23), (99, 24)];
    assert_eq!(expected(&many), "a 13s, b 23s, from 5 recorded runs");
}

#[test]
fn what_a_person_wrote_stands_and_a_run_counts_once() {
    let mut plan = work();
    let written = Expected {
        basis: Basis::Written,
        length: Span::from_s(7),
        hosts: BTreeMap::new(),
    };
    plan.timing.expected.insert("work".into(), written.clone());
    let mut kept = learnt(&[(10, 20)]);
    kept.foresee(&mut plan);
    assert_eq!(
        plan.timing.expected,
        BTreeMap::from([("work".into(), written)])
    );
    let before = kept.clone();
    kept.learn(&work(), &journal("r0", "0 begin work@a\n 10 end work@a"));
    assert_eq!(kept, before);
    // The file is bounded, and keeps the latest.
    let many = learnt(&(0..40).map(|n| (n + 1, n + 2)).collect::<Vec<_>>());
    let samples = &many.steps["run work"];
    assert_eq!(samples.len(), 2 * SAMPLES_OF_HOST_MAX);
    assert_eq!(samples.last().unwrap().run, RunId::new("r39"));
    let text = serde_json::to_string(&many).unwrap();
    assert_eq!(serde_json::from_str::<Durations>(&text).unwrap(), many);
}
