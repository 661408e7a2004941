//! A first definition, drafted from fleet, facts and proposals. What people must decide is marked `GAP`.

use crate::text;
use overhaul_classify::of_unit;
use overhaul_model::facts::{FleetFacts, HostFacts};
use overhaul_model::fleet::Fleet;
use overhaul_model::id::{HostName, RoleName};
use overhaul_model::kind::UpgradePath;
use overhaul_model::tracker::{Change, DataWay, Proposal};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Hosts that one remark lists.
const LISTED_MAX: usize = 8;

/// Units that are services of users, with the health check that is proposed for them.
const SERVICES: [(&str, &str, &str); 7] = [
    (
        "nginx.service",
        "nginx",
        "{http: \"http://{{ host.address }}/\"}",
    ),
    (
        "apache2.service",
        "apache2",
        "{http: \"http://{{ host.address }}/\"}",
    ),
    (
        "postgresql.service",
        "postgresql",
        "{run: [runuser, -u, postgres, --, psql, -XAtqc, select 1]}",
    ),
    ("mariadb.service", "mariadb", "{run: [mariadb-admin, ping]}"),
    (
        "memcached.service",
        "memcached",
        "{tcp: \"{{ host.address }}:11211\"}",
    ),
    (
        "redis-server.service",
        "redis-server",
        "{run: [redis-cli, ping]}",
    ),
    (
        "nfs-server.service",
        "nfs-server",
        "{tcp: \"{{ host.address }}:2049\"}",
    ),
];

/// A service that was found.
struct Found {
    name: String,
    role: RoleName,
    unit: &'static str,
    healthy: &'static str,
}

/// What a draft is made from.
pub struct Draft<'a> {
    /// The fleet.
    pub fleet: &'a Fleet,
    /// Its facts.
    pub facts: &'a FleetFacts,
    /// The proposals.
    pub proposals: &'a BTreeMap<HostName, Proposal>,
    /// From which release to which.
    pub path: &'a UpgradePath,
    /// The upgrader's name.
    pub upgrader: &'a str,
}

