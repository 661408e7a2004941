//! One zone at a time.

use super::away::Projection;
use crate::rule::Complaint;
use crate::view::View;
use overhaul_model::id::{HostName, ZoneName};
use std::collections::BTreeSet;

pub(super) fn one_at_a_time(view: &View<'_>) -> Vec<Complaint> {
    let plan = view.plan;
    if !plan.one_zone_at_a_time {
        return Vec::new();
    }
    let mut out = Vec::new();
    for host in plan.hosts.values().filter(|host| host.zone.is_none()) {
        let sentence = "it has no zone, and zones go one at a time".to_owned();
        let help = "give the host its zone in the fleet";
        out.push(Complaint::error(
            format!("host:{}", host.name),
            sentence,
            help,
        ));
    }
    let projection = Projection::new(view, plan.hosts.keys().collect(), None);
    for crowd in projection.crowds() {
        let zones = |hosts: &BTreeSet<&HostName>| -> BTreeSet<&ZoneName> {
            let hosts = hosts.iter().filter_map(|name| plan.hosts.get(*name));
            hosts.filter_map(|host| host.zone.as_ref()).collect()
        };
        let (down, turn) = (zones(&crowd.down), zones(&crowd.turn));
        let several_in_turn = turn.len() > 1 && crowd.at_once > 1;
        let together: BTreeSet<_> = down.union(&turn).collect();
        let beside = !down.is_empty() && !turn.is_empty() && together.len() > 1;
        if !several_in_turn && !beside && down.len() < 2 {
            continue;
        }
        let names: Vec<&str> = together.iter().map(|zone| zone.as_str()).collect();
        let sentence = format!(
            "hosts of the zones {} may be away at once",
            names.join(", ")
        );
        let help = "write `order: zone-by-zone` in the role, or `stages: within-zone` at the top";
        let id = crowd.block.id();
        out.push(Complaint::error(format!("block:{id}"), sentence, help));
    }
    if plan.failure_budget > 0 {
        let sentence = "a host that failed stays away while the next zone begins".to_owned();
        let help = "leave `failure_budget` out where zones go one at a time";
        out.push(Complaint::warning("plan".to_owned(), sentence, help));
    }
    out
}
