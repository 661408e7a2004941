//! What a broken or hostile other end sends, and stores that cannot be used.
#![expect(
    clippy::unwrap_used,
    reason = "a test ends where its expectation does not hold"
)]

mod common;

use common::{Client, HELPER, Host, begin, generation, refusal, shell};
use overhaul_model::id::AttemptKey;
use overhaul_model::primitive::WriteFile;
use overhaul_model::receipt::ReceiptStatus;
use overhaul_model::wire::{FRAME_BYTES_MAX, HostWork, Refusal, RequestBody, ResponseBody};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

#[track_caller]
fn bad_request(answer: ResponseBody) -> String {
    match refusal(answer) {
        Refusal::BadRequest { why } => why,
        other => format!("another refusal: {other:?}"),
    }
}

#[track_caller]
fn store_refusal(client: &Client) -> String {
    match refusal(client.hello.clone()) {
        Refusal::Store { why } => why,
        other => format!("another refusal: {other:?}"),
    }
}

#[test]
fn unsound_frames_end_the_connection_with_a_word() {
    let too_long = u32::try_from(FRAME_BYTES_MAX + 1).unwrap().to_be_bytes();
    for (bytes, reason) in [
        (vec![0, 0, 0, 0], "0 bytes"),
        (too_long.to_vec(), "1048577 bytes"),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "1195725856 bytes"),
        (vec![0, 0, 0, 2, 9, 9], "unknown kind 9"),
        (vec![0, 0, 0, 2, 1, 9], "a data frame of 1 bytes"),
    ] {
        let host = Host::new();
        let mut client = host.connect();
        client.send_raw(&bytes);
        let why = bad_request(client.answer(0));
        assert!(why.contains(reason), "{why}");
        assert_eq!(client.close(), 1);
    }
    let host = Host::new();
    let mut client = host.connect();
    client.send_raw(&[0, 0, 0, 9, 0, b'{']);
    assert_eq!(client.close(), 1);
}

#[test]
fn requests_that_are_not_understood_are_answered_and_passed_over() {
    let host = Host::new();
    let mut client = host.registered();
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    for (json, id) in [
        ("{", 0),
        ("[]", 0),
        (deep.as_str(), 0),
        ("{\"id\": 77, \"body\": {\"dance\": {}}}", 77),
        ("{\"id\": 78, \"body\": \"receipt\"}", 78),
        ("{\"id\": 99999999999, \"body\": 1}", 0),
        ("{\"id\": 0, \"body\": {\"receipt\": {\"key\": \"a\"}}}", 0),
    ] {
        client.send_json(json.as_bytes());
        bad_request(client.answer(id));
    }
    client.send_json(&[0xff, 0xfe]);
    bad_request(client.answer(0));
    client.send_data(4_711, b"for nobody");
    client.send(RequestBody::DataEnd { of: 4_711 });
    assert_eq!(client.run(shell("k", "echo on")).text(), "on\n");
}

#[test]
fn keys_lead_nowhere() {
    let host = Host::new();
    let mut client = host.registered();
    let long = "k".repeat(129);
    for key in [
        "", ".", "..", "../x", "a/b", "a b", "ä", "a\0b", ".new-x", &long,
    ] {
        let why = bad_request(client.run(shell(key, "true")).last);
        assert!(why.contains("key"), "{key}: {why}");
        let key = AttemptKey::new(key);
        bad_request(client.ask(RequestBody::Receipt { key: key.clone() }));
        bad_request(client.ask(RequestBody::Attach {
            key: key.clone(),
            from: 0,
        }));
        bad_request(client.ask(RequestBody::Kill {
            generation: generation(1),
            key,
            why: String::new(),
        }));
    }
    assert_eq!(client.run(shell(&long[1..], "true")).sequence, 1);
}

#[test]
fn a_store_of_a_newer_helper_is_left_alone() {
    let host = Host::new();
    drop(host.connect());
    fs::write(host.state().join("format"), "3\n").unwrap();
    let client = host.connect();
    let why = store_refusal(&client);
    assert!(why.contains("format 3") && why.contains("up to 2"), "{why}");
    assert_eq!(client.close(), 1);
}