impl Draft<'_> {
    /// The text of `upgrade.yaml`.
    pub fn text(&self) -> String {
        let roles = self.roles();
        let services = self.services(&roles);
        let datasets = self.datasets(&services);
        let mut out = self.head();
        write_services(&services, &mut out);
        if !datasets.is_empty() {
            out.push_str(
                "\n# Data with one authority. It is copied before anything changes.\ndatasets:\n",
            );
            for (name, (service, _, cluster)) in &datasets {
                let cluster = if cluster == "main" {
                    String::new()
                } else {
                    format!(", cluster: {cluster}")
                };
                let _ = writeln!(
                    out,
                    "  {name}: {{of: {service}, kind: postgresql{cluster}}}"
                );
            }
        }
        out.push_str(
            "\n# In the order in which they change; hosts of one role by their names.\nroles:\n",
        );
        for role in &roles {
            self.role(role, &datasets, &mut out);
        }
        self.rest(&roles, &mut out);
        out
    }

    fn head(&self) -> String {
        let (from, to) = (&self.path.from, &self.path.to);
        let zones: BTreeSet<_> = self
            .fleet
            .hosts
            .values()
            .filter_map(|host| host.zone.as_ref())
            .collect();
        let mut out = format!(
            "# A draft: overhaul wrote it once, from inventory and facts, and never touches it again.\n\
             # Every line with GAP needs a decision of yours. `overhaul check` says what speaks against it as it stands.\n\
             upgrade: {}-to-{}\n\
             from: {{os: {}, release: \"{}\"}}\n\
             to: {{os: {}, release: \"{}\"}}\n",
            self.path.from_codename,
            self.path.to_codename,
            from.os,
            from.release,
            to.os,
            to.release
        );
        if zones.len() > 1 {
            let _ = writeln!(
                out,
                "# GAP: the fleet has {}. Decide whether one may change while another does: zones: one-at-a-time",
                text::count(zones.len(), "zone")
            );
        }
        out
    }

    /// Roles that share no host, the smallest first taken; in the order of their ranks.
    fn roles(&self) -> Vec<RoleName> {
        let mut sizes: BTreeMap<&RoleName, BTreeSet<&HostName>> = BTreeMap::new();
        for host in self.fleet.hosts.values() {
            for role in &host.roles {
                sizes.entry(role).or_default().insert(&host.name);
            }
        }
        let mut smallest: Vec<_> = sizes.into_iter().collect();
        smallest.sort_by_key(|(role, hosts)| (hosts.len(), (*role).clone()));
        let mut taken: BTreeSet<&HostName> = BTreeSet::new();
        let mut roles = Vec::new();
        for (role, hosts) in smallest {
            // Where nobody can say what becomes of one, the role is for a person to write.
            let changes = hosts.iter().all(|host| self.changes(host));
            if changes && hosts.is_disjoint(&taken) {
                taken.extend(hosts.iter().copied());
                let ranks = hosts.iter().filter_map(|host| self.proposals.get(*host));
                let rank = ranks.map(|p| p.turn.rank).max().unwrap_or(1);
                roles.push((rank, role.clone()));
            }
        }
        roles.sort();
        roles.into_iter().map(|(_, role)| role).collect()
    }

    /// Whether something is proposed for a host.
    fn changes(&self, host: &HostName) -> bool {
        self.proposals.get(host).is_some_and(|p| p.change.is_some())
    }

    /// Units that run on all hosts of a role that facts are known of.
    fn services(&self, roles: &[RoleName]) -> Vec<Found> {
        let mut out: Vec<Found> = Vec::new();
        for role in roles {
            let facts: Vec<&HostFacts> = self
                .fleet
                .of_role(role)
                .filter_map(|host| self.facts.get(&host.name))
                .collect();
            for (unit, name, healthy) in SERVICES {
                let runs = |facts: &&HostFacts| {
                    let units = facts.units.value();
                    units.is_some_and(|units| {
                        units.iter().any(|u| u.name == unit && u.active == "active")
                    })
                };
                if facts.is_empty() || !facts.iter().all(runs) {
                    continue;
                }
                let taken = out.iter().any(|found| found.name == name);
                out.push(Found {
                    name: if taken {
                        format!("{name}-{role}")
                    } else {
                        name.to_owned()
                    },
                    role: role.clone(),
                    unit: unit.trim_end_matches(".service"),
                    healthy,
                });
            }
        }
        out
    }

    /// Clusters of PostgreSQL on services with one host: name, then service, role and cluster.
    fn datasets(&self, services: &[Found]) -> BTreeMap<String, (String, RoleName, String)> {
        let mut out = BTreeMap::new();
        for found in services.iter().filter(|found| found.unit == "postgresql") {
            let mut hosts = self.fleet.of_role(&found.role);
            let (Some(host), None) = (hosts.next(), hosts.next()) else {
                continue;
            };
            let clusters = self
                .facts
                .get(&host.name)
                .and_then(|facts| facts.postgresql.value());
            let online: Vec<_> = clusters
                .into_iter()
                .flatten()
                .filter(|cluster| cluster.online)
                .collect();
            if let [cluster] = online.as_slice()
                && is_name(&cluster.name)
            {
                let name = format!("{}-{}", found.name, cluster.name);
                out.insert(
                    name,
                    (found.name.clone(), found.role.clone(), cluster.name.clone()),
                );
            }
        }
        out
    }

    fn role(
        &self,
        role: &RoleName,
        datasets: &BTreeMap<String, (String, RoleName, String)>,
        out: &mut String,
    ) {
        let _ = writeln!(out, "  {role}:");
        for host in self.fleet.of_role(role) {
            let Some(proposal) = self.proposals.get(&host.name) else {
                continue;
            };
            let _ = writeln!(out, "    # {}: {}", host.name, point(proposal));
            if let Some(reason) = proposal
                .reasons
                .iter()
                .rfind(|reason| CONCLUDING.contains(&reason.rule.as_str()))
            {
                let _ = writeln!(out, "    #   {}", text::one_line(&reason.says, 300));
            }
            for gap in &proposal.not_known {
                let _ = writeln!(out, "    #   GAP: not known: {}", text::one_line(gap, 300));
            }
        }
        let strange = self.fleet.of_role(role).any(|host| {
            let change = self.proposals.get(&host.name).and_then(|p| p.change);
            change.is_some_and(|change| change != Change::InPlace)
        });
        if strange {
            out.push_str("    # GAP: drafted in place. The proposal above needs `rebuild:`, and `carry:` where data is carried over; docs/strategies.md has all points.\n");
        }
        out.push_str("    strategy: in-place\n    order: one-by-one\n");
        if self.upgrader != "apt" {
            let _ = writeln!(out, "    upgrader: {}", self.upgrader);
        }
        let own: Vec<&String> = datasets
            .iter()
            .filter(|(_, (_, of, _))| of == role)
            .map(|(name, _)| name)
            .collect();
        for name in own {
            let _ = writeln!(
                out,
                "    backup: [{name}]\n    migrate:\n      - name: move the cluster to the new major\n        database: {{move_cluster: {name}}}"
            );
        }
    }

    /// Hosts that no role of the draft has, and units that nobody knows.
    fn rest(&self, roles: &[RoleName], out: &mut String) {
        let covered = |host: &&overhaul_model::fleet::Host| {
            !host.roles.iter().any(|role| roles.contains(role))
        };
        let left: Vec<String> = self
            .fleet
            .hosts
            .values()
            .filter(covered)
            .map(|host| host.name.to_string())
            .collect();
        if !left.is_empty() {
            let _ = writeln!(
                out,
                "\n# GAP: these hosts are in no role above, because nothing can be proposed for a host of their group, or their groups share hosts with a role above.\n# Give them a group of their own in the inventory: {}",
                cut(&left)
            );
        }
        let mut strangers = BTreeSet::new();
        for (host, facts) in self.facts {
            for unit in facts.units.value().into_iter().flatten() {
                if unit.active == "active"
                    && unit.name.ends_with(".service")
                    && of_unit(&unit.name).is_none()
                {
                    strangers.insert(format!("{} on {host}", text::one_line(&unit.name, 80)));
                }
            }
        }
        if !strangers.is_empty() {
            let strangers: Vec<String> = strangers.into_iter().collect();
            let _ = writeln!(
                out,
                "\n# GAP: nobody but you knows these units. If users notice when one is down, name it under `services`:\n# {}",
                cut(&strangers)
            );
        }
    }
}

