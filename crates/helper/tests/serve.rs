//! The protocol from end to end: greeting, registration, detached commands, receipts.
mod common;

use common::{Host, begin_with, generation, limits, refusal, shell, until};
use overhaul_model::id::{AttemptKey, Nonce, Person, RunId};
use overhaul_model::primitive::{Exec, OutputPolicy, Reboot};
use overhaul_model::receipt::{ReceiptStatus, Said, WorkEnd};
use overhaul_model::span::Span;
use overhaul_model::wire::{HostWork, PROTOCOL, Refusal, RequestBody, ResponseBody};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

#[test]
fn the_greeting_tells_who_is_there() {
    let host = Host::new();
    let first = host.connect();
    let ResponseBody::Hello {
        protocol,
        install_id,
        sequence,
        holder,
        boot,
        ..
    } = &first.hello
    else {
        panic!("{:?}", first.hello);
    };
    assert_eq!((*protocol, *sequence, holder), (PROTOCOL, 0, &None));
    assert_eq!(install_id.as_str().len(), 32);
    assert!(!boot.boot_id.is_empty());
    assert_eq!(host.connect().hello, first.hello);
    assert_ne!(Host::new().connect().hello, first.hello);
    let mode = fs::metadata(host.state()).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o700);
    assert_eq!(first.close(), 0);
}

#[test]
fn one_generation_holds_the_host() {
    let host = Host::new();
    let mut client = host.connect();
    let other_nonce = {
        let mut other = generation(2);
        other.nonce = Nonce::new("other");
        other
    };
    let other_run = {
        let mut other = generation(9);
        other.run = RunId::new("run-2");
        other
    };
    let registered = "Registered { sequence: 0 }".to_owned();
    let held_by_2 = "Refused(OtherRun { fleet: \"shop\", run: \"run-1\", counter: 2 })".to_owned();
    for (asked, expected) in [
        (generation(1), registered.clone()),
        (generation(1), registered.clone()),
        (generation(2), registered.clone()),
        (generation(1), "Refused(Outdated { held: 2 })".to_owned()),
        (other_nonce, "Refused(Contested { held: 2 })".to_owned()),
        (other_run.clone(), held_by_2.clone()),
    ] {
        let answer = client.ask(RequestBody::Register { generation: asked });
        assert_eq!(format!("{answer:?}"), expected);
    }
    let mut again = host.connect();
    let answer = again.ask(RequestBody::Release {
        generation: other_run.clone(),
    });
    assert_eq!(format!("{answer:?}"), held_by_2);
    for _ in 0..2 {
        let answer = again.ask(RequestBody::Release {
            generation: generation(2),
        });
        assert_eq!(answer, ResponseBody::Released);
    }
    let answer = again.ask(RequestBody::Register {
        generation: other_run,
    });
    assert_eq!(format!("{answer:?}"), registered);
}

#[test]
fn a_release_by_force_is_kept_on_record() {
    let host = Host::new();
    let mut client = host.registered();
    let held = ResponseBody::Held {
        holder: Some(generation(1)),
    };
    assert_eq!(client.ask(RequestBody::Holder), held);
    let mut force = |counter| {
        client.ask(RequestBody::ForceRelease {
            holder: generation(counter),
            person: Person::new("ada"),
            reason: "the journal is lost".to_owned(),
        })
    };
    assert!(matches!(refusal(force(2)), Refusal::NotRegistered));
    assert_eq!(force(1), ResponseBody::Released);
    // Asked over a connection that was greeted when the host was held.
    let nobody = ResponseBody::Held { holder: None };
    assert_eq!(client.ask(RequestBody::Holder), nobody);
    let answer = client.run(shell("late", "true")).last;
    assert_eq!(refusal(answer), Refusal::NotRegistered);
    let history = fs::read_to_string(host.state().join("force-releases.jsonl")).unwrap();
    for part in ["ada", "the journal is lost", "run-1"] {
        assert!(history.contains(part), "{history}");
    }
}

