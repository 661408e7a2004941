//! Strategies: points of change x data. The third coordinate, the order of the hosts, stands beside them.

use serde::{Deserialize, Serialize};

/// How the machine becomes one of the new release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Packages change on the machine.
    InPlace,
    /// Same name, new machine or image.
    Rebuild,
    /// A new machine beside the old one takes over.
    Replace,
    /// Packages change on the machine, the release of its system does not.
    Packages,
}

impl Change {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::InPlace, Self::Rebuild, Self::Replace, Self::Packages];

    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::Packages => "packages",
            Self::InPlace => "in-place",
            Self::Rebuild => "rebuild",
            Self::Replace => "replace",
        }
    }

    /// The change that is written so.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|change| change.word() == word)
    }
}

/// What becomes of the data on the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Data {
    /// There is none that must survive.
    None,
    /// It stays where it is (in place only).
    Stays,
    /// Named paths are exported before and imported after.
    Carry,
    /// Its volume is detached and attached again.
    Volume,
    /// The host comes back empty and its cluster replicates.
    Rejoin,
    /// The first new host receives the data once and becomes the authority; the others rejoin.
    Transfer,
}

impl Data {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::None,
        Self::Stays,
        Self::Carry,
        Self::Volume,
        Self::Rejoin,
        Self::Transfer,
    ];

    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Stays => "stays",
            Self::Carry => "carry",
            Self::Volume => "volume",
            Self::Rejoin => "rejoin",
            Self::Transfer => "transfer",
        }
    }
}

/// A point of change x data that makes sense: there is no other way to make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Strategy {
    change: Change,
    data: Data,
}

/// What a role says of its data, whether or not its strategy asks for it today.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keeps {
    /// It names paths that are carried.
    pub paths: bool,
    /// It names volumes.
    pub volumes: bool,
}

/// Two words that cannot go together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` with `{}` makes no sense: {why}", change.word(), data.word())]
pub struct Nonsense {
    change: Change,
    data: Data,
    why: &'static str,
}

/// Points with names of their own.
pub const PRESETS: [(&str, Strategy); 7] = [
    ("in-place", Strategy::IN_PLACE),
    ("stateless", Strategy::STATELESS),
    ("stateful", Strategy::STATEFUL),
    (
        "clustered",
        Strategy {
            change: Change::Rebuild,
            data: Data::Rejoin,
        },
    ),
    (
        "blue-green",
        Strategy {
            change: Change::Replace,
            data: Data::Volume,
        },
    ),
    (
        "first-then-rest",
        Strategy {
            change: Change::InPlace,
            data: Data::Transfer,
        },
    ),
    ("packages", Strategy::PACKAGES),
];

impl Strategy {
    /// Packages change on the machine; its release and its data stay.
    pub const PACKAGES: Self = Self {
        change: Change::Packages,
        data: Data::Stays,
    };

    /// Packages change on the machine, it reboots, its data stays.
    pub const IN_PLACE: Self = Self {
        change: Change::InPlace,
        data: Data::Stays,
    };

    /// A new machine; nothing of the old one is missed.
    pub const STATELESS: Self = Self {
        change: Change::Rebuild,
        data: Data::None,
    };

    /// A new machine that gets named paths of the old one.
    pub const STATEFUL: Self = Self {
        change: Change::Rebuild,
        data: Data::Carry,
    };

    /// The point of these two.
    ///
    /// # Errors
    /// When they cannot go together, with the reason.
    pub fn new(change: Change, data: Data) -> Result<Self, Nonsense> {
        match nonsense(change, data) {
            Some(why) => Err(Nonsense { change, data, why }),
            None => Ok(Self { change, data }),
        }
    }

    /// The point that a preset names.
    pub fn preset(name: &str) -> Option<Self> {
        PRESETS
            .into_iter()
            .find_map(|(known, point)| (known == name).then_some(point))
    }

    /// All points that make sense.
    pub fn all() -> impl Iterator<Item = Self> {
        Change::ALL
            .into_iter()
            .flat_map(|change| Data::ALL.into_iter().map(move |data| (change, data)))
            .filter_map(|(change, data)| Self::new(change, data).ok())
    }

    /// How the machine changes.
    pub fn change(self) -> Change {
        self.change
    }

    /// What becomes of its data.
    pub fn data(self) -> Data {
        self.data
    }

