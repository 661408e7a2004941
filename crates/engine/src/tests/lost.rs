//! A journal that lost its last rows: the next controller asks the receipts, and nothing is begun twice.

use super::crash::{assert_honest, effects, world};
use super::plans::{ONCE, does, plan_of};
use super::world::World;
use crate::RunEnd;
use overhaul_machine::StepState;
use overhaul_model::action::Retry;
use overhaul_model::event::{Event, Record, Verdict};
use overhaul_model::span::Span;
use overhaul_model::step::Step;
use std::sync::Arc;

/// Distance between the points at which the first controller dies: all of them take minutes.
const POINTS_APART: usize = 9;

/// The journal as `doctor --salvage` makes it: its first rows, and the row that says so.
fn salvage(world: &Arc<World>, kept: usize) {
    let mut inner = world.inner();
    let known = inner.records.len() as u64;
    inner.records.truncate(kept);
    let last = inner.records.last().unwrap();
    let row = Record {
        seq: last.seq + 1,
        at: last.at,
        before: last.digest().unwrap(),
        event: Event::Salvaged {
            person: "anna".into(),
            kept: kept as u64,
            known,
            why: "a page is torn".to_owned(),
            counter: 1_000_000,
        },
    };
    inner.records.push(row);
    // Requests are lost as well: they are to be made again.
    inner.requests.clear();
    inner.settled.clear();
}

/// Lives until the first controller dies at this point, loses all rows behind those that are kept, and goes
/// on to the end.
async fn live(disturb: impl Fn(&World), die_at: usize, lost: usize) -> (Arc<World>, u32, String) {
    let world = world();
    disturb(&world);
    world.inner().die_at = vec![die_at];
    let (_keep, control) = tokio::sync::mpsc::unbounded_channel();
    let _ = world.controller(control).await;
    let rows = world.inner().records.len();
    let kept = rows.saturating_sub(lost).max(1);
    let context = format!("dead at {die_at}, {kept} of {rows} rows are left");
    if rows == 0 || world.replayed().verdict().is_some() {
        return (world, 0, context);
    }
    salvage(&world, kept);
    let (end, asked) = world.to_the_end().await;
    assert_eq!(end, RunEnd::Finished(Verdict::Complete), "{context}");
    (world, asked, context)
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_lost_its_last_rows_begins_nothing_twice_and_comes_to_the_same_end() {
    let calm = world();
    calm.to_the_end().await;
    let wanted = effects(&calm);
    let points = calm.inner().points;
    let (mut lives, mut questions) = (0, 0);
    for die_at in (0..points).step_by(POINTS_APART) {
        for lost in [1, 2, 3, 5, 8, 13, 21, 34, usize::MAX] {
            let (world, asked, context) = live(|_| {}, die_at, lost).await;
            if world.replayed().verdict().is_none() {
                continue;
            }
            lives += 1;
            questions += asked;
            assert_eq!(effects(&world), wanted, "{context}");
            assert_honest(&world, &context);
            let once_each = ["migrate", "upgrade"];
            for target in world.inner().targets.values() {
                for effect in once_each {
                    assert!(target.count(effect) <= 1, "{context}: {effect}");
                }
            }
            for (position, state) in world.replayed().positions() {
                // The receipt of the step that it helped says that no remedy is needed any more.
                let remedy = position.step.as_str() == "change/oil";
                assert!(
                    matches!(state, StepState::Done { .. })
                        || (remedy && *state == StepState::Waiting),
                    "{context}: {position} is {state:?}"
                );
            }
        }
    }
    println!("{points} points, {lives} journals that lost rows, {questions} questions");
    assert!(lives > 100, "{lives}");
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_only_lost_rows_knew_is_found_by_its_number() {
    // The first attempt's connection is refused before it begins: the second one is the one that works.
    let world = World::new(plan_of(Step {
        retry: Retry {
            attempts: 2,
            back_off: Span::from_s(1),
        },
        ..does("upgrade", 5_000, ONCE)
    }));
    world.inner().refuse_acts = 1;
    world.to_the_end().await;
    let started = |e: &Event| matches!(e, Event::Started { .. });
    let rows = world.events();
    assert_eq!(rows.iter().filter(|e| started(e)).count(), 2, "{rows:?}");
    let first = rows.iter().position(started).unwrap();
    for kept in [first, first + 1, first + 2, first + 3] {
        let lost = World::new(world.plan.clone());
        {
            let (mut new, old) = (lost.inner(), world.inner());
            new.records.clone_from(&old.records);
            new.targets.clone_from(&old.targets);
        }
        salvage(&lost, kept);
        let (end, asked) = lost.to_the_end().await;
        assert_eq!(
            (end, asked),
            (RunEnd::Finished(Verdict::Complete), 0),
            "{kept}"
        );
        for target in lost.inner().targets.values() {
            assert!(target.count("upgrade") <= 1, "{kept} rows kept");
        }
    }
}
