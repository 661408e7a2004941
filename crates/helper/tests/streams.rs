//! Work that is bound to the connection: fetched and fed.
mod common;

use common::{Client, Followed, Host, begin, begin_with, limits, until};
use overhaul_model::id::Digest;
use overhaul_model::primitive::Exec;
use overhaul_model::receipt::{ReceiptStatus, WorkEnd};
use overhaul_model::wire::{HostWork, RequestBody, ResponseBody};

/// Bytes that are no pattern of any buffer.
fn sample(size: usize) -> Vec<u8> {
    let mut state: u32 = 1;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(&mut next).take(size).collect()
}

fn fed(client: &mut Client, request: RequestBody, bytes: &[u8], end: bool) -> Followed {
    let id = client.send(request);
    for piece in bytes.chunks(50_000) {
        client.send_data(id, piece);
    }
    if end {
        client.send(RequestBody::DataEnd { of: id });
    }
    client.follow(id)
}

#[test]
fn what_is_fetched_arrives_whole() {
    let host = Host::new();
    let mut client = host.registered();
    let content = sample(5_000_000);
    let path = host.file("data");
    std::fs::write(&path, &content).unwrap();
    let script = format!("echo to the spool >&2; cat {}", path.display());
    let work = HostWork::Fetch(Exec::shell(script));
    let followed = client.run(begin("k", work.clone()));
    assert!(followed.data == content);
    let end = followed.end();
    assert_eq!(
        end.end,
        WorkEnd::Exited {
            code: 0,
            success: true
        }
    );
    assert_eq!(end.sha256, Some(Digest::of(&content)));
    assert_eq!(end.output_bytes, 5_000_000);
    assert_eq!(client.attach("k", 0).text(), "to the spool\n");
    let again = client.run(begin("k", work));
    assert_eq!((again.text().as_str(), again.end()), ("", end));
}

#[test]
fn a_fetch_that_fails_says_why() {
    let host = Host::new();
    let mut client = host.registered();
    let work = HostWork::Fetch(Exec::shell("echo part; echo no room >&2; exit 4"));
    let followed = client.run(begin_with("k", work, limits(60_000, None), &["room"]));
    assert_eq!(followed.text(), "part\n");
    assert_eq!(
        followed.end().end,
        WorkEnd::Exited {
            code: 4,
            success: false
        }
    );
    assert_eq!(client.attach("k", 0).text(), "no [redacted]\n");
    let absent = client.run(begin("l", HostWork::Fetch(Exec::argv(["/no/such"]))));
    assert!(
        matches!(absent.end().end, WorkEnd::Refused { .. }),
        "{absent:?}"
    );
    let slow = HostWork::Fetch(Exec::shell("echo on; sleep 51.5"));
    let slow = client.run(begin_with("m", slow, limits(200, None), &[]));
    assert!(
        matches!(slow.end().end, WorkEnd::TimedOut { .. }),
        "{slow:?}"
    );
    let slow = HostWork::Fetch(Exec::shell("echo on; sleep 51.6"));
    let slow = client.run(begin_with("n", slow, limits(60_000, Some(300)), &[]));
    assert!(
        matches!(slow.end().end, WorkEnd::Stalled { .. }),
        "{slow:?}"
    );
}

#[test]
fn streams_end_with_the_connection() {
    let host = Host::new();
    for (key, work) in [
        (
            "fetch",
            HostWork::Fetch(Exec::shell("echo on; cat >&2; sleep 52.5")),
        ),
        (
            "feed",
            HostWork::Feed(Exec::shell("echo on; cat > /dev/null; sleep 52.5")),
        ),
    ] {
        let mut client = host.registered();
        let id = client.send(begin(key, work));
        assert_eq!(client.wait_for_data(id), b"on\n");
        assert_eq!(client.close(), 0);
        let ReceiptStatus::Ended { end, .. } = host.connect().status(key) else {
            panic!("{key} has no end");
        };
        let why = "the connection ended".to_owned();
        assert_eq!(end.end, WorkEnd::Killed { why }, "{key}");
        assert_eq!(end.sha256, None);
    }
}

