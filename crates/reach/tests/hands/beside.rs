//! Machines beside the host's, volumes and addresses, against a cloud of files.

use crate::near::{Cloud, own_id, registered};
use crate::scene::{Scene, not_begun, outputs, quiet};
use crate::support::By;
use overhaul_engine::ports::{Order, Reach as _};
use overhaul_model::belonging::{Belonging, BelongingAct, BelongingOp, Which};
use overhaul_model::event::Outcome;
use overhaul_model::id::AttemptKey;
use overhaul_model::machine::Machine;
use overhaul_model::primitive::{MachineOp, Primitive};
use overhaul_model::span::Span;
use overhaul_reach::SshReach;
use serde_json::{Value, json};

/// The machine id of the machine before, which is not this one.
const OLD: &str = "0123456789abcdef0123456789abcdef";

/// A host with a machine and a cloud that makes others, all of them this machine.
struct Stage {
    scene: Scene,
    cloud: Cloud,
    reach: SshReach,
    count: std::cell::Cell<u32>,
}

impl Stage {
    async fn set(machine: Value) -> Self {
        let scene = Scene::new(By::Native);
        let mut cloud = Cloud::over(&scene, machine);
        cloud.config["new_address"] = json!("127.0.0.1");
        cloud.config["new_machine_id"] = json!(own_id());
        cloud.config["protected"] = json!(true);
        let (reach, _) = registered(&scene, 1).await;
        Self {
            scene,
            cloud,
            reach,
            count: 0.into(),
        }
    }

    fn file(&self, name: &str) -> Option<Value> {
        let text = std::fs::read_to_string(self.cloud.folder.join(name)).ok()?;
        serde_json::from_str(&text).ok()
    }

    fn write(&self, name: &str, thing: &Value) {
        std::fs::write(self.cloud.folder.join(name), thing.to_string()).unwrap();
    }

    /// An order about a machine of the host, each with a key of its own.
    fn order(&self, op: MachineOp, which: Which, name: &str, known: Option<&Machine>) -> Order {
        self.count.set(self.count.get() + 1);
        let mut order = self.cloud.order(
            &self.scene,
            &format!("order-{}", self.count.get()),
            op,
            Some(OLD),
        );
        let Primitive::Machine(act) = &mut order.work else {
            panic!("{order:?}");
        };
        (act.which, act.machine) = (which, name.to_owned());
        // A busy machine takes its time to answer.
        act.answers_within = Span::from_s(60);
        order.machine.as_mut().unwrap().known = known.cloned();
        order
    }

    async fn act(&self, order: Order) -> Outcome {
        self.reach.act(order, quiet()).await
    }

    async fn launched(&self) -> Machine {
        let order = self.order(MachineOp::Create, Which::Beside, "web-1-new", None);
        Machine::from_outputs(outputs(&self.act(order).await))
    }

    /// The new machine takes the place of `web-1`.
    async fn taken_over(&self, launched: &Machine) -> Outcome {
        let mut order = self.order(MachineOp::Prove, Which::Beside, "web-1-new", Some(launched));
        let Primitive::Machine(act) = &mut order.work else {
            panic!("{order:?}");
        };
        (act.other, act.image) = (Some("web-1".to_owned()), None);
        let about = order.machine.as_mut().unwrap();
        about.expected.clone_from(&launched.machine_id);
        about.own = Some(of("i-1"));
        self.act(order).await
    }

    async fn belonging(&self, kind: Belonging, op: BelongingOp, machine: &str) -> Outcome {
        self.act(self.about(kind, op, machine)).await
    }

    /// An order about the volume or the address `data`.
    fn about(&self, kind: Belonging, op: BelongingOp, machine: &str) -> Order {
        let mut order = self.order(MachineOp::Describe, Which::Own, machine, None);
        order.machine.as_mut().unwrap().expected = None;
        order.work = Primitive::Belonging(BelongingAct {
            provider: "cloud".into(),
            kind,
            op,
            name: "data".to_owned(),
            machine: machine.to_owned(),
            which: Which::Own,
            from: None,
            expect: None,
            params: [].into(),
        });
        order
    }
}

fn of(identity: &str) -> Machine {
    Machine {
        identity: Some(identity.to_owned()),
        ..Machine::default()
    }
}

fn machine(state: &str) -> Value {
    json!({"identity": "i-1", "state": state, "machine_id": OLD})
}

