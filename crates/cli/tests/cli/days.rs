//! Bad days of hosts and helpers, and the plain inventory that others have written.

use crate::stage::Stage;
use std::path::PathBuf;
use std::time::Duration;

/// A disk of its own for the host's state folder.
fn disk(options: &str) -> String {
    format!("mkdir -p \"$scene/host\"; mount -t tmpfs -o mode=0700,{options} none \"$scene/host\"")
}

#[test]
fn a_state_folder_mounted_noexec_is_told_with_the_way_out() {
    let stage = Stage::prepared(&disk("noexec"));
    let scene = &stage.scene;
    insta::assert_snapshot!(stage.refused(6, &Stage::RUN).stderr);
    // The way out is one.
    let fleet = scene.read("fleet.yaml");
    let at = scene.path("host").display().to_string();
    let elsewhere = scene.path("elsewhere").display().to_string();
    let line = format!("    state_dir: {at}\n");
    let named = format!("    state_dir: {elsewhere}\n");
    scene.write("fleet.yaml", &fleet.replace(&line, &named));
    stage.go();
    scene.call(&Stage::RUN).with(4);
    assert!(scene.path("elsewhere/bin").exists());
}

#[test]
fn a_full_disk_of_the_host_is_told_and_nothing_half_stays() {
    let stage = Stage::prepared(&disk("size=1m"));
    insta::assert_snapshot!(stage.refused(6, &Stage::RUN).stderr);
    let left = format!("find {} -type f", stage.scene.path("host").display());
    let left = stage.sshd.shell(&stage.scene, &left);
    assert_eq!(String::from_utf8(left.stdout).unwrap(), "");
}

#[test]
fn a_disk_of_the_host_that_fills_in_mid_run_loses_no_outcome_silently() {
    let stage = Stage::prepared(&disk("size=100m"));
    let scene = &stage.scene;
    scene.write("work/good", "");
    let child = stage.in_long();
    let host = scene.path("host").display().to_string();
    let fill = format!("cat /dev/zero >{host}/fill; df {host} | tail -1");
    let full = stage.sshd.shell(scene, &fill);
    assert!(String::from_utf8(full.stdout).unwrap().contains("100%"));
    stage.go();
    // The end is kept back until there is room; nobody takes the step for failed, or begins it again.
    std::thread::sleep(Duration::from_millis(1_500));
    assert_eq!(stage.state_of("long"), "running");
    stage.sshd.shell(scene, &format!("rm {host}/fill"));
    let shown = scene.end(child, &Stage::RUN).with(4);
    assert_eq!(stage.state_of("long"), "done", "{}", shown.all());
    assert_eq!(stage.state_of("look-around"), "asked", "{}", shown.all());
    assert_eq!(scene.read("work/long"), "began\n");
}

#[test]
fn a_helper_of_another_time_on_the_host_is_replaced() {
    let stage = Stage::new();
    let scene = &stage.scene;
    stage.go();
    scene.call(&Stage::RUN).with(4);
    scene.call(&["abort", "--reason", "once more"]).with(0);
    scene.call(&["resume"]).with(9);
    let bin = scene.path("host/bin");
    let current = bin.read_dir().unwrap().next().unwrap().unwrap().path();
    let helper = current.join("overhaul-helper");
    let good = std::fs::read(&helper).unwrap();
    // One that was changed, under the right name, and one of an older build beside it.
    let mark = scene.path("was-started");
    let evil = format!("#!/bin/sh\ntouch '{}'\n", mark.display());
    std::fs::remove_file(&helper).unwrap();
    std::fs::write(&helper, evil).unwrap();
    let old = bin.join("0".repeat(64));
    std::fs::create_dir(&old).unwrap();
    std::fs::write(old.join("overhaul-helper"), "old").unwrap();
    let shown = scene.call(&Stage::RUN).with(4);
    assert!(!shown.stderr.contains("helper"), "{}", shown.all());
    assert_eq!(std::fs::read(&helper).unwrap(), good);
    assert!(!mark.exists() && !old.exists());
}

/// The helper of this build, as if it came from another one.
fn helper_of_another_build(stage: &Stage) -> PathBuf {
    let mut bytes = std::fs::read(crate::sshd::helper()).unwrap();
    let (ours, other) = (env!("CARGO_PKG_VERSION").as_bytes(), "9.8.7".as_bytes());
    assert_eq!(ours.len(), other.len());
    for at in 0..bytes.len() - ours.len() {
        if &bytes[at..at + ours.len()] == ours {
            bytes[at..at + ours.len()].copy_from_slice(other);
        }
    }
    let path = stage.scene.path("other-helper");
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn a_helper_of_another_build_beside_the_program_is_told() {
    let stage = Stage::new();
    helper_of_another_build(&stage);
    let args = [Stage::RUN.as_slice(), &["--helper", "other-helper"]].concat();
    insta::assert_snapshot!(stage.refused(6, &args).stderr);
    stage.scene.write("script", "#!/bin/sh\n");
    let args = [Stage::RUN.as_slice(), &["--helper", "script"]].concat();
    let shown = stage.scene.call(&args).with(2);
    assert!(
        shown.stderr.contains("not a program for Linux"),
        "{}",
        shown.all()
    );
}

#[test]
fn a_plain_ini_inventory_is_planned_and_run() {
    let stage = Stage::new();
    let scene = &stage.scene;
    let at = |name: &str| scene.path(name).display().to_string();
    let inventory = format!(
        "# As it was found.\n[database]\ndb1 ansible_host=127.0.0.1 ansible_port={}\n\n\
         [shop:children]\ndatabase\n\n[shop:vars]\nansible_user=root\n\
         ansible_ssh_private_key_file={}\noverhaul_known_hosts={}\noverhaul_state_dir={}\nwork={}\n\
         ansible_python_interpreter=/usr/bin/python3\n",
        stage.sshd.port,
        at("sshd/client"),
        at("sshd/known_hosts"),
        at("host"),
        at("work"),
    );
    scene.write("hosts.ini", &inventory);
    let input = ["upgrade.yaml", "--fleet", "hosts.ini", "--kinds", "kinds"];
    let plan = scene.call(&[&["plan"], input.as_slice()].concat()).with(0);
    for part in [
        "hosts: 1",
        "turns: db1",
        "[prepare/database/prepare/long]",
        "[upgrade/database/drain/look-around]",
    ] {
        assert!(plan.stdout.contains(part), "{part}: {}", plan.all());
    }
    assert!(!scene.path("state/runs").exists());
    scene.call(&[&["check"], input.as_slice()].concat()).with(0);
    stage.go();
    scene.write("work/good", "");
    scene
        .call(&[&["run"], input.as_slice(), &["--yes"]].concat())
        .with(4);
    assert_eq!(stage.state_of("look-around"), "asked");
}