#[test]
fn only_the_holder_begins() {
    let host = Host::new();
    let mut client = host.connect();
    let touched = host.file("touched");
    let script = format!("touch {}", touched.display());
    let answer = client.run(shell("a", &script)).last;
    assert_eq!(refusal(answer), Refusal::NotRegistered);
    client.ask(RequestBody::Register {
        generation: generation(2),
    });
    let answer = client.run(shell("a", &script)).last;
    assert_eq!(refusal(answer), Refusal::Outdated { held: 2 });
    assert_eq!(client.status("a"), ReceiptStatus::Absent);
    assert!(!touched.exists());
}

#[test]
fn a_late_request_is_refused_after_its_attempt_was_told_as_never_begun() {
    let host = Host::new();
    let mut broken = host.registered();
    let mut client = host.connect();
    let touched = host.file("touched");
    let late = || shell("a", &format!("touch {}", touched.display()));
    let rule_out = |key: &str| RequestBody::RuleOut {
        generation: generation(1),
        key: AttemptKey::new(key),
    };
    let absent = ResponseBody::Receipt(ReceiptStatus::Absent);
    for _ in 0..2 {
        assert_eq!(client.ask(rule_out("a")), absent);
        assert_eq!(refusal(broken.run(late()).last), Refusal::RuledOut);
    }
    assert_eq!(client.status("a"), ReceiptStatus::Absent);
    // The next attempt has another key; what has begun is told as it stands.
    client.run(shell("b", "true")).end();
    let ended = client.ask(rule_out("b"));
    assert!(
        matches!(ended, ResponseBody::Receipt(ReceiptStatus::Ended { .. })),
        "{ended:?}"
    );
    // Nobody else's attempts can be ruled out, and the mark goes with its controller.
    client.ask(RequestBody::Register {
        generation: generation(2),
    });
    let outdated = Refusal::Outdated { held: 2 };
    assert_eq!(refusal(client.ask(rule_out("c"))), outdated);
    assert_eq!(refusal(broken.run(late()).last), outdated);
    let held = fs::read_to_string(host.state().join("generation.json")).unwrap();
    assert!(!held.contains("ruled_out"), "{held}");
    assert!(!touched.exists());
}

#[test]
fn nothing_is_begun_beside_an_earlier_attempt_at_the_same_step() {
    let host = Host::new();
    let mut client = host.registered();
    let (go, touched) = (host.file("go"), host.file("touched"));
    let after = |key: &str, script: &str, before: &[&str]| {
        let mut asked = shell(key, script);
        if let RequestBody::Begin { earlier, .. } = &mut asked {
            earlier.extend(before.iter().map(|key| AttemptKey::new(*key)));
        }
        asked
    };
    let touch = format!("touch {}", touched.display());
    let first = client.send(shell(
        "a",
        &format!("until [ -e {} ]; do sleep 0.05; done", go.display()),
    ));
    until("the first runs", || {
        host.receipt("a", "begin.json").exists()
    });
    let mut next = host.connect();
    let refused = refusal(next.run(after("b", &touch, &["lost", "a"])).last);
    let key = AttemptKey::new("a");
    assert_eq!(refused, Refusal::StillAtWork { key });
    assert!(!touched.exists());
    fs::write(&go, "").unwrap();
    client.follow(first).end();
    next.run(after("b", &touch, &["lost", "a"])).end();
    assert!(touched.exists());
    // The request of the one that had not come would do the work once more.
    fs::remove_file(&touched).unwrap();
    let late = client.run(shell("lost", &touch)).last;
    assert_eq!(refusal(late), Refusal::RuledOut);
    assert!(!touched.exists());
}

#[test]
fn who_was_greeted_by_a_store_that_is_gone_changes_nothing_in_the_next() {
    let host = Host::new();
    let mut before = host.registered();
    fs::remove_dir_all(host.state()).unwrap();
    let mut after = host.registered();
    let answer = refusal(before.run(shell("a", "true")).last);
    assert!(matches!(answer, Refusal::Store { .. }), "{answer:?}");
    assert_eq!(after.status("a"), ReceiptStatus::Absent);
}