fn refused(outcome: &Outcome, why: &str) {
    let found = not_begun(outcome);
    assert!(found.contains(why), "{found}");
}

#[tokio::test]
async fn a_machine_is_launched_once_beside_the_hosts_and_is_another_one() {
    let stage = Stage::set(machine("running")).await;
    let mut first = stage.order(MachineOp::Create, Which::Beside, "web-1-new", None);
    first.machine.as_mut().unwrap().token = Some(AttemptKey::new("the-token"));
    let made = stage.act(first).await;
    assert_eq!(outputs(&made)["machine_id"], own_id().as_str());
    assert_eq!(outputs(&made)["address"], "127.0.0.1");
    // Nobody knows how that ended: the same call is made again, and gives the same machine.
    let mut again = stage.order(MachineOp::Create, Which::Beside, "web-1-new", None);
    again.machine.as_mut().unwrap().token = Some(AttemptKey::new("the-token"));
    let same = stage.act(again).await;
    assert_eq!(outputs(&same)["identity"], outputs(&made)["identity"]);
    let anew = stage.order(MachineOp::Create, Which::Beside, "web-1-new", None);
    refused(
        &stage.act(anew).await,
        "there is a machine web-1-new already",
    );
    assert_eq!(stage.file("web-1.json"), Some(machine("running")));
}

#[tokio::test]
async fn a_new_machine_takes_over_when_the_one_before_is_off_and_never_another_one() {
    let stage = Stage::set(machine("running")).await;
    let launched = stage.launched().await;
    refused(&stage.taken_over(&launched).await, "web-1 runs still");
    stage.write("web-1.json", &machine("stopped"));
    let other = Machine {
        identity: of("file-of-somebody-else").identity,
        ..launched.clone()
    };
    refused(
        &stage.taken_over(&other).await,
        "file-of-somebody-else is meant",
    );
    let outcome = stage.taken_over(&launched).await;
    assert_eq!(Machine::from_outputs(outputs(&outcome)), launched);
    // The one before does not come back.
    let mut start = stage.order(MachineOp::Start, Which::Own, "web-1", None);
    start.machine.as_mut().unwrap().replaced = Some(of("i-1"));
    refused(&stage.act(start).await, "whose place was taken");
    assert_eq!(stage.file("web-1.json"), Some(machine("stopped")));
}

