//! Probes: an outage is journaled when it begins and when it ends, and costs nothing else.

use super::plans::{ONCE, block, does, plan, roll, sequence, so, with_service};
use super::world::World;
use crate::RunEnd;
use crate::ports::Vantage;
use crate::probe::probes;
use overhaul_model::event::{Event, Verdict};
use overhaul_model::primitive::Measure;

#[tokio::test(start_paused = true)]
async fn an_outage_is_journaled_at_its_ends_only() {
    let body = sequence(
        "s",
        vec![
            block(does("before", 3_000, ONCE)),
            block(does("stop", 10_000, ONCE)),
            block(does("start", 3_000, ONCE)),
        ],
    );
    let world = World::new(with_service(
        plan(&["a"], 1, roll("all", body)),
        "shop",
        "stop",
        "start",
    ));
    assert_eq!(world.once().await, RunEnd::Finished(Verdict::Complete));
    let inner = world.inner();
    let seen: Vec<(bool, i64)> = inner
        .records
        .iter()
        .filter_map(|r| match &r.event {
            Event::Probed { up, .. } => Some((*up, r.at.as_millisecond())),
            _ => None,
        })
        .collect();
    assert_eq!(
        seen.iter().map(|(up, _)| *up).collect::<Vec<_>>(),
        [true, false, true]
    );
    let outage = seen[2].1 - seen[1].1;
    assert!((9_000..=11_100).contains(&outage), "{outage} ms");
    assert!(
        (15..=18).contains(&inner.probe_questions),
        "{} questions in 16 s",
        inner.probe_questions
    );
    assert!(world.now_ms() < 17_500, "probing held the run up");
}

#[tokio::test(start_paused = true)]
async fn the_same_question_of_the_controller_is_asked_once_and_others_for_each_host() {
    let body = block(does("x", 10, ONCE));
    let mut plan = with_service(
        plan(&["a", "b"], 1, roll("all", body)),
        "shop",
        "stop",
        "start",
    );
    let vantages =
        |plan: &_| -> Vec<Vantage> { probes(plan).iter().map(|p| p.vantage().clone()).collect() };
    assert_eq!(
        vantages(&plan),
        [Vantage::Host("a".into()), Vantage::Host("b".into())]
    );
    let http = |url: &str| Measure::Http {
        url: url.to_owned(),
        status: 200,
    };
    for (url, count) in [("http://{{ host.address }}/", 2), ("http://shop.test/", 1)] {
        plan.services
            .values_mut()
            .for_each(|s| s.healthy = Some(http(url)));
        assert_eq!(vantages(&plan), vec![Vantage::Controller; count], "{url}");
    }
    plan.services
        .values_mut()
        .for_each(|s| s.healthy = Some(so("up {{ nothing }} x")));
    assert_eq!(vantages(&plan), []);
}
