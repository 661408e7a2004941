//! Which hosts are upgraded by which definition.

use std::collections::BTreeMap;

use serde_json::Value;

use super::place::{Place, places};

/// A fleet of the lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Fleet {
    /// The demo: six hosts, three strategies, two zones, and a client of its site.
    Six,
    /// The two of them whose machines are made anew; a run takes a minute.
    Remade,
    /// Both web servers behind one address and the inner host, upgraded in place; they hold no data.
    Webs,
    /// One host with web site and database, upgraded in place.
    OneHost,
}

impl Fleet {
    /// The lab's topology.
    pub fn topology(self) -> &'static str {
        match self {
            Self::Six => "six",
            Self::Remade => "remade",
            Self::Webs => "webs",
            Self::OneHost => "one-host",
        }
    }

    /// The definition.
    pub fn definition(self) -> &'static str {
        match self {
            Self::Six => "workflows/debian-major/upgrade.yaml",
            Self::Remade => "lab/demo/remade.yaml",
            Self::Webs => "lab/demo/webs.yaml",
            Self::OneHost => "lab/demo/upgrade.yaml",
        }
    }

    /// Its hosts that are upgraded.
    pub fn hosts(self) -> &'static [&'static str] {
        match self {
            Self::Six => &["web1", "web2", "db1", "cache1", "files1", "inner1"],
            Self::Remade => &["cache1", "files1"],
            Self::Webs => &["web1", "web2", "inner1"],
            Self::OneHost => &["db1"],
        }
    }

    /// What an end of the demo says of these hosts: the undisturbed end of a part of it is a part of its end.
    pub fn part_of(self, end: &Value, part: &str) -> BTreeMap<String, Value> {
        let of_hosts = end.get(part).and_then(Value::as_object);
        let ours = |host: &String| self.hosts().contains(&host.as_str());
        let told = of_hosts.into_iter().flatten();
        told.filter(|(host, _)| ours(host))
            .map(|(host, what)| (host.clone(), what.clone()))
            .collect()
    }

    /// Where faults can strike.
    pub fn places(self) -> Vec<Place> {
        let ours = |place: &Place| self.hosts().contains(&place.host);
        places().into_iter().filter(ours).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fleet_has_places_on_all_its_hosts_and_on_no_other() {
        for fleet in [Fleet::Six, Fleet::Remade, Fleet::Webs, Fleet::OneHost] {
            let places = fleet.places();
            for host in fleet.hosts() {
                assert!(places.iter().any(|place| place.host == *host), "{host}");
            }
            assert!(places.iter().all(|p| fleet.hosts().contains(&p.host)));
        }
        assert_eq!(Fleet::Six.places(), places());
    }

    #[test]
    fn of_the_demos_end_only_what_is_said_of_the_fleet_counts() {
        let end =
            serde_json::json!({"hosts": {"db1": 1, "cache1": 2, "files1": 3}, "rows": {"db1": 4}});
        let hosts = Fleet::Remade.part_of(&end, "hosts");
        assert_eq!(
            serde_json::json!(hosts),
            serde_json::json!({"cache1": 2, "files1": 3})
        );
        assert!(Fleet::Remade.part_of(&end, "rows").is_empty());
        assert_eq!(Fleet::OneHost.part_of(&end, "rows").len(), 1);
        assert!(Fleet::Six.part_of(&Value::Null, "hosts").is_empty());
    }
}
