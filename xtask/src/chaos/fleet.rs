//! Which hosts are upgraded by which definition.

use super::place::{Place, places};

/// A fleet of the lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Fleet {
    /// The demo: six hosts, three strategies, two zones, and a client of its site.
    Six,
    /// The two of them whose machines are made anew; a run takes a minute.
    Remade,
    /// One host with web site and database, upgraded in place.
    OneHost,
}

impl Fleet {
    /// The lab's topology.
    pub fn topology(self) -> &'static str {
        match self {
            Self::Six => "six",
            Self::Remade => "remade",
            Self::OneHost => "one-host",
        }
    }

    /// The definition.
    pub fn definition(self) -> &'static str {
        match self {
            Self::Six => "workflows/debian-major/upgrade.yaml",
            Self::Remade => "lab/demo/remade.yaml",
            Self::OneHost => "lab/demo/upgrade.yaml",
        }
    }

    /// Its hosts that are upgraded.
    pub fn hosts(self) -> &'static [&'static str] {
        match self {
            Self::Six => &["web1", "web2", "db1", "cache1", "files1", "inner1"],
            Self::Remade => &["cache1", "files1"],
            Self::OneHost => &["db1"],
        }
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
        for fleet in [Fleet::Six, Fleet::Remade, Fleet::OneHost] {
            let places = fleet.places();
            for host in fleet.hosts() {
                assert!(places.iter().any(|place| place.host == *host), "{host}");
            }
            assert!(places.iter().all(|p| fleet.hosts().contains(&p.host)));
        }
        assert_eq!(Fleet::Six.places(), places());
    }
}
