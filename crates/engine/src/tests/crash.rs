//! The enumerated crash test: the controller dies before and after every write of the journal and
//! the inbox, and around every message to a host, and the next one brings the run to the same end.

use super::plans::{skeleton, with_service};
use super::world::World;
use crate::RunEnd;
use overhaul_machine::StepState;
use overhaul_model::event::{Choice, Event, Verdict};
use overhaul_model::id::Position;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Fewer points than this would mean that the test looks away from something. Rows that become durable
/// together have two points in all.
const POINTS_MIN: usize = 200;

/// Effects that must not come twice without a person's word.
const ONCE: [&str; 3] = ["upgrade", "migrate", "hand-over"];

pub fn world() -> Arc<World> {
    World::new(with_service(skeleton(), "shop", "stop", "start"))
}

/// Every effect that is there at the end, by host.
pub fn effects(world: &World) -> BTreeSet<(String, String)> {
    let now = world.now_ms();
    let inner = world.inner();
    let mut found = BTreeSet::new();
    for (host, target) in &inner.targets {
        for effect in &target.log {
            if target.has(effect, now) {
                found.insert((host.to_string(), effect.clone()));
            }
        }
    }
    found
}

/// What must hold at every end, however the run came there.
pub fn assert_honest(world: &World, context: &str) {
    let run = world.replayed();
    let inner = world.inner();
    for (host, target) in &inner.targets {
        assert_eq!(target.holder, None, "{context}: {host} was not released");
        let (hold, let_go) = (target.count("hold"), target.count("let-go"));
        assert!(
            hold == 0 || let_go >= 1,
            "{context}: the scope on {host} was not closed"
        );
        if hold > 0 {
            let last = |effect: &str| target.log.iter().rposition(|e| e == effect);
            assert!(
                last("hold") < last("let-go"),
                "{context}: the scope on {host} is open again"
            );
        }
    }
    drop(inner);
    for (position, _) in run.positions() {
        let effect = position
            .step
            .as_str()
            .rsplit('/')
            .next()
            .unwrap()
            .to_owned();
        let Some(host) = position
            .host
            .clone()
            .filter(|_| ONCE.contains(&effect.as_str()))
        else {
            continue;
        };
        let times = world.inner().targets[&host].count(&effect);
        let allowed = 1 + world.decisions_on("retry", &position);
        assert!(
            times <= allowed,
            "{context}: {position} was begun {times} times"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_controller_that_dies_anywhere_leaves_a_run_that_comes_to_the_same_end() {
    let calm = world();
    let (end, asked) = calm.to_the_end().await;
    assert_eq!((end, asked), (RunEnd::Finished(Verdict::Complete), 0));
    let points = calm.inner().points;
    let wanted = effects(&calm);
    assert_honest(&calm, "undisturbed");
    assert!(points > POINTS_MIN, "{points} points");
    let mut decisions = 0;
    for point in 0..points {
        // A second death soon after the first: the way back must bear one too.
        for die_at in [vec![point], vec![point, point + 6]] {
            let world = world();
            world.inner().die_at.clone_from(&die_at);
            let (end, asked) = world.to_the_end().await;
            let context = format!("dead at {die_at:?}");
            assert_eq!(end, RunEnd::Finished(Verdict::Complete), "{context}");
            assert_eq!(effects(&world), wanted, "{context}");
            assert_honest(&world, &context);
            for (position, state) in world.replayed().positions() {
                assert!(
                    matches!(state, StepState::Done { .. }),
                    "{context}: {position} is {state:?}"
                );
            }
            decisions += asked;
        }
    }
    println!("{points} points, each died at once and twice; a person was asked {decisions} times");
    assert!(
        decisions > 0,
        "work that ends with its connection cannot be settled without a person"
    );
}

#[tokio::test(start_paused = true)]
async fn an_abort_that_is_interrupted_anywhere_still_closes_and_releases() {
    let aborted = || {
        let world = world();
        world.inner().abort_after = Some("change/upgrade@a".parse().unwrap());
        world
    };
    let calm = aborted();
    assert_eq!(
        calm.to_the_end().await,
        (RunEnd::Finished(Verdict::Aborted), 0)
    );
    assert_honest(&calm, "undisturbed");
    let points = calm.inner().points;
    for point in 0..points {
        let world = aborted();
        world.inner().die_at = vec![point];
        let (end, _) = world.to_the_end().await;
        let context = format!("dead at {point}");
        assert_eq!(end, RunEnd::Finished(Verdict::Aborted), "{context}");
        assert_honest(&world, &context);
    }
    println!("{points} points of a run that is aborted");
    assert!(points > POINTS_MIN / 2, "{points} points");
}

#[tokio::test(start_paused = true)]
async fn every_request_becomes_one_event_wherever_the_controller_dies() {
    let calm = world();
    calm.to_the_end().await;
    let points = calm.inner().points;
    for point in 0..points {
        let world = world();
        world.inner().die_at = vec![point];
        let skip: Position = "finish/say".parse().unwrap();
        let nonce = world.request(Choice::Skip { position: skip }, "nobody listens");
        world.to_the_end().await;
        let answers = |e: &&Event| match e {
            Event::Decided(decision) => decision.nonce == nonce,
            Event::Declined { nonce: n, .. } => *n == nonce,
            _ => false,
        };
        assert_eq!(
            world.events().iter().filter(answers).count(),
            1,
            "dead at {point}"
        );
        assert!(world.inner().settled.contains(&nonce), "dead at {point}");
    }
}