#[tokio::test]
async fn the_old_machine_is_ended_when_it_is_meant_off_and_not_protected() {
    let protected = |state: &str| {
        let mut machine = machine(state);
        machine["protected"] = json!(true);
        machine
    };
    let stage = Stage::set(protected("running")).await;
    let old = of("i-1");
    let end = |known: Option<&Machine>| stage.order(MachineOp::Destroy, Which::Old, "web-1", known);
    refused(&stage.act(end(None)).await, "no step of this run told");
    refused(&stage.act(end(Some(&of("i-2")))).await, "i-2 is meant");
    refused(&stage.act(end(Some(&old))).await, "somebody may use it");
    stage.write("web-1.json", &protected("stopped"));
    refused(&stage.act(end(Some(&old))).await, "is protected");
    let open = || stage.order(MachineOp::Unprotect, Which::Old, "web-1", Some(&old));
    for changed in [true, false] {
        let outcome = stage.act(open()).await;
        assert!(
            matches!(&outcome, Outcome::Succeeded { changed: found, .. } if *found == changed),
            "{outcome:?}"
        );
    }
    for changed in [true, false] {
        let outcome = stage.act(end(Some(&old))).await;
        assert!(
            matches!(&outcome, Outcome::Succeeded { changed: found, .. } if *found == changed),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn a_machine_gets_a_name_that_is_free_and_only_that_machine() {
    let stage = Stage::set(machine("stopped")).await;
    let rename = |known: &str, to: &str| {
        let mut order = stage.order(MachineOp::Rename, Which::Old, "web-1", Some(&of(known)));
        let Primitive::Machine(act) = &mut order.work else {
            panic!("{order:?}");
        };
        (act.other, act.image) = (Some(to.to_owned()), None);
        order
    };
    stage.write(
        "web-2.json",
        &json!({"identity": "i-2", "state": "running"}),
    );
    refused(&stage.act(rename("i-1", "web-2")).await, "is called web-2");
    refused(&stage.act(rename("i-3", "web-1-old")).await, "i-3 is meant");
    let outcome = stage.act(rename("i-1", "web-1-old")).await;
    assert_eq!(outputs(&outcome)["identity"], "i-1");
    assert_eq!(stage.file("web-1.json"), None);
    // Again: it is so already.
    let outcome = stage.act(rename("i-1", "web-1-old")).await;
    assert!(
        matches!(&outcome, Outcome::Succeeded { changed: false, .. }),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_volume_is_taken_from_nobody_and_moves_once() {
    let own = json!({"identity": "i-1", "state": "running", "machine_id": own_id()});
    let stage = Stage::set(own).await;
    let volume = |state: &str, machine: Option<&str>| {
        let device = machine.map(|_| "/dev/vdb");
        json!({"identity": "vol-1", "state": state, "machine": machine, "device": device})
    };
    let data = Belonging::Volume;
    let attach = || stage.belonging(data, BelongingOp::Attach, "web-1");
    let detach = || stage.belonging(data, BelongingOp::Detach, "web-1");
    let known = || stage.belonging(data, BelongingOp::Describe, "web-1");
    refused(&attach().await, "knows no volume data");
    stage.write("data.volume.json", &volume("attached", Some("i-9")));
    for outcome in [attach().await, detach().await, known().await] {
        refused(&outcome, "with i-9, not with web-1 (i-1)");
    }
    stage.write("data.volume.json", &volume("attached", Some("i-1")));
    assert_eq!(outputs(&known().await)["device"], "/dev/vdb");
    for (outcome, changed) in [
        (attach().await, false),
        (detach().await, true),
        (detach().await, false),
        (attach().await, true),
    ] {
        assert!(
            matches!(&outcome, Outcome::Succeeded { changed: found, .. } if *found == changed),
            "{outcome:?}"
        );
    }
    let mut other = stage.about(data, BelongingOp::Detach, "web-1");
    let Primitive::Belonging(act) = &mut other.work else {
        panic!("{other:?}");
    };
    act.expect = Some("vol-2".to_owned());
    refused(&stage.act(other).await, "vol-2 is meant");
    let machine = stage.file("data.volume.json").unwrap()["machine"].clone();
    assert_eq!(machine, "i-1");
}

#[tokio::test]
async fn nothing_moves_to_or_from_a_machine_that_is_not_the_one_we_are_connected_with() {
    let stage = Stage::set(machine("running")).await;
    let free = json!({"identity": "vol-1", "state": "free"});
    stage.write("data.volume.json", &free);
    let outcome = stage.belonging(Belonging::Volume, BelongingOp::Attach, "web-1");
    refused(&outcome.await, "means another machine by web-1");
    let outcome = stage.belonging(Belonging::Volume, BelongingOp::Attach, "web-9");
    refused(&outcome.await, "knows no machine web-9");
    assert_eq!(stage.file("data.volume.json"), Some(free));
}

#[tokio::test]
async fn an_address_leaves_the_machine_whose_place_was_taken_and_no_third_one() {
    let own = json!({"identity": "i-2", "state": "running", "machine_id": own_id()});
    let stage = Stage::set(own).await;
    let address = |machine: &str| json!({"identity": "a-1", "state": "attached", "machine": machine, "address": "192.0.2.9"});
    stage.write("data.address.json", &address("i-1"));
    stage.write(
        "web-0.json",
        &json!({"identity": "i-0", "state": "running"}),
    );
    let comes = |replaced: Option<&str>, from: Option<&str>| {
        let mut order = stage.about(Belonging::Address, BelongingOp::Attach, "web-1");
        order.machine.as_mut().unwrap().replaced = replaced.map(of);
        let Primitive::Belonging(act) = &mut order.work else {
            panic!("{order:?}");
        };
        act.from = from.map(ToOwned::to_owned);
        order
    };
    refused(&stage.act(comes(None, None)).await, "with i-1, not with");
    refused(
        &stage.act(comes(Some("i-7"), Some("web-0"))).await,
        "with i-1",
    );
    let outcome = stage.act(comes(Some("i-1"), None)).await;
    assert_eq!(outputs(&outcome)["machine"], "i-2");
    stage.write("data.address.json", &address("i-0"));
    let outcome = stage.act(comes(None, Some("web-0"))).await;
    assert_eq!(outputs(&outcome)["machine"], "i-2");
}
