//! Detached work: carried out, printed, lost sight of and found again.

use crate::each::over_each_transport;
use crate::proxy::Network;
use crate::scene::{Printed, Scene, failure, not_begun, outputs, quiet, unknown};
use crate::support::{By, eventually};
use overhaul_engine::ports::{Reach as _, Vantage};
use overhaul_model::definition::OutputFrom;
use overhaul_model::event::Outcome;
use overhaul_model::primitive::{
    Edit, EditFile, Exec, Measure, Measurement, OutputPolicy, Primitive, Reboot, Wait, WriteFile,
};
use overhaul_model::receipt::WorkEnd;
use overhaul_model::span::Span;
use std::fs;
use std::time::{Duration, Instant};

over_each_transport! {
    commands_end_as_they_end,
    files_are_written_and_edited,
    values_are_whole_and_bounded,
    measures_are_split_by_where_they_are_taken,
    a_killed_sshd_does_not_stop_a_command_and_no_byte_is_lost,
    a_cut_and_a_silent_network_are_outlived,
    a_host_that_refuses_us_while_its_packages_change_is_borne,
    beyond_the_budget_nobody_knows_and_before_the_begin_everybody,
    the_same_attempt_is_never_begun_twice,
    what_is_no_work_for_a_host_is_not_begun,
    a_reboot_that_does_not_happen_is_told,
    a_reboot_from_which_nobody_returns_is_unknown,
}

async fn commands_end_as_they_end(by: By) {
    let scene = Scene::new(by);
    let (reach, _) = scene.registered().await;
    let printed = Printed::default();
    let mut order = scene.shell("good", "echo one; echo '  two  '; echo");
    order.outputs = [("said".to_owned(), OutputFrom::Stdout)].into();
    let good = reach.act(order, printed.progress()).await;
    assert_eq!(outputs(&good)["said"], "one\n  two  \n");
    assert_eq!(printed.text(), "one\n  two  \n\n");
    let Outcome::Succeeded {
        changed, evidence, ..
    } = &good
    else {
        panic!("{good:?}")
    };
    assert!(*changed && evidence == "exit code 0: two", "{evidence}");

    let order = scene.shell(
        "bad",
        "echo before; printf '\\033[31mred\\033[0m\\n' >&2; exit 3",
    );
    let bad = reach.act(order, quiet()).await;
    assert_eq!(failure(&bad), ("exit code 3", "before\nred"));
    assert!(matches!(
        bad,
        Outcome::Failed {
            end: Some(WorkEnd::Exited {
                code: 3,
                success: false
            }),
            ..
        }
    ));

    let missing = Primitive::Exec(Exec::argv(["no-such-program"]));
    let missing = reach.act(scene.order("missing", missing), quiet()).await;
    failure(&missing);

    let mut slow = scene.shell("slow", "echo began; sleep 60");
    slow.limits.total = Span::from_ms(500);
    let slow = reach.act(slow, quiet()).await;
    let (why, tail) = failure(&slow);
    assert!(
        why.starts_with("took longer than 500ms") && tail == "began",
        "{why} {tail}"
    );
}

async fn files_are_written_and_edited(by: By) {
    let scene = Scene::new(by);
    let (reach, _) = scene.registered().await;
    let path = scene.dir.path().join("motd").display().to_string();
    let write = WriteFile {
        path: path.clone(),
        content: "hello\n".to_owned(),
        mode: Some(0o640),
        backup: false,
        absent: false,
    };
    let work = Primitive::WriteFile(write.clone());
    outputs(&reach.act(scene.order("write", work), quiet()).await);
    let host = Vantage::Host(scene.host.clone());
    let within = Span::from_s(5);
    let is = Measure::FileIs(write);
    assert!(reach.measure(&host, &is, within).await.is_so());
    let edit = EditFile {
        path: path.clone(),
        edits: vec![Edit::Line {
            line: "world".to_owned(),
        }],
        validate: None,
        backup: false,
    };
    let work = Primitive::EditFile(edit);
    outputs(&reach.act(scene.order("edit", work), quiet()).await);
    assert_eq!(fs::read_to_string(&path).unwrap(), "hello\nworld\n");
    assert!(matches!(
        reach.measure(&host, &is, within).await,
        Measurement::NotSo { .. }
    ));
}

