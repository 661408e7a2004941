//! Trees between hosts and the controller. They go back to where they were, so that the place is
//! emptied between.

use crate::each::over_each_transport;
use crate::proxy::Network;
use crate::scene::{Printed, Scene, failure, noise, not_begun, outputs, quiet};
use crate::support::{By, eventually};
use overhaul_engine::ports::{Order, Reach as _, Unbegun};
use overhaul_model::event::{Outcome, Settlement};
use overhaul_model::id::Digest;
use overhaul_model::primitive::{Existing, Persist, Primitive, Restore};
use overhaul_model::span::Span;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

over_each_transport! {
    a_tree_comes_and_goes_unchanged,
    a_cut_copy_goes_on_and_a_cut_restore_is_begun_again,
    what_a_host_cannot_copy_is_named,
    full_disks_are_named_and_gone_on_from,
}

const FILE: &str = "web-1/site";

/// Longer than any connection of a [`Scene`] outlives silence.
const GIVEN_UP: Duration = Duration::from_secs(8);

fn tree(scene: &Scene) -> PathBuf {
    scene.dir.path().canonicalize().unwrap().join("site")
}

fn persist(scene: &Scene, name: &str) -> Order {
    let work = Persist {
        paths: vec![tree(scene).display().to_string()],
        file: FILE.to_owned(),
        one_filesystem: true,
        exclude: Vec::new(),
        live: false,
    };
    scene.order(name, Primitive::Persist(work))
}

fn restore(scene: &Scene, name: &str, digest: &str) -> Order {
    let work = Restore {
        paths: vec![tree(scene).display().to_string()],
        file: FILE.to_owned(),
        digest_from: "persist".to_owned(),
        existing: Existing::Refuse,
    };
    let mut order = scene.order(name, Primitive::Restore(work));
    order.file_digest = Some(Digest::parse(digest).unwrap());
    order
}

/// A tree on the host, and what it looks like.
fn make(scene: &Scene, bytes: usize) -> Vec<u8> {
    let site = tree(scene);
    fs::create_dir_all(site.join("below")).unwrap();
    let content = noise(bytes);
    fs::write(site.join("large"), &content).unwrap();
    fs::write(site.join("below/small"), "small").unwrap();
    fs::set_permissions(site.join("below/small"), fs::Permissions::from_mode(0o4510)).unwrap();
    fs::hard_link(site.join("below/small"), site.join("same")).unwrap();
    symlink("below/small", site.join("link")).unwrap();
    content
}

async fn a_tree_comes_and_goes_unchanged(by: By) {
    let scene = Scene::new(by);
    let (reach, registration) = scene.registered().await;
    let content = make(&scene, 5_000_000);
    let outcome = reach.act(persist(&scene, "persist"), quiet()).await;
    let got = outputs(&outcome);
    let archive = scene.data().join(FILE);
    let bytes = fs::read(&archive).unwrap();
    assert_eq!(got["sha256"], Digest::of(&bytes).as_str());
    assert_eq!(got["bytes"], bytes.len());
    assert_eq!((&got["entries"], &got["file"]), (&6.into(), &FILE.into()));
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(archive.clone()), mode(scene.data())), (0o600, 0o700));

    let digest = got["sha256"].as_str().unwrap().to_owned();
    // It is there and equal: nothing is done.
    let idle = reach.act(restore(&scene, "idle", &digest), quiet()).await;
    assert!(
        matches!(&idle, Outcome::Succeeded { changed: false, .. }),
        "{idle:?}"
    );

    fs::rename(tree(&scene), scene.dir.path().join("gone")).unwrap();
    let order = restore(&scene, "restore", &digest);
    let back = reach.act(order.clone(), quiet()).await;
    assert!(
        matches!(&back, Outcome::Succeeded { changed: true, .. }),
        "{back:?}"
    );
    assert_eq!(outputs(&back)["manifest"], got["manifest"]);
    assert!(fs::read(tree(&scene).join("large")).unwrap() == content);
    assert_eq!(
        fs::read_link(tree(&scene).join("link")).unwrap(),
        PathBuf::from("below/small")
    );
    let small = fs::metadata(tree(&scene).join("same")).unwrap();
    assert_eq!(small.permissions().mode() & 0o7777, 0o4510);
    let settled = scene.reach();
    let settled = settled
        .settle(
            order,
            &registration.install_id,
            registration.sequence,
            Unbegun::Refuse,
        )
        .await;
    assert_eq!(settled, Settlement::Ended(back));

    // Another tree in the way stays, and another archive is not unpacked.
    fs::write(tree(&scene).join("new"), "new").unwrap();
    let refused = reach
        .act(restore(&scene, "refused", &digest), quiet())
        .await;
    assert!(
        failure(&refused).1.contains("is another than the copy"),
        "{refused:?}"
    );
    fs::remove_dir_all(tree(&scene)).unwrap();
    let mut wrong = bytes;
    let place = wrong.len() / 2;
    wrong[place] ^= 1;
    fs::write(&archive, wrong).unwrap();
    let wrong = reach.act(restore(&scene, "wrong", &digest), quiet()).await;
    assert!(failure(&wrong).0.contains("another digest"), "{wrong:?}");
}

