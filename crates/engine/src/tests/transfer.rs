//! Data that goes from one host to another, and the authority over it: the controller dies at every moment.

use super::plans::{block, does, plan, roll, sequence, step};
use super::world::World;
use crate::RunEnd;
use overhaul_model::action::{Action, OnceScope, Repeat, Retry, TransferOp};
use overhaul_model::event::Verdict;
use overhaul_model::id::HostName;
use overhaul_model::primitive::{Moving, Primitive, Receive, TakeOver};
use overhaul_model::span::Span;
use std::sync::Arc;

/// Fewer points than this would mean that the test looks away from something.
const POINTS_MIN: usize = 20;

/// Only `b` has a turn; `a` takes part because the data comes from it.
fn world() -> Arc<World> {
    let data = Moving {
        dataset: "files".into(),
        paths: vec!["/srv/files".to_owned()],
        one_filesystem: false,
        exclude: Vec::new(),
        units: Vec::new(),
    };
    let from = HostName::new("a");
    let action = |op| Action::Transfer {
        dataset: "files".into(),
        from: from.clone(),
        op,
    };
    let receive = Receive {
        data: data.clone(),
        from: from.clone(),
        first: None,
    };
    let mut copy = step("all/copy", Primitive::Receive(receive), Repeat::Safe);
    copy.action = action(TransferOp::Receive);
    copy.retry = Retry {
        attempts: 9,
        back_off: Span::from_s(1),
    };
    let take = Primitive::TakeOver(TakeOver {
        data,
        from: from.clone(),
        digest: "d".to_owned(),
        stamps: "s".to_owned(),
        first: None,
    });
    let mut over = step("all/over", take, Repeat::Once(OnceScope::Dataset));
    over.action = action(TransferOp::TakeOver);
    let blocks = vec![
        block(copy),
        block(over),
        block(does("all/after", 50, Repeat::Safe)),
    ];
    let mut plan = plan(&["a", "b"], 1, roll("all", sequence("each", blocks)));
    for turns in plan.rolls.values_mut() {
        turns.batches = vec![vec!["b".into()]];
    }
    World::new(plan)
}

#[tokio::test(start_paused = true)]
async fn the_authority_moves_once_wherever_the_controller_dies() {
    let calm = world();
    let (end, asked) = calm.to_the_end().await;
    assert_eq!((end, asked), (RunEnd::Finished(Verdict::Complete), 0));
    let points = calm.inner().points;
    assert!(points > POINTS_MIN, "{points} points");
    for point in 0..points {
        for die_at in [vec![point], vec![point, point + 5]] {
            let world = world();
            world.inner().die_at.clone_from(&die_at);
            let (end, asked) = world.to_the_end().await;
            let context = format!("dead at {die_at:?}");
            assert_eq!(end, RunEnd::Finished(Verdict::Complete), "{context}");
            assert_eq!(asked, 0, "{context}");
            let run = world.replayed();
            let authority = run.authority(&"files".into());
            assert_eq!(authority, Some(&"b".into()), "{context}");
            let inner = world.inner();
            let target = &inner.targets[&HostName::new("b")];
            assert_eq!(target.count("take over files"), 1, "{context}");
            for (host, target) in &inner.targets {
                assert_eq!(target.holder, None, "{context}: {host} was not released");
            }
        }
    }
}
