//! `overhaul ssh`: the command line that a host's connection means, and its exit code.

use crate::scene::Scene;
use crate::sshd::Sshd;

const FLEET: &str = "fleet: shop\nhosts:\n  \
    web1: {address: 192.0.2.1, port: 2222, user: ops, identity_file: [/srv/my key], known_hosts: [/srv/known], become: sudo, roles: [web]}\n  \
    web2: {address: web-2.example, roles: [web]}\n";

#[test]
fn the_command_line_is_what_the_fleet_means() {
    let scene = Scene::new(&[("fleet.yaml", FLEET)]);
    let calls: [&[&str]; 6] = [
        &["ssh", "web1", "--fleet", "fleet.yaml", "--print"],
        &[
            "ssh",
            "web1",
            "--fleet",
            "fleet.yaml",
            "--print",
            "--no-become",
        ],
        &[
            "ssh",
            "web1",
            "--fleet",
            "fleet.yaml",
            "--print",
            "--",
            "ls",
            "a b",
        ],
        &["ssh", "web2", "--fleet", "fleet.yaml", "--print"],
        &[
            "--json",
            "ssh",
            "web2",
            "--fleet",
            "fleet.yaml",
            "--print",
            "--",
            "id",
        ],
        &["ssh", "web3", "--fleet", "fleet.yaml"],
    ];
    let shown: Vec<_> = calls.iter().map(|call| scene.call(call).all()).collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn the_exit_code_is_that_of_the_command_and_a_changed_key_stops_it() {
    let scene = Scene::new(&[]);
    let sshd = Sshd::start(&scene, "");
    let at = scene.path("sshd");
    let fleet = format!(
        "fleet: shop\nhosts:\n  web1: {{address: 127.0.0.1, port: {}, user: root, identity_file: [{}], known_hosts: [{}], roles: [web]}}\n",
        sshd.port,
        at.join("client").display(),
        at.join("known_hosts").display()
    );
    scene.write("fleet.yaml", &fleet);
    let call = |script: &str| {
        scene.call(&[
            "ssh",
            "web1",
            "--fleet",
            "fleet.yaml",
            "--",
            "sh",
            "-c",
            script,
        ])
    };
    let shown = call("echo 'two  words'; exit 7").with(7);
    assert_eq!(shown.stdout, "two  words\n");
    sshd.known_by(&scene, "other_key");
    let shown = call("echo never").with(255);
    assert_eq!(shown.stdout, "");
    assert!(shown.stderr.contains("CHANGED"), "{}", shown.stderr);
}
