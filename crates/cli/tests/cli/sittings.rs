//! Parts of a run: limits, postponed hosts, the runbook, and what is cleared away after the end.

use crate::decisions::{at_gate, steady};
use crate::stored::{RUN, Stored};
use jiff::Timestamp;
use overhaul_machine::{Command, Run, StepState};
use overhaul_model::event::{
    Choice, Decision, Event, Generation, Outcome, Record, Sitting, Verdict,
};
use overhaul_model::facts::BootProof;
use overhaul_model::plan::{Block, Child, Plan};
use overhaul_model::primitive::{Exec, Fetch, Measurement, Primitive};
use std::collections::BTreeSet;
use std::process::Command as Program;

/// A file that the plan of [`with_copy`] fetches.
const COPY: &str = "db1/orders/orders.dump";

fn decided(stored: &Stored, choice: Choice) -> Event {
    Event::Decided(Decision {
        person: "ada".into(),
        reason: "its disk is on its way".to_owned(),
        plan: stored.plan.hash().unwrap(),
        nonce: "postpone".into(),
        choice,
    })
}

fn postponed() -> Stored {
    let stored = at_gate();
    let host = "db1".into();
    let until = "2099-01-01T00:00:00Z".parse().unwrap();
    let event = decided(&stored, Choice::Postpone { host, until });
    stored.append(&[event]);
    stored
}

#[test]
fn a_host_is_postponed_with_a_day_and_a_reason() {
    let stored = at_gate();
    let mut all = String::new();
    for (code, args) in [
        (
            2,
            ["postpone", "db1", "--until", "2000-01-01", "--reason", "x"].as_slice(),
        ),
        (2, &["postpone", "db1", "--until", "soon", "--reason", "x"]),
        (2, &["postpone", "db1", "--until", "2099-01-01T00:00:00Z"]),
        (
            2,
            &[
                "postpone",
                "db9",
                "--until",
                "2099-01-01T00:00:00Z",
                "--reason",
                "x",
            ],
        ),
        (2, &["postpone", "db1", "--now"]),
        (
            0,
            &[
                "postpone",
                "db1",
                "--until",
                "2099-01-01T00:00:00Z",
                "--reason",
                "its disk",
            ],
        ),
    ] {
        all.push_str(&stored.call(args).with(code).all());
    }
    insta::assert_snapshot!(steady(&all));
}

#[test]
fn a_run_of_which_only_postponed_hosts_are_left_says_until_when() {
    let stored = postponed();
    let mut all = stored.call(&["status"]).with(11).all();
    all.push_str(&stored.call(&["report"]).with(0).all());
    all.push_str(
        &stored
            .call(&["skip", "db1", "--reason", "scrapped"])
            .with(0)
            .all(),
    );
    all.push_str(&stored.call(&["postpone", "db1", "--now"]).with(0).all());
    insta::assert_snapshot!(steady(&all));
}

#[test]
fn a_run_at_its_limits_says_what_is_outside() {
    let stored = Stored::new();
    let generation = Generation {
        fleet: "shop".to_owned(),
        run: RUN.into(),
        counter: 2,
        nonce: "n2".into(),
    };
    let sitting = Sitting {
        words: "--stage prepare".to_owned(),
        stage: Some("prepare".into()),
        ..Sitting::default()
    };
    stored.append(&[
        Event::ControllerTook {
            generation,
            person: "ada".into(),
        },
        Event::Limited { sitting },
    ]);
    let mut all = stored.call(&["status"]).with(10).all();
    all.push_str(&stored.call(&["report"]).with(0).all());
    insta::assert_snapshot!(steady(&all));
}

#[test]
fn limits_that_mean_nothing_in_the_plan_are_refused_before_anything_is_done() {
    let stored = Stored::new();
    let mut all = String::new();
    for limit in [
        ["--limit", "db9"],
        ["--limit", "db1,web"],
        ["--limit", "!all"],
        ["--until", "migrate"],
        ["--until", "nothing-like-it"],
        ["--stage", "finish"],
    ] {
        all.push_str(
            &stored
                .call(&[&["resume"], limit.as_slice()].concat())
                .with(2)
                .all(),
        );
    }
    insta::assert_snapshot!(steady(&all));
}

