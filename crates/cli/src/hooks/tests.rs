//! Real programs and a real server on the loopback address.

use super::queue::{About, Hooks, Ready, Say, Way};
use super::{Call, read};
use jiff::Timestamp;
use overhaul_model::secret::Secret;
use overhaul_source::CallFor;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

fn call(kind: CallFor) -> Call {
    Call {
        kind,
        at: Timestamp::UNIX_EPOCH,
        text: "sure?".to_owned(),
        position: Some(overhaul_model::id::Position::on("gate".into(), "a".into())),
        service: None,
    }
}

fn hook(name: &str, on: &[CallFor], way: Way) -> Ready {
    Ready {
        name: name.to_owned(),
        on: on.iter().copied().collect(),
        way,
    }
}

fn command(argv: &[&str]) -> Way {
    Way::Command(argv.iter().map(|&word| word.to_owned()).collect())
}

fn webhook(url: String) -> Way {
    let headers = vec![("X-Token".to_owned(), Secret::new("hush"))];
    Way::Webhook { url, headers }
}

/// Hooks, and what they say.
fn started(hooks: Vec<Ready>) -> (Hooks, Arc<Mutex<Vec<String>>>) {
    let said = Arc::new(Mutex::new(Vec::new()));
    let lines = Arc::clone(&said);
    let say: Say = Arc::new(move |line| lines.lock().unwrap().push(line.to_owned()));
    let about = About {
        run: "r1".to_owned(),
        upgrade: "bookworm-to-trixie".to_owned(),
        fleet: "shop".to_owned(),
    };
    (Hooks::start(hooks, about, say), said)
}

/// A server that answers every request with these words; gives its address, and what it was sent.
async fn server(answer: &'static str) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let got = Arc::clone(&seen);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut text = Vec::new();
            let mut bytes = [0; 4096];
            while !String::from_utf8_lossy(&text).trim_end().ends_with('}') {
                let count = stream.read(&mut bytes).await.unwrap();
                assert!(count > 0, "the request ends early");
                text.extend_from_slice(&bytes[..count]);
            }
            got.lock().unwrap().push(String::from_utf8(text).unwrap());
            let head =
                format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
        }
    });
    (url, seen)
}

#[tokio::test]
async fn a_program_and_an_address_get_the_event_as_json() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("told");
    let script = format!("cat >>{}; echo noise; echo noise >&2", file.display());
    let (url, seen) = server("204 No Content").await;
    let all = CallFor::ALL;
    let (hooks, said) = started(vec![
        hook(
            "program",
            &[CallFor::Asked],
            command(&["/bin/sh", "-c", &script]),
        ),
        hook("address", &all, webhook(url)),
    ]);
    hooks.call(call(CallFor::Asked));
    hooks.call(call(CallFor::Over));
    hooks.end().await;
    assert_eq!(*said.lock().unwrap(), [""; 0]);
    let told = std::fs::read_to_string(file).unwrap();
    insta::assert_snapshot!(told.trim_end());
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 2);
    let (head, body) = seen[0].split_once("\r\n\r\n").unwrap();
    assert_eq!(body, told.trim_end());
    assert!(head.starts_with("POST /hook HTTP/1.1\r\n"), "{head}");
    let head = head.to_lowercase();
    for line in ["x-token: hush", "content-type: application/json"] {
        assert!(head.lines().any(|found| found == line), "{head}");
    }
}

#[tokio::test]
async fn what_goes_wrong_is_told_without_secrets_and_hinders_nobody() {
    let (fails, _) = server("500 Internal Server Error").await;
    let (moved, _) = server("302 Found\r\nLocation: http://127.0.0.1:9/").await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}/", closed.local_addr().unwrap());
    drop(closed);
    let on = [CallFor::Failed];
    let (hooks, said) = started(vec![
        hook("code", &on, command(&["/bin/sh", "-c", "exit 3"])),
        hook("signal", &on, command(&["/bin/sh", "-c", "kill -9 $$"])),
        hook("absent", &on, command(&["/nonexistent/page"])),
        hook("good", &on, command(&["/bin/true"])),
        hook("fails", &on, webhook(fails)),
        hook("moved", &on, webhook(moved)),
        hook("nobody", &on, webhook(nobody)),
    ]);
    hooks.call(call(CallFor::Failed));
    hooks.end().await;
    let mut said = said.lock().unwrap().clone();
    said.sort();
    let said = said.join("\n");
    assert!(!said.contains("hush"), "{said}");
    insta::assert_snapshot!(said);
}

#[tokio::test]
async fn a_full_queue_drops_calls_and_counts_them() {
    let (hooks, said) = started(Vec::new());
    // Nothing is awaited meanwhile, so that the worker takes none.
    for _ in 0..66 {
        hooks.call(call(CallFor::Held));
    }
    hooks.end().await;
    let expected =
        [1, 2].map(|n| format!("hooks: too many calls are waiting; dropped so far: {n}"));
    assert_eq!(*said.lock().unwrap(), expected);
    hooks.call(call(CallFor::Held));
    assert_eq!(said.lock().unwrap().len(), 2);
}

#[test]
fn files_that_others_could_use_and_values_that_are_not_there_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let write = |name: &str, mode: u32, text: &str| {
        std::fs::write(path(name), text).unwrap();
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(path(name), permissions).unwrap();
    };
    let with = |from: &str| {
        format!("hooks:\n  - {{name: chat, webhook: http://x/, headers: [{{name: A, {from}}}]}}\n")
    };
    let key = path("key").display().to_string();
    let cases = [
        ("good", 0o644, with(&format!("from_file: {key}")), 0o600),
        ("writable", 0o664, "hooks: []\n".to_owned(), 0o600),
        (
            "readable key",
            0o600,
            with(&format!("from_file: {key}")),
            0o644,
        ),
        (
            "no variable",
            0o600,
            with("from_env: OVERHAUL_TEST_NOT_SET"),
            0o600,
        ),
        ("wrong", 0o600, "hooks: [{name: x}]\n".to_owned(), 0o600),
    ];
    let mut out = String::new();
    for (name, mode, text, key_mode) in cases {
        write("hooks", mode, &text);
        write("key", key_mode, "hush\n");
        let outcome = match read(&path("hooks")) {
            Ok(hooks) => format!("{hooks:?}"),
            Err(failure) => failure.message,
        };
        out.push_str(&format!("{name}: {outcome}\n"));
    }
    assert!(!out.contains("hush"), "{out}");
    insta::assert_snapshot!(out.replace(&folder.path().display().to_string(), "FOLDER"));
}
