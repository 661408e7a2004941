//! Files that stream between hosts and the controller.

use crate::each::over_each_transport;
use crate::proxy::Network;
use crate::scene::{Printed, Scene, failure, noise, not_begun, outputs, quiet};
use crate::support::{By, eventually, is_root, tool};
use overhaul_engine::ports::{Order, Reach as _, Unbegun};
use overhaul_model::event::{Outcome, Settlement};
use overhaul_model::id::Digest;
use overhaul_model::primitive::{Exec, Feed, Fetch, OutputPolicy, Primitive};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

over_each_transport! {
    twenty_megabytes_come_and_go_unchanged,
    a_file_that_changes_on_the_way_is_never_taken_for_the_right_one,
    a_failed_command_leaves_no_file,
    names_that_lead_elsewhere_are_refused,
    a_full_disk_of_the_controller_is_named_and_no_half_file_stays,
    a_cut_stream_fails_and_its_command_ends,
}

const FILE: &str = "web-1/app/dump";

/// A silence that no connection of a [`Scene`] outlives: the slower one, the ssh program, counts in whole
/// seconds and gives up after three of them.
const GIVEN_UP: Duration = Duration::from_secs(8);

fn fetch(scene: &Scene, name: &str, script: &str) -> Order {
    let mut exec = Exec::shell(script);
    exec.output = OutputPolicy::Keep;
    let file = FILE.to_owned();
    scene.order(name, Primitive::Fetch(Fetch { exec, file }))
}

fn feed(scene: &Scene, name: &str, script: &str, digest: &Digest) -> Order {
    let work = Feed {
        exec: Exec::shell(script),
        file: FILE.to_owned(),
        digest_from: "backup".to_owned(),
    };
    let mut order = scene.order(name, Primitive::Feed(work));
    order.file_digest = Some(digest.clone());
    order
}

/// A file on the host.
fn source(scene: &Scene, bytes: &[u8]) -> String {
    let path = scene.dir.path().join("source");
    fs::write(&path, bytes).unwrap();
    path.display().to_string()
}

fn left(scene: &Scene) -> Vec<String> {
    let folder = scene.data().join("web-1/app");
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

async fn twenty_megabytes_come_and_go_unchanged(by: By) {
    let scene = Scene::new(by);
    let (reach, registration) = scene.registered().await;
    let bytes = noise(20_000_000);
    let digest = Digest::of(&bytes);
    let source = source(&scene, &bytes);
    let order = fetch(&scene, "backup", &format!("echo noted >&2; cat '{source}'"));
    let outcome = reach.act(order.clone(), quiet()).await;
    let got = outputs(&outcome);
    assert_eq!(got["sha256"], digest.as_str());
    assert_eq!(got["bytes"], 20_000_000);
    assert_eq!(got["file"], FILE);
    let path = scene.data().join(FILE);
    assert!(fs::read(&path).unwrap() == bytes);
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(path.clone()), mode(scene.data())), (0o600, 0o700));

    // Settled later, the file is found to be whole.
    let settle = |order| scene.reach().settle_later(order, &registration);
    assert_eq!(settle(order.clone()).await, Settlement::Ended(outcome));

    let copy = scene.dir.path().join("copy");
    let order_feed = feed(
        &scene,
        "feed",
        &format!("cat >'{}'; echo took it", copy.display()),
        &digest,
    );
    let printed = Printed::default();
    outputs(&reach.act(order_feed, printed.progress()).await);
    assert!(fs::read(&copy).unwrap() == bytes);
    assert_eq!(printed.text(), "took it\n");

    // A command may stop reading early.
    let early = feed(&scene, "early", "head -c 100 | wc -c", &digest);
    let printed = Printed::default();
    outputs(&reach.act(early, printed.progress()).await);
    assert_eq!(printed.text(), "100\n");

    // Another file of that name is not fed to anything.
    fs::write(&path, "other").unwrap();
    let mark = scene.dir.path().join("mark");
    let wrong = feed(
        &scene,
        "wrong",
        &format!("touch '{}'", mark.display()),
        &digest,
    );
    let outcome = reach.act(wrong, quiet()).await;
    assert!(not_begun(&outcome).contains("not the file that was made"));
    assert!(!mark.exists());
    let Settlement::Ended(outcome) = settle(order).await else {
        panic!("not ended")
    };
    assert!(
        failure(&outcome).0.contains("did not all come"),
        "{outcome:?}"
    );
}

/// Settling by a controller that was started later.
trait Later {
    async fn settle_later(
        self,
        order: Order,
        registration: &overhaul_engine::ports::Registration,
    ) -> Settlement;
}

