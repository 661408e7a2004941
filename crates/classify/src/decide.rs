//! Change and data of one host. Each rule is one idea: it lets something be, or says why not.

use crate::look::{Look, Store, Survives, below, size};
use crate::relations::Relations;
use overhaul_model::id::HostName;
use overhaul_model::tracker::{Change, DataWay, Reason};
use std::collections::BTreeSet;

/// What a rebuild takes away without anybody having looked: said with each of them.
const NOT_LOOKED_AT: &str = "/etc, /root, /usr/local and other folders of / are not looked at: what the new machine needs of them must come from elsewhere";

/// Data that is carried to another place and back: more than this takes hours of outage, and is left where it is.
pub const CARRIED_BYTES_MAX: u64 = 64 * 1024 * 1024 * 1024;

/// What is proposed for change and data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The change, unless nobody can say.
    pub change: Option<Change>,
    /// The data's way, together with the change.
    pub data: Option<DataWay>,
    /// Why.
    pub reasons: Vec<Reason>,
    /// What is not known.
    pub not_known: Vec<String>,
}

impl Verdict {
    fn say(&mut self, rule: &str, says: impl Into<String>) {
        self.reasons.push(Reason {
            rule: rule.to_owned(),
            says: says.into(),
        });
    }

    fn set(&mut self, change: Change, data: DataWay) {
        self.change = Some(change);
        self.data = Some(data);
    }
}

/// Decides. The order of the rules is from what must stop everything to what allows most.
pub fn decide(host: &HostName, look: &Look, relations: &Relations) -> Verdict {
    let mut out = Verdict::default();
    evidence(look, &mut out);
    surroundings(host, relations, &mut out);
    out.not_known.extend(look.blind.iter().cloned());
    for membership in &look.memberships {
        let name = membership.name();
        out.not_known.extend(
            membership
                .unsure
                .iter()
                .map(|what| format!("{name}: {what}")),
        );
    }
    if !may_be_touched(host, look, relations, &mut out) {
        return out;
    }
    if let Some(stays) = must_stay(host, look, relations) {
        out.set(Change::InPlace, DataWay::Stays);
        out.say("in-place", stays);
        return out;
    }
    rebuilt(look, &mut out);
    out
}

/// What was seen.
fn evidence(look: &Look, out: &mut Verdict) {
    for membership in &look.memberships {
        out.say("cluster", membership.says.clone());
    }
    for store in &look.stores {
        out.say(store.rule, store.says.clone());
    }
    for sentence in &look.serves {
        out.say("serves", sentence.clone());
    }
}

/// Who needs the host.
fn surroundings(host: &HostName, relations: &Relations, out: &mut Verdict) {
    if let Some(behind) = relations.behind.get(host) {
        out.say(
            "jump",
            format!("{} reached through it", named(behind, "is", "are")),
        );
    }
    if let Some(by) = relations.named_by.get(host) {
        out.say(
            "named",
            format!(
                "its name or address stands in the variables of {}",
                names(by)
            ),
        );
    }
    if let Some(through) = relations.outside.get(host) {
        let through: Vec<&str> = through.iter().map(String::as_str).collect();
        out.say(
            "jump",
            format!(
                "it is reached through {}, which is no host of this fleet",
                through.join(", ")
            ),
        );
    }
}

/// Whether the host may change at all now; says why not.
fn may_be_touched(host: &HostName, look: &Look, relations: &Relations, out: &mut Verdict) -> bool {
    if relations.controller.contains(host) {
        out.say(
            "controller",
            "Overhaul runs on this machine (equal machine id): a change would end the run that makes it; \
             change it last, by hand or from another machine",
        );
        return false;
    }
    let mut may = true;
    for membership in look
        .memberships
        .iter()
        .filter(|m| !m.spares_one && !m.alone)
    {
        let why = if membership.against.is_empty() {
            "it has no member to spare".to_owned()
        } else {
            membership.against.join("; ")
        };
        may = false;
        out.say(
            "quorum",
            format!(
                "no member of {} may be taken away: {why}",
                membership.name()
            ),
        );
    }
    may
}

