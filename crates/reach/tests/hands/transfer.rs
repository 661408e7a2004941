//! Data from one host to another, and the authority over it. The second host sees a folder of its own at the path of
//! the first one's.

use crate::proxy::{Network, Proxy};
use crate::scene::{Printed, Scene, failure, generation, noise, not_begun, outputs, quiet};
use crate::support::{By, Sshd, eventually};
use overhaul_engine::ports::{Order, Reach as _, Registration, Unbegun};
use overhaul_model::action::{Action, Touches};
use overhaul_model::authority::{AuthorityStand, claims};
use overhaul_model::event::{Outcome, Settlement};
use overhaul_model::fleet::{Connection, Fleet, Host};
use overhaul_model::id::{HostName, Position};
use overhaul_model::primitive::{Exec, Moving, Primitive, Receive, TakeOver, WriteFile};
use overhaul_reach::SshReach;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longer than any connection of a [`Scene`] outlives silence.
const GIVEN_UP: Duration = Duration::from_secs(8);

/// Enough to be cut in the midst of.
const LARGE: usize = 60_000_000;

const OLD: &str = "old";
const NEW: &str = "new";

/// Two hosts, each behind a network that can be cut.
struct Pair {
    scene: Scene,
    new: Sshd,
    networks: [Proxy; 2],
}

impl Pair {
    async fn new() -> Self {
        Self::with(Sshd::beside).await
    }

    /// The two reach each other nowhere, the controller both.
    async fn apart() -> Self {
        Self::with(Sshd::apart).await
    }

    async fn with(new: fn(&Path, &Path) -> Sshd) -> Self {
        let scene = Scene::new(By::Native);
        let dir = scene.dir.path().canonicalize().unwrap();
        for name in ["shared/site/below", "there"] {
            fs::create_dir_all(dir.join(name)).unwrap();
        }
        let new = new(&dir.join("there"), &dir.join("shared"));
        new.known("127.0.0.1", "host_ed25519");
        let networks = [
            Proxy::to(scene.sshd.port).await,
            Proxy::into(new.network, new.port).await,
        ];
        let pair = Self {
            scene,
            new,
            networks,
        };
        let site = pair.at_old();
        fs::write(site.join("large"), noise(LARGE)).unwrap();
        fs::write(site.join("below/small"), "small").unwrap();
        fs::set_permissions(site.join("below/small"), fs::Permissions::from_mode(0o4510)).unwrap();
        fs::hard_link(site.join("below/small"), site.join("same")).unwrap();
        symlink("below/small", site.join("link")).unwrap();
        pair
    }

    fn dir(&self, name: &str) -> PathBuf {
        self.scene.dir.path().canonicalize().unwrap().join(name)
    }

    /// The tree as the old host sees it, and so do we.
    fn at_old(&self) -> PathBuf {
        self.dir("shared/site")
    }

    /// Where what the new host sees at the same path lies for us.
    fn at_new(&self) -> PathBuf {
        self.dir("there/site")
    }

    fn mark(&self) -> PathBuf {
        self.dir("there/.site.overhaul-restoring")
    }

    fn host(&self, name: &str) -> Host {
        let (sshd, network) = match name {
            OLD => (&self.scene.sshd, &self.networks[0]),
            _ => (&self.new, &self.networks[1]),
        };
        Host {
            name: HostName::new(name),
            roles: BTreeSet::new(),
            zone: None,
            connection: Connection {
                port: Some(network.port),
                identity_files: vec![sshd.path("client").display().to_string()],
                known_hosts: vec![sshd.path("known_hosts").display().to_string()],
                state_dir: Some(self.dir(&format!("state-{name}")).display().to_string()),
                ..self.scene.connection.clone()
            },
            vars: BTreeMap::new(),
        }
    }

    /// Hands that both hosts have accepted.
    async fn registered(&self) -> (SshReach, Registration) {
        let hosts = [OLD, NEW].map(|name| (HostName::new(name), self.host(name)));
        let fleet = Fleet {
            name: "test".to_owned(),
            hosts: BTreeMap::from(hosts),
        };
        let scene = &self.scene;
        let (passwords, helper) = (&scene.passwords, &scene.helper);
        let settings = scene.settings.clone();
        let reach = SshReach::new(&fleet, passwords, helper, scene.data(), settings).unwrap();
        reach.register(&OLD.into(), &generation(1)).await.unwrap();
        let new = reach.register(&NEW.into(), &generation(1)).await.unwrap();
        (reach, new)
    }

