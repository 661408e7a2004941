//! The law: nothing is proposed that would lose data, break a cluster, or cut off the way to a host. Held by an
//! oracle that knows nothing of how it is decided: it looks at what was put on the hosts.

use super::scene::{HIDING, Is, scene};
use crate::classify;
use Is::*;
use overhaul_model::cluster::ClusterRole;
use overhaul_model::id::HostName;
use overhaul_model::tracker::{Change, DataWay, Pace, Proposal};
use proptest::prelude::*;
use std::collections::BTreeMap;

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

/// Things that hold data, or may.
fn holding() -> impl Strategy<Value = Is> {
    prop_oneof![
        prop::sample::select(vec![
            Unit("mariadb.service", "active"),
            Unit("redis-server.service", "inactive"),
            Unit("docker.service", "active"),
            Unit("nfs-server.service", "active"),
            Unit("postgresql@15-main.service", "failed"),
            Unit("shop.service", "active"),
            Unit("shop.service", "failed"),
            Listens("shop.service", 9000),
            Listens("", 8080),
            Crontab,
            Postgres(1 << 20, true),
            Postgres(0, false),
            Guests("lxd", 1),
            Shared("/srv/files"),
            Mount("/data", "ext4", 1 << 20),
            DataAtLeast("/srv", 5),
        ]),
        prop::sample::select(vec![
            "/srv/files",
            "/var/www",
            "/home",
            "/var/lib/mysql",
            "/var/lib/x",
            "/srvx"
        ])
        .prop_flat_map(|path| (Just(path), prop_oneof![Just(1_u64), Just(1 << 45)]))
        .prop_map(|(path, bytes)| Data(path, bytes)),
        prop::sample::select(HIDING.to_vec()).prop_map(Unknown),
    ]
}

fn harmless() -> impl Strategy<Value = Is> {
    prop::sample::select(vec![
        Unit("nginx.service", "active"),
        Unit("memcached.service", "active"),
        Unit("shop.service", "inactive"),
        Listens("nginx.service", 80),
        Guests("lxd", 0),
        Mount("/mnt", "nfs4", 1 << 40),
        Mount("/run/user/0", "tmpfs", 1 << 20),
        Role("web"),
        Role("all"),
    ])
}

fn membership() -> impl Strategy<Value = Is> {
    let kind = prop::sample::select(vec![
        ("galera", "g"),
        ("galera", "h"),
        ("ceph-mon", "m"),
        ("postgresql-replicas", "p"),
    ]);
    let role = prop::sample::select(vec![
        ClusterRole::Peer,
        ClusterRole::Primary,
        ClusterRole::Replica,
    ]);
    // Mostly whole and healthy, else no refill would ever be seen.
    (
        kind,
        role,
        1_u32..4,
        prop::bool::weighted(0.85),
        prop::bool::weighted(0.9),
    )
        .prop_map(|((kind, cluster), role, size, all, healthy)| {
            let alive = if all { size } else { size.saturating_sub(1) };
            Member(kind, cluster, role, size, alive, healthy)
        })
}

fn about() -> impl Strategy<Value = Vec<Is>> {
    let place = prop_oneof![
        6 => Just(None),
        1 => prop::sample::select(NAMES.to_vec()).prop_map(|jump| Some(Behind(jump))),
        1 => Just(Some(Controller)),
        1 => Just(Some(NoFacts)),
    ];
    (
        prop::collection::vec(harmless(), 0..3),
        prop_oneof![2 => Just(vec![]), 1 => prop::collection::vec(holding(), 1..3)],
        prop_oneof![2 => Just(vec![]), 1 => prop::collection::vec(membership(), 1..2)],
        place,
    )
        .prop_map(|(mut about, holding, members, place)| {
            about.extend(holding);
            about.extend(members);
            about.extend(place);
            about
        })
}

/// Three members of one cluster, whole and healthy, with a little noise on one: what a refill needs.
fn cluster() -> impl Strategy<Value = Vec<Vec<Is>>> {
    let member = || {
        vec![
            Unit("mariadb.service", "active"),
            Data("/var/lib/mysql", 7),
            Member("galera", "g", ClusterRole::Peer, 3, 3, true),
        ]
    };
    prop_oneof![2 => Just(None), 1 => holding().prop_map(Some)].prop_map(move |noise| {
        let mut first = member();
        first.extend(noise);
        vec![first, member(), member()]
    })
}

