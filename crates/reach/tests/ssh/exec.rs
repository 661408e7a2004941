//! Commands: exits, streams, back-pressure, many at once, loss.

use std::fs;
use std::time::{Duration, Instant};

use overhaul_reach::ssh::{Exit, SshError, Target};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{sleep, timeout};

use crate::each::over_each_transport;
use crate::support::{By, ED25519, Sshd, eventually};

const BOUND: Duration = Duration::from_secs(30);

over_each_transport! {
    exits_are_told,
    output_is_capped_and_the_rest_read_away,
    a_slow_reader_holds_the_command_back,
    ten_megabytes_come_back_unchanged,
    a_command_that_does_not_read_ends_the_writer,
    dropped_parts_have_their_meaning,
    fifty_channels_at_once,
    refused_channels_and_commands_are_told,
    a_killed_server_is_a_lost_connection,
    a_frozen_server_is_a_lost_connection,
    a_reader_that_pauses_does_not_lose_the_connection,
}

/// Bytes that repeat late and compress badly.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

async fn exits_are_told(by: By) {
    let sshd = Sshd::start();
    let session = sshd.connect(by, &sshd.target()).await.unwrap();
    let signal = |name: &str| Exit::Signal {
        name: name.to_owned(),
        core_dumped: false,
    };
    for (command, exit) in [
        ("true", Exit::Code(0)),
        ("false", Exit::Code(1)),
        ("exit 42", Exit::Code(42)),
        ("exit 255", Exit::Code(255)),
        ("/nonexistent/program", Exit::Code(127)),
        ("kill -TERM $$", signal("TERM")),
        ("kill -KILL $$", signal("KILL")),
        ("kill -USR1 $$", signal("USR1")),
    ] {
        let ended = session.run(command, b"", 1000, BOUND).await;
        let ended = ended.map(|output| output.exit);
        // OpenSSH's multiplexing has no word for a signal: that there is no status is said as it is.
        let expected = match (by, &exit) {
            (By::Openssh, Exit::Signal { .. }) => Err(SshError::NoExitStatus {
                host: "web-1".to_owned(),
            }),
            _ => Ok(exit),
        };
        assert_eq!(ended, expected, "{command}");
    }
}

async fn output_is_capped_and_the_rest_read_away(by: By) {
    let sshd = Sshd::start();
    let session = sshd.connect(by, &sshd.target()).await.unwrap();
    let output = session
        .run("head -c 3000000 /dev/zero; exit 3", b"", 1000, BOUND)
        .await
        .unwrap();
    assert_eq!(
        (output.exit, output.stdout.len(), output.stdout_truncated),
        (Exit::Code(3), 1000, true)
    );
    let output = session
        .run("head -c 300000 /dev/zero >&2", b"", 0, BOUND)
        .await
        .unwrap();
    assert_eq!(
        (output.stdout_truncated, output.stderr.len()),
        (false, 64 << 10)
    );
}

async fn a_slow_reader_holds_the_command_back(by: By) {
    let sshd = Sshd::start();
    let session = sshd.connect(by, &sshd.target()).await.unwrap();
    let count = sshd.path("count");
    let script = format!(
        "i=0; while [ $i -lt 512 ]; do head -c 131072 /dev/zero; i=$((i+1)); echo $i >{0}.new; mv {0}.new {0}; done",
        count.display()
    );
    let mut channel = session.exec(&script).await.unwrap();
    let mut byte = [0];
    channel.stdout.read_exact(&mut byte).await.unwrap();
    // It must come to rest by itself, far from its 64 MiB.
    let read = || {
        fs::read_to_string(&count)
            .ok()
            .and_then(|text| text.trim().parse::<usize>().ok())
            .unwrap_or(0)
    };
    let mut before = usize::MAX;
    let deadline = Instant::now() + BOUND;
    while read() != before || before == 0 {
        assert!(Instant::now() < deadline, "never held back");
        before = read();
        sleep(Duration::from_millis(400)).await;
    }
    assert!(
        before < 256,
        "{before} of 512 blocks were written with nobody reading"
    );
    let mut rest = Vec::new();
    timeout(BOUND, channel.stdout.read_to_end(&mut rest))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(rest.len() + 1, 512 * 131_072);
    assert_eq!(channel.exit().await.unwrap(), Exit::Code(0));
}

