//! Getting the helper to run: cold, warm, tampered with, not allowed.

use crate::account::{Account, PASSWORD};
use crate::each::over_each_transport;
use crate::scene::{Scene, generation, not_begun, outputs, quiet};
use crate::support::{By, ED25519, Sshd, is_root, tool};
use overhaul_engine::ports::{Fault, Reach as _};
use overhaul_model::facts::FactsWanted;
use overhaul_model::fleet::Become;
use overhaul_model::secret::Secret;
use overhaul_reach::HelperBinary;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Stdio};

over_each_transport! {
    cold_uploads_and_warm_does_not,
    a_helper_that_was_tampered_with_is_replaced_and_never_started,
    old_versions_go_when_the_new_one_is_there,
    folders_that_others_could_change_are_refused,
    noexec_is_named,
    a_full_disk_is_named_and_nothing_half_stays,
    a_read_only_root_is_named_before_and_after_the_upload,
    helpers_for_another_machine_and_broken_ones_are_told,
    sudo_wants_the_right_password,
    an_unreachable_host_is_a_passing_fault_and_has_no_facts,
    a_changed_host_key_is_no_passing_fault,
    facts_come_from_the_host,
    another_run_holds_the_host_until_it_lets_go,
}

async fn fault(scene: &Scene) -> Fault {
    match scene.reach().register(&scene.host, &generation(1)).await {
        Ok(_) => panic!("it was registered"),
        Err(fault) => fault,
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

async fn cold_uploads_and_warm_does_not(by: By) {
    let scene = Scene::new(by);
    let (reach, first) = scene.registered().await;
    let installed = scene.installed();
    let inode = fs::metadata(&installed).unwrap().ino();
    for path in [
        scene.state(),
        scene.state().join("bin"),
        installed.parent().unwrap().to_owned(),
        installed.clone(),
    ] {
        assert_eq!(mode(&path), 0o700, "{}", path.display());
    }
    drop(reach);
    let (_reach, second) = scene.registered().await;
    assert_eq!(first.install_id, second.install_id);
    assert_eq!(fs::metadata(&installed).unwrap().ino(), inode);
    let left: Vec<_> = fs::read_dir(installed.parent().unwrap()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

async fn a_helper_that_was_tampered_with_is_replaced_and_never_started(by: By) {
    let scene = Scene::new(by);
    drop(scene.registered().await);
    let mark = scene.dir.path().join("was-started");
    let evil = format!("#!/bin/sh\ntouch '{}'\n", mark.display());
    // A running program cannot be written to, but put aside.
    let beside = scene.dir.path().join("evil");
    fs::write(&beside, evil).unwrap();
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(&beside, scene.installed()).unwrap();
    scene.registered().await;
    assert!(!mark.exists());
    assert_eq!(
        fs::metadata(scene.installed()).unwrap().len() as usize,
        scene.helper.size()
    );
}

async fn old_versions_go_when_the_new_one_is_there(by: By) {
    let scene = Scene::new(by);
    let bin = scene.state().join("bin");
    let old = bin.join("0".repeat(64));
    fs::create_dir_all(&old).unwrap();
    for path in [&scene.state(), &bin, &old] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
    }
    fs::write(old.join("overhaul-helper"), "old").unwrap();
    fs::write(bin.join("note"), "not ours").unwrap();
    scene.registered().await;
    assert!(!old.exists());
    assert!(bin.join("note").exists() && scene.installed().exists());
}

async fn folders_that_others_could_change_are_refused(by: By) {
    let scene = Scene::new(by);
    fs::create_dir_all(scene.state()).unwrap();
    fs::set_permissions(scene.state(), fs::Permissions::from_mode(0o777)).unwrap();
    let open = fault(&scene).await;
    assert!(
        open.why.contains("can be written by others") && !open.transient,
        "{open}"
    );
    fs::remove_dir_all(scene.state()).unwrap();
    let elsewhere = scene.dir.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, scene.state()).unwrap();
    let link = fault(&scene).await;
    assert!(link.why.contains("symbolic link"), "{link}");
}

/// A file system of our own on the state folder.
struct Mounted(std::path::PathBuf);

impl Mounted {
    fn tmpfs(at: &Path, options: &str) -> Self {
        assert!(is_root(), "mounting needs root");
        fs::create_dir_all(at).unwrap();
        let at = at.display().to_string();
        let args = ["-t", "tmpfs", "-o", options, "none", at.as_str()];
        tool("mount", "mount", &args);
        Self(at.into())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _gone = Command::new("umount")
            .args(["-l".as_ref(), self.0.as_os_str()])
            .stderr(Stdio::null())
            .status();
    }
}

async fn noexec_is_named(by: By) {
    let scene = Scene::new(by);
    let _mounted = Mounted::tmpfs(&scene.state(), "noexec,mode=700");
    let fault = fault(&scene).await;
    let path = scene.installed().display().to_string();
    assert!(
        fault.why.contains("noexec") && fault.why.contains(&path) && !fault.transient,
        "{fault}"
    );
}

async fn a_full_disk_is_named_and_nothing_half_stays(by: By) {
    let scene = Scene::new(by);
    let _mounted = Mounted::tmpfs(&scene.state(), "size=1m,mode=700");
    let fault = fault(&scene).await;
    assert!(
        fault.why.contains("cannot be written") && fault.why.contains("No space left"),
        "{fault}"
    );
    let left: Vec<_> = fs::read_dir(scene.installed().parent().unwrap())
        .unwrap()
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

/// As the kernel does with a root whose disk fails.
async fn a_read_only_root_is_named_before_and_after_the_upload(by: By) {
    let scene = Scene::new(by);
    let _mounted = Mounted::tmpfs(&scene.state(), "mode=700");
    let at = scene.state().display().to_string();
    tool("mount", "mount", &["-o", "remount,ro", &at]);
    let cold = fault(&scene).await;
    assert!(
        cold.why.contains("Read-only file system") && !cold.transient,
        "{cold}"
    );
    tool("mount", "mount", &["-o", "remount,rw", &at]);
    drop(scene.registered().await);
    tool("mount", "mount", &["-o", "remount,ro", &at]);
    let warm = fault(&scene).await;
    assert!(
        warm.why.contains("Read-only file system") && !warm.transient,
        "{warm}"
    );
    let facts = scene
        .reach()
        .facts(&scene.host, &FactsWanted::default())
        .await;
    let gap = facts.release.gap().unwrap();
    assert!(gap.contains("Read-only file system"), "{gap}");
}

async fn helpers_for_another_machine_and_broken_ones_are_told(by: By) {
    let mut scene = Scene::new(by);
    let load = |machine: u8| {
        let path = scene.dir.path().join(format!("elf-{machine}"));
        let mut elf = vec![0; 64];
        elf[..4].copy_from_slice(b"\x7fELF");
        elf[18] = machine;
        fs::write(&path, elf).unwrap();
        HelperBinary::load(&path).unwrap()
    };
    let here = tool("uname", "coreutils", &["-m"]);
    let (ours, other) = match here.trim() {
        "x86_64" => (load(62), load(183)),
        _ => (load(183), load(62)),
    };
    scene.helper = other;
    let told = fault(&scene).await;
    assert!(
        told.why.contains(&format!("is a {} machine", here.trim())) && !told.transient,
        "{told}"
    );
    assert!(!scene.installed().exists());
    scene.helper = ours;
    let told = fault(&scene).await;
    assert!(
        told.why.contains("does not start") && !told.transient,
        "{told}"
    );

    let missing = HelperBinary::load(&scene.dir.path().join("missing")).unwrap_err();
    assert!(missing.to_string().contains("missing"), "{missing}");
    let script = HelperBinary::load(Path::new("/etc/os-release")).unwrap_err();
    assert!(script.to_string().contains("not a program"), "{script}");
}

/// A host on which an account of ours may use sudo with its password.
fn with_sudo(by: By) -> (Scene, Account) {
    let account = Account::new("USER ALL=(ALL) ALL");
    let sshd = Sshd::with("", &[("host_ed25519", ED25519)]);
    let keys = sshd.path("authorized_keys");
    fs::set_permissions(keys, fs::Permissions::from_mode(0o644)).unwrap();
    let mut scene = Scene::over(by, sshd);
    scene.connection.user = Some(account.name.clone());
    scene.connection.become_user = Become::Sudo {
        user: "root".to_owned(),
    };
    (scene, account)
}

async fn sudo_wants_the_right_password(by: By) {
    let (mut scene, _account) = with_sudo(by);
    let none = fault(&scene).await;
    assert!(
        none.why.contains("wants a password") && !none.transient,
        "{none}"
    );
    scene
        .passwords
        .insert(scene.host.clone(), Secret::new("wrong"));
    let wrong = fault(&scene).await;
    assert!(
        wrong.why.contains("wrong sudo password") && !wrong.transient,
        "{wrong}"
    );
    scene
        .passwords
        .insert(scene.host.clone(), Secret::new(PASSWORD));
    let (reach, _) = scene.registered().await;
    // The password does not show, even where a command prints it.
    let mut order = scene.shell("who", &format!("id -u; echo '{PASSWORD}'"));
    order.outputs = [(
        "said".to_owned(),
        overhaul_model::definition::OutputFrom::Stdout,
    )]
    .into();
    let outcome = reach.act(order, quiet()).await;
    let said = outputs(&outcome)["said"].as_str().unwrap();
    assert!(
        said.starts_with("0\n") && !said.contains(PASSWORD),
        "{said}"
    );
}

async fn an_unreachable_host_is_a_passing_fault_and_has_no_facts(by: By) {
    let mut scene = Scene::new(by);
    scene.connection.port = Some(crate::support::free_port());
    let fault = fault(&scene).await;
    assert!(fault.transient, "{fault}");
    let facts = scene
        .reach()
        .facts(&scene.host, &FactsWanted::default())
        .await;
    assert_eq!(facts.release.value(), None);
    let stranger = overhaul_model::id::HostName::new("web-2");
    let unknown = scene.reach().register(&stranger, &generation(1)).await;
    assert!(!unknown.unwrap_err().transient);
}

async fn a_changed_host_key_is_no_passing_fault(by: By) {
    let scene = Scene::new(by);
    let other = crate::support::key(scene.sshd.dir.path(), "other", ED25519, "");
    let name = scene.sshd.name_in_files();
    let line = format!("{name} {}\n", crate::support::public(&other));
    fs::write(scene.sshd.path("known_hosts"), line).unwrap();
    let fault = fault(&scene).await;
    assert!(
        fault.why.contains("host key changed") && !fault.transient,
        "{fault}"
    );
}

async fn facts_come_from_the_host(by: By) {
    let scene = Scene::new(by);
    let reach = scene.reach();
    let facts = reach.facts(&scene.host, &FactsWanted::default()).await;
    let boot = facts.boot.value().unwrap();
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    assert_eq!(boot.boot_id, id.trim());
    let offset = *facts.clock_offset_ms.value().unwrap();
    assert!(offset.abs() < 5_000, "{offset}");
    assert!(facts.mounts.value().is_some(), "{:?}", facts.mounts);
}

async fn another_run_holds_the_host_until_it_lets_go(by: By) {
    let scene = Scene::new(by);
    let (reach, _) = scene.registered().await;
    let mut other = generation(1);
    other.run = overhaul_model::id::RunId::new("run-2");
    let held = reach.register(&scene.host, &other).await.unwrap_err();
    assert!(held.why.contains("run-1") && !held.transient, "{held}");
    let old = reach.register(&scene.host, &generation(0)).await;
    assert!(!old.unwrap_err().transient);

    // An order of a run that does not hold the host is certainly not begun.
    let mut order = scene.shell("stranger", "true");
    order.generation = other.clone();
    not_begun(&reach.act(order, quiet()).await);

    assert_eq!(
        reach.holder(&scene.host).await.unwrap(),
        Some(generation(1))
    );
    reach.release(&scene.host, &generation(1)).await.unwrap();
    assert_eq!(reach.holder(&scene.host).await.unwrap(), None);
    reach.register(&scene.host, &other).await.unwrap();
    reach
        .force_release(
            &scene.host,
            other,
            overhaul_model::id::Person::new("kim"),
            "its journal is lost".to_owned(),
        )
        .await
        .unwrap();
    reach.register(&scene.host, &generation(2)).await.unwrap();
}
