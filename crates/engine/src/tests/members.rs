//! A service keeps its minimum although many hosts have their turn at once.

use super::plans::{ONCE, block, does, plan, roll, sequence, so, step, with_service};
use super::world::World;
use crate::RunEnd;
use overhaul_model::action::Repeat;
use overhaul_model::definition::{Guard, Test};
use overhaul_model::event::{Event, Verdict};
use overhaul_model::id::HostName;
use overhaul_model::primitive::{Primitive, Wait};
use overhaul_model::span::Span;
use std::collections::BTreeSet;
use std::sync::Arc;

const HOSTS: [&str; 4] = ["a", "b", "c", "d"];

/// All hosts at once: each stops the service, works, and starts it again.
fn world(at_least: Option<u32>, at_most: Span) -> Arc<World> {
    let wait = Wait {
        until: so("lacks gone"),
        every: Span::from_s(1),
        at_most: Span::from_s(60),
    };
    let mut begin = step("begin", Primitive::Wait(wait), Repeat::Safe);
    begin.guards = at_least
        .map(|at_least| Guard {
            name: "others serve".to_owned(),
            test: Test::Members {
                service: "shop".into(),
                at_least,
            },
            at_most,
        })
        .into_iter()
        .collect();
    let body = sequence(
        "turn",
        vec![
            block(begin),
            block(does("stop", 1_000, ONCE)),
            block(does("work", 20_000, ONCE)),
            block(does("start", 1_000, ONCE)),
        ],
    );
    let at_once = HOSTS.len().try_into().unwrap();
    let plan = plan(&HOSTS, at_once, roll("all", body));
    World::new(with_service(plan, "shop", "stop", "start"))
}

/// The most hosts that were away at one time: from the intent to stop until the end of the start.
fn most_away(world: &World) -> usize {
    let mut away: BTreeSet<HostName> = BTreeSet::new();
    let mut most = 0;
    for event in world.events() {
        match event {
            Event::Started { position, .. } if position.step.as_str() == "stop" => {
                away.extend(position.host);
            }
            Event::Ended { position, .. } | Event::Settled { position, .. }
                if position.step.as_str() == "start" =>
            {
                away.retain(|host| Some(host) != position.host.as_ref());
            }
            _ => {}
        }
        most = most.max(away.len());
    }
    most
}

#[tokio::test(start_paused = true)]
async fn so_many_are_away_as_may_be_and_no_more() {
    for (at_least, expected) in [(None, 4), (Some(1), 3), (Some(2), 2), (Some(3), 1)] {
        let world = world(at_least, Span::from_s(3_600));
        assert_eq!(world.once().await, RunEnd::Finished(Verdict::Complete));
        assert_eq!(most_away(&world), expected, "{at_least:?} must stay");
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_does_not_serve_counts_as_away() {
    let world = world(Some(2), Span::from_s(3_600));
    let down = HostName::new("d");
    world
        .inner()
        .targets
        .get_mut(&down)
        .unwrap()
        .log
        .push("stop".to_owned());
    assert_eq!(world.once().await, RunEnd::Finished(Verdict::Complete));
    let first_of = |host: &str, step: &str| {
        let is_it = |event: &Event| {
            matches!(event, Event::Started { position, .. }
            if position.step.as_str() == step && position.host == Some(host.into()))
        };
        world.events().iter().position(is_it).unwrap()
    };
    // It may go itself: nobody misses it. Until it is back, one other may.
    let others: Vec<usize> = ["a", "b", "c"].map(|host| first_of(host, "stop")).to_vec();
    let back = first_of("d", "start");
    let before_it_is_back = others.iter().filter(|at| **at < back).count();
    assert!(before_it_is_back <= 1, "{others:?} before {back}");
}

#[tokio::test(start_paused = true)]
async fn a_minimum_that_is_never_there_is_a_persons_after_the_bound() {
    let world = world(Some(4), Span::from_s(60));
    let RunEnd::NeedsPerson { .. } = world.once().await else {
        panic!("it went on with fewer than must stay");
    };
    assert_eq!(most_away(&world), 0);
    assert_eq!(world.state("begin@a").word(), "failed");
}

#[tokio::test(start_paused = true)]
async fn who_takes_over_knows_who_is_away() {
    let undisturbed = world(Some(2), Span::from_s(3_600));
    undisturbed.once().await;
    let points = undisturbed.inner().points;
    for point in (0..points).step_by(7) {
        let world = world(Some(2), Span::from_s(3_600));
        world.inner().die_at = vec![point];
        let (end, _) = world.to_the_end().await;
        assert_eq!(end, RunEnd::Finished(Verdict::Complete), "died at {point}");
        assert!(
            most_away(&world) <= 2,
            "died at {point}: {} away",
            most_away(&world)
        );
    }
}