async fn ten_megabytes_come_back_unchanged(by: By) {
    let sshd = Sshd::start();
    let session = sshd.connect(by, &sshd.target()).await.unwrap();
    let data = noise(10_000_000);
    let output = session.run("cat", &data, 20_000_000, BOUND).await.unwrap();
    assert_eq!(Sha256::digest(&output.stdout), Sha256::digest(&data));
    let output = session.run("sha256sum", &data, 100, BOUND).await.unwrap();
    let hex: String = Sha256::digest(&data)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert!(output.stdout.starts_with(hex.as_bytes()));
}

async fn a_command_that_does_not_read_ends_the_writer(by: By) {
    let sshd = Sshd::start();
    let session = sshd.connect(by, &sshd.target()).await.unwrap();
    let output = session
        .run("exit 5", &noise(10_000_000), 100, BOUND)
        .await
        .unwrap();
    assert_eq!(output.exit, Exit::Code(5));
    // And the connection is none the worse.
    assert!(
        session
            .run("true", b"", 0, BOUND)
            .await
            .unwrap()
            .exit
            .success()
    );

    let mut channel = session.exec("true").await.unwrap();
    channel.exit().await.unwrap();
    let error = timeout(BOUND, channel.stdin.write_all(&noise(5_000_000)))
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
}

async fn dropped_parts_have_their_meaning(by: By) {
    let sshd = Sshd::start();
    let session = sshd.connect(by, &sshd.target()).await.unwrap();
    // Standard input dropped: end of input.
    let mut channel = session.exec("cat; echo end").await.unwrap();
    channel.stdin.write_all(b"in ").await.unwrap();
    drop(channel.stdin);
    let mut text = String::new();
    channel.stdout.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "in end\n");
    // An output stream dropped: its data is read away.
    let mut channel = session
        .exec("head -c 20000000 /dev/zero; echo told >&2; exit 9")
        .await
        .unwrap();
    drop(channel.stdout);
    let mut text = String::new();
    channel.stderr.read_to_string(&mut text).await.unwrap();
    assert_eq!(
        (text.as_str(), channel.exit.wait().await.unwrap()),
        ("told\n", Exit::Code(9))
    );
    // All dropped: the channel closes and the command sees the end of input.
    let mark = sshd.path("mark");
    let channel = session
        .exec(&format!("cat; echo >{}", mark.display()))
        .await
        .unwrap();
    drop(channel);
    eventually("the command sees the channel close", || mark.exists()).await;
    // A channel keeps the connection without its session.
    let mut channel = session.exec("sleep 0.3; echo still").await.unwrap();
    drop(session);
    let mut text = String::new();
    channel.stdout.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "still\n");
}

async fn fifty_channels_at_once(by: By) {
    let sshd = Sshd::start();
    let session = sshd.connect(by, &sshd.target()).await.unwrap();
    let began = Instant::now();
    let tasks: Vec<_> = (0..50)
        .map(|number| {
            let session = session.clone();
            tokio::spawn(async move {
                session
                    .run("cat; sleep 0.2", format!("{number}").as_bytes(), 100, BOUND)
                    .await
            })
        })
        .collect();
    for (number, task) in tasks.into_iter().enumerate() {
        assert_eq!(
            task.await.unwrap().unwrap().stdout,
            number.to_string().into_bytes()
        );
    }
    println!("50 channels in {:?}", began.elapsed());
}