    fn moving(&self) -> Moving {
        Moving {
            dataset: "site".into(),
            paths: vec![self.at_old().display().to_string()],
            one_filesystem: false,
            exclude: Vec::new(),
            units: Vec::new(),
        }
    }

    fn order(&self, name: &str, host: &str, work: Primitive) -> Order {
        let order = self.scene.order(name, work);
        let run = Action::Run {
            touches: Touches::Anything,
        };
        Order {
            claims: claims(&run, &order.work),
            host: host.into(),
            position: Position::on(name.into(), host.into()),
            ..order
        }
    }

    fn receive(&self, name: &str) -> Order {
        let receive = Receive {
            data: self.moving(),
            from: OLD.into(),
            first: None,
        };
        self.order(name, NEW, Primitive::Receive(receive))
    }

    /// The same order, with a script that the old host runs before.
    fn after(&self, script: &str, mut order: Order) -> Order {
        let site = self.at_old().display().to_string();
        let script = Some(Exec::shell(format!("cd '{site}'; {script}")));
        match &mut order.work {
            Primitive::Receive(receive) => receive.first = script,
            Primitive::TakeOver(take) => take.first = script,
            other => panic!("{other:?}"),
        }
        order
    }

    fn take_over(&self, name: &str, received: &Outcome) -> Order {
        let text = |name: &str| outputs(received)[name].as_str().unwrap().to_owned();
        let take = TakeOver {
            data: self.moving(),
            from: OLD.into(),
            digest: text("digest"),
            stamps: text("stamps"),
            first: None,
        };
        self.order(name, NEW, Primitive::TakeOver(take))
    }

    /// The large file as far as it has come, held open so that no other takes its number.
    fn begun(&self) -> Begun {
        let path = self.at_new().join("large");
        let file = fs::File::open(&path).unwrap();
        Begun { file, path }
    }

    fn assert_equal(&self) {
        let content = fs::read(self.at_new().join("large")).unwrap();
        assert!(content == noise(LARGE));
        let small = fs::metadata(self.at_new().join("same")).unwrap();
        assert_eq!(small.permissions().mode() & 0o7777, 0o4510);
        let link = fs::read_link(self.at_new().join("link")).unwrap();
        assert_eq!(link, PathBuf::from("below/small"));
        assert!(!self.mark().exists());
    }
}

struct Begun {
    file: fs::File,
    path: PathBuf,
}

impl Begun {
    fn assert_gone_on_with(&self) {
        let before = self.file.metadata().unwrap().ino();
        assert_eq!(fs::metadata(&self.path).unwrap().ino(), before);
    }
}

/// How a transfer came, in the end, with a cut of the old host's connection and one of the new host's before.
async fn cut_twice(pair: &Pair, reach: &SshReach) -> (Outcome, String) {
    for (cut, name) in [(0, "at-old"), (1, "at-new")] {
        let printed = Printed::default();
        let act = reach.act(pair.receive(name), printed.progress());
        let large = || fs::metadata(pair.at_new().join("large")).map_or(0, |meta| meta.len());
        let wanted = 8_000_000 * (cut as u64 + 1);
        let disturb = async {
            eventually("the large file", || large() > wanted).await;
            pair.networks[cut].set(Network::Cut);
            tokio::time::sleep(GIVEN_UP).await;
            pair.networks[cut].set(Network::Good);
        };
        let (outcome, ()) = tokio::join!(act, disturb);
        failure(&outcome);
        assert!(pair.mark().exists(), "{name}");
    }
    let begun = pair.begun();
    let received = reach.act(pair.receive("whole"), quiet()).await;
    begun.assert_gone_on_with();
    pair.assert_equal();
    let way = outputs(&received)["way"].as_str().unwrap().to_owned();
    (received, way)
}

async fn stands(reach: &SshReach, host: &str) -> Vec<AuthorityStand> {
    let records = reach.authority(&host.into()).await.unwrap();
    records.into_iter().map(|record| record.stand).collect()
}

