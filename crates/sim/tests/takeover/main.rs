//! Controllers that take a run over from each other, explored exhaustively on a small model: two that race for it,
//! old ones that were paused and are revived, requests that arrive late. What a controller does is told by the
//! shipped `machine` over a journal with the store's fence; what the host accepts, by the shipped helper's rules.
#![cfg(test)]

mod journals;
mod plan;
mod world;

use journals::Journals;
use std::collections::{BTreeSet, HashSet};
use world::{Bounds, Move, Planted, World};

/// Beyond this the model is no small one any more.
const STATES_MAX: usize = 2_000_000;

/// What an exploration has seen.
#[derive(Debug)]
struct Explored {
    states: usize,
    journals: usize,
    /// Controllers that brought the run to its end.
    finished_by: BTreeSet<usize>,
    /// The law that was broken, and the shortest way there.
    broken: Option<(String, Vec<Move>)>,
}

/// Every order of everything, breadth first, until a law is broken or nothing new is left.
fn explore(bounds: Bounds) -> Explored {
    let mut journals = Journals::new(&plan::of_one_step(bounds.once));
    let first = World::new(bounds);
    let mut seen = HashSet::from([first.clone()]);
    // Worlds in the order in which they were found, each with the one before it.
    let mut found: Vec<(World, usize, Option<Move>)> = vec![(first, 0, None)];
    let mut finished_by = BTreeSet::new();
    let mut broken = None;
    let mut at = 0;
    'all: while at < found.len() {
        let world = found[at].0.clone();
        finished_by.extend(world.finished_by(&journals));
        for next in world.moves(&journals, bounds) {
            match world.after(next, &mut journals, bounds) {
                Ok(after) => {
                    if seen.insert(after.clone()) {
                        found.push((after, at, Some(next)));
                    }
                }
                Err(law) => {
                    let mut way = vec![next];
                    let mut back = at;
                    while let (_, before, Some(step)) = &found[back] {
                        way.insert(0, *step);
                        back = *before;
                    }
                    broken = Some((law, way));
                    break 'all;
                }
            }
        }
        at += 1;
        assert!(found.len() < STATES_MAX, "more than {STATES_MAX} states");
    }
    let explored = Explored {
        states: found.len(),
        journals: journals.count(),
        finished_by,
        broken,
    };
    println!(
        "{bounds:?}: {} states, {} journals",
        explored.states, explored.journals
    );
    explored
}

fn bounds(controllers: usize, losses: u8, once: bool) -> Bounds {
    Bounds {
        controllers,
        losses,
        once,
        planted: Planted::Nothing,
    }
}

#[test]
fn of_controllers_that_take_a_run_over_never_do_two_act_and_nothing_happens_twice() {
    for once in [true, false] {
        let explored = explore(bounds(2, 2, once));
        assert!(explored.broken.is_none(), "{:#?}", explored.broken);
        // Each of them can be the one that ends it.
        assert_eq!(explored.finished_by, BTreeSet::from([0, 1]));
        assert!(explored.states > 100_000, "{}", explored.states);
    }
}

#[test]
fn what_guards_a_takeover_is_missed_when_it_is_left_out() {
    for (planted, once) in [
        (Planted::GenerationUnchecked, true),
        (Planted::GenerationUnchecked, false),
        (Planted::FenceOff, true),
        (Planted::ReceiptsNotAsked, true),
        (Planted::RuledOutForgotten, true),
        (Planted::RuledOutForgotten, false),
        (Planted::EarlierOverlooked, false),
    ] {
        let explored = explore(Bounds {
            planted,
            ..bounds(2, 2, once)
        });
        let (law, way) = explored.broken.expect("a law is broken");
        println!("{planted:?}: {law}, after {} moves: {way:?}", way.len());
    }
}
