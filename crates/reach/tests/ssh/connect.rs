//! Reaching a host and knowing it.

use std::io::Write as _;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use overhaul_reach::ssh::{Exit, KnownHosts, SshError, Target, connect, fingerprint};

use crate::each::over_each_transport;
use crate::support::{By, ECDSA, ED25519, RSA, Sshd, free_port, key, keyring, public, tool};

const BOUND: Duration = Duration::from_secs(10);

over_each_transport! {
    right_key_runs_a_command,
    unknown_changed_and_revoked_host_keys_are_refused,
    hashed_names_aliases_and_names_without_port_are_known,
    the_server_shows_the_key_type_that_we_know,
    dead_silent_and_closing_ports_are_told_apart_in_time,
    a_dropped_session_leaves_the_server,
}

async fn error_of(by: By, sshd: &Sshd, target: &Target) -> SshError {
    match sshd.connect(by, target).await {
        Ok(_) => panic!("was let in"),
        Err(error) => error,
    }
}

async fn right_key_runs_a_command(by: By) {
    let sshd = Sshd::start();
    let session = sshd.connect(by, &sshd.target()).await.unwrap();
    let output = session
        .run("echo hello; echo oops >&2", b"", 100, BOUND)
        .await
        .unwrap();
    assert_eq!(
        (
            output.exit,
            output.stdout.as_slice(),
            output.stderr.as_slice()
        ),
        (Exit::Code(0), &b"hello\n"[..], &b"oops\n"[..])
    );
    assert!(!output.stdout_truncated);
    assert!(session.is_open());
}

