//! A plain account that may become root: with its password, with a wrong one, with none. The account
//! exists in the world of the tests' sshd alone.

use crate::scene::{Scene, Shown, kill, wait_for};
use crate::stage::Stage;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

const PASSWORD: &str = "correct horse";

/// Makes the account `plain`, whose rule for sudo replaces `RULE`, and has every refused password counted.
const ACCOUNT: &str = r#"
useradd --create-home --shell /bin/sh plain
echo 'plain:correct horse' | chpasswd
echo 'RULE' >/etc/sudoers.d/plain
chmod 440 /etc/sudoers.d/plain
cat >/etc/pam.d/sudo <<EOF
auth [success=2 auth_err=ignore default=die] pam_unix.so nodelay
auth optional pam_exec.so quiet seteuid type=auth /run/refused-password
auth requisite pam_deny.so
auth required pam_permit.so
account required pam_permit.so
session required pam_permit.so
EOF
printf '#!/bin/sh\necho refused >>%s/passwords\n' "$scene" >/run/refused-password
chmod 755 /run/refused-password
"#;

fn stage(rule: &str) -> Stage {
    let stage = Stage::prepared(&ACCOUNT.replace("RULE", rule));
    let scene = &stage.scene;
    let fleet = scene.read("fleet.yaml");
    let fleet = fleet.replace("user: root", "user: plain\n    become: sudo");
    scene.write("fleet.yaml", &fleet);
    // The account must find its key; sshd reads it with the account's rights.
    for (path, mode) in [
        ("", 0o711),
        ("sshd", 0o711),
        ("sshd/authorized_keys", 0o644),
    ] {
        std::fs::set_permissions(scene.path(path), Permissions::from_mode(mode)).unwrap();
    }
    secret(scene, "password", PASSWORD);
    secret(scene, "wrong", "battery staple");
    stage
}

fn secret(scene: &Scene, name: &str, text: &str) {
    scene.write(name, &format!("{text}\n"));
    std::fs::set_permissions(scene.path(name), Permissions::from_mode(0o600)).unwrap();
}

fn run_with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [Stage::RUN.as_slice(), more].concat()
}

/// How often a password was refused on the host.
fn refused(scene: &Scene) -> usize {
    scene.read("passwords").lines().count()
}

/// Neither what is shown nor what is kept holds a password.
fn assert_secret(scene: &Scene, shown: &Shown) {
    assert!(!shown.all().contains(PASSWORD), "{}", shown.all());
    for folder in ["state", "host"] {
        let found = std::process::Command::new("grep")
            .args(["-rlaF", PASSWORD])
            .arg(scene.path(folder))
            .output()
            .unwrap();
        let found = String::from_utf8(found.stdout).unwrap();
        assert_eq!(found, "", "{folder}");
    }
}

#[test]
fn the_password_of_a_file_makes_root_of_a_plain_account() {
    let stage = stage("plain ALL=(ALL) ALL");
    let scene = &stage.scene;
    stage.go();
    scene.write("work/good", "");
    let shown = scene
        .call(&run_with(&["--sudo-password-file", "password"]))
        .with(4);
    assert_eq!(stage.state_of("look-around"), "asked", "{}", shown.all());
    let owner = stage.sshd.shell(
        scene,
        &format!("stat -c %U {}", scene.path("work/long").display()),
    );
    assert_eq!(String::from_utf8(owner.stdout).unwrap(), "root\n");
    assert_secret(scene, &shown);
    assert_eq!(refused(scene), 0);
}

#[test]
fn a_wrong_password_is_tried_once_and_changes_nothing() {
    let stage = stage("plain ALL=(ALL) ALL");
    let scene = &stage.scene;
    let wrong = run_with(&["--sudo-password-file", "wrong"]);
    insta::assert_snapshot!(stage.refused(6, &wrong).stderr);
    // A password that is tried again and again locks the account.
    assert_eq!(refused(scene), 1);
    assert!(!scene.path("host").exists());
}

#[test]
fn a_wrong_password_at_resume_is_tried_once_and_leaves_the_run_as_it_was() {
    let stage = stage("plain ALL=(ALL) ALL");
    let scene = &stage.scene;
    scene.write("work/good", "");
    let right = run_with(&["--sudo-password-file", "password"]);
    let child = scene.start(&right);
    wait_for(&scene.path("work/long"));
    stage.wait_for_state("long", "running");
    kill(child.id(), "KILL");
    scene.end(child, &right);
    stage.go();
    let rows = stage.scene.call(&["report", "--json"]).with(0).stdout;
    let shown = scene
        .call(&["resume", "--sudo-password-file", "wrong"])
        .with(6);
    assert!(
        shown.stderr.contains("wrong sudo password"),
        "{}",
        shown.all()
    );
    assert_eq!(refused(scene), 1, "{}", shown.all());
    let shown = scene.call(&["resume"]).with(6);
    assert!(
        shown.stderr.contains("--sudo-password-file"),
        "{}",
        shown.all()
    );
    // Whoever is woken by it is told what leads on.
    let again = "when that is mended: overhaul resume ";
    assert!(shown.stderr.contains(again), "{}", shown.all());
    assert_eq!(rows, stage.scene.call(&["report", "--json"]).with(0).stdout);
    let shown = scene
        .call(&["resume", "--sudo-password-file", "password"])
        .with(4);
    assert_eq!(stage.state_of("look-around"), "asked", "{}", shown.all());
    assert_eq!(scene.read("work/long"), "began\n");
}

#[test]
fn a_password_that_is_needed_and_not_given_is_asked_for_in_words() {
    let stage = stage("plain ALL=(ALL) ALL");
    insta::assert_snapshot!(stage.refused(6, &Stage::RUN).stderr);
    assert_eq!(refused(&stage.scene), 0);
}

#[test]
fn an_account_that_may_not_become_root_is_told() {
    let stage = stage("# nothing");
    let args = run_with(&["--sudo-password-file", "password"]);
    insta::assert_snapshot!(stage.refused(6, &args).stderr);
}

#[test]
fn without_a_prompt_no_password_is_needed() {
    let stage = stage("plain ALL=(ALL) NOPASSWD: ALL");
    let scene = &stage.scene;
    stage.go();
    scene.write("work/good", "");
    scene.call(&Stage::RUN).with(4);
    assert_eq!(stage.state_of("look-around"), "asked");
}
