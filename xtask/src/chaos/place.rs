//! Where faults strike: steps of the upgrade of the fleet of six, one or more for each slot of each host.

/// A step of a host's lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The host.
    pub host: &'static str,
    /// The slot.
    pub slot: &'static str,
    /// The step within it.
    pub step: &'static str,
}

/// Steps of every host whose release changes in place.
const IN_PLACE: [(&str, &str); 12] = [
    ("prepare", "packages-are-whole-before"),
    ("prepare", "index-of-the-old-release"),
    ("prepare", "rehearse-and-download"),
    ("change", "packages-start-nothing"),
    ("change", "old-release-at-its-newest"),
    ("change", "index-of-the-new-release"),
    ("change", "minimal-upgrade"),
    ("change", "full-upgrade"),
    ("change", "reboot"),
    ("change", "new-release"),
    ("change", "packages-are-whole-afterwards"),
    ("change", "apt-timers-back"),
];
/// More of them on web servers.
const WEB: [(&str, &str); 8] = [
    ("drain", "begin"),
    ("drain", "lead-users-to-the-other-server"),
    ("drain", "the-other-server-has-the-address"),
    ("stop", "hold-site"),
    ("start", "let-go-site"),
    ("verify", "healthy-site"),
    ("verify", "healthy-site-address"),
    ("undrain", "take-part-again"),
];
/// More of them on the database.
const DATABASE: [(&str, &str); 8] = [
    ("backup", "copy-orders-postgres"),
    ("backup", "read-back-orders-postgres"),
    ("stop", "digest-of-all-rows-before"),
    ("stop", "hold-database"),
    ("migrate", "move-the-cluster-to-the-new-major"),
    ("start", "let-go-database"),
    ("verify", "healthy-database"),
    ("verify", "all-rows-are-the-same"),
];
/// Steps of the cache, which is made anew.
const CACHE: [(&str, &str); 8] = [
    ("prepare", "machine-known"),
    ("stop", "hold-cache"),
    ("change", "rebuild"),
    ("change", "new-release"),
    ("configure", "other-hosts-may-ask-it"),
    ("start", "let-go-cache"),
    ("start", "the-cache-takes-up-its-settings"),
    ("verify", "healthy-cache"),
];
/// Steps of the file server, which is made anew and gets its files back.
const FILES: [(&str, &str); 9] = [
    ("prepare", "machine-known"),
    ("stop", "hold-shares"),
    ("export", "persist-carried-files1"),
    ("change", "rebuild"),
    ("change", "new-release"),
    ("restore", "restore-carried-files1"),
    ("configure", "what-is-shared"),
    ("start", "let-go-shares"),
    ("verify", "healthy-shares"),
];

/// All places.
pub fn places() -> Vec<Place> {
    let lanes: [(&'static str, Vec<(&'static str, &'static str)>); 6] = [
        ("web1", [&IN_PLACE[..], &WEB].concat()),
        ("web2", [&IN_PLACE[..], &WEB].concat()),
        ("db1", [&IN_PLACE[..], &DATABASE].concat()),
        ("cache1", CACHE.to_vec()),
        ("files1", FILES.to_vec()),
        ("inner1", IN_PLACE.to_vec()),
    ];
    let of = |(host, steps): (&'static str, Vec<(&'static str, &'static str)>)| {
        let steps = steps.into_iter();
        steps.map(move |(slot, step)| Place { host, slot, step })
    };
    lanes.into_iter().flat_map(of).collect()
}

impl Place {
    /// Whether a position of the journal is this one: `upgrade/a/web/change/reboot@web1`.
    pub fn is(&self, position: &str) -> bool {
        let Some((path, host)) = position.rsplit_once('@') else {
            return false;
        };
        let mut parts = path.rsplit('/');
        host == self.host && parts.next() == Some(self.step) && parts.next() == Some(self.slot)
    }

    /// Whether the host is one of the web servers.
    pub fn is_web(&self) -> bool {
        self.host.starts_with("web")
    }

    /// The unit that the probes of its service ask, and the host that it is stopped on: while a web server waits for its turn, it is the other one's.
    pub fn unit(&self) -> Option<(&'static str, &'static str)> {
        match self.host {
            "web1" if self.step == "begin" => Some(("web2", "nginx")),
            "web2" if self.step == "begin" => Some(("web1", "nginx")),
            "web1" | "web2" => Some((self.host, "nginx")),
            "db1" => Some((self.host, "postgresql")),
            "cache1" => Some((self.host, "redis-server")),
            "files1" => Some((self.host, "smbd")),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_step_of_a_slot_of_a_host() {
        let place = Place {
            host: "web1",
            slot: "change",
            step: "reboot",
        };
        assert!(place.is("upgrade/a/web/change/reboot@web1"));
        for other in [
            "upgrade/a/web/change/reboot@web2",
            "upgrade/a/web/start/reboot@web1",
            "upgrade/a/web/change/reboot",
            "reboot@web1",
        ] {
            assert!(!place.is(other), "{other}");
        }
    }

    #[test]
    fn each_place_is_named_once() {
        let mut all = places();
        all.sort();
        let count = all.len();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