#[test]
fn a_store_of_a_helper_that_ruled_nothing_out_is_read() {
    let host = Host::new();
    host.registered();
    let path = host.state().join("generation.json");
    let held = serde_json::json!({"holder": generation(1), "last": generation(1)});
    fs::write(&path, held.to_string()).unwrap();
    host.connect().run(shell("a", "true")).end();
}

#[test]
fn commands_end_as_they_do() {
    let host = Host::new();
    let mut client = host.registered();
    let mut lenient = Exec::argv(["sh", "-c", "exit 2"]);
    lenient.success = vec![0, 2];
    for (key, exec, output, expected) in [
        (
            "ok",
            Exec::shell("echo out; echo err >&2"),
            "out\nerr\n",
            "Exited { code: 0, success: true }",
        ),
        (
            "fails",
            Exec::shell("echo no; exit 3"),
            "no\n",
            "Exited { code: 3, success: false }",
        ),
        (
            "strict",
            Exec::shell("false; echo on"),
            "",
            "Exited { code: 1, success: false }",
        ),
        ("lenient", lenient, "", "Exited { code: 2, success: true }"),
        (
            "signal",
            Exec::shell("kill -9 $$"),
            "",
            "Signaled { signal: 9 }",
        ),
        (
            "argv",
            Exec::argv(["printf", "%s|", "a b", "$HOME"]),
            "a b|$HOME|",
            "Exited { code: 0, success: true }",
        ),
        (
            "clean",
            Exec::shell("pwd; echo \"$PATH $LANG ${SECRET_OF_TEST-none}\"; cat"),
            "/\n/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin C.UTF-8 none\n",
            "Exited { code: 0, success: true }",
        ),
    ] {
        let followed = client.run(common::begin(key, HostWork::Exec(exec)));
        let end = followed.end();
        assert_eq!(followed.text(), output, "{key}");
        assert_eq!(format!("{:?}", end.end), expected, "{key}");
        assert_eq!(end.output_bytes, output.len() as u64, "{key}");
        assert!(end.changed);
    }
    let absent = client.run(common::begin(
        "absent",
        HostWork::Exec(Exec::argv(["/no/such"])),
    ));
    assert!(
        matches!(absent.end().end, WorkEnd::Refused { .. }),
        "{absent:?}"
    );
    assert!(!absent.end().changed);
    let empty: [&str; 0] = [];
    let empty = client.run(common::begin("empty", HostWork::Exec(Exec::argv(empty))));
    assert!(
        matches!(empty.end().end, WorkEnd::Refused { .. }),
        "{empty:?}"
    );
}

#[test]
fn variables_and_folder_are_the_commands_own() {
    let host = Host::new();
    let mut exec = Exec::shell("echo $WORD; pwd");
    exec.env.insert("WORD".to_owned(), "there".to_owned());
    exec.cwd = Some("/usr".to_owned());
    let followed = host
        .registered()
        .run(common::begin("env", HostWork::Exec(exec)));
    assert_eq!(followed.text(), "there\n/usr\n");
}

