//! Programs started through the real sudo, as an account of our own. Needs root and sudo.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use overhaul_reach::ssh::{Become, ExecChannel, Program, SshError, Target, start_privileged};
use overhaul_reach::transport::Session;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::account::{Account, PASSWORD};
use crate::each::over_each_transport;
use crate::support::{By, ED25519, Sshd, eventually, secret, tool};

const BOUND: Duration = Duration::from_secs(30);

over_each_transport! {
    the_right_password_starts_it_and_stays_out_of_the_protocol,
    megabytes_pass_through_sudo_unchanged,
    without_a_prompt_no_password_is_written,
    a_wrong_password_is_tried_once,
    one_try_only_by_policy_is_a_wrong_password_too,
    a_password_that_is_not_known_is_told,
    refusals_by_policy_are_told,
    a_wanted_terminal_is_told,
    missing_sudo_is_told,
    without_sudo_the_account_itself_runs_it,
    a_profile_that_waits_is_named,
}

struct Scene {
    session: Session,
    sshd: Sshd,
    // Dropped last: its processes must be gone.
    _account: Account,
}

async fn scene(by: By, rule: &str, config: &str) -> Scene {
    tool("sudo", "sudo", &["--version"]);
    let account = Account::new(rule);
    let sshd = Sshd::with(config, &[("host_ed25519", ED25519)]);
    fs::set_permissions(
        sshd.path("authorized_keys"),
        fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    let target = Target {
        user: account.name.clone(),
        ..sshd.target()
    };
    let session = sshd
        .connect(by, &target)
        .await
        .unwrap_or_else(|error| panic!("{error}\n{}", sshd.log()));
    Scene {
        session,
        sshd,
        _account: account,
    }
}

fn sudo(password: Option<&str>) -> Become {
    Become::Sudo {
        user: "root".to_owned(),
        password: password.map(secret),
    }
}

/// Says that it runs and who it is, then gives back its input.
fn program() -> Program {
    Program::Shell("echo ready; id -u; echo told >&2; cat".to_owned())
}

async fn talk(mut channel: ExecChannel) -> (String, String) {
    channel.stdin.write_all(b"protocol\n").await.unwrap();
    channel.stdin.shutdown().await.unwrap();
    let (mut out, mut err) = (String::new(), String::new());
    channel.stdout.read_to_string(&mut out).await.unwrap();
    channel.stderr.read_to_string(&mut err).await.unwrap();
    assert!(channel.exit().await.unwrap().success());
    (out, err)
}

async fn error_of(scene: &Scene, who: &Become) -> SshError {
    match start_privileged(&scene.session, &program(), who, BOUND).await {
        Ok(_) => panic!("it started"),
        Err(error) => error,
    }
}

async fn the_right_password_starts_it_and_stays_out_of_the_protocol(by: By) {
    let scene = scene(by, "USER ALL=(ALL) ALL", "").await;
    let channel = start_privileged(&scene.session, &program(), &sudo(Some(PASSWORD)), BOUND)
        .await
        .unwrap();
    let (out, err) = talk(channel).await;
    assert_eq!(out, "ready\n0\nprotocol\n");
    assert!(
        err.ends_with("told\n") && !err.contains("overhaul-"),
        "{err:?}"
    );
    // The password is in no argument list and no log of the server.
    assert!(!scene.sshd.log().contains(PASSWORD));
}

async fn megabytes_pass_through_sudo_unchanged(by: By) {
    let scene = scene(by, "USER ALL=(ALL) ALL", "").await;
    let channel = start_privileged(&scene.session, &program(), &sudo(Some(PASSWORD)), BOUND)
        .await
        .unwrap();
    let ExecChannel {
        mut stdin,
        mut stdout,
        stderr,
        mut exit,
    } = channel;
    drop(stderr);
    // All byte values, line ends and end-of-file characters among them.
    let data: Vec<u8> = (0..5_000_000_u32)
        .map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0])
        .collect();
    let sent = data.clone();
    let writer = tokio::spawn(async move {
        stdin.write_all(&sent).await.unwrap();
        stdin.shutdown().await.unwrap();
    });
    let mut back = Vec::new();
    stdout.read_to_end(&mut back).await.unwrap();
    writer.await.unwrap();
    assert!(exit.wait().await.unwrap().success());
    assert!(
        back.strip_prefix(b"ready\n0\n")
            .is_some_and(|back| back == data),
        "{} bytes came back",
        back.len()
    );
}

