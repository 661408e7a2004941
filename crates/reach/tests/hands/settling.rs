//! What a later controller learns of an attempt that an earlier one began.

use crate::each::over_each_transport;
use crate::proxy::Network;
use crate::scene::{Printed, Scene, not_begun, outputs, quiet, unknown};
use crate::support::{By, eventually};
use overhaul_engine::ports::{Order, Reach as _, Registration, Unbegun};
use overhaul_model::definition::OutputFrom;
use overhaul_model::event::{Outcome, Settlement};
use overhaul_model::id::{AttemptKey, Digest, InstallId};
use overhaul_model::primitive::{Primitive, Reboot};
use overhaul_model::span::Span;
use std::fs;
use std::time::Duration;

over_each_transport! {
    work_that_went_on_alone_is_found_with_its_output,
    what_never_began_is_told_apart_from_what_cannot_be_known,
    an_unreachable_host_settles_nothing,
    what_is_known_to_have_begun_never_counts_as_not_begun,
    what_is_followed_is_never_begun,
    an_earlier_attempt_that_is_still_at_work_is_followed,
}

/// Asks as a controller that was started later, until the work has ended.
async fn settled(scene: &Scene, order: &Order, registration: &Registration) -> Settlement {
    let reach = scene.reach();
    for _ in 0..100 {
        let settlement = reach
            .settle(
                order.clone(),
                &registration.install_id,
                registration.sequence,
                Unbegun::Refuse,
            )
            .await;
        if settlement != Settlement::Running {
            return settlement;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it never ends");
}

#[track_caller]
fn reason(settlement: &Settlement) -> &str {
    match settlement {
        Settlement::Unknown { reason } => reason,
        other => panic!("{other:?}"),
    }
}

async fn work_that_went_on_alone_is_found_with_its_output(by: By) {
    let (mut scene, proxy) = Scene::behind_proxy(by).await;
    scene.settings.reconnect_budget = Duration::from_millis(500);
    let (reach, registration) = scene.registered().await;
    let mut order = scene.shell("long", "echo began; sleep 4; echo ended");
    order.outputs = [("said".to_owned(), OutputFrom::Stdout)].into();
    let printed = Printed::default();
    let act = reach.act(order.clone(), printed.progress());
    let disturb = async {
        eventually("the begin", || printed.text().contains("began")).await;
        proxy.set(Network::Cut);
    };
    let (outcome, ()) = tokio::join!(act, disturb);
    unknown(&outcome);
    proxy.set(Network::Good);
    scene.settings.reconnect_budget = Duration::from_secs(30);

    let first = scene
        .reach()
        .settle(
            order.clone(),
            &registration.install_id,
            registration.sequence,
            Unbegun::Refuse,
        )
        .await;
    assert_eq!(first, Settlement::Running);
    let Settlement::Ended(outcome) = settled(&scene, &order, &registration).await else {
        panic!("not ended")
    };
    assert_eq!(outputs(&outcome)["said"], "began\nended");
}

async fn what_never_began_is_told_apart_from_what_cannot_be_known(by: By) {
    let scene = Scene::new(by);
    let (reach, registration) = scene.registered().await;
    let never = scene.shell("never", "true");
    assert_eq!(
        settled(&scene, &never, &registration).await,
        Settlement::NeverBegan
    );
    let order = scene.shell("done", "true");
    outputs(&reach.act(order.clone(), quiet()).await);
    assert!(matches!(
        settled(&scene, &order, &registration).await,
        Settlement::Ended(Outcome::Succeeded { .. })
    ));

    let mut another = order.clone();
    another.step = Digest::of("another step");
    let settlement = settled(&scene, &another, &registration).await;
    assert!(reason(&settlement).contains("another step"));

    let ahead = Registration {
        sequence: registration.sequence + 1_000,
        ..registration.clone()
    };
    let late = scene.shell("late", "true");
    let settlement = settled(&scene, &late, &ahead).await;
    assert!(reason(&settlement).contains("back in time"));
    // Its request comes after that, and begins nothing.
    let outcome = reach.act(late, quiet()).await;
    assert!(
        matches!(outcome, Outcome::Failed { end: None, .. }),
        "{outcome:?}"
    );

    let other = Registration {
        install_id: InstallId::new("another"),
        ..registration.clone()
    };
    let settlement = settled(&scene, &never, &other).await;
    assert!(reason(&settlement).contains("another receipt store"));

    // Reinstalled: the state folder is gone, and with it what was done.
    drop(reach);
    fs::remove_dir_all(scene.state()).unwrap();
    let settlement = settled(&scene, &order, &registration).await;
    assert!(reason(&settlement).contains("another receipt store"));
}

async fn an_unreachable_host_settles_nothing(by: By) {
    let (mut scene, proxy) = Scene::behind_proxy(by).await;
    scene.settings.reconnect_budget = Duration::from_millis(500);
    let (_, registration) = scene.registered().await;
    proxy.set(Network::Cut);
    let order = scene.shell("any", "true");
    let settlement = settled(&scene, &order, &registration).await;
    reason(&settlement);
}

/// A receipt had told that it is at work; then its host went away before it was attached to.
async fn what_is_known_to_have_begun_never_counts_as_not_begun(by: By) {
    let (mut scene, proxy) = Scene::behind_proxy(by).await;
    scene.settings.reconnect_budget = Duration::from_millis(500);
    let (_, _) = scene.registered().await;
    proxy.set(Network::Cut);
    let reboot = Primitive::Reboot(Reboot {
        command: vec!["false".to_owned()],
        back_within: Span::from_s(2),
    });
    for order in [scene.shell("any", "true"), scene.order("reboot", reboot)] {
        let reach = scene.reach();
        not_begun(&reach.act(order.clone(), quiet()).await);
        let order = Order {
            begun: true,
            ..order
        };
        let outcome = reach.act(order, quiet()).await;
        assert!(unknown(&outcome).contains("it had begun"), "{outcome:?}");
    }
}

/// The host knows nothing of it: then it does not begin there now.
async fn what_is_followed_is_never_begun(by: By) {
    let scene = Scene::new(by);
    let (reach, _) = scene.registered().await;
    let trace = scene.state().join("trace");
    let order = Order {
        begun: true,
        ..scene.shell("any", &format!("touch {}", trace.display()))
    };
    unknown(&reach.act(order, quiet()).await);
    assert!(!trace.exists());
}

/// Nobody could ask for its receipt, and the step is tried again: its work is done once.
async fn an_earlier_attempt_that_is_still_at_work_is_followed(by: By) {
    let scene = Scene::new(by);
    let (first, _) = scene.registered().await;
    let trace = scene.state().join("trace");
    let script = format!("echo begun >>{}; sleep 2; echo done", trace.display());
    let before = scene.shell("step", &script);
    let begun = first.act(before.clone(), quiet());
    let seen = || trace.exists();
    tokio::select! {
        outcome = begun => panic!("{outcome:?}"),
        () = eventually("it has begun", seen) => {}
    }
    let next = Order {
        key: AttemptKey::new("next"),
        earlier: vec![before.key.clone()],
        ..before
    };
    let printed = Printed::default();
    let outcome = scene.reach().act(next, printed.progress()).await;
    assert!(matches!(outcome, Outcome::Succeeded { .. }), "{outcome:?}");
    assert_eq!(printed.text(), "done\n");
    assert_eq!(fs::read_to_string(&trace).unwrap(), "begun\n");
}