async fn a_cut_copy_goes_on_and_a_cut_restore_is_begun_again(by: By) {
    let (scene, proxy) = Scene::behind_proxy(by).await;
    let (reach, _) = scene.registered().await;
    let content = make(&scene, 40_000_000);
    let partial = scene.data().join("web-1/.site.partial");
    let size = || fs::metadata(&partial).map_or(0, |meta| meta.len());
    let act = reach.act(persist(&scene, "cut"), quiet());
    let disturb = async {
        eventually("some of it", || size() > 3_000_000).await;
        proxy.set(Network::Cut);
        tokio::time::sleep(GIVEN_UP).await;
        proxy.set(Network::Good);
    };
    let (outcome, ()) = tokio::join!(act, disturb);
    assert!(
        failure(&outcome).0.contains("in the middle of the stream"),
        "{outcome:?}"
    );
    let had = size();
    assert!(had > 3_000_000 && !scene.data().join(FILE).exists());
    let printed = Printed::default();
    let outcome = reach
        .act(persist(&scene, "again"), printed.progress())
        .await;
    let digest = outputs(&outcome)["sha256"].as_str().unwrap().to_owned();
    assert!(!partial.exists());

    fs::remove_dir_all(tree(&scene)).unwrap();
    let mark = tree(&scene).with_file_name(".site.overhaul-restoring");
    let act = reach.act(restore(&scene, "cut-back", &digest), quiet());
    let disturb = async {
        eventually("the mark", || mark.exists()).await;
        proxy.set(Network::Cut);
        tokio::time::sleep(GIVEN_UP).await;
        proxy.set(Network::Good);
    };
    let (outcome, ()) = tokio::join!(act, disturb);
    assert!(
        failure(&outcome).0.contains("in the middle of the stream"),
        "{outcome:?}"
    );
    assert!(mark.exists());
    let back = reach.act(restore(&scene, "back", &digest), quiet()).await;
    outputs(&back);
    assert!(!mark.exists());
    assert!(fs::read(tree(&scene).join("large")).unwrap() == content);
}

/// Moving some gigabytes on a busy machine.
const SLOW: Span = Span::from_s(280);