async fn refused_channels_and_commands_are_told(by: By) {
    let sshd = Sshd::with("MaxSessions 1", &[("host_ed25519", ED25519)]);
    let session = sshd.connect(by, &sshd.target()).await.unwrap();
    let held = session.exec("cat").await.unwrap();
    let error = session.exec("true").await.unwrap_err();
    assert!(
        matches!(error, SshError::ChannelRefused { .. }) && !error.is_transient(),
        "{error}"
    );
    drop(held);
    let sshd = Sshd::start();
    let session = sshd.connect(by, &sshd.target()).await.unwrap();
    let error = session
        .run("sleep 60", b"", 0, Duration::from_millis(300))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            SshError::TimedOut {
                what: "a command",
                ..
            }
        ),
        "{error}"
    );
    // It costs its channel only.
    assert!(
        session
            .run("true", b"", 0, BOUND)
            .await
            .unwrap()
            .exit
            .success()
    );
}

async fn a_killed_server_is_a_lost_connection(by: By) {
    let sshd = Sshd::start();
    let session = sshd.connect(by, &sshd.target()).await.unwrap();
    let mut channel = session.exec("echo begun; sleep 60").await.unwrap();
    let mut begun = [0; 6];
    channel.stdout.read_exact(&mut begun).await.unwrap();
    sshd.signal_descendants("KILL");
    let mut rest = Vec::new();
    // A cut stream is an error, not an end.
    let error = timeout(BOUND, channel.stdout.read_to_end(&mut rest))
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionAborted);
    let error = timeout(BOUND, channel.exit()).await.unwrap().unwrap_err();
    assert!(
        matches!(error, SshError::Lost { .. }) && error.is_transient(),
        "{error}"
    );
    assert!(matches!(
        timeout(BOUND, session.lost()).await.unwrap(),
        SshError::Lost { .. }
    ));
    assert!(!session.is_open());
    let error = session.exec("true").await.unwrap_err();
    assert!(matches!(error, SshError::Lost { .. }), "{error}");
}

async fn a_frozen_server_is_a_lost_connection(by: By) {
    let sshd = Sshd::start();
    let target = Target {
        keepalive_interval: Duration::from_millis(300),
        keepalive_max: 2,
        ..sshd.target()
    };
    let session = sshd.connect(by, &target).await.unwrap();
    // Keep-alives are answered: a quiet command lives longer than they allow for silence.
    assert!(
        session
            .run("sleep 2", b"", 0, BOUND)
            .await
            .unwrap()
            .exit
            .success()
    );
    let mut channel = session.exec("cat >/dev/null").await.unwrap();
    sshd.signal_descendants("STOP");
    let began = Instant::now();
    let data = noise(1 << 20);
    // Also while we write all the time.
    let mut stdin = channel.stdin;
    let writer = tokio::spawn(async move { while stdin.write_all(&data).await.is_ok() {} });
    let error = timeout(BOUND, channel.exit.wait())
        .await
        .unwrap()
        .unwrap_err();
    assert!(
        matches!(&error, SshError::Lost { reason, .. } if reason.contains("keep-alives") || reason.contains("took no data")),
        "{error}"
    );
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    timeout(BOUND, writer).await.unwrap().unwrap();
    drop(channel.stdout);
}

async fn a_reader_that_pauses_does_not_lose_the_connection(by: By) {
    let sshd = Sshd::start();
    let target = Target {
        keepalive_interval: Duration::from_millis(200),
        keepalive_max: 2,
        ..sshd.target()
    };
    let session = sshd.connect(by, &target).await.unwrap();
    let mut channel = session.exec("head -c 40000000 /dev/zero").await.unwrap();
    // Far longer than silence is allowed: the held-up loop must not take its own pause for loss.
    for _ in 0..3 {
        sleep(Duration::from_millis(1500)).await;
        let mut some = vec![0; 4_000_000];
        timeout(BOUND, channel.stdout.read_exact(&mut some))
            .await
            .unwrap()
            .unwrap();
    }
    let mut rest = Vec::new();
    timeout(BOUND, channel.stdout.read_to_end(&mut rest))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(rest.len(), 28_000_000);
    assert_eq!(channel.exit().await.unwrap(), Exit::Code(0));
}
