//! The proposal for the lab's fleet of hosts of all kinds, from the facts that were recorded of it
//! (`lab/recorded/twelve`): reviewed host by host, because a proposal must never lose data.

use crate::scene::Scene;

#[test]
fn a_fleet_of_hosts_of_all_kinds_is_classified_and_nothing_would_lose_data() {
    let scene = Scene::new(&[
        (
            "facts.json",
            include_str!("../../../../lab/recorded/twelve/facts.json"),
        ),
        (
            "inventory/hosts.ini",
            include_str!("../../../../lab/recorded/twelve/inventory/hosts.ini"),
        ),
        (
            "inventory/group_vars/all.yml",
            include_str!("../../../../lab/recorded/twelve/inventory/group_vars/all.yml"),
        ),
        (
            "inventory/group_vars/inner.yml",
            include_str!("../../../../lab/recorded/twelve/inventory/group_vars/inner.yml"),
        ),
    ]);
    let said = scene.call(&[
        "classify",
        "--fleet",
        "inventory",
        "--facts",
        "facts.json",
        "--dry-run",
    ]);
    insta::assert_snapshot!(said.with(0).all());
}
