//! When services were away by the steps that were really carried out: the same reckoning as the prediction,
//! with the journal's times.

use jiff::Timestamp;
use overhaul_model::event::{Event, Outcome, Record, Settlement};
use overhaul_model::id::Position;
use overhaul_model::plan::Plan;
use overhaul_model::span::Span;
use overhaul_model::windows::{Placement, ServiceForecast, of_services};
use std::collections::BTreeMap;

/// When a step was begun and over.
#[derive(Clone, Copy)]
struct Times {
    began: Timestamp,
    over: Option<Timestamp>,
}

/// The windows of all services as the journal's steps made them, until its last row; in the order of the
/// plan's services.
pub(super) fn by_steps(plan: &Plan, records: &[Record]) -> Vec<ServiceForecast> {
    let (Some(first), Some(last)) = (records.first(), records.last()) else {
        return of_services(plan, Vec::new(), Span::default());
    };
    let since = |moment| Span::between(first.at, moment);
    let horizon = since(last.at);
    let times = times(records);
    let placements = plan.positions().into_iter().filter_map(|placed| {
        let times = times.get(&placed.position)?;
        let host = placed.position.host.as_ref();
        let host = host.and_then(|host| plan.hosts.get_key_value(host));
        Some(Placement {
            step: placed.step,
            host: host.map(|(name, _)| name),
            begins: since(times.began),
            ends: times.over.map_or(horizon, since),
        })
    });
    of_services(plan, placements.collect(), horizon)
}

fn times(records: &[Record]) -> BTreeMap<&Position, Times> {
    let mut out: BTreeMap<&Position, Times> = BTreeMap::new();
    for record in records {
        let at = record.at;
        match &record.event {
            Event::Started { position, .. } => {
                let times = out.entry(position).or_insert(Times {
                    began: at,
                    over: None,
                });
                times.over = None;
            }
            // What was so already took no time, and counts: a service that runs has been started.
            Event::Checked { position, result } if result.is_so() => {
                let times = out.entry(position).or_insert(Times {
                    began: at,
                    over: None,
                });
                times.over = Some(at);
            }
            Event::Ended {
                position,
                outcome: Outcome::Succeeded { .. },
                ..
            }
            | Event::Settled {
                position,
                settlement: Settlement::Ended(Outcome::Succeeded { .. }),
                ..
            } => over(&mut out, position, at),
            Event::Verified {
                position, result, ..
            } if result.is_so() => over(&mut out, position, at),
            _ => {}
        }
    }
    out
}

fn over<'a>(times: &mut BTreeMap<&'a Position, Times>, position: &'a Position, at: Timestamp) {
    let times = times.entry(position).or_insert(Times {
        began: at,
        over: None,
    });
    times.over = Some(at);
}