async fn unknown_changed_and_revoked_host_keys_are_refused(by: By) {
    let sshd = Sshd::start();
    let host_key = public(&sshd.path("host_ed25519"));
    let other = public(&key(sshd.dir.path(), "other", ED25519, ""));
    let name = sshd.name_in_files();
    let shown = tool(
        "ssh-keygen",
        "openssh-client",
        &["-lf", sshd.path("host_ed25519.pub").to_str().unwrap()],
    );
    // Made first: it writes the file that the ssh program reads.
    let usual = sshd.target();
    let with = |lines: String| Target {
        known_hosts: sshd.known_lines(&lines),
        ..usual.clone()
    };

    let error = error_of(by, &sshd, &with(format!("elsewhere {host_key}\n"))).await;
    let SshError::HostKeyUnknown {
        fingerprint, files, ..
    } = &error
    else {
        panic!("{error}")
    };
    assert!(
        shown.contains(fingerprint.as_str()),
        "{shown} has {fingerprint}"
    );
    assert_eq!(files, &[sshd.path("known_hosts")]);
    assert!(!error.is_transient());

    let error = error_of(by, &sshd, &with(format!("# a comment\n{name} {other}\n"))).await;
    let SshError::HostKeyChanged { known, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(
        known
            .first()
            .map(|key| (key.place.line, key.key_type.as_str())),
        Some((2, "ssh-ed25519"))
    );
    assert!(error.to_string().contains("known_hosts:2"), "{error}");

    let error = error_of(
        by,
        &sshd,
        &with(format!("{name} {host_key}\n@revoked * {host_key}\n")),
    )
    .await;
    let SshError::HostKeyRevoked { place, .. } = &error else {
        panic!("{error}")
    };
    // The ssh program does not tell where.
    let line = place.as_ref().map(|place| place.line);
    assert_eq!(line, (by == By::Native).then_some(2));

    let error = error_of(
        by,
        &sshd,
        &with(format!("@cert-authority {name} {other}\n")),
    )
    .await;
    if by == By::Openssh {
        // It knows authorities, and this host shows no certificate.
        assert!(matches!(error, SshError::HostKeyUnknown { .. }), "{error}");
        return;
    }
    assert!(
        matches!(error, SshError::HostKeyNeedsAuthority { .. }),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("shows no certificate of the authority")
    );
}

async fn hashed_names_aliases_and_names_without_port_are_known(by: By) {
    let sshd = Sshd::start();
    let host_key = public(&sshd.path("host_ed25519"));
    let target = sshd.target();
    sshd.known_lines(&format!("{} {host_key}\n", sshd.name_in_files()));
    tool(
        "ssh-keygen",
        "openssh-client",
        &["-q", "-H", "-f", sshd.path("known_hosts").to_str().unwrap()],
    );
    let hashed = std::fs::read_to_string(sshd.path("known_hosts")).unwrap();
    assert!(hashed.starts_with("|1|"));
    sshd.connect(
        by,
        &Target {
            known_hosts: sshd.known_lines(&hashed),
            ..target.clone()
        },
    )
    .await
    .unwrap();
    sshd.connect(
        by,
        &Target {
            known_hosts: sshd.known("127.0.0.1", "host_ed25519"),
            ..target.clone()
        },
    )
    .await
    .unwrap();
    let alias = Some("db-0".to_owned());
    sshd.connect(
        by,
        &Target {
            known_hosts: sshd.known("db-0", "host_ed25519"),
            host_key_alias: alias,
            ..target
        },
    )
    .await
    .unwrap();
}

async fn the_server_shows_the_key_type_that_we_know(by: By) {
    let keys: &[(&str, &[&str])] = &[
        ("host_ed25519", ED25519),
        ("host_ecdsa", ECDSA),
        ("host_rsa", RSA),
    ];
    let sshd = Sshd::with("", keys);
    let usual = sshd.target();
    for (name, _) in keys {
        let known_hosts = sshd.known(&sshd.name_in_files(), name);
        sshd.connect(
            by,
            &Target {
                known_hosts,
                ..usual.clone()
            },
        )
        .await
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_an_error_and_a_missing_one_is_empty() {
    let dir = tempfile::tempdir().unwrap();
    assert!(KnownHosts::load(&[dir.path().join("missing")]).is_ok());
    let error = KnownHosts::load(&[dir.path()]).unwrap_err();
    assert!(
        matches!(error, SshError::KnownHostsUnreadable { .. }),
        "{error}"
    );
}

async fn dead_silent_and_closing_ports_are_told_apart_in_time(by: By) {
    let sshd = Sshd::start();
    let at = |port| Target {
        port,
        connect_timeout: Duration::from_millis(700),
        ..sshd.target()
    };

    let error = error_of(by, &sshd, &at(free_port())).await;
    assert!(
        matches!(error, SshError::Unreachable { .. }) && error.is_transient(),
        "{error}"
    );

    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let began = Instant::now();
    let error = error_of(by, &sshd, &at(silent.local_addr().unwrap().port())).await;
    assert!(
        matches!(
            error,
            SshError::TimedOut {
                what: "connecting",
                ..
            }
        ) && error.is_transient(),
        "{error}"
    );
    assert!(began.elapsed() < Duration::from_secs(3));

    let half = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = half.local_addr().unwrap().port();
    // Says who it is and no more; then it must see us go.
    let speaker = std::thread::spawn(move || {
        let (mut stream, _) = half.accept().unwrap();
        stream.write_all(b"SSH-2.0-half\r\n").unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        std::io::copy(&mut stream, &mut std::io::sink())
    });
    let error = error_of(by, &sshd, &at(port)).await;
    assert!(matches!(error, SshError::TimedOut { .. }), "{error}");
    let gone = tokio::task::spawn_blocking(move || speaker.join().unwrap())
        .await
        .unwrap();
    assert!(gone.is_ok(), "the connection was left open: {gone:?}");

    let closing = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = closing.local_addr().unwrap().port();
    std::thread::spawn(move || drop(closing.accept()));
    let error = error_of(by, &sshd, &at(port)).await;
    assert!(
        matches!(error, SshError::ClosedEarly { .. }) && error.is_transient(),
        "{error}"
    );

    let babbler = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = babbler.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut stream, _) = babbler.accept().unwrap();
        // Endless noise without a line end.
        while stream.write_all(&[b'x'; 4096]).is_ok() {}
    });
    let error = error_of(by, &sshd, &at(port)).await;
    assert!(
        matches!(
            error,
            SshError::Protocol { .. } | SshError::ClosedEarly { .. } | SshError::TimedOut { .. }
        ),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_connections_at_once() {
    let sshd = Sshd::start();
    let target = sshd.target();
    let began = Instant::now();
    let tasks: Vec<_> = (0..50)
        .map(|number| {
            let target = Target {
                name: format!("host-{number}"),
                ..target.clone()
            };
            tokio::spawn(async move {
                let session = connect(&target).await?;
                let connected = began.elapsed();
                let output = session
                    .run(&format!("echo {number}"), b"", 100, Duration::from_secs(60))
                    .await?;
                Ok::<_, SshError>((session, output.stdout, connected))
            })
        })
        .collect();
    let mut sessions = Vec::new();
    let mut last = Duration::ZERO;
    for (number, task) in tasks.into_iter().enumerate() {
        let (session, stdout, connected) = task.await.unwrap().unwrap();
        last = last.max(connected);
        assert_eq!(stdout, format!("{number}\n").into_bytes());
        sessions.push(session);
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let memory = status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .unwrap_or_default();
    println!(
        "50 connects in {last:?}, with a command each in {:?}; {memory}",
        began.elapsed()
    );
    assert!(sessions.iter().all(overhaul_reach::ssh::Session::is_open));
}

async fn a_dropped_session_leaves_the_server(by: By) {
    let sshd = Sshd::start();
    let session = sshd.connect(by, &sshd.target()).await.unwrap();
    assert!(!sshd.descendants().is_empty());
    drop(session);
    crate::support::eventually("the server's process ends", || {
        sshd.descendants().is_empty()
    })
    .await;

    let session = sshd.connect(by, &sshd.target()).await.unwrap();
    session.close().await;
    crate::support::eventually("the server's process ends", || {
        sshd.descendants().is_empty()
    })
    .await;
}

#[test]
fn fingerprints_are_those_of_ssh_keygen() {
    let dir = tempfile::tempdir().unwrap();
    let private = key(dir.path(), "some", ED25519, "");
    let shown = tool(
        "ssh-keygen",
        "openssh-client",
        &["-lf", private.to_str().unwrap()],
    );
    let public = public(&private);
    let blob = base64::Engine::decode(
        &base64::engine::general_purpose::STANDARD,
        public.split(' ').nth(1).unwrap(),
    );
    assert!(shown.contains(&fingerprint(&blob.unwrap())), "{shown}");
    // Shared by all connections without a copy.
    assert_eq!(Arc::strong_count(&keyring(&[private])), 1);
}