#[tokio::test]
async fn data_and_the_authority_over_it_move_once() {
    let pair = Pair::new().await;
    let (reach, _) = pair.registered().await;
    let received = reach.act(pair.receive("receive"), quiet()).await;
    assert_eq!(outputs(&received)["entries"], 6);
    let way = outputs(&received)["way"].as_str().unwrap();
    assert!(way.starts_with("directly from 127.0.0.1:"), "{way}");
    pair.assert_equal();
    assert_eq!(stands(&reach, OLD).await, []);

    let over = reach.act(pair.take_over("over", &received), quiet()).await;
    outputs(&over);
    let held = AuthorityStand::Held { from: OLD.into() };
    let given = AuthorityStand::Given { to: NEW.into() };
    assert_eq!(stands(&reach, OLD).await, std::slice::from_ref(&given));
    assert_eq!(stands(&reach, NEW).await, [held]);
    // A second attempt finds both records.
    outputs(&reach.act(pair.take_over("again", &received), quiet()).await);

    // Neither the transfer nor a write of the old side is begun any more.
    let again = reach.act(pair.receive("second"), quiet()).await;
    let why = not_begun(&again);
    assert!(
        why.contains("this host has the authority over site, from old"),
        "{why}"
    );
    let file = |name: &str| {
        let path = pair.at_old().join("new").display().to_string();
        let content = "new".to_owned();
        pair.order(
            name,
            OLD,
            Primitive::WriteFile(WriteFile {
                path,
                content,
                mode: None,
                backup: false,
                absent: false,
            }),
        )
    };
    let written = reach.act(file("write"), quiet()).await;
    let why = not_begun(&written);
    assert!(why.contains("the authority over site went to new"), "{why}");
    assert!(!pair.at_old().join("new").exists());

    // Until a person says so.
    let record = reach.authority(&OLD.into()).await.unwrap().remove(0);
    let (seen, reason) = (record.seen().unwrap(), "the new one is gone".to_owned());
    reach
        .void_authority(&OLD.into(), seen.clone(), "ada".into(), reason.clone())
        .await
        .unwrap();
    let voided = stands(&reach, OLD).await;
    assert!(
        matches!(&voided[..], [AuthorityStand::Voided { person, reason: why, before, .. }]
            if person.as_str() == "ada" && *why == reason && **before == given),
        "{voided:?}"
    );
    outputs(&reach.act(file("write-2"), quiet()).await);
    let late = reach
        .void_authority(&OLD.into(), seen, "ada".into(), reason)
        .await;
    assert!(late.unwrap_err().why.contains("look again"));
}

#[tokio::test]
async fn a_transfer_goes_on_after_a_cut_at_either_end() {
    let pair = Pair::new().await;
    let (reach, _) = pair.registered().await;
    let (received, way) = cut_twice(&pair, &reach).await;
    assert!(way.starts_with("directly from 127.0.0.1:"), "{way}");
    outputs(&reach.act(pair.take_over("over", &received), quiet()).await);
}

#[tokio::test]
async fn two_hosts_that_do_not_meet_send_through_the_controller_and_go_on_after_a_cut() {
    let pair = Pair::apart().await;
    let (reach, _) = pair.registered().await;
    let (received, way) = cut_twice(&pair, &reach).await;
    assert!(
        way.starts_with("through the controller (127.0.0.1:") && way.contains("not reached"),
        "{way}"
    );
    outputs(&reach.act(pair.take_over("over", &received), quiet()).await);
    let held = AuthorityStand::Held { from: OLD.into() };
    assert_eq!(stands(&reach, NEW).await, [held]);
}