/// Why the machine and its data must stay, if they must.
fn must_stay(host: &HostName, look: &Look, relations: &Relations) -> Option<String> {
    let mut why = Vec::new();
    if !look.blind.is_empty() {
        why.push("what is not known may hide data".to_owned());
    }
    if relations.behind.contains_key(host) {
        why.push("hosts behind it know its address and host key".to_owned());
    }
    let stuck = look.stores.iter().any(|store| !can_leave(store, look));
    if stuck {
        why.push(stuck_because(look));
    }
    let carried = carried_bytes(look);
    if carried > CARRIED_BYTES_MAX {
        why.push(format!(
            "carrying {} away and back takes longer than leaving it",
            size(carried)
        ));
    }
    let rejoins = look
        .stores
        .iter()
        .any(|s| matches!(s.survives, Survives::InCluster(_)));
    let carries = look
        .stores
        .iter()
        .any(|s| matches!(s.survives, Survives::Carried(_)));
    if carries && (rejoins || look.memberships.iter().any(|m| !m.data_paths.is_empty())) {
        why.push(
            "a part of its data would have to be carried and a part to come back from its cluster"
                .to_owned(),
        );
    }
    (!why.is_empty()).then(|| format!("the machine stays: {}", why.join("; ")))
}

/// Why something cannot leave the machine.
fn stuck_because(look: &Look) -> String {
    let mut out = Vec::new();
    let here_only = |store: &&Store| store.survives == Survives::HereOnly;
    let rules: BTreeSet<&str> = look
        .stores
        .iter()
        .filter(here_only)
        .map(|s| s.rule)
        .collect();
    if !rules.is_empty() {
        let rules: Vec<&str> = rules.into_iter().collect();
        out.push(format!(
            "what it holds is nowhere else for all that is known, and is more than plain files ({})",
            rules.join(", ")
        ));
    }
    for membership in look
        .memberships
        .iter()
        .filter(|m| !m.refills_one && !m.data_paths.is_empty())
    {
        let name = membership.name();
        out.push(if membership.refilling {
            format!("too few healthy members of {name} hold its data")
        } else {
            format!("{name} does not fill an empty member of a newer release")
        });
    }
    out.join("; ")
}

/// Whether something survives a new machine.
fn can_leave(store: &Store, look: &Look) -> bool {
    match &store.survives {
        Survives::HereOnly => false,
        Survives::Carried(_) => true,
        Survives::InCluster(kind) => {
            let mut of_kind = look
                .memberships
                .iter()
                .filter(|m| &m.kind == kind)
                .peekable();
            of_kind.peek().is_some() && of_kind.all(|m| m.refills_one)
        }
    }
}

fn carried_bytes(look: &Look) -> u64 {
    let carried = look
        .stores
        .iter()
        .filter(|s| matches!(s.survives, Survives::Carried(_)));
    carried.filter_map(|store| store.bytes).sum()
}

/// Everything is known, and nothing must stay.
fn rebuilt(look: &Look, out: &mut Verdict) {
    let mut paths: Vec<String> = Vec::new();
    for store in &look.stores {
        if let Survives::Carried(path) = &store.survives
            && !paths.iter().any(|above| below(path, above))
        {
            paths.retain(|path_below| !below(path_below, path));
            paths.push(path.clone());
        }
    }
    paths.sort();
    let holding = || look.memberships.iter().filter(|m| !m.data_paths.is_empty());
    if holding().next().is_some() {
        // A member without data of its own still leaves and comes back.
        if holding().all(|m| m.refills_one) {
            out.set(Change::Rebuild, DataWay::Rejoin);
            out.say("rejoin", "all that it holds is held by the other members, and each of them is healthy; it comes back empty and receives it");
        } else {
            out.set(Change::InPlace, DataWay::Stays);
            out.say("in-place", "the machine stays: its cluster does not fill an empty member by itself, or too few others hold the data");
        }
    } else if !paths.is_empty() {
        let bytes = size(carried_bytes(look));
        out.set(Change::Rebuild, DataWay::Carry(paths.clone()));
        out.say(
            "carry",
            format!(
                "all that was found are plain files in {} ({bytes}), which can be taken along",
                paths.join(", ")
            ),
        );
    } else {
        out.set(Change::Rebuild, DataWay::None);
        out.say("stateless", "no data was found where data is looked for, and every service here is known to keep none");
    }
    if out.change == Some(Change::Rebuild) {
        out.say("not-looked-at", NOT_LOOKED_AT);
    }
}

/// Hosts of a list, the first few by name.
pub fn names(hosts: &BTreeSet<HostName>) -> String {
    let names: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    crate::look::listed(&names)
}

fn named(hosts: &BTreeSet<HostName>, one: &str, many: &str) -> String {
    let verb = if hosts.len() == 1 { one } else { many };
    format!("{} {verb}", names(hosts))
}
