//! The controller's own helper; providers against a cloud of files; a playbook of the real Ansible.

use crate::scene::{Printed, Scene, failure, generation, not_begun, outputs, quiet};
use crate::support::By;
use overhaul_engine::ports::{MachineOrder, Order, Reach as _, Registration, Unbegun};
use overhaul_model::belonging::Which;
use overhaul_model::definition::Provider;
use overhaul_model::event::{Outcome, Settlement};
use overhaul_model::id::{AttemptKey, HostName};
use overhaul_model::machine::Machine;
use overhaul_model::primitive::{Exec, MachineAct, MachineOp, Primitive};
use overhaul_model::receipt::WorkEnd;
use overhaul_model::span::Span;
use overhaul_reach::SshReach;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/providers");

/// What the planner runs playbooks by.
const EXTRA_VARS: &str = include_str!("../../../plan/src/parts/extra_vars.sh");

fn hands(scene: &Scene) -> SshReach {
    scene.reach().with_controller(scene.dir.path())
}

pub async fn registered(scene: &Scene, counter: u64) -> (SshReach, Registration) {
    let reach = hands(scene);
    let controller = HostName::controller();
    let registration = reach.register(&controller, &generation(counter)).await;
    (reach, registration.unwrap())
}

#[tokio::test]
async fn work_on_the_controller_outlives_it_and_is_found_again() {
    let scene = Scene::new(By::Native);
    let mark = scene.dir.path().join("mark");
    let script = format!(
        "echo begun; sleep 2; echo x >>{}; echo over",
        mark.display()
    );
    let mut order = scene.order("play", Primitive::Local(Exec::shell(script)));
    let (reach, first) = registered(&scene, 1).await;
    let printed = Printed::default();
    let act = reach.act(order.clone(), printed.progress());
    // The controller is gone before the work is over.
    assert!(
        tokio::time::timeout(Duration::from_millis(900), act)
            .await
            .is_err()
    );
    assert!(printed.text().contains("begun"));
    drop(reach);
    let (reach, again) = registered(&scene, 2).await;
    assert_eq!(again.install_id, first.install_id);
    order.generation = generation(2);
    let settled = reach
        .settle(order.clone(), &first.install_id, 1, Unbegun::Refuse)
        .await;
    assert_eq!(settled, Settlement::Running);
    let outcome = reach.act(order.clone(), quiet()).await;
    assert!(matches!(outcome, Outcome::Succeeded { .. }), "{outcome:?}");
    let settled = reach
        .settle(order, &first.install_id, 1, Unbegun::Refuse)
        .await;
    assert!(
        matches!(settled, Settlement::Ended(Outcome::Succeeded { .. })),
        "{settled:?}"
    );
    assert_eq!(std::fs::read_to_string(mark).unwrap(), "x\n");
    let store = std::fs::metadata(scene.dir.path().join("controller")).unwrap();
    assert_eq!(store.permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn what_a_command_reads_is_in_no_argument_and_no_file() {
    let scene = Scene::new(By::Native);
    let (reach, _) = registered(&scene, 1).await;
    let secret = "hunter2-hunter2";
    let exec = Exec {
        stdin: Some(secret.to_owned()),
        ..Exec::shell("wc -c; tr '\\0' ' ' </proc/$$/cmdline")
    };
    let printed = Printed::default();
    let outcome = reach.act(
        scene.order("read", Primitive::Local(exec)),
        printed.progress(),
    );
    assert!(matches!(outcome.await, Outcome::Succeeded { .. }));
    assert!(printed.text().starts_with("15\n"), "{}", printed.text());
    assert!(!printed.text().contains(secret));
    let found = Command::new("grep")
        .args(["-r", secret])
        .arg(scene.dir.path())
        .output()
        .unwrap();
    assert!(found.stdout.is_empty(), "{found:?}");
}

/// A provider with one machine, which is the host of the scene.
pub struct Cloud {
    pub folder: PathBuf,
    pub config: Value,
    pub script: PathBuf,
}

impl Cloud {
    pub fn over(scene: &Scene, machine: Value) -> Self {
        let folder = scene.dir.path().join("cloud");
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("web-1.json");
        std::fs::write(file, machine.to_string()).unwrap();
        let script = scene.dir.path().join("provider.py");
        std::fs::copy(Path::new(EXAMPLES).join("files.py"), &script).unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        let key = std::fs::read_to_string(scene.sshd.path("host_ed25519.pub")).unwrap();
        Self {
            config: json!({"cloud": folder, "host_keys": [key.trim()]}),
            folder,
            script,
        }
    }

    fn machine(&self) -> Value {
        let text = std::fs::read_to_string(self.folder.join("web-1.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    pub fn order(&self, scene: &Scene, name: &str, op: MachineOp, expected: Option<&str>) -> Order {
        let act = MachineAct {
            provider: Some("cloud".into()),
            op,
            machine: "web-1".to_owned(),
            image: op.makes_new().then(|| "trixie".to_owned()),
            which: Which::Own,
            other: None,
            params: [].into(),
            answers_within: Span::from_s(1),
        };
        let config = self.config.as_object().unwrap().clone();
        let mut order = scene.order(name, Primitive::Machine(act));
        order.machine = Some(MachineOrder {
            provider: Some(Provider {
                script: self.script.display().to_string(),
                config: config.into_iter().collect(),
            }),
            expected: expected.map(ToOwned::to_owned),
            ..MachineOrder::default()
        });
        order
    }
}

/// The machine id of this machine, which is every host of these tests.
pub fn own_id() -> String {
    let id = std::fs::read_to_string("/etc/machine-id").unwrap();
    id.trim().to_owned()
}

fn running(machine_id: &str) -> Value {
    json!({"identity": "i-1", "state": "running", "machine_id": machine_id})
}

#[tokio::test]
async fn no_machine_is_harmed_before_the_right_one_is_asserted() {
    let own = own_id();
    let other = "0123456789abcdef0123456789abcdef";
    let nameless = json!({"identity": "i-1", "state": "running"});
    for (machine, expected, why) in [
        (
            running(other),
            Some(own.as_str()),
            "means another machine by web-1",
        ),
        (
            running(&own),
            Some(other),
            "not the machine that the plan was made for",
        ),
        (
            running(&own),
            None,
            "not known which machine the plan was made for",
        ),
        (
            nameless,
            Some(own.as_str()),
            "neither machine_id nor product_uuid",
        ),
        (
            json!({"identity": "", "state": "absent"}),
            Some(own.as_str()),
            "knows no machine",
        ),
    ] {
        let scene = Scene::new(By::Native);
        let cloud = Cloud::over(&scene, machine.clone());
        let (reach, _) = registered(&scene, 1).await;
        for op in [MachineOp::Rebuild, MachineOp::Destroy, MachineOp::Stop] {
            let order = cloud.order(&scene, op.word(), op, expected);
            let outcome = reach.act(order, quiet()).await;
            let found = not_begun(&outcome);
            assert!(found.contains(why), "{found}");
        }
        assert_eq!(cloud.machine(), machine, "something was changed");
    }
}

#[tokio::test]
async fn a_provider_that_others_may_write_to_is_never_called() {
    let scene = Scene::new(By::Native);
    let own = own_id();
    let cloud = Cloud::over(&scene, running(&own));
    let (reach, _) = registered(&scene, 1).await;
    std::fs::set_permissions(&cloud.script, std::fs::Permissions::from_mode(0o777)).unwrap();
    for op in [MachineOp::Describe, MachineOp::Stop] {
        let outcome = reach
            .act(cloud.order(&scene, op.word(), op, Some(&own)), quiet())
            .await;
        let why = not_begun(&outcome);
        assert!(why.contains("others may write"), "{why}");
    }
}

#[tokio::test]
async fn a_machine_is_stopped_and_what_is_told_twice_happens_once() {
    let scene = Scene::new(By::Native);
    let own = own_id();
    let cloud = Cloud::over(&scene, running(&own));
    let (reach, _) = registered(&scene, 1).await;
    let stop = cloud.order(&scene, "stop", MachineOp::Stop, Some(&own));
    let outcome = reach.act(stop.clone(), quiet()).await;
    assert_eq!(outputs(&outcome)["machine_id"], own.as_str());
    assert_eq!(cloud.machine()["state"], "stopped");
    // The same attempt again: its receipt answers, nothing is called.
    std::fs::remove_file(cloud.folder.join("web-1.json")).unwrap();
    assert_eq!(reach.act(stop, quiet()).await, outcome);
    // Another attempt with the token of one whose end nobody knows: the same machine.
    let mut made = Vec::new();
    for attempt in ["one", "two"] {
        let mut order = cloud.order(&scene, attempt, MachineOp::Create, None);
        order.machine.as_mut().unwrap().token = Some(AttemptKey::new("the-token"));
        let outcome = reach.act(order, quiet()).await;
        made.push(outputs(&outcome)["identity"].clone());
    }
    assert_eq!(made[0], made[1]);
    let order = cloud.order(&scene, "three", MachineOp::Create, None);
    let outcome = reach.act(order, quiet()).await;
    assert_ne!(outputs(&outcome)["identity"], made[0]);
}

#[tokio::test]
async fn what_answers_after_a_rebuild_must_be_new() {
    let scene = Scene::new(By::Native);
    let own = own_id();
    let cloud = Cloud::over(&scene, running(&own));
    let (reach, first) = registered(&scene, 1).await;
    let order = cloud.order(&scene, "rebuild", MachineOp::Rebuild, Some(&own));
    let outcome = reach.act(order.clone(), quiet()).await;
    let (why, _) = failure(&outcome);
    assert!(
        why.contains("still has the machine id of the old machine"),
        "{why}"
    );
    let end = WorkEnd::Exited {
        code: 0,
        success: true,
    };
    assert!(matches!(&outcome, Outcome::Failed { end: Some(found), .. } if *found == end));
    assert_eq!(cloud.machine()["image"], "trixie");
    // A controller that comes later says the same.
    let settled = reach
        .settle(order, &first.install_id, 1, Unbegun::Refuse)
        .await;
    assert_eq!(settled, Settlement::Ended(outcome));
}

#[tokio::test]
async fn what_a_person_made_anew_is_proven_by_another_machine_id() {
    let scene = Scene::new(By::Native);
    let own = own_id();
    let cloud = Cloud::over(&scene, running(&own));
    let (reach, _) = registered(&scene, 1).await;
    let prove = |name: &str, expected: Option<&str>| {
        let mut order = cloud.order(&scene, name, MachineOp::Prove, expected);
        let Primitive::Machine(act) = &mut order.work else {
            panic!("{order:?}");
        };
        act.provider = None;
        act.image = None;
        order.machine.as_mut().unwrap().provider = None;
        order
    };
    let outcome = reach.act(prove("unknown", None), quiet()).await;
    assert!(not_begun(&outcome).contains("not known which machine"));
    let outcome = reach.act(prove("same", Some(&own)), quiet()).await;
    let why = not_begun(&outcome);
    assert!(
        why.contains("still has the machine id of the old machine"),
        "{why}"
    );
    let other = "0123456789abcdef0123456789abcdef";
    let outcome = reach.act(prove("new", Some(other)), quiet()).await;
    assert_eq!(outputs(&outcome)["machine_id"], own.as_str());
    // No provider was called.
    assert_eq!(cloud.machine(), running(&own));
}

#[tokio::test]
async fn only_the_host_keys_that_the_provider_told_are_taken_and_the_operators_files_stay() {
    for by in [By::Native, By::Openssh] {
        let scene = Scene::new(by);
        let known = scene.sshd.path("known_hosts");
        let foreign = format!(
            "127.0.0.1 {}\n",
            std::fs::read_to_string(scene.sshd.path("client.pub"))
                .unwrap()
                .trim()
        );
        std::fs::write(&known, &foreign).unwrap();
        let mut cloud = Cloud::over(&scene, running("x"));
        let (reach, _) = registered(&scene, 1).await;
        let order = cloud.order(&scene, "create", MachineOp::Create, None);
        let outcome = reach.act(order, quiet()).await;
        let machine = Machine::from_outputs(outputs(&outcome));
        assert_eq!(machine.machine_id, Some(own_id()));
        reach.moved(&scene.host, &machine);
        reach.register(&scene.host, &generation(1)).await.unwrap();
        let after = reach.act(scene.shell("after", "echo new"), quiet()).await;
        assert!(matches!(after, Outcome::Succeeded { .. }), "{after:?}");
        assert_eq!(std::fs::read_to_string(&known).unwrap(), foreign);
        // A controller that takes the run over is told so from the journal.
        let (reach, _) = registered(&scene, 2).await;
        reach.moved(&scene.host, &machine);
        reach.register(&scene.host, &generation(2)).await.unwrap();
        // Another key than the one that answers.
        let foreign = foreign.replacen("127.0.0.1 ", "", 1);
        cloud.config["host_keys"] = json!([foreign.trim()]);
        let mut order = cloud.order(&scene, "other", MachineOp::Create, None);
        order.generation = generation(2);
        let outcome = reach.act(order, quiet()).await;
        let (why, _) = failure(&outcome);
        assert!(why.contains("no new machine answered"), "{why}");
    }
}

#[tokio::test]
async fn answers_out_of_form_fail_the_step() {
    let scene = Scene::new(By::Native);
    let mut cloud = Cloud::over(&scene, running("x"));
    let (reach, _) = registered(&scene, 1).await;
    cloud.script = scene.dir.path().join("odd");
    for (name, script, why) in [
        ("talks", "yes | head -c 100000", "longer than"),
        ("silent", "true", "not of the agreed form"),
        ("fails", "echo no quota >&2; exit 1", "exit code 1"),
        ("cannot", "exit 75", "changed nothing"),
    ] {
        std::fs::write(
            &cloud.script,
            format!("#!/bin/sh\ncat >/dev/null\n{script}\n"),
        )
        .unwrap();
        std::fs::set_permissions(&cloud.script, std::fs::Permissions::from_mode(0o755)).unwrap();
        let order = cloud.order(&scene, name, MachineOp::Create, None);
        let outcome = reach.act(order, quiet()).await;
        let (found, _) = failure(&outcome);
        assert!(found.contains(why), "{name}: {found}");
    }
}

#[test]
fn the_example_in_shell_tells_of_machines() {
    let dir = tempfile::tempdir().unwrap();
    let machine = dir.path().join("web-1");
    std::fs::create_dir(&machine).unwrap();
    std::fs::write(machine.join("identity"), "i-1\n").unwrap();
    std::fs::write(machine.join("machine-id"), "abc\n").unwrap();
    let ask = |op: &str, name: &str| {
        use std::io::Write as _;
        let mut child = Command::new(Path::new(EXAMPLES).join("describe-only.sh"))
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let request = json!({"op": op, "machine": name, "config": {"cloud": dir.path()}});
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(request.to_string().as_bytes()).unwrap();
        drop(stdin);
        let done = child.wait_with_output().unwrap();
        (
            done.status.code(),
            serde_json::from_slice::<Value>(&done.stdout).ok(),
        )
    };
    let told = json!({"identity": "i-1", "state": "running", "machine_id": "abc"});
    assert_eq!(ask("describe", "web-1"), (Some(0), Some(told)));
    let absent = json!({"identity": "", "state": "absent"});
    assert_eq!(ask("describe", "web-2"), (Some(0), Some(absent)));
    assert_eq!(ask("rebuild", "web-1"), (Some(75), None));
}

fn ansible_playbook() -> PathBuf {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let setup = project.join("crates/source/tests/ansible/setup");
    let done = Command::new(setup).status().unwrap();
    assert!(done.success(), "ansible-core cannot be installed");
    project
        .join("target/ansible-core/bin/ansible-playbook")
        .canonicalize()
        .unwrap()
}

/// An inventory with the scene's host, and a playbook with a quick part and one that hangs.
fn project(scene: &Scene) -> (String, String) {
    let known = scene.sshd.path("known_hosts");
    scene
        .sshd
        .known(&scene.sshd.name_in_files(), "host_ed25519");
    let place = |name: &str, text: &str| {
        let path = scene.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let inventory = place(
        "hosts",
        &format!(
            "[web]\nweb-1 ansible_host=127.0.0.1 ansible_port={} ansible_user={} ansible_ssh_private_key_file={} ansible_ssh_common_args='-F /dev/null -o UserKnownHostsFile={}' ansible_python_interpreter=/usr/bin/python3\n",
            scene.sshd.port,
            scene.connection.user.clone().unwrap(),
            scene.connection.identity_files[0],
            known.display(),
        ),
    );
    let playbook = place(
        "site.yaml",
        &format!(
            "- hosts: web\n  gather_facts: false\n  tasks:\n    - name: a line for {{{{ word }}}}\n      ansible.builtin.raw: echo {{{{ word }}}} >>{}\n      tags: [quick]\n    - name: for ever\n      ansible.builtin.raw: sleep 600\n      tags: [hang]\n",
            scene.dir.path().join("mark").display()
        ),
    );
    (inventory, playbook)
}

/// The work of a play, as plans have it.
fn play(inventory: &str, tag: &str, playbook: &str) -> Primitive {
    Primitive::Local(Exec {
        stdin: Some(r#"{"word": "hunter2"}"#.to_owned()),
        env: [("ANSIBLE_NOCOLOR".to_owned(), "1".to_owned())].into(),
        ..Exec::argv([
            "/bin/sh",
            "-eu",
            "-c",
            EXTRA_VARS,
            "sh",
            ansible_playbook().display().to_string().as_str(),
            "--inventory",
            inventory,
            "--limit",
            "web-1",
            "--tags",
            tag,
            playbook,
        ])
    })
}

#[tokio::test]
async fn a_playbook_runs_with_its_tasks_in_sight_and_one_that_hangs_is_ended() {
    let scene = Scene::new(By::Native);
    let (inventory, playbook) = project(&scene);
    let order = |name: &str, tag: &str, total: u64| {
        let mut order = scene.order(name, play(&inventory, tag, &playbook));
        order.limits.total = Span::from_s(total);
        order
    };
    let (reach, _) = registered(&scene, 1).await;
    let printed = Printed::default();
    let outcome = reach
        .act(order("quick", "quick", 120), printed.progress())
        .await;
    assert!(
        matches!(outcome, Outcome::Succeeded { .. }),
        "{outcome:?}\n{}",
        printed.text()
    );
    assert!(
        printed.text().contains("TASK [a line for hunter2]"),
        "{}",
        printed.text()
    );
    assert_eq!(
        std::fs::read_to_string(scene.dir.path().join("mark")).unwrap(),
        "hunter2\n"
    );
    let outcome = reach.act(order("hang", "hang", 15), quiet()).await;
    assert!(
        matches!(
            &outcome,
            Outcome::Failed {
                end: Some(WorkEnd::TimedOut { .. }),
                ..
            }
        ),
        "{outcome:?}"
    );
}