/// The second file lies around the first gigabyte, the third behind it. The first two are nothing to send, so that the
/// restore is cut in the third.
fn make_gigabyte(at: &Path) -> [(&'static str, Vec<u8>, usize); 3] {
    fs::create_dir_all(at).unwrap();
    let files = [
        ("a", vec![b'a'; 8_000_000], 75),
        ("b", vec![b'b'; 8_000_000], 75),
        ("c", noise(8_000_000), 20),
    ];
    for (name, block, times) in &files {
        let mut file = fs::File::create(at.join(name)).unwrap();
        for _ in 0..*times {
            file.write_all(block).unwrap();
        }
    }
    files
}

#[tokio::test]
async fn slow_a_restore_that_was_cut_beyond_a_gigabyte_goes_on_from_it() {
    let (scene, proxy) = Scene::behind_proxy(By::Native).await;
    let (reach, _) = scene.registered().await;
    let slow = |mut order: Order| {
        order.limits.total = SLOW;
        order
    };
    let at = tree(&scene);
    let files = make_gigabyte(&at);
    let outcome = reach.act(slow(persist(&scene, "persist")), quiet()).await;
    let digest = outputs(&outcome)["sha256"].as_str().unwrap().to_owned();
    let manifest = outputs(&outcome)["manifest"].clone();

    fs::remove_dir_all(&at).unwrap();
    let act = reach.act(slow(restore(&scene, "cut", &digest)), quiet());
    let third = || fs::metadata(at.join("c")).map_or(0, |meta| meta.len());
    let disturb = async {
        let until = Instant::now() + Duration::from_secs(SLOW.as_ms() / 1_000);
        while third() < 1_000_000 {
            assert!(Instant::now() < until, "the third file never came");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        proxy.set(Network::Cut);
        tokio::time::sleep(GIVEN_UP).await;
        proxy.set(Network::Good);
    };
    let (outcome, ()) = tokio::join!(act, disturb);
    let (why, _) = failure(&outcome);
    assert!(why.contains("in the middle of the stream"), "{why}");
    let first = || {
        let meta = fs::metadata(at.join("a")).unwrap();
        (meta.ino(), meta.ctime(), meta.ctime_nsec())
    };
    let before = first();
    let back = reach
        .act(slow(restore(&scene, "again", &digest)), quiet())
        .await;
    assert_eq!(outputs(&back)["manifest"], manifest);
    assert_eq!(first(), before, "what was whole is not written again");
    for (name, block, times) in files {
        let found = fs::read(at.join(name)).unwrap();
        assert_eq!(found.len(), block.len() * times, "{name}");
        assert!(
            found.chunks(block.len()).all(|part| part == block),
            "{name}"
        );
    }
}

async fn what_a_host_cannot_copy_is_named(by: By) {
    let scene = Scene::new(by);
    let (reach, _) = scene.registered().await;
    let outcome = reach.act(persist(&scene, "none"), quiet()).await;
    assert!(
        failure(&outcome).1.contains("/site does not exist"),
        "{outcome:?}"
    );
    let unknown = restore(&scene, "unknown", &"0".repeat(64));
    let outcome = reach.act(unknown, quiet()).await;
    assert!(
        not_begun(&outcome).contains("cannot be opened"),
        "{outcome:?}"
    );
}

/// A small disk of its own at a folder, for as long as the value lives.
struct Disk(PathBuf);

impl Disk {
    fn new(at: PathBuf, size: &str) -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "this test mounts a disk and makes owners: run it as root"
        );
        fs::create_dir_all(&at).unwrap();
        let disk = Self(at);
        disk.mount(&format!("size={size},mode=0700"));
        disk
    }

    fn mount(&self, options: &str) {
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "none"])
            .arg(&self.0)
            .status();
        assert!(mount.unwrap().success(), "mount {options}");
    }

    fn resize(&self, size: &str) {
        self.mount(&format!("remount,size={size}"));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: whoever still has a file of it open lets go of it later.
        let _gone = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

async fn full_disks_are_named_and_gone_on_from(by: By) {
    let scene = Scene::new(by);
    let (reach, _) = scene.registered().await;
    let host = Disk::new(tree(&scene), "64m");
    let content = make(&scene, 9_000_000);
    std::os::unix::fs::chown(tree(&scene).join("below"), Some(54_321), Some(54_322)).unwrap();

    let controller = Disk::new(scene.data(), "4m");
    let full = reach.act(persist(&scene, "full"), quiet()).await;
    assert!(format!("{full:?}").contains("No space left"), "{full:?}");
    assert!(!scene.data().join(FILE).exists());
    controller.resize("64m");
    let kept = fs::metadata(scene.data().join("web-1/.site.partial")).unwrap();
    assert!(kept.len() > 1_000_000, "whole chunks stay: {kept:?}");
    let outcome = reach.act(persist(&scene, "room"), quiet()).await;
    let digest = outputs(&outcome)["sha256"].as_str().unwrap().to_owned();

    for entry in fs::read_dir(tree(&scene)).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => fs::remove_dir_all(path).unwrap(),
            false => fs::remove_file(path).unwrap(),
        }
    }
    host.resize("4m");
    let full = reach
        .act(restore(&scene, "full-back", &digest), quiet())
        .await;
    assert!(failure(&full).1.contains("No space left"), "{full:?}");
    let mark = tree(&scene).with_file_name(".site.overhaul-restoring");
    assert!(mark.exists());
    host.resize("64m");
    let back = reach.act(restore(&scene, "back", &digest), quiet()).await;
    outputs(&back);
    assert!(!mark.exists());
    assert!(fs::read(tree(&scene).join("large")).unwrap() == content);
    let owner = fs::metadata(tree(&scene).join("below")).unwrap();
    assert_eq!((owner.uid(), owner.gid()), (54_321, 54_322));
}
