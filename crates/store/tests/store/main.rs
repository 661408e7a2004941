//! The store against what happens to disks, files and processes.

#![cfg(test)]

mod damage;
mod space;

use jiff::Timestamp;
use overhaul_engine::ports::{Inbox, Journal, JournalError};
use overhaul_model::definition::Release;
use overhaul_model::event::{Choice, Decision, Event, Verdict};
use overhaul_model::id::{Digest, Nonce, Person, RunId};
use overhaul_model::plan::{Block, PLAN_FORMAT, Plan, PlanKind};
use overhaul_store::{RunDir, RunStore, StoreError};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

fn plan() -> Plan {
    let release = |n: &str| Release {
        os: "debian".into(),
        release: n.into(),
    };
    Plan {
        format: PLAN_FORMAT,
        kind: PlanKind::Upgrade,
        parent: None,
        upgrade: "test".into(),
        fleet: "test".into(),
        from: release("12"),
        to: release("13"),
        hosts: Default::default(),
        rolls: Default::default(),
        services: Default::default(),
        datasets: Default::default(),
        space: Vec::new(),
        failure_budget: 0,
        one_zone_at_a_time: false,
        providers: Default::default(),
        machines: Default::default(),
        roles: Default::default(),
        knowledge: Default::default(),
        timing: overhaul_model::timing::Timing::default(),
        waivers: Vec::new(),
        root: Block::Sequence {
            id: "".into(),
            title: "all".into(),
            blocks: Vec::new(),
        },
    }
}

fn new_run(state: &Path) -> RunDir {
    RunStore::open(state)
        .unwrap()
        .create(&RunId::new("r1"), &plan(), &Default::default())
        .unwrap()
}

fn event() -> Event {
    Event::Finished {
        verdict: Verdict::Complete,
    }
}

fn decision(nonce: &str) -> Decision {
    Decision {
        person: Person::new("tester"),
        reason: "because".into(),
        plan: Digest::of("plan"),
        nonce: Nonce::new(nonce),
        choice: Choice::Pause,
    }
}

async fn append(dir: &RunDir, count: usize) {
    let (mut journal, _inbox) = dir.open().unwrap();
    for _ in 0..count {
        journal
            .append(Timestamp::UNIX_EPOCH, event())
            .await
            .unwrap();
    }
}

fn sql(dir: &RunDir, script: &str) {
    rusqlite::Connection::open(dir.path().join("journal.sqlite"))
        .unwrap()
        .execute_batch(script)
        .unwrap();
}

fn appender(state: &Path, count: &str) -> Command {
    let test = std::env::current_exe().unwrap();
    let program: PathBuf = test
        .parent()
        .unwrap()
        .parent()
        .unwrap()
        .join("examples/append");
    assert!(
        program.exists(),
        "{} is built together with the tests",
        program.display()
    );
    let mut command = Command::new(program);
    command.arg(state).args(["r1", count]);
    command
}

#[tokio::test]
async fn many_rows_come_in_parts_and_in_their_order_and_one_that_was_changed_is_found() {
    let state = tempfile::tempdir().unwrap();
    let dir = new_run(state.path());
    let (mut journal, _inbox) = dir.open().unwrap();
    for _ in 0..12_345 {
        journal.write(Timestamp::UNIX_EPOCH, event()).unwrap();
    }
    journal.commit().await.unwrap();
    drop(journal);
    let read = |dir: &RunDir| {
        let (mut numbers, mut parts) = (Vec::new(), 0);
        let ended = dir.each_part(&mut |part| {
            numbers.extend(part.into_iter().map(|record| record.seq));
            parts += 1;
        });
        (numbers, parts, ended)
    };
    let (numbers, parts, ended) = read(&dir);
    ended.unwrap();
    assert_eq!(numbers, (1..=12_345).collect::<Vec<u64>>());
    assert!(parts > 1, "{parts}");
    let other =
        "UPDATE journal SET record = replace(record, 'complete', 'aborted') WHERE seq = 9000";
    sql(&dir, other);
    let (numbers, _, ended) = read(&dir);
    assert!(numbers.len() <= 9_000, "{}", numbers.len());
    let wrong = ended.unwrap_err().to_string();
    assert!(wrong.contains("row 9001"), "{wrong}");
    assert!(dir.records().is_err());
}