#[test]
fn a_damaged_or_open_store_is_not_served() {
    for (damage, reason) in [
        ("echo x > format", "damaged"),
        ("rm install-id", "install-id is damaged"),
        ("rm sequence", "sequence is damaged"),
        ("echo '{' > generation.json", "generation.json is damaged"),
        ("chmod 777 .", "others may write"),
    ] {
        let host = Host::new();
        drop(host.connect());
        let done = Command::new("sh")
            .args(["-c", damage])
            .current_dir(host.state())
            .status();
        assert!(done.unwrap().success());
        let client = host.connect();
        let why = store_refusal(&client);
        assert!(why.contains(reason), "{damage}: {why}");
    }
    let host = Host::new();
    drop(host.connect());
    let link = host.file("link");
    symlink(host.state(), &link).unwrap();
    assert!(store_refusal(&Client::start(&link)).contains("not a directory of its own"));
    assert!(store_refusal(&Client::start(Path::new("/proc/overhaul"))).contains("created"));
}

#[test]
fn a_store_that_others_may_read_is_closed() {
    let host = Host::new();
    drop(host.connect());
    let open = fs::Permissions::from_mode(0o755);
    fs::set_permissions(host.state(), open).unwrap();
    drop(host.connect());
    let mode = fs::metadata(host.state()).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o700);
}

#[test]
fn a_receipt_that_was_cut_off_in_the_making_was_never_begun() {
    let host = Host::new();
    let mut client = host.registered();
    let aside = host.state().join("receipts/.new-k");
    fs::create_dir(&aside).unwrap();
    fs::write(aside.join("begin.json"), "{").unwrap();
    assert_eq!(client.status("k"), ReceiptStatus::Absent);
    assert_eq!(client.run(shell("k", "echo on")).text(), "on\n");
}

/// A file system of its own, small enough to be filled. Needs root.
struct Small<'a>(&'a Path);

impl<'a> Small<'a> {
    fn mount(dir: &'a Path) -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "this test mounts a small filesystem: run it as root"
        );
        fs::create_dir_all(dir).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=128k,mode=700", "tmpfs"])
            .arg(dir)
            .status();
        assert!(mounted.unwrap().success(), "no filesystem can be mounted");
        Self(dir)
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_refuses_and_nothing_is_done() {
    let host = Host::new();
    let state = host.state();
    let _mounted = Small::mount(&state);
    let mut client = host.registered();
    let fill = || {
        let _ = fs::write(state.join("fill"), vec![0; 1 << 20]);
    };
    fill();
    let touched = host.file("touched");
    let script = format!("touch {}", touched.display());
    let answer = client.run(shell("k", &script)).last;
    assert!(matches!(refusal(answer), Refusal::Store { .. }));
    let answer = client.ask(RequestBody::Register {
        generation: generation(2),
    });
    assert!(matches!(refusal(answer), Refusal::Store { .. }));
    assert_eq!(client.status("k"), ReceiptStatus::Absent);
    fs::remove_file(state.join("fill")).unwrap();
    assert!(!touched.exists());
    assert_eq!(client.run(shell("k", &script)).text(), "");
    assert!(touched.exists());
    // The end of a work waits for room.
    let gate = host.file("gate");
    let script = format!(
        "until test -e {}; do sleep 0.01; done; echo on",
        gate.display()
    );
    let id = client.send(shell("l", &script));
    client.answer(id);
    fill();
    fs::write(&gate, "").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(400));
    assert!(matches!(client.status("l"), ReceiptStatus::Running { .. }));
    fs::remove_file(state.join("fill")).unwrap();
    let Some(common::Incoming::Json(_, last)) = client.next_of(id).map(|first| match first {
        common::Incoming::Data(..) => client.next_of(id).unwrap(),
        other => other,
    }) else {
        panic!("no end");
    };
    assert!(matches!(*last, ResponseBody::Ended(_)), "{last:?}");
}

#[test]
fn many_requests_are_served_side_by_side() {
    let host = Host::new();
    let mut client = host.registered();
    let ids: Vec<u32> = (0..40)
        .map(|n| client.send(shell(&format!("k{n}"), &format!("echo {n}"))))
        .collect();
    for (n, id) in ids.into_iter().enumerate() {
        assert_eq!(client.follow(id).text(), format!("{n}\n"));
    }
}

