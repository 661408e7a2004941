//! `rebuild: {by: person}` from the question to the end: the files of a machine are carried, a person makes it anew, and
//! they come back to accounts that have other numbers there.

use crate::scene::{Scene, Shown};
use crate::sshd::{Sshd, helper};
use crate::stage::release;

const UPGRADE: &str = r#"upgrade: small
from: {os: OS, release: "FROM"}
to: {os: OS, release: "next"}
roles:
  files:
    strategy: stateful
    carry: [/srv/files]
    rebuild: {by: person, answers_within: 30s}
waivers:
  - {rule: nothing-lost, subject: "host:db1", person: anna, reason: only the files of this test count, expires: 2099-12-31}
"#;

/// What both machines have: an identity and a boot of their own, and an account `app` with these numbers.
fn machine(id: char, user: u32, group: u32) -> String {
    let id = id.to_string();
    format!(
        "rm -f /etc/machine-id\necho {} >/etc/machine-id\n\
         echo {}-0000-4000-8000-000000000000 >/run/boot_id\nmount --bind /run/boot_id /proc/sys/kernel/random/boot_id\n\
         echo app:x:{user}:{group}::/:/bin/sh >>/etc/passwd\necho app:x:{group}: >>/etc/group\n",
        id.repeat(32),
        id.repeat(8),
    )
}

/// The old machine, with files of `app` and of an account that has no name.
fn old() -> String {
    machine('a', 4101, 4102)
        + "mkdir -p /srv/files/below\necho one >/srv/files/of-app\necho two >/srv/files/below/of-nobody\n\
           chown 4101:4102 /srv/files /srv/files/of-app\nchown 54321:54322 /srv/files/below/of-nobody\n"
}

/// The new one: another release, another number for `app`, whose old one belongs to somebody else.
fn new() -> String {
    machine('b', 5101, 5102)
        + "echo other:x:4101:4101::/:/bin/sh >>/etc/passwd\necho other:x:4102: >>/etc/group\n\
           sed 's/^VERSION_ID=.*/VERSION_ID=next/' /usr/lib/os-release >/run/os-release\n\
           rm -f /etc/os-release\ncp /run/os-release /etc/os-release\n"
}

fn resumed(scene: &Scene, code: i32) -> Shown {
    scene.call(&["resume"]).with(code)
}

#[test]
fn a_person_makes_a_machine_anew_and_files_come_back_to_their_accounts() {
    let scene = Scene::new(&[]).with_helper(helper());
    let mut sshd = Sshd::start(&scene, &old());
    let (os, from) = release();
    let upgrade = UPGRADE.replace("OS", &os).replace("FROM", &from);
    scene.write("upgrade.yaml", &upgrade);
    let fleet = sshd.fleet(&scene).replace("[database]", "[files]");
    scene.write("fleet.yaml", &fleet);
    let run = ["run", "upgrade.yaml", "--fleet", "fleet.yaml", "--yes"];
    let asked = scene.call(&run).with(4);
    assert!(asked.stdout.contains("overhaul approve"), "{}", asked.all());

    // It is made anew and the question is answered, but nobody has entered its host key.
    sshd.rebuilt(&scene, &new());
    scene.call(&["approve", "made-by-person"]).with(0);
    let refused = resumed(&scene, 6);
    assert!(refused.stderr.contains("host key"), "{}", refused.all());
    // With it the machine is proven to be another one, and everything else follows.
    sshd.known_by(&scene, "host_key");
    let over = resumed(&scene, 0);
    let stat = "stat -c '%n %u:%g' /srv/files /srv/files/of-app /srv/files/below/of-nobody; cat /srv/files/of-app";
    let found = sshd.shell(&scene, stat);
    assert_eq!(
        String::from_utf8_lossy(&found.stdout),
        "/srv/files 5101:5102\n/srv/files/of-app 5101:5102\n/srv/files/below/of-nobody 54321:54322\none\n",
        "{}",
        over.all()
    );
    let report = scene.call(&["report"]).with(0);
    for words in [": complete", "the host was made anew in between"] {
        assert!(report.stdout.contains(words), "{}", report.all());
    }
}

#[test]
fn a_machine_that_is_still_the_old_one_is_not_taken_for_the_new_one() {
    let scene = Scene::new(&[]).with_helper(helper());
    let sshd = Sshd::start(&scene, &old());
    let (os, from) = release();
    let upgrade = UPGRADE.replace("OS", &os).replace("FROM", &from);
    scene.write("upgrade.yaml", &upgrade);
    let fleet = sshd.fleet(&scene).replace("[database]", "[files]");
    scene.write("fleet.yaml", &fleet);
    scene
        .call(&["run", "upgrade.yaml", "--fleet", "fleet.yaml", "--yes"])
        .with(4);
    scene.call(&["approve", "made-by-person"]).with(0);
    let failed = resumed(&scene, 4);
    assert!(
        failed
            .all()
            .contains("still has the machine id of the old machine"),
        "{}",
        failed.all()
    );
    let there = sshd.shell(&scene, "cat /srv/files/of-app");
    assert_eq!(String::from_utf8_lossy(&there.stdout), "one\n");
}