async fn values_are_whole_and_bounded(by: By) {
    let scene = Scene::new(by);
    let (reach, _) = scene.registered().await;
    let wanted = |name: &str, script: &str| {
        let mut order = scene.shell(name, script);
        order.outputs = [("value".to_owned(), OutputFrom::Stdout)].into();
        order
    };
    let most = wanted("most", "head -c 65536 /dev/zero | tr '\\0' x");
    let outcome = reach.act(most, quiet()).await;
    assert_eq!(outputs(&outcome)["value"].as_str().unwrap().len(), 65_536);
    for (name, script, why) in [
        (
            "long",
            "head -c 65537 /dev/zero | tr '\\0' x",
            "longer than 65536",
        ),
        ("raw", "printf '\\377'", "not UTF-8"),
    ] {
        let outcome = reach.act(wanted(name, script), quiet()).await;
        assert!(failure(&outcome).0.contains(why), "{outcome:?}");
    }
    let mut thrown = wanted("thrown", "echo x");
    if let Primitive::Exec(exec) = &mut thrown.work {
        exec.output = OutputPolicy::None;
    }
    let outcome = reach.act(thrown, quiet()).await;
    assert!(failure(&outcome).0.contains("was not kept"), "{outcome:?}");
    // Output that nobody wants as a value may be of any size.
    let lot = scene.shell(
        "lot",
        "head -c 3000000 /dev/zero | tr '\\0' '\\n'; echo end",
    );
    outputs(&reach.act(lot, quiet()).await);
}

async fn measures_are_split_by_where_they_are_taken(by: By) {
    let scene = Scene::new(by);
    let (reach, _) = scene.registered().await;
    let host = Vantage::Host(scene.host.clone());
    let within = Span::from_s(5);
    let tcp = Measure::Tcp {
        address: format!("127.0.0.1:{}", scene.sshd.port),
    };
    let command = |script: &str| Measure::Command(Exec::shell(script));
    let both = Measure::All(vec![command("true"), tcp.clone()]);
    assert!(reach.measure(&host, &both, within).await.is_so());
    let one = Measure::All(vec![tcp.clone(), Measure::All(vec![command("false")])]);
    assert!(matches!(
        reach.measure(&host, &one, within).await,
        Measurement::NotSo { .. }
    ));
    assert!(
        reach
            .measure(&Vantage::Controller, &tcp, within)
            .await
            .is_so()
    );
    assert!(matches!(
        reach.measure(&Vantage::Controller, &both, within).await,
        Measurement::Unknown { .. }
    ));
    let slow = command("sleep 20");
    let began = Instant::now();
    let got = reach.measure(&host, &slow, Span::from_s(1)).await;
    assert!(matches!(got, Measurement::Unknown { .. }), "{got:?}");
    assert!(began.elapsed() < Duration::from_secs(5));
}

async fn a_killed_sshd_does_not_stop_a_command_and_no_byte_is_lost(by: By) {
    let scene = Scene::new(by);
    let (reach, _) = scene.registered().await;
    let go_on = scene.dir.path().join("go-on");
    let script = format!(
        "i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done; \
         until [ -e '{}' ]; do sleep 0.1; done; \
         while [ $i -lt 4000 ]; do echo line $i; i=$((i+1)); done",
        go_on.display()
    );
    let printed = Printed::default();
    let act = reach.act(scene.shell("long", &script), printed.progress());
    let disturb = async {
        eventually("the first half", || printed.text().contains("line 1999\n")).await;
        scene.sshd.signal_sessions("KILL");
        fs::write(&go_on, "").unwrap();
    };
    let (outcome, ()) = tokio::join!(act, disturb);
    outputs(&outcome);
    let all: String = (0..4000).map(|n| format!("line {n}\n")).collect();
    assert!(printed.text() == all, "{} bytes", printed.text().len());
}

async fn a_cut_and_a_silent_network_are_outlived(by: By) {
    let (scene, proxy) = Scene::behind_proxy(by).await;
    let (reach, _) = scene.registered().await;
    for (name, network) in [("cut", Network::Cut), ("silent", Network::Silent)] {
        let printed = Printed::default();
        let script = "echo began; sleep 3; echo ended";
        let act = reach.act(scene.shell(name, script), printed.progress());
        let disturb = async {
            eventually("the begin", || printed.text().contains("began")).await;
            proxy.set(network);
            tokio::time::sleep(Duration::from_secs(4)).await;
            proxy.set(Network::Good);
        };
        let (outcome, ()) = tokio::join!(act, disturb);
        outputs(&outcome);
        assert_eq!(printed.text(), "began\nended\n", "{name}");
    }
}

