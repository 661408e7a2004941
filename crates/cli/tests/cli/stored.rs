//! Stored runs: status, report, and journals that must not be trusted.

use crate::offline::{FLEET, KIND, UPGRADE, facts};
use crate::scene::{Scene, Shown};
use overhaul_engine::ports::Journal as _;
use overhaul_model::event::{Event, Generation, Outcome};
use overhaul_model::facts::BootProof;
use overhaul_model::id::{Position, RunId};
use overhaul_model::plan::Plan;
use overhaul_store::{RunDir, RunStore};

pub const RUN: &str = "20261121-070512-ab12";

/// A run that waits at its gate.
pub struct Stored {
    pub scene: Scene,
    pub dir: RunDir,
    pub plan: Plan,
}

impl Stored {
    pub fn new() -> Self {
        Self::with_plan(Clone::clone)
    }

    /// With another plan than the one that was compiled.
    pub fn with_plan(change: fn(&Plan) -> Plan) -> Self {
        let scene = Scene::new(&[
            ("upgrade.yaml", UPGRADE),
            ("fleet.yaml", FLEET),
            ("kinds/tiny.yaml", KIND),
            ("facts.json", &facts("12")),
        ]);
        scene
            .call(&[
                "plan",
                "upgrade.yaml",
                "--fleet",
                "fleet.yaml",
                "--kinds",
                "kinds",
                "--facts",
                "facts.json",
                "-o",
                "plan.json",
            ])
            .with(0);
        let plan: Plan = serde_json::from_str(&scene.read("plan.json")).unwrap();
        let plan = change(&plan);
        let store = RunStore::open(&scene.path("state")).unwrap();
        let dir = store
            .create(&RunId::new(RUN), &plan, &Default::default())
            .unwrap();
        let stored = Self { scene, dir, plan };
        stored.append(&stored.until_gate());
        stored
    }

    fn until_gate(&self) -> Vec<Event> {
        self.begun_as(RUN)
    }

    /// A run's way to its gate.
    fn begun_as(&self, run: &str) -> Vec<Event> {
        let note = Position::on("prepare/database/prepare/note".into(), "db1".into());
        vec![
            Event::RunOpened {
                run: RunId::new(run),
                plan: self.plan.hash().unwrap(),
                person: "ada".into(),
                warned: Vec::new(),
            },
            Event::ControllerTook {
                generation: Generation {
                    fleet: "shop".to_owned(),
                    run: RunId::new(run),
                    counter: 1,
                    nonce: "n".into(),
                },
                person: "ada".into(),
            },
            Event::HostRegistered {
                host: "db1".into(),
                install_id: "i".into(),
                sequence: 0,
                boot: BootProof {
                    boot_id: "b".to_owned(),
                    init_started_ticks: 1,
                },
            },
            Event::Started {
                position: note.clone(),
                attempt: 1,
                key: "k".into(),
            },
            Event::Ended {
                position: note,
                attempt: 1,
                outcome: Outcome::Succeeded {
                    changed: true,
                    outputs: Default::default(),
                    evidence: "\u{1b}[2Jnoted".to_owned(),
                    unsynced: None,
                },
            },
        ]
    }

    pub fn append(&self, events: &[Event]) {
        append(&self.dir, events, 1);
    }

    /// Changes the journal behind the program's back.
    pub fn tamper(&self, statement: &str) {
        let file = self.dir.path().join("journal.sqlite");
        let connection = rusqlite::Connection::open(file).unwrap();
        connection.execute_batch(statement).unwrap();
    }

    /// Another run of the same plan, twice as slow, which waits at its gate.
    fn slower(&self, run: &str) {
        let store = RunStore::open(&self.scene.path("state")).unwrap();
        let dir = store
            .create(&RunId::new(run), &self.plan, &Default::default())
            .unwrap();
        append(&dir, &self.begun_as(run), 2);
    }

    pub fn call(&self, args: &[&str]) -> Shown {
        self.scene.call(args)
    }
}

