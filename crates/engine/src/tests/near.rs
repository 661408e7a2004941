//! Steps that the controller carries out itself, in the lanes of hosts: a playbook, and machines made anew.

use super::plans::{argv, block, does, plan, roll, sequence, so, step};
use super::target::REBUILT;
use super::world::World;
use crate::RunEnd;
use overhaul_machine::StepState;
use overhaul_model::action::{OnceScope, Repeat};
use overhaul_model::belonging::Which;
use overhaul_model::event::Verdict;
use overhaul_model::id::HostName;
use overhaul_model::primitive::{MachineAct, MachineOp, Primitive};
use std::sync::Arc;

/// Fewer points than this would mean that the test looks away from something.
const POINTS_MIN: usize = 60;

/// On each of two hosts: something is done to the old machine, a playbook runs, the machine is made
/// anew, and something is done to the new one.
fn world() -> Arc<World> {
    let once = Repeat::Once(OnceScope::Host);
    let play = step("change/play", Primitive::Local(argv("do play 300")), once);
    let act = MachineAct {
        provider: Some("cloud".into()),
        op: MachineOp::Rebuild,
        machine: "{{ host.name }}".to_owned(),
        which: Which::Own,
        other: None,
        image: Some("trixie".to_owned()),
        params: [].into(),
        answers_within: MachineAct::ANSWERS_WITHIN_DEFAULT,
    };
    let mut rebuild = step("change/rebuild", Primitive::Machine(act), Repeat::Person);
    rebuild.verify = Some(so("lacks old"));
    let mut new = does("finish/new", 50, Repeat::Safe);
    new.verify = Some(so("has new"));
    let blocks = vec![
        block(does("prepare/old", 50, Repeat::Safe)),
        block(play),
        block(rebuild),
        block(new),
    ];
    World::new(plan(&["a", "b"], 2, roll("all", sequence("each", blocks))))
}

#[tokio::test(start_paused = true)]
async fn playbooks_and_rebuilds_happen_once_wherever_the_controller_dies() {
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
            let now = world.now_ms();
            let inner = world.inner();
            let near = &inner.targets[&HostName::controller()];
            for effect in ["play", REBUILT] {
                assert_eq!(near.count(effect), 2, "{context}: {effect}");
            }
            for host in ["a", "b"] {
                let target = &inner.targets[&HostName::new(host)];
                assert!(
                    target.has("new", now) && !target.has("old", now),
                    "{context}"
                );
                let moved = &inner.moved[&HostName::new(host)];
                assert_eq!(moved.machine_id.as_deref(), Some("new"), "{context}");
            }
            for (host, target) in &inner.targets {
                assert_eq!(target.holder, None, "{context}: {host} was not released");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_was_not_made_anew_fails_its_step() {
    let world = world();
    world.inner().lying_provider = true;
    let RunEnd::NeedsPerson { positions } = world.once().await else {
        panic!("nobody is asked");
    };
    assert_eq!(positions.len(), 2);
    for open in positions {
        let run = world.replayed();
        let StepState::Failed { why, .. } = run.state(&open.position) else {
            panic!("{:?}", run.state(&open.position));
        };
        assert!(why.contains("was not made anew"), "{why}");
    }
}