    /// The preset that names this point, if one does.
    pub fn name(self) -> Option<&'static str> {
        PRESETS
            .into_iter()
            .find_map(|(name, point)| (point == self).then_some(name))
    }

    /// The point for the same data with another change. What stays on the machine in place goes to another
    /// one with its volumes, or else is carried, if the role names them; what goes there stays in place.
    ///
    /// # Errors
    /// When it cannot be said what becomes of the data then.
    pub fn with_change(self, change: Change, keeps: Keeps) -> Result<Self, Nonsense> {
        let data = match (change, self.data) {
            (Change::Packages | Change::InPlace, Data::Carry | Data::Volume) => Data::Stays,
            (Change::Rebuild | Change::Replace, Data::Stays) if keeps.volumes => Data::Volume,
            (Change::Rebuild | Change::Replace, Data::Stays) if keeps.paths => Data::Carry,
            (_, data) => data,
        };
        Self::new(change, data)
    }
}

impl std::fmt::Display for Strategy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} with data {}", self.change.word(), self.data.word())
    }
}

impl<'de> Deserialize<'de> for Strategy {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Raw {
            change: Change,
            data: Data,
        }
        let raw = Raw::deserialize(deserializer)?;
        Self::new(raw.change, raw.data).map_err(serde::de::Error::custom)
    }
}

/// Why a change and a treatment of data cannot go together, if they cannot.
fn nonsense(change: Change, data: Data) -> Option<&'static str> {
    match (change, data) {
        (Change::Packages | Change::InPlace, Data::Carry | Data::Volume) => {
            Some("the machine stays, and its data with it, so there is nothing to bring back")
        }
        (Change::Rebuild | Change::Replace, Data::Stays) => Some(
            "the machine does not stay, so its data cannot; carry it, move its volume, or let it rejoin",
        ),
        (Change::Packages, Data::Rejoin | Data::Transfer) => {
            Some("the system stays, and its data with it, so nothing is received from others")
        }
        // A member of a cluster may leave and come back empty, or be the first that receives, on any machine.
        (Change::Packages, Data::None | Data::Stays)
        | (Change::InPlace, Data::None | Data::Stays | Data::Rejoin | Data::Transfer)
        | (
            Change::Rebuild | Change::Replace,
            Data::None | Data::Carry | Data::Volume | Data::Rejoin | Data::Transfer,
        ) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_make_sense() {
        for (name, point) in PRESETS {
            assert_eq!(Strategy::new(point.change, point.data), Ok(point), "{name}");
            assert_eq!(point.name(), Some(name));
            assert_eq!(Strategy::preset(name), Some(point));
        }
    }

    #[test]
    fn the_change_is_switched_and_the_data_follows_only_where_it_can() {
        let to = |from: Strategy, change, paths| {
            let keeps = Keeps {
                paths,
                volumes: false,
            };
            from.with_change(change, keeps)
                .map(|point| point.to_string())
                .map_err(|nonsense| nonsense.to_string())
        };
        for (from, change, carries, wanted) in [
            (
                Strategy::IN_PLACE,
                Change::Rebuild,
                true,
                "rebuild with data carry",
            ),
            (
                Strategy::STATEFUL,
                Change::InPlace,
                true,
                "in-place with data stays",
            ),
            (
                Strategy::STATELESS,
                Change::InPlace,
                false,
                "in-place with data none",
            ),
            (
                Strategy::STATELESS,
                Change::Replace,
                false,
                "replace with data none",
            ),
            (
                Strategy::STATEFUL,
                Change::Rebuild,
                true,
                "rebuild with data carry",
            ),
        ] {
            assert_eq!(to(from, change, carries).as_deref(), Ok(wanted));
        }
        insta::assert_snapshot!(
            to(Strategy::IN_PLACE, Change::Rebuild, false).unwrap_err(),
            @"`rebuild` with `stays` makes no sense: the machine does not stay, so its data cannot; carry it, move its volume, or let it rejoin"
        );
    }

    #[test]
    fn what_lies_on_volumes_goes_with_them_whatever_is_carried_too() {
        let keeps = Keeps {
            paths: true,
            volumes: true,
        };
        let there = Strategy::IN_PLACE.with_change(Change::Replace, keeps);
        assert_eq!(there, Ok(Strategy::preset("blue-green").unwrap()));
        let rebuilt = there.unwrap().with_change(Change::Rebuild, keeps).unwrap();
        assert_eq!(
            rebuilt.to_string(),
            "rebuild with data volume",
            "the data stays on its volume when the change is switched"
        );
        let back = rebuilt.with_change(Change::InPlace, keeps);
        assert_eq!(back, Ok(Strategy::IN_PLACE));
    }

    #[test]
    fn a_stored_point_is_judged_like_a_written_one() {
        for point in Strategy::all() {
            let text = serde_json::to_string(&point).unwrap();
            assert_eq!(serde_json::from_str::<Strategy>(&text).unwrap(), point);
        }
        serde_json::from_str::<Strategy>(r#"{"change":"rebuild","data":"stays"}"#).unwrap_err();
    }
}