impl Later for overhaul_reach::SshReach {
    async fn settle_later(
        self,
        order: Order,
        registration: &overhaul_engine::ports::Registration,
    ) -> Settlement {
        self.settle(
            order,
            &registration.install_id,
            registration.sequence,
            Unbegun::Refuse,
        )
        .await
    }
}

async fn a_file_that_changes_on_the_way_is_never_taken_for_the_right_one(by: By) {
    let scene = Scene::new(by);
    let (reach, _) = scene.registered().await;
    let mut bytes = noise(20_000_000);
    let path = scene.data().join(FILE);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, &bytes).unwrap();
    let (began, took) = (
        scene.dir.path().join("began"),
        scene.dir.path().join("took"),
    );
    let script = format!(
        "head -c 1000 >/dev/null; touch '{}'; sleep 2; cat >/dev/null; touch '{}'",
        began.display(),
        took.display()
    );
    let order = feed(&scene, "changing", &script, &Digest::of(&bytes));
    let act = reach.act(order, quiet());
    let disturb = async {
        eventually("the begin", || began.exists()).await;
        if let Some(last) = bytes.last_mut() {
            *last ^= 1;
        }
        fs::write(&path, &bytes).unwrap();
    };
    let (outcome, ()) = tokio::join!(act, disturb);
    assert!(
        failure(&outcome).0.contains("changed while it was sent"),
        "{outcome:?}"
    );
    assert!(!took.exists(), "the command took it for whole");
}

async fn a_failed_command_leaves_no_file(by: By) {
    let scene = Scene::new(by);
    let (reach, _) = scene.registered().await;
    let order = fetch(
        &scene,
        "broken",
        "head -c 300000 /dev/zero; echo 'no such database' >&2; exit 2",
    );
    let outcome = reach.act(order, quiet()).await;
    assert_eq!(failure(&outcome), ("exit code 2", "no such database"));
    assert_eq!(left(&scene), [""; 0]);
}

async fn names_that_lead_elsewhere_are_refused(by: By) {
    let scene = Scene::new(by);
    let (reach, _) = scene.registered().await;
    let mut order = fetch(&scene, "escape", "echo x");
    order.work = Primitive::Fetch(Fetch {
        exec: Exec::shell("echo x"),
        file: "../escape".to_owned(),
    });
    let outcome = reach.act(order, quiet()).await;
    assert!(not_begun(&outcome).contains("no plain relative path"));
    assert!(!scene.dir.path().join("escape").exists());
}

async fn a_full_disk_of_the_controller_is_named_and_no_half_file_stays(by: By) {
    assert!(is_root(), "mounting needs root");
    let scene = Scene::new(by);
    let (reach, _) = scene.registered().await;
    fs::create_dir_all(scene.data()).unwrap();
    let at = scene.data().display().to_string();
    tool(
        "mount",
        "mount",
        &["-t", "tmpfs", "-o", "size=2m,mode=700", "none", &at],
    );
    let order = fetch(&scene, "big", "head -c 100000000 /dev/zero");
    let outcome = reach.act(order, quiet()).await;
    let left = left(&scene);
    tool("umount", "mount", &["-l", &at]);
    let (why, _) = failure(&outcome);
    assert!(
        why.contains("on the controller") && why.contains("No space left"),
        "{why}"
    );
    assert_eq!(left, [""; 0]);
}

async fn a_cut_stream_fails_and_its_command_ends(by: By) {
    let (scene, proxy) = Scene::behind_proxy(by).await;
    let (reach, registration) = scene.registered().await;
    for (name, network) in [("cut", Network::Cut), ("silent", Network::Silent)] {
        let alive = scene.dir.path().join(format!("alive-{name}"));
        let script = format!(
            "while :; do head -c 100000 /dev/zero; date +%s%N >'{}'; sleep 0.1; done",
            alive.display()
        );
        let order = fetch(&scene, name, &script);
        let act = reach.act(order.clone(), quiet());
        let disturb = async {
            eventually("the begin", || alive.exists()).await;
            proxy.set(network);
            tokio::time::sleep(GIVEN_UP).await;
            proxy.set(Network::Good);
        };
        let (outcome, ()) = tokio::join!(act, disturb);
        assert!(
            failure(&outcome).0.contains("in the middle of the stream"),
            "{outcome:?}"
        );
        assert!(
            matches!(outcome, Outcome::Failed { end: Some(_), .. }),
            "{outcome:?}"
        );
        assert_eq!(left(&scene), [""; 0]);
        let seen = fs::read(&alive).unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(fs::read(&alive).unwrap(), seen, "it still runs");
        let settled = scene.reach().settle_later(order, &registration).await;
        assert!(
            matches!(settled, Settlement::Ended(Outcome::Failed { .. })),
            "{settled:?}"
        );
    }
}