async fn a_host_that_refuses_us_while_its_packages_change_is_borne(by: By) {
    let (scene, proxy) = Scene::behind_proxy(by).await;
    let (reach, _) = scene.registered().await;
    let printed = Printed::default();
    let order = scene.shell("long", "echo began; sleep 2; echo ended");
    let act = reach.act(order, printed.progress());
    let disturb = async {
        eventually("the begin", || printed.text().contains("began")).await;
        let keys = scene.sshd.path("authorized_keys");
        let kept = fs::read(&keys).unwrap();
        fs::write(&keys, "").unwrap();
        proxy.set(Network::Cut);
        tokio::time::sleep(Duration::from_millis(200)).await;
        proxy.set(Network::Good);
        tokio::time::sleep(Duration::from_secs(2)).await;
        fs::write(&keys, kept).unwrap();
    };
    let (outcome, ()) = tokio::join!(act, disturb);
    outputs(&outcome);
    assert_eq!(printed.text(), "began\nended\n");
    assert!(
        scene
            .sshd
            .log()
            .contains("Connection closed by authenticating user")
    );
}

async fn beyond_the_budget_nobody_knows_and_before_the_begin_everybody(by: By) {
    let (mut scene, proxy) = Scene::behind_proxy(by).await;
    scene.settings.reconnect_budget = Duration::from_secs(1);
    let (reach, _) = scene.registered().await;
    let printed = Printed::default();
    let order = scene.shell("long", "echo began; sleep 2; echo ended");
    let act = reach.act(order, printed.progress());
    let disturb = async {
        eventually("the begin", || printed.text().contains("began")).await;
        proxy.set(Network::Cut);
    };
    let (outcome, ()) = tokio::join!(act, disturb);
    assert!(unknown(&outcome).contains("it had begun"), "{outcome:?}");

    let outcome = reach.act(scene.shell("next", "true"), quiet()).await;
    not_begun(&outcome);
}

async fn the_same_attempt_is_never_begun_twice(by: By) {
    let scene = Scene::new(by);
    let (reach, _) = scene.registered().await;
    let count = scene.dir.path().join("count");
    let order = scene.shell(
        "once",
        &format!("echo run >>'{}'; sleep 1; echo end", count.display()),
    );
    let (first, second) = tokio::join!(
        reach.act(order.clone(), quiet()),
        reach.act(order.clone(), quiet())
    );
    outputs(&first);
    outputs(&second);
    let printed = Printed::default();
    outputs(&scene.reach().act(order, printed.progress()).await);
    assert_eq!(printed.text(), "end\n");
    assert_eq!(fs::read_to_string(count).unwrap(), "run\n");
}

async fn what_is_no_work_for_a_host_is_not_begun(by: By) {
    let scene = Scene::new(by);
    let (reach, _) = scene.registered().await;
    let wait = Primitive::Wait(Wait {
        until: Measure::PackagesClean,
        every: Span::from_s(1),
        at_most: Span::from_s(1),
    });
    not_begun(&reach.act(scene.order("wait", wait), quiet()).await);
}

async fn a_reboot_that_does_not_happen_is_told(by: By) {
    let scene = Scene::new(by);
    let (reach, _) = scene.registered().await;
    let reboot = |command: &[&str]| {
        Primitive::Reboot(Reboot {
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            back_within: Span::from_s(4),
        })
    };
    let refused = scene.order("refused", reboot(&["false"]));
    failure(&reach.act(refused, quiet()).await);
    let ignored = reach
        .act(scene.order("ignored", reboot(&["true"])), quiet())
        .await;
    assert!(failure(&ignored).0.contains("same boot"), "{ignored:?}");
}

async fn a_reboot_from_which_nobody_returns_is_unknown(by: By) {
    let (scene, proxy) = Scene::behind_proxy(by).await;
    let (reach, _) = scene.registered().await;
    let reboot = Primitive::Reboot(Reboot {
        command: vec!["true".to_owned()],
        back_within: Span::from_s(5),
    });
    let act = reach.act(scene.order("gone", reboot), quiet());
    let disturb = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        proxy.set(Network::Cut);
    };
    let (outcome, ()) = tokio::join!(act, disturb);
    assert!(
        unknown(&outcome).contains("not back within 5s"),
        "{outcome:?}"
    );
}