/// Appends events to a journal, so many seconds between two of them.
fn append(dir: &RunDir, events: &[Event], every_s: i64) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (mut journal, _inbox) = dir.open().unwrap();
        let rows = journal.replay().await.unwrap().len();
        for (event, row) in events.iter().zip(i64::try_from(rows).unwrap()..) {
            let at = jiff::Timestamp::from_second(1_764_000_000 + row * every_s).unwrap();
            journal.append(at, event.clone()).await.unwrap();
        }
    });
}

/// Every command that reads a run.
const READERS: [&[&str]; 6] = [
    &["status"],
    &["report", RUN],
    &["resume", RUN],
    &["pause", RUN],
    &["abort", RUN, "--reason", "x"],
    &["retry", "note", "--reason", "x", "--run", RUN],
];

#[test]
fn a_journal_of_a_newer_program_is_left_alone() {
    let stored = Stored::new();
    stored.tamper("UPDATE format SET version = 99");
    let mut all = String::new();
    for reader in READERS {
        all.push_str(&stored.call(reader).with(7).all());
    }
    insta::assert_snapshot!(all);
}

#[test]
fn a_journal_whose_chain_does_not_hold_is_refused() {
    let stored = Stored::new();
    stored.tamper("UPDATE journal SET record = replace(record, 'ada', 'eve') WHERE seq = 2");
    let mut all = String::new();
    for reader in READERS {
        all.push_str(&stored.call(reader).with(7).all());
    }
    insta::assert_snapshot!(all);
}

#[test]
fn a_plan_that_is_not_the_journals_is_refused() {
    let stored = Stored::new();
    let file = stored.dir.path().join("plan.json");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(
        &file,
        text.replace("\"upgrade\":\"small\"", "\"upgrade\":\"other\""),
    )
    .unwrap();
    let shown = stored.call(&["status"]).with(7);
    assert!(
        shown
            .stderr
            .contains("is not as it was written: its SHA-256 is"),
        "{}",
        shown.all()
    );
    // Of a run of an earlier version, without sums, the journal tells.
    std::fs::remove_file(stored.dir.path().join("SHA256SUMS")).unwrap();
    let shown = stored.call(&["status"]).with(7);
    assert!(shown.stderr.contains("do not fit"), "{}", shown.all());
}

#[test]
fn runs_that_are_not_there_are_named() {
    let scene = Scene::new(&[]);
    let mut all = String::new();
    for args in [
        ["status"].as_slice(),
        &["report"],
        &["resume"],
        &["pause"],
        &["status", "20000101-000000-0000"],
        &["status", "../../etc"],
        &["approve", "x"],
    ] {
        all.push_str(&scene.call(args).with(2).all());
    }
    insta::assert_snapshot!(all);
}

#[test]
fn a_run_is_set_beside_its_rehearsal() {
    let stored = Stored::new();
    let slower = "20261123-070512-cd34";
    stored.slower(slower);
    let compared = stored.call(&["report", slower, "--compare", RUN]).with(0);
    insta::assert_snapshot!(compared.stdout);
    let json = stored.call(&["--json", "report", slower, "--compare", RUN]);
    let json = json.with(0).json();
    assert_eq!(json["run"]["run"]["length"], "8s");
    assert_eq!(json["run"]["rehearsal"]["length"], "4s");

    let same = stored.call(&["report", RUN, "--compare", RUN]).with(2);
    assert!(same.stderr.contains("are the same run"), "{}", same.all());
    let unknown = stored.call(&["report", RUN, "--compare", "20000101-000000-0000"]);
    let unknown = unknown.with(2);
    assert!(unknown.stderr.contains("20000101"), "{}", unknown.all());
}

#[test]
fn a_second_controller_on_this_machine_is_refused() {
    let stored = Stored::new();
    let _lock = stored.dir.lock().unwrap();
    let shown = stored.call(&["resume"]).with(8);
    let own = std::process::id().to_string();
    assert!(shown.stderr.contains(&own), "{}", shown.all());
}

#[test]
fn nothing_of_a_host_reaches_the_terminal_with_its_escapes() {
    let stored = Stored::new();
    for args in [["status"], ["report"]] {
        let shown = stored.call(&args);
        assert!(!shown.all().contains('\u{1b}'), "{}", shown.all());
    }
}
