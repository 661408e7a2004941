//! Parts of a run: limits, hosts that are left for later, and what is cleared away after the end. Each of
//! them bears the death of its controller anywhere.

use super::crash::{assert_honest, effects, world};
use super::plans::{ONCE, argv, block, does, plan_of, roll, sequence, skeleton, step};
use super::world::World;
use crate::{EngineError, RunEnd};
use jiff::Timestamp;
use overhaul_machine::StepState;
use overhaul_model::definition::Slot;
use overhaul_model::event::{Choice, Event, Sitting, Until, Verdict};
use overhaul_model::plan::Block;
use overhaul_model::primitive::Primitive;
use std::sync::Arc;
use std::time::Duration;

const COMPLETE: RunEnd = RunEnd::Finished(Verdict::Complete);

/// A day that is an hour after the beginning of every world.
fn in_an_hour() -> Timestamp {
    Timestamp::from_second(1_800_000_000 + 3_600).unwrap()
}

fn only_a() -> Sitting {
    Sitting {
        words: "--limit a".to_owned(),
        hosts: Some(["a".into()].into()),
        ..Sitting::default()
    }
}

fn effects_on(world: &World, host: &str) -> Vec<String> {
    let all = effects(world).into_iter();
    all.filter(|(on, _)| on == host).map(|(_, e)| e).collect()
}

#[tokio::test(start_paused = true)]
async fn a_limited_sitting_that_dies_anywhere_begins_nothing_outside_and_the_end_is_the_same() {
    let calm = world();
    calm.to_the_end().await;
    let wanted = effects(&calm);
    let limited = || {
        let world = world();
        world.inner().sitting = Some(only_a());
        world
    };
    let calm = limited();
    assert_eq!(calm.to_the_end().await, (RunEnd::Limited, 0));
    // Preparations of b are outside, and the change of a comes after them.
    assert!(effects_on(&calm, "a").contains(&"copy".to_owned()));
    assert!(!effects_on(&calm, "a").contains(&"upgrade".to_owned()));
    assert_eq!(effects_on(&calm, "b"), Vec::<String>::new());
    let points = calm.inner().points;
    for point in 0..points {
        let world = limited();
        world.inner().die_at = vec![point];
        let (end, _) = world.to_the_end().await;
        let context = format!("dead at {point}");
        assert_eq!(end, RunEnd::Limited, "{context}");
        assert_eq!(effects_on(&world, "b"), Vec::<String>::new(), "{context}");
        world.inner().sitting = None;
        assert_eq!(world.to_the_end().await.0, COMPLETE, "{context}");
        assert_eq!(effects(&world), wanted, "{context}");
        assert_honest(&world, &context);
    }
    assert!(points > 40, "{points} points");
}

#[tokio::test(start_paused = true)]
async fn a_scope_is_opened_only_where_it_can_be_closed_and_closed_where_its_end_is_meant() {
    let until = |until| Sitting {
        words: "until".to_owned(),
        until: Some(until),
        ..Sitting::default()
    };
    let world = World::new(skeleton());
    world.inner().sitting = Some(until(Until::Step("prepare/copy".into())));
    assert_eq!(world.to_the_end().await, (RunEnd::Limited, 0));
    assert_eq!(world.state("prepare/copy@b").word(), "done");
    assert_eq!(world.state("prepare/read-back@b").word(), "ready");
    // The step stands inside a scope: what the scope set up is taken away again.
    world.inner().sitting = Some(until(Until::Step("change/stop".into())));
    assert_eq!(world.to_the_end().await.0, RunEnd::Limited);
    assert_eq!(world.state("change/let-go@a").word(), "done");
    assert_eq!(world.state("finish/wait@a").word(), "ready");
    world.inner().sitting = Some(until(Until::Slot(Slot::Migrate)));
    let (_keep, control) = tokio::sync::mpsc::unbounded_channel();
    let refused = world.controller(control).await.unwrap();
    assert!(
        matches!(&refused, Err(EngineError::Refused(why)) if why.contains("migrate")),
        "{refused:?}"
    );
    world.inner().sitting = None;
    assert_eq!(world.to_the_end().await, (COMPLETE, 0));
}

fn postpone_b(world: &World) {
    let (host, until) = ("b".into(), in_an_hour());
    world.request(Choice::Postpone { host, until }, "its disk is on its way");
}