fn fleets() -> impl Strategy<Value = Vec<Vec<Is>>> {
    let random = prop::collection::vec(about(), 1..=NAMES.len());
    let with_cluster =
        (cluster(), prop::collection::vec(about(), 0..=2)).prop_map(|(mut all, more)| {
            all.extend(more);
            all
        });
    prop_oneof![2 => random, 1 => with_cluster]
}

/// Whether something could be lost without anybody knowing it.
fn hides(about: &[Is]) -> bool {
    about.iter().any(|is| {
        matches!(is, Unknown(_) | NoFacts | DataAtLeast(..))
            || matches!(is, Unit(name, state) if name.starts_with("shop") && *state != "inactive")
            || matches!(is, Listens(unit, _) if *unit != "nginx.service")
    })
}

/// The data that was put on a host, as far as it is known: folders by their path, the rest without one.
fn data(about: &[Is]) -> Vec<Option<&'static str>> {
    let stateless = ["nginx.service", "memcached.service", "shop.service"];
    about
        .iter()
        .filter_map(|is| match is {
            Data(path, _) => Some(Some(*path)),
            Unit(name, _) if !stateless.contains(name) => Some(None),
            Mount(_, "ext4", _) | Crontab | Postgres(..) | Shared(_) => Some(None),
            Guests(_, known) if *known > 0 => Some(None),
            _ => None,
        })
        .collect()
}

fn members(
    about: &[Is],
) -> impl Iterator<Item = (&'static str, &'static str, u32, u32, bool)> + '_ {
    about.iter().filter_map(|is| match is {
        Member(kind, cluster, _, size, alive, healthy) => {
            Some((*kind, *cluster, *size, *alive, *healthy))
        }
        _ => None,
    })
}

type Hosts<'a> = BTreeMap<&'a str, &'a Vec<Is>>;

/// Whether this host's clusters hold its data elsewhere, twice at least, and are whole.
fn refilled(hosts: &Hosts, about: &[Is]) -> bool {
    members(about).all(|(kind, cluster, size, ..)| {
        let all: Vec<_> = hosts
            .values()
            .filter(|about| !about.contains(&NoFacts) && !about.contains(&Unknown("clusters")))
            .flat_map(|about| members(about))
            .filter(|m| (m.0, m.1) == (kind, cluster))
            .collect();
        kind != "postgresql-replicas"
            && size >= 3
            && all.len() >= 3
            && all.iter().all(|m| m.3 == m.2 && m.4)
    }) && members(about).next().is_some()
}

fn hold_data_law(hosts: &Hosts, name: &str, proposal: &Proposal) -> Result<(), TestCaseError> {
    let about = hosts[name];
    let data = data(about);
    match (proposal.change, &proposal.data) {
        (None, None) | (Some(Change::InPlace), Some(DataWay::Stays)) => return Ok(()),
        (Some(Change::Rebuild), Some(DataWay::None)) => {
            prop_assert!(data.is_empty(), "{name} has data: {about:?}");
            prop_assert!(
                members(about).next().is_none(),
                "{name} is a member: {about:?}"
            );
        }
        (Some(Change::Rebuild), Some(DataWay::Carry(paths))) => {
            for path in data {
                prop_assert!(
                    path.is_some_and(|path| paths.contains(&path.to_owned())),
                    "{name}: {about:?}"
                );
            }
            prop_assert!(
                members(about).next().is_none(),
                "{name} is a member: {about:?}"
            );
        }
        (Some(Change::Rebuild), Some(DataWay::Rejoin)) => {
            prop_assert!(refilled(hosts, about), "{name} is not refilled: {about:?}");
            let galera = members(about).any(|m| m.0 == "galera");
            for path in data.into_iter().flatten() {
                prop_assert!(galera && path == "/var/lib/mysql", "{name}: {path}");
            }
            let stranger =
                |is: &Is| matches!(is, Crontab | Postgres(..) | Shared(_) | Mount(_, "ext4", _));
            prop_assert!(!about.iter().any(stranger), "{name}: {about:?}");
        }
        other => prop_assert!(false, "{name}: {other:?} is never proposed"),
    }
    prop_assert!(!hides(about), "{name} hides something: {about:?}");
    prop_assert!(!about.contains(&Controller), "{name} is the controller");
    let is_jump = hosts
        .iter()
        .any(|(other, about)| *other != name && about.iter().any(|is| *is == Behind(leak(name))));
    prop_assert!(!is_jump, "{name} is a jump host");
    Ok(())
}