#[test]
fn the_plan_is_a_runbook_that_people_can_follow() {
    let stored = Stored::new();
    insta::assert_snapshot!(stored.call(&["export", "plan.json"]).with(0).stdout);
    let again = stored.call(&["export"]).with(0).stdout;
    assert_eq!(again, stored.call(&["export", "plan.json"]).with(0).stdout);
    stored.call(&["export", "plan.json", "--remaining"]).with(2);
}

/// Without the moment at which it was written.
fn undated(text: &str) -> String {
    let cut = |line: &str| match (line.find("; written "), line.find(". If ")) {
        (Some(from), Some(to)) => format!("{}; written NOW{}", &line[..from], &line[to..]),
        _ => line.to_owned(),
    };
    let lines: Vec<String> = text.lines().map(cut).collect();
    lines.join("\n")
}

#[test]
fn what_remains_of_a_run_is_told_from_its_journal() {
    let stored = at_gate();
    let shown = stored.call(&["export", "--remaining"]).with(0);
    insta::assert_snapshot!(undated(&shown.stdout));
}

#[test]
fn the_journal_of_a_copy_is_read_without_writing_there() {
    let stored = at_gate();
    let before = stored.dir.records().unwrap();
    let listed = || {
        let names = stored.dir.path().read_dir().unwrap();
        let names: BTreeSet<_> = names.map(|entry| entry.unwrap().file_name()).collect();
        names
    };
    let files = listed();
    assert_eq!(stored.dir.records_of_copy().unwrap(), before);
    // Whoever wrote the journal may still be clearing up behind itself.
    assert!(listed().is_subset(&files));
}

/// A plan whose first step fetches a copy.
fn with_copy(plan: &Plan) -> Plan {
    fn change(block: &mut Block) {
        match block {
            Block::Step(step) if step.title == "note" => {
                step.work = Primitive::Fetch(Fetch {
                    exec: Exec::argv(["pg_dump", "orders"]),
                    file: COPY.to_owned(),
                });
            }
            Block::Sequence { blocks, .. } => blocks.iter_mut().for_each(change),
            Block::Roll { body, .. } => change(body),
            _ => {}
        }
    }
    let mut plan = plan.clone();
    change(&mut plan.root);
    assert!(Child::Block(&plan.root).has_copy());
    plan
}

trait HasCopy {
    fn has_copy(&self) -> bool;
}

impl HasCopy for Child<'_> {
    fn has_copy(&self) -> bool {
        let Child::Block(block) = self else {
            return false;
        };
        let own = matches!(block, Block::Step(step) if matches!(step.work, Primitive::Fetch(_)));
        own || block.children().iter().any(HasCopy::has_copy)
    }
}

/// The event of a day on which everything goes well.
fn answer(run: &Run, command: Command) -> Event {
    let result = Measurement::So {
        evidence: "so".to_owned(),
    };
    match command {
        Command::Register { host } => Event::HostRegistered {
            install_id: "i".into(),
            sequence: run.seq(),
            boot: BootProof {
                boot_id: "b".to_owned(),
                init_started_ticks: 1,
            },
            host,
        },
        Command::Release { host } => Event::HostReleased { host },
        Command::Ask { position } => Event::Asked {
            position,
            question: "go on?".to_owned(),
            nonce: "q".into(),
        },
        Command::Check { position } => Event::Checked {
            position,
            result: Measurement::NotSo {
                evidence: "not yet".to_owned(),
            },
        },
        Command::Verify { position, attempt } => Event::Verified {
            position,
            attempt,
            result,
        },
        Command::Act { position, attempt } => match run.state(&position) {
            StepState::Running { .. } => Event::Ended {
                position,
                attempt,
                outcome: Outcome::Succeeded {
                    changed: true,
                    outputs: Default::default(),
                    evidence: "done".to_owned(),
                    unsynced: None,
                },
            },
            _ => Event::Started {
                key: format!("k{}", run.seq()).as_str().into(),
                position,
                attempt,
            },
        },
        Command::Finish { verdict } => Event::Finished { verdict },
        other => panic!("{other:?}"),
    }
}