#[test]
fn bounds_hold_without_a_controller() {
    let host = Host::new();
    let mut client = host.registered();
    let exec = |script: &str| HostWork::Exec(Exec::shell(script));
    let slow = exec("echo begun; (sleep 41.5 & sleep 41.5) & sleep 41.5");
    let followed = client.run(begin_with("slow", slow, limits(300, None), &[]));
    assert_eq!(followed.text(), "begun\n");
    let WorkEnd::TimedOut { processes, .. } = &followed.end().end else {
        panic!("{followed:?}");
    };
    assert!(processes.matches("sleep 41.5").count() >= 3, "{processes}");
    assert!(!running("41.5"));

    let deaf = exec("trap '' TERM; echo deaf; sleep 42.5; sleep 42.5");
    let since = Instant::now();
    let followed = client.run(begin_with("deaf", deaf, limits(200, None), &[]));
    assert!(matches!(followed.end().end, WorkEnd::TimedOut { .. }));
    assert!(since.elapsed() < Duration::from_secs(15));
    assert!(!running("42.5"));

    let stalled = exec("echo begun; sleep 43.5");
    let followed = client.run(begin_with("stall", stalled, limits(60_000, Some(500)), &[]));
    assert!(
        matches!(followed.end().end, WorkEnd::Stalled { .. }),
        "{followed:?}"
    );

    let busy = exec(
        "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; for i in 1 2 3 4; do sleep 0.3; echo $i; done",
    );
    let followed = client.run(begin_with("busy", busy, limits(60_000, Some(1_000)), &[]));
    assert!(
        matches!(followed.end().end, WorkEnd::Exited { code: 0, .. }),
        "{followed:?}"
    );
}

/// Whether a process runs with this in its command line.
fn running(mark: &str) -> bool {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .any(|entry| {
            fs::read(entry.path().join("cmdline"))
                .is_ok_and(|line| String::from_utf8_lossy(&line).contains(mark))
        })
}

#[test]
fn output_is_followed_from_any_byte() {
    let host = Host::new();
    let mut client = host.registered();
    let gate = host.file("gate");
    let script = format!(
        "echo 0123456789; until test -e {}; do sleep 0.01; done; echo abc",
        gate.display()
    );
    let id = client.send(shell("live", &script));
    assert_eq!(client.wait_for_data(id), b"0123456789\n");
    let mut second = host.connect();
    let other = second.send(RequestBody::Attach {
        key: AttemptKey::new("live"),
        from: 4,
    });
    assert_eq!(second.wait_for_data(other), b"456789\n");
    let ReceiptStatus::Running { spooled, .. } = second.status("live") else {
        panic!("not running");
    };
    assert_eq!(spooled, 11);
    fs::write(&gate, "").unwrap();
    assert_eq!(second.wait_for_data(other), b"abc\n");
    for (from, rest) in [(0, "0123456789\nabc\n"), (11, "abc\n"), (15, ""), (99, "")] {
        let followed = second.attach("live", from);
        assert_eq!((followed.text().as_str(), followed.from), (rest, from));
        assert!(matches!(
            followed.end().end,
            WorkEnd::Exited { code: 0, .. }
        ));
    }
    let unknown = second.attach("never", 0).last;
    assert!(matches!(refusal(unknown), Refusal::BadRequest { .. }));
}

#[test]
fn begun_twice_is_done_once() {
    let host = Host::new();
    let count = host.file("count");
    let script = format!("echo once >> {}; sleep 0.3; echo done", count.display());
    let mut one = host.registered();
    let mut other = host.connect();
    let (first, second) = (
        one.send(shell("k", &script)),
        other.send(shell("k", &script)),
    );
    let (first, second) = (one.follow(first), other.follow(second));
    let third = one.run(shell("k", &script));
    for followed in [&first, &second, &third] {
        assert_eq!((followed.text().as_str(), followed.sequence), ("done\n", 1));
        assert_eq!(followed.end(), first.end());
    }
    assert_eq!(fs::read_to_string(count).unwrap(), "once\n");
    assert_eq!(one.run(shell("l", "true")).sequence, 2);
}

#[test]
fn work_goes_on_without_the_connection() {
    let host = Host::new();
    for (key, cut) in [("killed", true), ("closed", false)] {
        let mut client = host.registered();
        let gate = host.file(key);
        let script = format!(
            "echo one; until test -e {}; do sleep 0.01; done; echo two",
            gate.display()
        );
        let id = client.send(shell(key, &script));
        client.wait_for_data(id);
        if cut {
            client.kill();
        } else {
            assert_eq!(client.close(), 0);
        }
        let mut next = host.connect();
        assert!(matches!(next.status(key), ReceiptStatus::Running { .. }));
        fs::write(&gate, "").unwrap();
        assert_eq!(next.attach(key, 4).text(), "two\n");
        assert!(matches!(next.status(key), ReceiptStatus::Ended { .. }));
    }
}

