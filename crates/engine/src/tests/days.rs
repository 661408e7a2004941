//! Bad days, and what people decide on them.

use super::plans::{ONCE, argv, block, does, plan, plan_of, roll, sequence, skeleton, so, step};
use super::target::Target;
use super::world::World;
use crate::{Control, EngineError, RunEnd};
use overhaul_machine::{Doing, How, StepState};
use overhaul_model::action::{Repeat, Retry};
use overhaul_model::definition::{Guard, Test};
use overhaul_model::event::{Choice, Event, Generation, Verdict};
use overhaul_model::id::{HostName, Position};
use overhaul_model::plan::Block;
use overhaul_model::primitive::{Exec, NotAvailable, Primitive, Wait};
use overhaul_model::span::Span;
use overhaul_model::step::{Lane, Step};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::mpsc;

const COMPLETE: RunEnd = RunEnd::Finished(Verdict::Complete);

fn fails(id: &str, repeat: Repeat) -> Step {
    step(id, Primitive::Exec(argv(&format!("fail {id} 10"))), repeat)
}

type Decide = fn(Position) -> Choice;

fn at(text: &str) -> Position {
    text.parse().unwrap()
}

/// The words of what waits for a person, and the words for what can be decided.
fn asked(end: RunEnd) -> Vec<(String, String, Vec<&'static str>)> {
    let RunEnd::NeedsPerson { positions } = end else {
        panic!("{end:?}");
    };
    let one = |open: overhaul_machine::OpenPosition| {
        let Doing::NeedsPerson { why, choices } = open.doing else {
            panic!("{:?}", open.doing);
        };
        let words = choices.iter().map(Choice::word).collect();
        (open.position.to_string(), why, words)
    };
    positions.into_iter().map(one).collect()
}