/// Rules whose reason is the conclusion of a proposal.
const CONCLUDING: [&str; 7] = [
    "in-place",
    "rejoin",
    "carry",
    "stateless",
    "quorum",
    "controller",
    "circle",
];

fn write_services(services: &[Found], out: &mut String) {
    if services.is_empty() {
        out.push_str("\n# GAP: no service was recognised. Name what users notice: services: {site: {on: ROLE, unit: UNIT, healthy: {http: URL}}}\n");
        return;
    }
    out.push_str("\n# What users notice. GAP: check each health check, and agree on a budget: window: {budget: 15m}\nservices:\n");
    for found in services {
        let _ = writeln!(
            out,
            "  {}: {{on: {}, unit: {}, healthy: {}}}",
            found.name, found.role, found.unit, found.healthy
        );
    }
}

fn point(proposal: &Proposal) -> String {
    let change = proposal.change.map_or("cannot say", Change::word);
    let data = proposal
        .data
        .as_ref()
        .map_or("cannot say".to_owned(), DataWay::shown);
    format!(
        "proposed {change}, data {}, {}",
        text::one_line(&data, 200),
        proposal.turn.pace.word()
    )
}

fn cut(names: &[String]) -> String {
    let more = names.len().saturating_sub(LISTED_MAX);
    let mut out = names
        .iter()
        .take(LISTED_MAX)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    if more > 0 {
        let _ = write!(out, " and {more} more");
    }
    out
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}