#[test]
fn a_killed_supervisor_is_lost_work() {
    let host = Host::new();
    let mut client = host.registered();
    let id = client.send(shell("k", "echo $PPID; sleep 44.5"));
    let supervisor = String::from_utf8(client.wait_for_data(id)).unwrap();
    let kill = std::process::Command::new("kill")
        .args(["-9", supervisor.trim()])
        .status();
    assert!(kill.unwrap().success());
    let last = client.answer(id);
    assert!(matches!(last, ResponseBody::Lost { .. }), "{last:?}");
    let ReceiptStatus::Lost { begin, why } = client.status("k") else {
        panic!("not lost");
    };
    assert_eq!(begin.sequence, 1);
    assert!(why.contains("killed"), "{why}");
    let again = client.run(shell("k", "echo again"));
    assert!(matches!(again.last, ResponseBody::Lost { .. }), "{again:?}");
}

#[test]
fn a_kill_ends_the_work_and_says_why() {
    let host = Host::new();
    let mut client = host.registered();
    let id = client.send(shell("k", "echo on; sleep 45.5"));
    client.wait_for_data(id);
    let kill = |counter, key: &str| RequestBody::Kill {
        generation: generation(counter),
        key: AttemptKey::new(key),
        why: "ada asked for it".to_owned(),
    };
    assert!(matches!(
        refusal(client.ask(kill(7, "k"))),
        Refusal::NotRegistered
    ));
    let answer = client.ask(kill(1, "k"));
    let ResponseBody::Receipt(ReceiptStatus::Ended { end, .. }) = answer else {
        panic!("{answer:?}");
    };
    let why = "ada asked for it".to_owned();
    assert_eq!(end.end, WorkEnd::Killed { why });
    assert!(!running("45.5"));
    let absent = client.ask(kill(1, "never"));
    assert_eq!(absent, ResponseBody::Receipt(ReceiptStatus::Absent));
}

#[test]
fn what_is_left_behind_neither_holds_up_nor_ends() {
    let host = Host::new();
    let mut client = host.registered();
    let alive = host.file("alive");
    let script = format!("(sleep 1; echo late > {}) & echo now", alive.display());
    let since = Instant::now();
    assert_eq!(client.run(shell("k", &script)).text(), "now\n");
    assert!(since.elapsed() < Duration::from_millis(900));
    until("the child has written", || alive.exists());
}

#[test]
fn secrets_do_not_reach_the_disk() {
    let host = Host::new();
    let mut client = host.registered();
    let secret = "correct horse battery";
    let script =
        "printf 'pw=correct hor'; sleep 0.1; echo 'se battery;'; sh -c 'sleep 46.5; true' \"$PW\"";
    let mut exec = Exec::shell(script);
    exec.env.insert("PW".to_owned(), secret.to_owned());
    let followed = client.run(begin_with(
        "k",
        HostWork::Exec(exec),
        limits(500, None),
        &[secret],
    ));
    assert_eq!(followed.text(), "pw=[redacted];\n");
    let WorkEnd::TimedOut { processes, .. } = &followed.end().end else {
        panic!("{followed:?}");
    };
    assert!(
        processes.contains("sleep 46.5; true [redacted]"),
        "{processes}"
    );
    for file in fs::read_dir(host.receipt("k", "")).unwrap() {
        let path = file.unwrap().path();
        let content = fs::read(&path).unwrap();
        let content = String::from_utf8_lossy(&content).into_owned();
        assert!(!content.contains(secret), "{}", path.display());
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o077;
        assert!(
            mode == 0 || path.ends_with("detached"),
            "{}",
            path.display()
        );
    }
}

#[test]
fn output_that_may_not_be_kept_is_only_counted() {
    let host = Host::new();
    let mut exec = Exec::shell("echo top secret");
    exec.output = OutputPolicy::None;
    let followed = host
        .registered()
        .run(common::begin("k", HostWork::Exec(exec)));
    assert_eq!(
        (followed.text().as_str(), followed.end().output_bytes),
        ("", 11)
    );
    assert!(!host.receipt("k", "spool").exists());
}