fn count(world: &World, host: &str, effect: &str) -> usize {
    world.inner().targets[&HostName::new(host)].count(effect)
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_only_a_person_can_judge_stops_the_run_and_each_decision_is_carried_out() {
    let retry = |position| Choice::Retry { position };
    let done = |position| Choice::Done { position };
    let skip = |position| Choice::Skip { position };
    let void = |position| Choice::Void { position };
    let cases: [(Decide, Option<&str>, &str, usize); 4] = [
        (retry, None, "failed", 2),
        (done, Some("done"), "done", 1),
        (skip, Some("skipped"), "skipped", 1),
        (void, Some("voided"), "voided", 1),
    ];
    for (choose, ends, word, begun) in cases {
        let world = World::new(plan_of(fails("x", ONCE)));
        let waiting = asked(world.once().await);
        assert_eq!(
            waiting,
            [(
                "x@a".to_owned(),
                "exit code 1".to_owned(),
                vec!["retry", "done", "skip", "void"]
            )]
        );
        world.request(choose(at("x@a")), "I know");
        let end = world.once().await;
        assert_eq!(end == COMPLETE, ends.is_some(), "{word}");
        assert_eq!(world.state("x@a").word(), word);
        assert_eq!(count(&world, "a", "x"), begun, "{word}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_done_by_hand_must_verify() {
    let mut step = fails("x", Repeat::Person);
    step.verify = Some(so("has y"));
    let world = World::new(plan_of(step));
    world.once().await;
    world.request(
        Choice::Done {
            position: at("x@a"),
        },
        "by hand",
    );
    let waiting = asked(world.once().await);
    assert_eq!(waiting[0].1, "afterwards it was not so: has y false");
    // Now it was really done.
    let receipt = overhaul_model::id::AttemptKey::new("by hand");
    {
        let mut inner = world.inner();
        let target = inner.targets.get_mut(&HostName::new("a")).unwrap();
        let mut copy = target.receipts.values().next().unwrap().clone();
        copy.work.effect = "y".to_owned();
        copy.fails = false;
        target.receipts.insert(receipt, copy);
    }
    world.request(
        Choice::Done {
            position: at("x@a"),
        },
        "by hand, really",
    );
    assert_eq!(world.once().await, COMPLETE);
    assert_eq!(world.state("x@a"), StepState::Done { how: How::ByHand });
}

#[tokio::test(start_paused = true)]
async fn requests_that_cannot_be_carried_out_are_declined_with_the_reason() {
    let world = World::new(plan_of(fails("x", ONCE)));
    world.once().await;
    let elsewhere = || at("nowhere@a");
    for (choice, reason) in [
        (
            Choice::Retry {
                position: at("x@a"),
            },
            "",
        ),
        (
            Choice::Done {
                position: at("x@a"),
            },
            " ",
        ),
        (
            Choice::Done {
                position: elsewhere(),
            },
            "why not",
        ),
        (
            Choice::Approve {
                position: at("x@a"),
                question: None,
            },
            "",
        ),
        (Choice::Unpause, ""),
        (
            Choice::Skip {
                position: at("x@b"),
            },
            "no such host",
        ),
    ] {
        world.request(choice, reason);
    }
    let nonce = world.request(Choice::Pause, "");
    world
        .inner()
        .requests
        .iter_mut()
        .find(|r| r.nonce == nonce)
        .unwrap()
        .plan = overhaul_model::id::Digest::of("another plan");
    world.once().await;
    let whys: Vec<String> = world
        .events()
        .into_iter()
        .filter_map(|e| match e {
            Event::Declined { why, .. } => Some(why),
            _ => None,
        })
        .collect();
    insta::assert_snapshot!(whys.join("\n").replace(world.plan.hash().unwrap().short(), "PLAN"), @"
    `retry` needs a reason here
    `done` needs a reason here
    the plan has no step at `nowhere@a`
    `x@a` is failed; `approve` is for a step that asks
    the run is not paused
    the plan has no step at `x@b`
    it was made for the plan 77ddfb898d26, this run has the plan PLAN
    ");
}

#[tokio::test(start_paused = true)]
async fn the_same_request_counts_once() {
    let world = World::new(plan_of(fails("x", ONCE)));
    world.once().await;
    world.request(
        Choice::Retry {
            position: at("x@a"),
        },
        "again",
    );
    world.once().await;
    // Its nonce comes back, as from a copy of the inbox.
    world.inner().settled.clear();
    world.once().await;
    assert_eq!(count(&world, "a", "x"), 2);
    assert_eq!(world.decisions_on("retry", &at("x@a")), 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_after_a_decision_is_dropped() {
    let mut step = does("x", 10, ONCE);
    step.check = Some(so("slow"));
    // The run must still be there when the answer comes.
    let both = Block::Parallel {
        id: "both".into(),
        title: "both".to_owned(),
        blocks: vec![block(step), block(does("long", 10_000, ONCE))],
    };
    let world = World::new(plan(&["a"], 1, roll("all", both)));
    let skip = async {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        world.request(
            Choice::Skip {
                position: at("x@a"),
            },
            "not needed",
        );
    };
    let (end, ()) = tokio::join!(world.once(), skip);
    assert_eq!(end, COMPLETE);
    assert_eq!(world.state("x@a").word(), "skipped");
}

#[tokio::test(start_paused = true)]
async fn a_guard_holds_until_it_is_so_and_fails_the_step_when_that_takes_too_long() {
    for (at_most_s, end_word) in [(60, "done"), (10, "failed")] {
        let mut guarded = does("late", 10, ONCE);
        guarded.guards = vec![Guard {
            name: "oiled".to_owned(),
            test: Test::Measure(so("has oil")),
            at_most: Span::from_s(at_most_s),
        }];
        let both = Block::Parallel {
            id: "both".into(),
            title: "both".to_owned(),
            blocks: vec![block(guarded), block(does("oil", 20_000, Repeat::Safe))],
        };
        let world = World::new(plan(&["a"], 1, roll("all", both)));
        let end = world.once().await;
        assert_eq!(world.state("late@a").word(), end_word);
        assert_eq!(end == COMPLETE, end_word == "done");
        let held = world.inner().standings.iter().any(|s| {
            s.open.iter().any(|o| matches!(&o.doing, Doing::Waiting { on, .. } if on == "guard `oiled`: has oil false"))
        });
        assert!(held, "nobody was told what was waited for");
    }
}

#[tokio::test(start_paused = true)]
async fn failed_attempts_are_repeated_by_the_policy_and_no_further() {
    for (repeat, check, begun) in [
        (Repeat::Safe, None, 3),
        (Repeat::CheckFirst, Some("has x"), 3),
        (Repeat::CheckFirst, None, 1),
        (Repeat::Person, Some("has x"), 1),
        (ONCE, Some("has x"), 1),
        (ONCE, None, 1),
        (Repeat::Safe, Some("unmeasurable"), 0),
    ] {
        let mut step = fails("x", repeat);
        step.retry = Retry {
            attempts: 3,
            back_off: Span::from_s(10),
        };
        step.check = check.map(so);
        let world = World::new(plan_of(step));
        let waiting = asked(world.once().await);
        assert_eq!(waiting.len(), 1);
        assert_eq!(
            count(&world, "a", "x"),
            begun,
            "{repeat:?} {check:?}: {}",
            waiting[0].1
        );
        if begun == 3 {
            assert!(world.now_ms() >= 30_000, "it did not back off");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_is_settled_by_the_receipt_and_the_work_is_not_begun_again() {
    for repeat in [Repeat::Safe, ONCE, Repeat::Person] {
        let world = World::new(plan_of(does("x", 60_000, repeat)));
        world.inner().lose.insert("x".to_owned());
        assert_eq!(world.once().await, COMPLETE);
        assert_eq!(count(&world, "a", "x"), 1);
        let settled = world
            .events()
            .iter()
            .any(|e| matches!(e, Event::Settled { .. }));
        assert!(settled);
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_interrupt_pauses_and_resuming_goes_on() {
    let body = sequence(
        "s",
        vec![block(does("x", 5_000, ONCE)), block(does("y", 10, ONCE))],
    );
    let world = World::new(plan(&["a"], 1, roll("all", body)));
    let (wish, control) = mpsc::unbounded_channel();
    let interrupt = async {
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        wish.send(Control::Pause).unwrap();
    };
    let (end, ()) = tokio::join!(world.controller(control), interrupt);
    assert_eq!(end.unwrap().unwrap(), RunEnd::Paused);
    assert_eq!(
        (world.state("x@a").word(), world.state("y@a").word()),
        ("done", "ready")
    );
    assert_eq!(
        world.once().await,
        RunEnd::Paused,
        "a resumed run is still paused"
    );
    world.request(Choice::Unpause, "");
    assert_eq!(world.once().await, COMPLETE);
}

#[tokio::test(start_paused = true)]
async fn the_second_interrupt_leaves_at_once_and_the_work_goes_on() {
    let world = World::new(plan_of(does("x", 60_000, ONCE)));
    let (wish, control) = mpsc::unbounded_channel();
    let interrupt = async {
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        wish.send(Control::Pause).unwrap();
        wish.send(Control::Leave).unwrap();
    };
    let (end, ()) = tokio::join!(world.controller(control), interrupt);
    assert_eq!(end.unwrap().unwrap(), RunEnd::Left);
    assert!(world.now_ms() < 3_000);
    world.request(Choice::Unpause, "");
    assert_eq!(world.once().await, COMPLETE);
    assert_eq!(count(&world, "a", "x"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_stops_everything_new_and_nothing_is_done_without_its_intent() {
    let calm = World::new(skeleton());
    calm.to_the_end().await;
    let rows = calm.inner().records.len();
    for full_after in 0..rows {
        let world = World::new(skeleton());
        world.inner().full_after = full_after;
        let (_keep, control) = mpsc::unbounded_channel();
        let end = world.controller(control).await.unwrap();
        assert!(matches!(end, Err(EngineError::Journal(_))), "{end:?}");
        let intents = world
            .events()
            .iter()
            .filter(|e| matches!(e, Event::Started { .. }))
            .count();
        let begun: usize = world.inner().targets.values().map(|t| t.log.len()).sum();
        assert!(
            begun <= intents,
            "{begun} works begun, {intents} written down"
        );
        world.inner().full_after = usize::MAX;
        let (end, _) = world.to_the_end().await;
        assert_eq!(end, COMPLETE);
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_back_changes_neither_waits_nor_the_order_of_times() {
    let mut flaky = fails("x", Repeat::Safe);
    flaky.retry = Retry {
        attempts: 3,
        back_off: Span::from_s(10),
    };
    let world = World::new(plan_of(flaky));
    let jump = async {
        tokio::time::sleep(std::time::Duration::from_secs(3)).await;
        world.inner().clock_jump_ms = -86_400_000;
    };
    let (end, ()) = tokio::join!(world.once(), jump);
    asked(end);
    let took = world.now_ms();
    assert!((30_000..40_000).contains(&took), "{took} ms");
    let ordered = |world: &World| world.inner().records.is_sorted_by_key(|r| r.at);
    assert!(ordered(&world));
    // The next controller tells the time as it is, and waits no longer for that.
    world.request(
        Choice::Retry {
            position: at("x@a"),
        },
        "",
    );
    asked(world.once().await);
    assert!(!ordered(&world));
    assert!(world.now_ms() < took + 20_000, "{} ms", world.now_ms());
}

/// A run whose controller died in the middle of `x`.
async fn died_in_x(repeat: Repeat) -> Arc<World> {
    let body = sequence(
        "s",
        vec![
            block(does("x", 5_000, repeat)),
            block(does("y", 10, Repeat::Safe)),
        ],
    );
    let world = World::new(plan(&["a"], 1, roll("all", body)));
    let (wish, control) = mpsc::unbounded_channel();
    let leave = async {
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        wish.send(Control::Leave).unwrap();
    };
    let (end, ()) = tokio::join!(world.controller(control), leave);
    assert_eq!(end.unwrap().unwrap(), RunEnd::Left);
    world
}

#[tokio::test(start_paused = true)]
async fn a_host_that_was_installed_anew_gets_no_work_before_a_person_looked() {
    let world = died_in_x(ONCE).await;
    *world.inner().targets.get_mut(&HostName::new("a")).unwrap() = Target::new("another");
    let waiting = asked(world.once().await);
    assert!(waiting[0].1.contains("install id another"), "{waiting:?}");
    assert_eq!(world.state("x@a").word(), "unknown");
    assert_eq!(count(&world, "a", "x"), 0);
    // The doubt outlives the controller.
    assert_eq!(asked(world.once().await), waiting);
    world.request(
        Choice::Retry {
            position: at("x@a"),
        },
        "it was rebuilt on purpose",
    );
    assert_eq!(world.once().await, COMPLETE);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_was_installed_anew_between_two_steps_is_seen_too() {
    let world = died_in_x(Repeat::Safe).await;
    world.request(Choice::Pause, "");
    assert_eq!(world.once().await, RunEnd::Paused);
    assert_eq!(world.state("x@a").word(), "done");
    *world.inner().targets.get_mut(&HostName::new("a")).unwrap() = Target::new("another");
    world.request(Choice::Unpause, "");
    let waiting = asked(world.once().await);
    assert_eq!(waiting[0].0, "y@a");
    assert_eq!(waiting[0].2, ["retry", "skip"]);
    assert_eq!(count(&world, "a", "y"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_forgot_us_is_asked_to_accept_us_again() {
    let mut y = does("y", 10, Repeat::Safe);
    y.retry.attempts = 2;
    let body = sequence("s", vec![block(does("x", 10_000, ONCE)), block(y)]);
    let world = World::new(plan(&["a"], 1, roll("all", body)));
    let forgets = async {
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        let mut inner = world.inner();
        inner.targets.get_mut(&HostName::new("a")).unwrap().holder = None;
    };
    let (end, ()) = tokio::join!(world.once(), forgets);
    assert_eq!(end, COMPLETE);
    assert_eq!(count(&world, "a", "y"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_was_set_back_behind_what_the_journal_knows_is_doubted() {
    let body = sequence(
        "s",
        vec![block(does("x", 10, ONCE)), block(does("y", 60_000, ONCE))],
    );
    let world = World::new(plan(&["a"], 1, roll("all", body)));
    let (wish, control) = mpsc::unbounded_channel();
    let leave = async {
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        wish.send(Control::Leave).unwrap();
    };
    let (end, ()) = tokio::join!(world.controller(control), leave);
    assert_eq!(end.unwrap().unwrap(), RunEnd::Left);
    {
        let mut inner = world.inner();
        let target = inner.targets.get_mut(&HostName::new("a")).unwrap();
        target.receipts.clear();
        target.sequence = 0;
    }
    let waiting = asked(world.once().await);
    assert_eq!(waiting[0].0, "y@a");
    assert!(waiting[0].1.contains("went back in time"), "{waiting:?}");
    assert_eq!(count(&world, "a", "y"), 1);
    // Its request may still be on its way: nobody knows what became of it, and it begins no more.
    let begun = world.events().into_iter().find_map(|event| match event {
        Event::Started { position, key, .. } if position.step.as_str() == "y" => Some(key),
        _ => None,
    });
    let inner = world.inner();
    assert_eq!(
        inner.targets[&HostName::new("a")].ruled_out,
        begun.into_iter().collect()
    );
}

#[tokio::test(start_paused = true)]
async fn a_host_that_cannot_be_registered_is_tried_for_a_while_and_then_a_persons() {
    for (refusals, transient, within_s) in [
        (3, true, Some(60)),
        (1_000, true, None),
        (1_000, false, None),
    ] {
        let world = World::new(plan_of(does("x", 10, ONCE)));
        world
            .inner()
            .refuse
            .insert("a".into(), (refusals, transient));
        let end = world.once().await;
        match within_s {
            Some(limit) => {
                assert_eq!(end, COMPLETE);
                assert!(world.now_ms() < limit * 1_000);
            }
            None => {
                let waiting = asked(end);
                assert_eq!(
                    waiting,
                    [(
                        "x@a".to_owned(),
                        "connection refused".to_owned(),
                        vec!["retry", "skip"]
                    )]
                );
                let tried = world
                    .events()
                    .iter()
                    .filter(|e| matches!(e, Event::HostRefused { .. }))
                    .count();
                assert_eq!(tried, if transient { 12 } else { 1 });
                world.inner().refuse.clear();
                world.request(
                    Choice::Retry {
                        position: at("x@a"),
                    },
                    "",
                );
                assert_eq!(world.once().await, COMPLETE);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_of_another_run_is_left_alone() {
    let world = World::new(plan_of(does("x", 10, ONCE)));
    world
        .inner()
        .targets
        .get_mut(&HostName::new("a"))
        .unwrap()
        .holder = Some(Generation {
        fleet: "lab".to_owned(),
        run: "run-0".into(),
        counter: 1,
        nonce: "other".into(),
    });
    let waiting = asked(world.once().await);
    assert_eq!(waiting[0].1, "run run-0 holds this host");
    world.request(Choice::Abort, "it is busy");
    assert_eq!(world.once().await, RunEnd::Finished(Verdict::Aborted));
    let inner = world.inner();
    let target = &inner.targets[&HostName::new("a")];
    assert!(target.log.is_empty());
    assert_eq!(target.holder.as_ref().unwrap().run, "run-0".into());
}

#[tokio::test(start_paused = true)]
async fn a_host_that_goes_away_before_its_release_does_not_keep_the_run_from_ending() {
    let world = World::new(plan_of(does("x", 3_000, ONCE)));
    let seize = async {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        world
            .inner()
            .targets
            .get_mut(&HostName::new("a"))
            .unwrap()
            .holder = None;
    };
    let (end, ()) = tokio::join!(world.once(), seize);
    assert_eq!(end, COMPLETE);
    let refused = world
        .events()
        .iter()
        .filter(|e| matches!(e, Event::HostRefused { .. }))
        .count();
    assert_eq!(refused, 1, "the journal says that it was not released");
}

#[tokio::test(start_paused = true)]
async fn a_text_that_cannot_be_rendered_fails_before_anything_begins() {
    let step = Step {
        work: Primitive::Exec(Exec::argv(["do", "x", "{{ steps.nothing.here }}"])),
        ..does("x", 10, ONCE)
    };
    let world = World::new(plan_of(step));
    let waiting = asked(world.once().await);
    assert!(
        waiting[0].1.starts_with("its text cannot be rendered"),
        "{waiting:?}"
    );
    assert_eq!(count(&world, "a", "x"), 0);
}

/// The checker refuses such a plan; if one came through, nothing is done all the same.
#[tokio::test(start_paused = true)]
async fn what_is_not_available_is_not_acted_even_when_it_came_through() {
    let work = Primitive::NotAvailable(NotAvailable {
        subject: "everything".to_owned(),
        with: BTreeMap::new(),
    });
    for lane in [Lane::Turn, Lane::Run] {
        let step = Step {
            lane,
            ..step("x", work.clone(), Repeat::Safe)
        };
        let waiting = asked(World::new(plan_of(step)).once().await);
        assert_eq!(
            waiting[0].1,
            "`run` is not available in this version; nothing was done"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_has_its_bound() {
    let wait = Wait {
        until: so("has nothing"),
        every: Span::from_s(7),
        at_most: Span::from_s(60),
    };
    let world = World::new(plan_of(step("w", Primitive::Wait(wait), Repeat::Safe)));
    let waiting = asked(world.once().await);
    assert_eq!(waiting[0].1, "not so within 1m: has nothing false");
    assert!(
        (60_000..62_000).contains(&world.now_ms()),
        "{}",
        world.now_ms()
    );
}

#[tokio::test(start_paused = true)]
async fn no_turn_begins_beyond_the_failure_budget() {
    for (budget, begun) in [(0, 2), (1, 3)] {
        let mut bad = fails("bad", ONCE);
        bad.only = Some(["a".into()].into());
        let body = sequence("s", vec![block(bad), block(does("x", 1_000, ONCE))]);
        let mut plan = plan(&["a", "b", "c"], 2, roll("all", body));
        plan.failure_budget = budget;
        let world = World::new(plan);
        asked(world.once().await);
        let touched = world
            .inner()
            .targets
            .values()
            .filter(|t| !t.log.is_empty())
            .count();
        assert_eq!(touched, begun, "with a budget of {budget}");
        world.request(
            Choice::Skip {
                position: at("bad@a"),
            },
            "not needed",
        );
        assert_eq!(world.once().await, COMPLETE);
    }
}

#[tokio::test(start_paused = true)]
async fn an_abort_says_goodbye_to_hosts_and_leaves_the_rest_undone() {
    let world = World::new(skeleton());
    world.inner().approve = false;
    let waiting = asked(world.once().await);
    assert_eq!(
        waiting,
        [(
            "begin/gate".to_owned(),
            "Begin with 13?".to_owned(),
            vec!["approve", "skip"]
        )]
    );
    world.request(Choice::Abort, "");
    assert_eq!(world.once().await, RunEnd::Finished(Verdict::Aborted));
    assert_eq!(
        world.once().await,
        RunEnd::Finished(Verdict::Aborted),
        "a finished run stays so"
    );
}