async fn without_a_prompt_no_password_is_written(by: By) {
    let scene = scene(by, "USER ALL=(ALL) NOPASSWD: ALL", "").await;
    for password in [None, Some("must not reach the program")] {
        let channel = start_privileged(&scene.session, &program(), &sudo(password), BOUND)
            .await
            .unwrap();
        assert_eq!(talk(channel).await.0, "ready\n0\nprotocol\n");
    }
    let argv = ["printf", "%s|", "two words", "it's", "$HOME"]
        .map(str::to_owned)
        .to_vec();
    let mut channel = start_privileged(&scene.session, &Program::Argv(argv), &sudo(None), BOUND)
        .await
        .unwrap();
    let mut out = String::new();
    channel.stdout.read_to_string(&mut out).await.unwrap();
    assert_eq!(out, "two words|it's|$HOME|");
}

async fn a_wrong_password_is_tried_once(by: By) {
    let scene = scene(by, "USER ALL=(ALL) ALL", "").await;
    let error = error_of(&scene, &sudo(Some("wrong"))).await;
    assert!(
        matches!(error, SshError::WrongSudoPassword { .. }),
        "{error}"
    );
    assert!(!error.is_transient());
    eventually("sudo is gone", || {
        !scene
            .sshd
            .descendants()
            .iter()
            .any(|pid| runs(*pid, "sudo"))
    })
    .await;
}

fn runs(pid: u32, program: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == program)
}

async fn one_try_only_by_policy_is_a_wrong_password_too(by: By) {
    let scene = scene(by, "Defaults:USER passwd_tries=1\nUSER ALL=(ALL) ALL", "").await;
    let error = error_of(&scene, &sudo(Some("wrong"))).await;
    assert!(
        matches!(error, SshError::WrongSudoPassword { .. }),
        "{error}"
    );
}

async fn a_password_that_is_not_known_is_told(by: By) {
    let scene = scene(by, "USER ALL=(ALL) ALL", "").await;
    let error = error_of(&scene, &sudo(None)).await;
    assert!(
        matches!(error, SshError::SudoPasswordNeeded { .. }),
        "{error}"
    );
}

async fn refusals_by_policy_are_told(by: By) {
    let denied = scene(by, "# nothing", "").await;
    let error = error_of(&denied, &sudo(Some(PASSWORD))).await;
    assert!(
        matches!(&error, SshError::SudoDenied { text, .. } if text.contains("sudoers")),
        "{error}"
    );
}

async fn a_wanted_terminal_is_told(by: By) {
    let tty = scene(
        by,
        "Defaults:USER requiretty\nUSER ALL=(ALL) NOPASSWD: ALL",
        "",
    )
    .await;
    let error = error_of(&tty, &sudo(None)).await;
    assert!(matches!(error, SshError::SudoTtyRequired { .. }), "{error}");
}

async fn missing_sudo_is_told(by: By) {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink("/usr/bin/env", dir.path().join("env")).unwrap();
    let scene = scene(
        by,
        "# nothing",
        &format!("SetEnv PATH={}", dir.path().display()),
    )
    .await;
    let error = error_of(&scene, &sudo(None)).await;
    assert!(matches!(error, SshError::SudoMissing { .. }), "{error}");
}

async fn without_sudo_the_account_itself_runs_it(by: By) {
    let sshd = Sshd::start();
    let session = sshd.connect(by, &sshd.target()).await.unwrap();
    let channel = start_privileged(&session, &program(), &Become::None, BOUND)
        .await
        .unwrap();
    let (out, err) = talk(channel).await;
    assert!(
        out.starts_with("ready\n") && out.ends_with("protocol\n") && err == "told\n",
        "{out:?} {err:?}"
    );

    let silent = Program::Shell("echo '\u{1b}[31mno disk\u{1b}[0m' >&2; exit 3".to_owned());
    let error = start_privileged(&session, &silent, &Become::None, BOUND)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, SshError::StartFailed { exit, text, .. } if exit == "exit status 3" && text == "no disk"),
        "{error}"
    );

    let never = Program::Argv(vec!["sleep".to_owned(), "60".to_owned()]);
    let error = start_privileged(&session, &never, &Become::None, Duration::from_millis(500))
        .await
        .unwrap_err();
    assert!(matches!(error, SshError::TimedOut { .. }), "{error}");
}

/// Shells read it before every command, also of those who only want to run one.
async fn a_profile_that_waits_is_named(by: By) {
    let sshd = Sshd::start();
    fs::write(sshd.path("home/.bashrc"), "sleep 60\n").unwrap();
    let session = sshd.connect(by, &sshd.target()).await.unwrap();
    let bound = Duration::from_secs(2);
    let echo = Program::Shell("echo ready".to_owned());
    let error = start_privileged(&session, &echo, &Become::None, bound).await;
    let error = error.err().map(|error| error.to_string());
    let told = "web-1: starting a program, and before it the profile of the account's shell, took longer than 2s";
    assert_eq!(
        error.as_deref(),
        Some(told),
        "is the shell of who runs the tests bash?"
    );
}

#[test]
fn secrets_do_not_show() {
    assert_eq!(
        format!("{:?}", sudo(Some(PASSWORD))),
        "Sudo { user: \"root\", password: Some([secret]) }"
    );
}