#[tokio::test]
async fn a_transfer_goes_on_after_the_end_of_its_controller() {
    let pair = Pair::new().await;
    let (reach, new) = pair.registered().await;
    let large = || fs::metadata(pair.at_new().join("large")).map_or(0, |meta| meta.len());
    let order = pair.receive("cut");
    tokio::select! {
        outcome = reach.act(order.clone(), quiet()) => panic!("{outcome:?}"),
        () = eventually("the large file", || large() > 8_000_000) => {}
    }
    drop(reach);
    let (reach, _) = pair.registered().await;
    let settled = reach
        .settle(order, &new.install_id, new.sequence, Unbegun::Refuse)
        .await;
    assert!(
        matches!(
            &settled,
            Settlement::Ended(Outcome::Failed { end: Some(_), .. })
        ),
        "{settled:?}"
    );
    let begun = pair.begun();
    let received = reach.act(pair.receive("again"), quiet()).await;
    begun.assert_gone_on_with();
    pair.assert_equal();
    let settled = reach
        .settle(
            pair.receive("again"),
            &new.install_id,
            new.sequence,
            Unbegun::Refuse,
        )
        .await;
    let Settlement::Ended(told) = settled else {
        panic!("{settled:?}");
    };
    assert_eq!(outputs(&told)["digest"], outputs(&received)["digest"]);
}

#[tokio::test]
async fn what_is_made_at_the_source_before_comes_over_and_is_proven_before_the_authority_goes() {
    let pair = Pair::new().await;
    let (reach, _) = pair.registered().await;
    let refused = pair.after("echo no room >&2; exit 3", pair.receive("refused"));
    let refused = reach.act(refused, quiet()).await;
    let (why, _) = failure(&refused);
    assert_eq!(why, "at old, where it comes from: exit code 3: no room");
    assert!(!pair.at_new().exists() && !pair.mark().exists());

    let made = "[ -e made ] || echo made >made";
    let received = pair.after(made, pair.receive("made"));
    let received = reach.act(received, quiet()).await;
    assert_eq!(outputs(&received)["entries"], 7);
    assert_eq!(fs::read(pair.at_new().join("made")).unwrap(), b"made\n");
    pair.assert_equal();

    let over = |name, script: &str| pair.after(script, pair.take_over(name, &received));
    let late = reach
        .act(over("late", "echo touched; exit 1"), quiet())
        .await;
    let why = not_begun(&late);
    assert!(why.ends_with("exit code 1: touched"), "{why}");
    assert_eq!(stands(&reach, OLD).await, []);
    outputs(&reach.act(over("over", "[ -e made ]"), quiet()).await);
    let given = AuthorityStand::Given { to: NEW.into() };
    assert_eq!(stands(&reach, OLD).await, [given]);
}

#[tokio::test]
async fn what_stands_against_a_transfer_is_named_and_nothing_is_lost() {
    let pair = Pair::new().await;
    let (reach, _) = pair.registered().await;
    fs::create_dir(pair.at_new()).unwrap();
    fs::write(pair.at_new().join("mine"), "mine").unwrap();
    let taken = reach.act(pair.receive("taken"), quiet()).await;
    let (_, tail) = failure(&taken);
    assert!(
        tail.contains("is not empty; nothing was changed"),
        "{taken:?}"
    );
    assert_eq!(fs::read(pair.at_new().join("mine")).unwrap(), b"mine");
    fs::remove_dir_all(pair.at_new()).unwrap();

    let itself = Receive {
        data: pair.moving(),
        from: NEW.into(),
        first: None,
    };
    let itself = pair.order("itself", NEW, Primitive::Receive(itself));
    let itself = reach.act(itself, quiet()).await;
    assert!(not_begun(&itself).contains("are one host"), "{itself:?}");

    let received = reach.act(pair.receive("receive"), quiet()).await;
    let mut wrong = pair.take_over("wrong", &received);
    if let Primitive::TakeOver(take) = &mut wrong.work {
        take.stamps = "0".to_owned();
    }
    fs::write(pair.at_old().join("below/late"), "late").unwrap();
    for order in [wrong, pair.take_over("late", &received)] {
        let late = reach.act(order, quiet()).await;
        let why = not_begun(&late);
        assert!(why.contains("something has written there since"), "{why}");
    }
    assert_eq!(stands(&reach, OLD).await, []);
    assert_eq!(stands(&reach, NEW).await, []);

    // What was received stands in the way of what is there now, and a person decides which counts.
    let again = reach.act(pair.receive("again"), quiet()).await;
    let (_, tail) = failure(&again);
    assert!(tail.contains("is another than the copy"), "{again:?}");
    let empty = Value::from("");
    assert_ne!(outputs(&received)["stamps"], empty);
}