#[test]
fn a_value_is_the_standard_output_alone() {
    let host = Host::new();
    let mut asked = shell("k", "echo noise >&2; echo value; echo more noise >&2");
    if let RequestBody::Begin { value, .. } = &mut asked {
        *value = true;
    }
    let followed = host.registered().run(asked);
    assert_eq!(followed.end().said, Some(Said::Text("value".to_owned())));
    for word in ["noise\n", "value\n", "more noise\n"] {
        assert!(followed.text().contains(word), "{followed:?}");
    }
    let followed = host.registered().run(shell("other", "echo value"));
    assert_eq!(followed.end().said, None);
}

#[test]
fn a_flood_keeps_its_beginning_and_its_end() {
    let host = Host::new();
    let mut client = host.registered();
    let script = "echo first; head -c 20000000 /dev/zero | tr '\\0' x; echo; echo last";
    let followed = client.run(shell("k", script));
    assert_eq!(followed.end().output_bytes, 20_000_012);
    assert!(followed.data.starts_with(b"first\nxxx"));
    assert!(followed.data.ends_with(b"x\nlast\n"));
    let text = followed.text();
    let note = text
        .lines()
        .find(|line| line.starts_with("[overhaul: "))
        .unwrap();
    let kept = 16 * 1024 * 1024 + 64 * 1024;
    assert_eq!(
        note,
        format!("[overhaul: {} bytes were not kept]", 20_000_012 - kept)
    );
    let from = 16 * 1024 * 1024 - 2;
    assert_eq!(
        client.attach("k", from).data,
        followed.data[from as usize..]
    );
}

fn reboot(key: &str, command: &[&str]) -> RequestBody {
    let reboot = Reboot {
        command: command.iter().map(|word| (*word).to_owned()).collect(),
        back_within: Span::from_s(60),
    };
    common::begin(key, HostWork::Reboot(reboot))
}

#[test]
fn a_reboot_ends_under_the_next_boot() {
    let host = Host::new();
    let mut client = host.registered();
    let ordered = host.file("ordered");
    let script = format!("echo once >> {}; echo going; exit 1", ordered.display());
    let request = reboot("k", &["sh", "-c", &script]);
    let id = client.send(request.clone());
    assert_eq!(client.wait_for_data(id), b"going\n");
    std::thread::sleep(Duration::from_millis(300));
    let ReceiptStatus::Running { .. } = client.status("k") else {
        panic!("the order's own end is not the reboot's");
    };
    client.kill();
    // As if that had been another boot.
    let path = host.receipt("k", "work.json");
    let text = fs::read_to_string(&path).unwrap();
    let json = text.lines().next().unwrap();
    let mut work: serde_json::Value = serde_json::from_str(json).unwrap();
    let start = &mut work["reboot"];
    start["boot"]["boot_id"] = "before".into();
    start["init_started_ms"] = 1_000.into();
    fs::write(&path, serde_json::to_vec(&work).unwrap()).unwrap();
    let mut next = host.connect();
    let ReceiptStatus::Ended { end, .. } = next.status("k") else {
        panic!("the reboot was not seen");
    };
    let WorkEnd::Done { detail } = &end.end else {
        panic!("{end:?}");
    };
    assert!(detail.starts_with("booted: before -> "), "{detail}");
    assert_eq!(next.run(request).end(), &end);
    assert_eq!(next.attach("k", 0).end(), &end);
    assert_eq!(fs::read_to_string(ordered).unwrap(), "once\n");
}

#[test]
fn a_reboot_that_cannot_be_ordered_is_refused() {
    let host = Host::new();
    let followed = host.registered().run(reboot("k", &["/no/such"]));
    assert!(
        matches!(followed.end().end, WorkEnd::Refused { .. }),
        "{followed:?}"
    );
}