#[test]
fn streams_are_lost_with_the_helper() {
    let host = Host::new();
    let mut client = host.registered();
    let id = client.send(begin(
        "k",
        HostWork::Fetch(Exec::shell("echo $$; exec sleep 53.5")),
    ));
    let process = String::from_utf8(client.wait_for_data(id)).unwrap();
    client.kill();
    let mut next = host.connect();
    assert!(matches!(next.status("k"), ReceiptStatus::Lost { .. }));
    let path = format!("/proc/{}", process.trim());
    until("the command is gone", || {
        std::fs::read_to_string(format!("{path}/stat")).map_or(true, |stat| stat.contains(") Z "))
    });
}

#[test]
fn a_command_is_fed_whole() {
    let host = Host::new();
    let mut client = host.registered();
    let content = sample(5_000_000);
    let path = host.file("copy");
    let script = format!("cat > {}; echo stored", path.display());
    let request = begin("k", HostWork::Feed(Exec::shell(script)));
    let followed = fed(&mut client, request, &content, true);
    assert_eq!(followed.text(), "stored\n");
    assert_eq!(
        followed.end().end,
        WorkEnd::Exited {
            code: 0,
            success: true
        }
    );
    assert_eq!(followed.end().sha256, Some(Digest::of(&content)));
    assert!(std::fs::read(path).unwrap() == content);
}

#[test]
fn a_command_may_stop_reading() {
    let host = Host::new();
    let mut client = host.registered();
    let content = sample(3_000_000);
    let request = begin("k", HostWork::Feed(Exec::argv(["head", "-c", "10"])));
    let followed = fed(&mut client, request, &content, true);
    assert_eq!(followed.data, content[..10]);
    assert!(matches!(
        followed.end().end,
        WorkEnd::Exited { code: 0, .. }
    ));
    let linger = HostWork::Feed(Exec::shell("exec 0<&-; sleep 0.3; echo late"));
    let followed = fed(&mut client, begin("l", linger), &content, true);
    assert_eq!(followed.text(), "late\n");
    assert_eq!(followed.end().sha256, Some(Digest::of(&content)));
}

#[test]
fn a_feed_that_breaks_off_is_never_taken_for_whole() {
    let host = Host::new();
    let mut client = host.registered();
    let path = host.file("copy");
    let script = format!("echo on; cat > /dev/null; touch {}", path.display());
    let id = client.send(begin("k", HostWork::Feed(Exec::shell(script))));
    client.send_data(id, b"half");
    client.wait_for_data(id);
    assert_eq!(client.close(), 0);
    assert!(!path.exists());
    let mut next = host.connect();
    let ReceiptStatus::Ended { end, .. } = next.status("k") else {
        panic!("no end");
    };
    assert!(matches!(end.end, WorkEnd::Killed { .. }), "{end:?}");
}

#[test]
fn a_slow_reader_holds_up_and_does_not_break() {
    let host = Host::new();
    let mut client = host.registered();
    let script = "head -c 300000 /dev/zero; sleep 0.05; head -c 1000 /dev/zero";
    let id = client.send(begin("k", HostWork::Fetch(Exec::shell(script))));
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(client.follow(id).data.len(), 301_000);
}

#[test]
fn a_fetch_can_be_killed() {
    let host = Host::new();
    let mut client = host.registered();
    let id = client.send(begin(
        "k",
        HostWork::Fetch(Exec::shell("echo on; sleep 54.5")),
    ));
    client.wait_for_data(id);
    let mut other = host.connect();
    let answer = other.ask(RequestBody::Kill {
        generation: common::generation(1),
        key: overhaul_model::id::AttemptKey::new("k"),
        why: "enough".to_owned(),
    });
    let ResponseBody::Receipt(ReceiptStatus::Ended { end, .. }) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(
        end.end,
        WorkEnd::Killed {
            why: "enough".to_owned()
        }
    );
}