/// A run that is complete; `skip`: with a step that was left out.
fn complete(skip: bool) -> Stored {
    let mut stored = Stored::with_plan(with_copy);
    let mut run = Run::replay(stored.plan.clone(), &stored.dir.records().unwrap()).unwrap();
    let mut events: Vec<Event> = Vec::new();
    let now = Timestamp::from_second(1_764_000_100).unwrap();
    while run.verdict().is_none() {
        let next = run.next(now);
        let event = match next.commands.into_iter().next() {
            Some(command) => answer(&run, command),
            None => {
                let position = next.standing.open[0].position.clone();
                let choice = match skip {
                    true => Choice::Skip { position },
                    false => Choice::Approve {
                        position,
                        question: None,
                    },
                };
                decided(&stored, choice)
            }
        };
        let record = Record {
            seq: run.seq() + 1,
            at: now,
            before: Record::genesis(),
            event: event.clone(),
        };
        run.apply(&record).unwrap();
        events.push(event);
    }
    assert_eq!(run.verdict(), Some(Verdict::Complete));
    stored.append(&events);
    stored
        .scene
        .write(&format!("state/runs/{RUN}/data/{COPY}"), "rows");
    stored.plan = run.plan().clone();
    stored
}

#[test]
fn copies_are_cleared_away_by_name_and_the_journal_says_so() {
    let stored = complete(false);
    let copy = stored.dir.data().join(COPY);
    let mut all = stored.call(&["cleanup"]).with(0).all();
    all.push_str(&stored.call(&["cleanup", COPY]).with(2).all());
    all.push_str(&stored.call(&["cleanup", "another", "--yes"]).with(2).all());
    assert!(copy.exists());
    all.push_str(&stored.call(&["cleanup", COPY, "--yes"]).with(0).all());
    assert!(!copy.exists());
    all.push_str(&stored.call(&["cleanup"]).with(0).all());
    let report = stored.call(&["report", "--json"]).with(0).json();
    assert_eq!(report["leftovers"], serde_json::json!([]));
    assert_eq!(report["verdict"], "complete");
    insta::assert_snapshot!(steady(&all));
}

#[test]
fn a_copy_stays_while_it_may_be_the_only_one_that_is_proven() {
    let mut all = String::new();
    // A step of its host was left out: nobody has measured what is there.
    let left_out = complete(true);
    all.push_str(&left_out.call(&["cleanup", COPY, "--yes"]).with(2).all());
    assert!(left_out.dir.data().join(COPY).exists());
    // The run is not over.
    let open = Stored::with_plan(with_copy);
    all.push_str(&open.call(&["cleanup", COPY, "--yes"]).with(2).all());
    insta::assert_snapshot!(steady(&all));
}

#[test]
fn completions_and_manual_pages_know_every_command() {
    let stored = Stored::new();
    let help = stored.call(&["--help"]).with(0).stdout;
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|line| !line.starts_with("Commands:"))
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(commands.len() > 20, "{help}");
    for shell in ["bash", "zsh", "fish"] {
        let script = stored.call(&["completions", shell]).with(0).stdout;
        for command in &commands {
            assert!(script.contains(command), "{shell} knows no {command}");
        }
        if shell == "bash" {
            stored.scene.write("completions.bash", &script);
            let file = stored.scene.path("completions.bash");
            let parsed = Program::new("bash").arg("-n").arg(file).status().unwrap();
            assert!(parsed.success());
        }
    }
    let page = stored.call(&["man"]).with(0).stdout;
    assert!(page.contains(".TH overhaul 1"), "{page}");
    stored.call(&["man", "--dir", "pages"]).with(0);
    for command in commands.iter().filter(|command| **command != "help") {
        let page = stored.scene.read(&format!("pages/overhaul-{command}.1"));
        assert!(page.contains(".SH SYNOPSIS"), "{page}");
    }
}