/// The same name as a constant.
fn leak(name: &str) -> &'static str {
    NAMES.into_iter().find(|known| *known == name).unwrap()
}

fn hold_order_law(
    hosts: &Hosts,
    proposals: &BTreeMap<HostName, Proposal>,
) -> Result<(), TestCaseError> {
    let of = |name: &str| &proposals[&HostName::new(name)];
    for (name, about) in hosts {
        for is in about.iter() {
            // The way to a host outlives the host's own change.
            if let Behind(jump) = is
                && jump != name
                && hosts.contains_key(jump)
                && of(jump).change.is_some()
            {
                prop_assert!(
                    of(jump).turn.rank > of(name).turn.rank,
                    "{jump} before {name}"
                );
            }
        }
        if about.contains(&NoFacts) || about.contains(&Unknown("clusters")) {
            continue;
        }
        for (kind, cluster, size, alive, healthy) in members(about) {
            // A member may go when every other is there.
            if of(name).change.is_some() && size > 1 {
                prop_assert!(alive == size && healthy, "{name} of {kind} {cluster}");
                prop_assert!(
                    kind == "postgresql-replicas" || size >= 3,
                    "{name}: no majority would be left"
                );
            }
            for (other, other_about) in hosts {
                let measured =
                    !other_about.contains(&NoFacts) && !other_about.contains(&Unknown("clusters"));
                let shares =
                    measured && members(other_about).any(|m| (m.0, m.1) == (kind, cluster));
                if shares && other != name {
                    let (one, two) = (&of(name).turn, &of(other).turn);
                    let apart = one.rank != two.rank
                        || (one.group == two.group
                            && one.pace == Pace::OneByOne
                            && two.pace == Pace::OneByOne);
                    prop_assert!(
                        apart,
                        "{name} and {other} of {kind} {cluster} could change at once"
                    );
                }
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn nothing_is_proposed_that_would_lose_data(fleet in fleets()) {
        let hosts: Vec<(&str, Vec<Is>)> = NAMES.into_iter().zip(fleet).collect();
        let (inventory, facts, controller) = scene(&hosts);
        let classified = classify(&inventory, &facts, &BTreeMap::new(), &controller);
        let hosts: Hosts = hosts.iter().map(|(name, about)| (*name, about)).collect();
        prop_assert_eq!(classified.proposals.len(), hosts.len());
        for (name, proposal) in &classified.proposals {
            hold_data_law(&hosts, name.as_str(), proposal)?;
        }
        hold_order_law(&hosts, &classified.proposals)?;
    }
}

/// The law would also hold if nothing were ever proposed: each kind of proposal is seen.
#[test]
fn each_kind_of_proposal_is_reached() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..2_000 {
        let fleet = fleets().new_tree(&mut runner).unwrap().current();
        let hosts: Vec<(&str, Vec<Is>)> = NAMES.into_iter().zip(fleet).collect();
        let (inventory, facts, controller) = scene(&hosts);
        for proposal in classify(&inventory, &facts, &BTreeMap::new(), &controller)
            .proposals
            .into_values()
        {
            let change = proposal.change.map_or("cannot say", Change::word);
            let data = proposal.data.map_or("cannot say", |data| data.word());
            *seen.entry(format!("{change} {data}")).or_default() += 1;
        }
    }
    for kind in [
        "cannot say cannot say",
        "in-place stays",
        "rebuild none",
        "rebuild carry",
        "rebuild rejoin",
    ] {
        assert!(
            seen.get(kind).is_some_and(|times| *times > 20),
            "{kind}: {seen:?}"
        );
    }
    assert_eq!(seen.len(), 5, "{seen:?}");
}