#[test]
fn a_mix_of_helpers_shares_one_store() {
    let host = Host::new();
    let mut clients: Vec<Client> = (0..4).map(|_| host.registered()).collect();
    let mut sequences = Vec::new();
    let mut open = Vec::new();
    for round in 0..3 {
        for (n, client) in clients.iter_mut().enumerate() {
            let file = WriteFile {
                path: host.file("shared").display().to_string(),
                content: format!("{round}{n}"),
                mode: None,
                backup: false,
                absent: false,
            };
            let id = client.send(begin(&format!("k{round}-{n}"), HostWork::WriteFile(file)));
            open.push((n, id));
        }
    }
    for (n, id) in open {
        let followed = clients[n].follow(id);
        followed.end();
        sequences.push(followed.sequence);
    }
    sequences.sort_unstable();
    assert_eq!(sequences, (1..=12).collect::<Vec<u64>>());
}

#[test]
fn arguments_are_checked() {
    for (arguments, code) in [
        (vec![], 2),
        (vec!["serve"], 2),
        (vec!["dance"], 2),
        (vec!["supervise", "/no/such"], 1),
        (vec!["version"], 0),
    ] {
        let run = Command::new(HELPER)
            .args(&arguments)
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        assert_eq!(run.status.code(), Some(code), "{arguments:?}");
    }
    let run = Command::new(HELPER).arg("version").output().unwrap();
    let text = String::from_utf8(run.stdout).unwrap();
    assert_eq!(
        text,
        format!("overhaul-helper {} protocol 1\n", env!("CARGO_PKG_VERSION"))
    );
}

/// More free pieces than a store with one attempt needs.
const PIECES_MAX: usize = 30;

/// What the small file system hands out at least.
const PIECE: usize = 4096;

/// Fills the small file system but for so many pieces.
fn fill(state: &Path, pieces: usize) {
    use std::io::Write as _;
    let mut ballast = fs::File::create(state.join("fill")).unwrap();
    while ballast.write_all(&[0; PIECE]).is_ok() {}
    let size = ballast.metadata().unwrap().len();
    ballast
        .set_len(size.saturating_sub((pieces * PIECE) as u64))
        .unwrap();
}

/// Goes through the life of a store until something is refused; whether all of it was accepted.
fn accepted(host: &Host, request: RequestBody) -> bool {
    let mut client = host.connect();
    if matches!(client.hello, ResponseBody::Refused(_)) {
        store_refusal(&client);
        return false;
    }
    let registered = client.ask(RequestBody::Register {
        generation: generation(1),
    });
    if !matches!(registered, ResponseBody::Registered { .. }) {
        assert!(matches!(refusal(registered), Refusal::Store { .. }));
        return false;
    }
    let id = client.send(request);
    match client.answer(id) {
        ResponseBody::Refused(refusal) => {
            assert!(matches!(refusal, Refusal::Store { .. }), "{refusal:?}");
            assert_eq!(client.status("k"), ReceiptStatus::Absent);
            false
        }
        _ => true,
    }
}

#[test]
fn a_disk_that_fills_at_any_write_refuses_before_anything_began_or_comes_to_the_end() {
    let mut refused = 0;
    for pieces in 0..PIECES_MAX {
        let host = Host::new();
        let state = host.state();
        let _mounted = Small::mount(&state);
        fill(&state, pieces);
        let log = host.file("log");
        let request = || shell("k", &format!("echo did >> {}", log.display()));
        if !accepted(&host, request()) {
            refused += 1;
            assert!(!log.exists(), "{pieces} pieces");
        }
        fs::remove_file(state.join("fill")).unwrap();
        // With room, the same request begins it, or attaches to what has begun.
        let followed = host.registered().run(request());
        assert!(
            matches!(followed.last, ResponseBody::Ended(_)),
            "{pieces}: {followed:?}"
        );
        assert_eq!(
            fs::read_to_string(&log).unwrap(),
            "did\n",
            "{pieces} pieces"
        );
    }
    assert!((4..PIECES_MAX).contains(&refused), "{refused}");
}