#[tokio::test(start_paused = true)]
async fn a_postponed_host_is_taken_up_on_its_day_wherever_the_controller_dies() {
    let calm = world();
    calm.to_the_end().await;
    let wanted = effects(&calm);
    let calm = world();
    postpone_b(&calm);
    let until = in_an_hour();
    assert_eq!(calm.to_the_end().await, (RunEnd::Postponed { until }, 0));
    assert_eq!(effects_on(&calm, "b"), Vec::<String>::new());
    assert_eq!(calm.state("finish/say").word(), "done");
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert_eq!(calm.to_the_end().await, (COMPLETE, 0));
    assert_eq!(effects(&calm), wanted);
    let points = calm.inner().points;
    for point in 0..points {
        let world = world();
        postpone_b(&world);
        world.inner().die_at = vec![point];
        let context = format!("dead at {point}");
        let (mut end, _) = world.to_the_end().await;
        if end != COMPLETE {
            assert_eq!(end, RunEnd::Postponed { until }, "{context}");
            assert_eq!(effects_on(&world, "b"), Vec::<String>::new(), "{context}");
            tokio::time::sleep(Duration::from_secs(3_600)).await;
            (end, _) = world.to_the_end().await;
        }
        assert_eq!(end, COMPLETE, "{context}");
        assert_eq!(effects(&world), wanted, "{context}");
        assert_honest(&world, &context);
    }
    assert!(points > 150, "{points} points");
}

#[tokio::test(start_paused = true)]
async fn a_host_that_does_not_answer_can_be_postponed_taken_up_early_or_left_out() {
    let gone = || {
        let world = World::new(skeleton());
        world.inner().refuse.insert("b".into(), (100, false));
        world
    };
    for leave_out in [false, true] {
        let world = gone();
        let RunEnd::NeedsPerson { positions } = world.once().await else {
            panic!("it goes on without b");
        };
        assert_eq!(positions.len(), 1);
        postpone_b(&world);
        let until = in_an_hour();
        assert_eq!(world.to_the_end().await, (RunEnd::Postponed { until }, 0));
        assert_eq!(world.state("finish/wait@a").word(), "done");
        let host = "b".into();
        let (choice, word) = match leave_out {
            true => (Choice::LeaveOut { host }, "skipped"),
            false => (Choice::TakeUp { host }, "done"),
        };
        world.inner().refuse.clear();
        world.request(choice, "it is scrapped");
        assert_eq!(world.to_the_end().await, (COMPLETE, 0));
        for (position, state) in world.replayed().positions() {
            let own = position.host == Some("b".into()) && !position.step.as_str().ends_with("oil");
            assert!(!own || state.word() == word, "{position} is {state:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_postponed_is_declined_with_the_reason() {
    let until = in_an_hour();
    let fails = step("all/x", Primitive::Exec(argv("fail x 10")), ONCE);
    let world = World::new(plan_of(fails));
    world.once().await;
    for (host, why) in [
        ("x", "the plan has no host `x`"),
        (
            "a",
            "a is under way in all: a turn that was begun comes to its end first",
        ),
    ] {
        let host = host.into();
        let nonce = world.request(Choice::Postpone { host, until }, "later");
        world.once().await;
        let said = world.events().into_iter().find_map(|event| match event {
            Event::Declined { nonce: n, why } if n == nonce => Some(why),
            _ => None,
        });
        assert_eq!(said.as_deref(), Some(why));
    }
}

fn with_cleanup() -> Arc<World> {
    let drop_old = roll("cleanup/old", block(does("cleanup/old/drop", 50, ONCE)));
    let sweep = roll(
        "cleanup/sweep",
        block(does("cleanup/sweep/sweep", 50, ONCE)),
    );
    let mut plan = skeleton();
    let turns = plan.rolls.values().next().unwrap().clone();
    for id in ["cleanup/old", "cleanup/sweep"] {
        plan.rolls.insert(id.into(), turns.clone());
    }
    if let Block::Sequence { blocks, .. } = &mut plan.root {
        blocks.push(sequence("cleanup", vec![drop_old, sweep]));
    }
    World::new(plan)
}

#[tokio::test(start_paused = true)]
async fn cleanup_is_entered_by_name_only_and_after_the_end() {
    let world = with_cleanup();
    assert_eq!(world.to_the_end().await, (COMPLETE, 0));
    let points = world.inner().points;
    let before = effects(&world);
    assert!(!before.iter().any(|(_, effect)| effect == "drop"));
    world.inner().cleanup = vec!["cleanup/old".into()];
    assert_eq!(world.to_the_end().await, (COMPLETE, 0));
    let mut wanted = before.clone();
    for host in ["a", "b"] {
        wanted.insert((host.to_owned(), "drop".to_owned()));
    }
    assert_eq!(effects(&world), wanted);
    let all = world.inner().points;
    assert!(all > points + 8, "{points} and {all} points");
    for point in points..all {
        let world = with_cleanup();
        world.to_the_end().await;
        world.inner().cleanup = vec!["cleanup/old".into()];
        world.inner().die_at = vec![point];
        let context = format!("dead at {point}");
        assert_eq!(world.to_the_end().await.0, COMPLETE, "{context}");
        assert_eq!(effects(&world), wanted, "{context}");
        assert_honest(&world, &context);
        let state = world.state("cleanup/sweep/sweep@a");
        assert_eq!(state, StepState::Waiting, "{context}");
    }
}