#[tokio::test]
async fn rows_are_read_as_they_were_written_and_carry_the_digest_before_them() {
    let state = tempfile::tempdir().unwrap();
    let dir = new_run(state.path());
    append(&dir, 2).await;
    append(&dir, 1).await;
    let records = dir.records().unwrap();
    assert_eq!(records.iter().map(|r| r.seq).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(records[2].before, records[1].digest().unwrap());
    assert_eq!(dir.plan().unwrap(), plan());
}

#[tokio::test]
async fn a_chain_that_does_not_hold_is_refused_with_its_place() {
    for (harm, row) in [
        (
            "UPDATE journal SET record = replace(record, 'complete', 'aborted') WHERE seq = 2",
            3,
        ),
        ("DELETE FROM journal WHERE seq = 2", 2),
        ("DELETE FROM journal WHERE seq = 4", 4),
        ("DELETE FROM journal WHERE seq > 0", 4),
        ("UPDATE journal SET record = '{' WHERE seq = 1", 1),
        ("UPDATE head SET digest = 'x'", 0),
    ] {
        let state = tempfile::tempdir().unwrap();
        let dir = new_run(state.path());
        append(&dir, 4).await;
        sql(&dir, harm);
        match dir.records() {
            Err(StoreError::Journal(JournalError::Chain { seq, .. })) => {
                assert_eq!(seq, row, "{harm}")
            }
            other => panic!("{harm}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_newer_journal_or_plan_is_refused_and_left_as_it_is() {
    let state = tempfile::tempdir().unwrap();
    let dir = new_run(state.path());
    sql(&dir, "UPDATE format SET version = 99");
    let before = std::fs::read(dir.path().join("journal.sqlite")).unwrap();
    for answer in [
        dir.open().map(drop),
        dir.records().map(drop),
        dir.submit(&decision("a")),
    ] {
        assert!(
            matches!(
                answer,
                Err(StoreError::Journal(JournalError::Newer { found: 99, .. }))
            ),
            "{answer:?}"
        );
    }
    assert_eq!(
        std::fs::read(dir.path().join("journal.sqlite")).unwrap(),
        before
    );

    let path = dir.path().join("plan.json");
    let text = std::fs::read_to_string(&path).unwrap();
    // Another program would have written its own.
    std::fs::remove_file(dir.path().join("SHA256SUMS")).unwrap();
    for other in [PLAN_FORMAT - 1, PLAN_FORMAT + 1] {
        let ours = format!("\"format\":{PLAN_FORMAT}");
        assert!(text.contains(&ours));
        std::fs::write(&path, text.replace(&ours, &format!("\"format\":{other}"))).unwrap();
        let answer = dir.plan();
        assert!(
            matches!(answer, Err(StoreError::PlanFormat { found, .. }) if found == other),
            "{answer:?}"
        );
    }
}

#[test]
fn a_plans_hash_is_told_by_its_file_or_made_from_it() {
    let state = tempfile::tempdir().unwrap();
    let dir = new_run(state.path());
    let (path, sums) = (dir.path().join("plan.json"), dir.path().join("SHA256SUMS"));
    let hash = plan().hash().unwrap();
    assert_eq!(dir.hashed_plan().unwrap(), (plan(), hash.clone()));
    let told = std::fs::read_to_string(&sums).unwrap();
    assert!(told.contains(&format!("{hash}  plan.json\n")), "{told}");

    // As earlier versions wrote it.
    std::fs::remove_file(&sums).unwrap();
    std::fs::write(&path, serde_json::to_string_pretty(&plan()).unwrap()).unwrap();
    assert_eq!(dir.hashed_plan().unwrap(), (plan(), hash.clone()));

    // The same plan in a text that nobody hashed is not taken for it.
    let text = serde_json::to_string(&plan()).unwrap() + " ";
    std::fs::write(&path, text).unwrap();
    let (same, other) = dir.hashed_plan().unwrap();
    assert_eq!(same, plan());
    assert_ne!(other, hash);
}

#[tokio::test]
async fn requests_of_other_processes_arrive_once_and_in_order() {
    let state = tempfile::tempdir().unwrap();
    let dir = new_run(state.path());
    let (mut journal, mut inbox) = dir.open().unwrap();
    for nonce in ["a", "b", "a"] {
        dir.submit(&decision(nonce)).unwrap();
        journal
            .append(Timestamp::UNIX_EPOCH, event())
            .await
            .unwrap();
    }
    let nonces = |list: Vec<Decision>| {
        list.into_iter()
            .map(|d| d.nonce.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(nonces(inbox.pending().await.unwrap()), ["a", "b"]);
    inbox.settle(&Nonce::new("a")).await.unwrap();
    assert_eq!(nonces(inbox.pending().await.unwrap()), ["b"]);
    dir.submit(&decision("a")).unwrap();
    assert_eq!(nonces(dir.pending().unwrap()), ["b"]);
    assert_eq!(dir.records().unwrap().len(), 3);
}

#[test]
fn files_are_for_their_owner_alone_and_names_stay_below_the_store() {
    let state = tempfile::tempdir().unwrap();
    let dir = new_run(state.path());
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let _lock = dir.lock().unwrap();
    for entry in ["plan.json", "facts.json", "journal.sqlite", "lock"] {
        assert_eq!(mode(&dir.path().join(entry)), 0o600, "{entry}");
    }
    for folder in [
        dir.path().to_path_buf(),
        dir.data(),
        state.path().join("runs"),
    ] {
        assert_eq!(mode(&folder), 0o700, "{}", folder.display());
    }
    let store = RunStore::open(state.path()).unwrap();
    for bad in ["", "../x", "a/b", ".hidden", "a b"] {
        assert!(
            matches!(store.run(&RunId::new(bad)), Err(StoreError::BadName { .. })),
            "{bad}"
        );
    }
    assert!(matches!(
        store.run(&RunId::new("r2")),
        Err(StoreError::NoRun { .. })
    ));
    let again = store.create(&RunId::new("r1"), &plan(), &Default::default());
    assert!(matches!(again, Err(StoreError::Exists { .. })));
    assert_eq!(store.list().unwrap().len(), 1);
}

#[test]
fn a_second_controller_is_refused_by_name_until_the_first_is_gone() {
    let state = tempfile::tempdir().unwrap();
    let dir = new_run(state.path());
    let mut first = start(appender(state.path(), "1000000"));
    assert!(dir.is_held().unwrap());
    match dir.lock() {
        Err(StoreError::Held { holder, .. }) => assert_eq!(holder, first.0.id().to_string()),
        other => panic!("{other:?}"),
    }
    first.0.kill().unwrap();
    first.0.wait().unwrap();
    assert!(!dir.is_held().unwrap());
    drop(dir.lock().unwrap());
}

#[test]
fn a_kill_loses_nothing_that_was_acknowledged() {
    for rows in [1, 7, 40] {
        let state = tempfile::tempdir().unwrap();
        let dir = new_run(state.path());
        let (mut child, lines) = start(appender(state.path(), "1000000"));
        let last = lines
            .map(Result::unwrap)
            .nth(rows - 1)
            .unwrap_or_else(|| "1".to_owned());
        child.kill().unwrap();
        child.wait().unwrap();
        let records = dir.records().unwrap();
        assert!(
            records.len() as u64 >= last.parse::<u64>().unwrap(),
            "{} < {last}",
            records.len()
        );
    }
}

#[test]
fn a_reader_beside_the_controller_always_sees_a_whole_chain() {
    let state = tempfile::tempdir().unwrap();
    let dir = new_run(state.path());
    let (mut child, _lines) = start(appender(state.path(), "300"));
    let mut seen = 0;
    while child.try_wait().unwrap().is_none() {
        let rows = dir.records().unwrap().len();
        assert!(rows >= seen, "rows went missing");
        seen = rows;
    }
    assert_eq!(dir.records().unwrap().len(), 300);
}

type Lines = std::io::Lines<BufReader<std::process::ChildStdout>>;

/// Starts the appender and waits for its first durable row.
fn start(mut command: Command) -> (Child, Lines) {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "1");
    (child, lines)
}

#[test]
fn a_full_disk_is_an_error_and_leaves_the_chain_whole() {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test mounts a small filesystem: run it as root"
    );
    let place = tempfile::tempdir().unwrap();
    let mounted = Mounted::new(place.path(), "1m");
    let dir = new_run(place.path());
    let output = appender(place.path(), "1000000").output().unwrap();
    assert!(!output.status.success());
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(words.contains("disk is full"), "{words}");
    let acknowledged = String::from_utf8_lossy(&output.stdout).lines().count();
    assert!(acknowledged > 0);
    assert!(dir.records().unwrap().len() >= acknowledged);
    drop(mounted);
}

/// A small filesystem in memory, for the length of a test.
struct Mounted(PathBuf);

impl Mounted {
    fn new(path: &Path, size: &str) -> Self {
        let options = format!("size={size},mode=700");
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(path)
            .status()
            .unwrap();
        assert!(status.success(), "mount needs root");
        Self(path.to_owned())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_row_is_synced_before_it_is_acknowledged() {
    let state = tempfile::tempdir().unwrap();
    new_run(state.path());
    let trace = state.path().join("trace");
    let program = appender(state.path(), "5");
    let status = Command::new("strace")
        .args([
            "-f",
            "-y",
            "-e",
            "trace=fdatasync,fsync,write,pwrite64",
            "-o",
        ])
        .arg(&trace)
        .arg(program.get_program())
        .args(program.get_args())
        .stdout(Stdio::null())
        .status()
        .expect("strace is needed: apt-get install strace");
    assert!(status.success());
    let text = std::fs::read_to_string(&trace).unwrap();
    let mut synced_since_row = false;
    let mut acknowledged = 0;
    for line in text.lines() {
        if line.contains("sync(") && line.contains("journal.sqlite-wal") {
            synced_since_row = true;
        } else if line.contains("pwrite64(") && line.contains("journal.sqlite-wal") {
            synced_since_row = false;
        } else if line.contains("write(1<") {
            assert!(
                synced_since_row,
                "acknowledged before it was synced:\n{line}"
            );
            acknowledged += 1;
        }
    }
    assert!(acknowledged >= 5, "{text}");
}

#[tokio::test]
async fn a_long_journal_is_read_whole_and_a_gap_far_behind_is_found() {
    let state = tempfile::tempdir().unwrap();
    let dir = new_run(state.path());
    let (mut journal, _inbox) = dir.open().unwrap();
    let mut written = Vec::new();
    for second in 0..3_456 {
        let at = Timestamp::from_second(second).unwrap();
        written.push(journal.write(at, event()).unwrap());
    }
    journal.commit().await.unwrap();
    assert_eq!(dir.last_row().unwrap(), 3_456);
    assert!(dir.records().unwrap() == written);
    let connection = rusqlite::Connection::open(dir.path().join("journal.sqlite")).unwrap();
    connection
        .execute("DELETE FROM journal WHERE seq = 2345", [])
        .unwrap();
    let error = dir.records().unwrap_err().to_string();
    let wanted = "row 2346 stands where row 2345 should; rows are missing";
    assert!(error.contains(wanted), "{error}");
}
