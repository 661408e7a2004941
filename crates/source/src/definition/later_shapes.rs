//! The keys of actions that are declared and not carried out yet: what [`overhaul_model::later`] lists.

use crate::shape::{Key, Kind, Shape, may};

const WITH: &[Key] = &[may(
    "with",
    Kind::Map(&Kind::Text),
    "what else is said about it, by name",
)];

const fn shape(id: &'static str, what: &'static str, one_of: &'static [Key]) -> Shape {
    Shape {
        id,
        what,
        keys: &[WITH],
        later: &[],
        one_of,
    }
}

/// Names.
pub(super) static DNS: Shape = shape(
    "dns",
    "`dns`",
    &[may("set", Kind::Text, "the records get their new values")],
);

/// A certificate.
pub(super) static CERTIFICATE: Shape = shape(
    "certificate",
    "`certificate`",
    &[
        may(
            "copy",
            Kind::Text,
            "copies certificate and key to the new machine",
        ),
        may(
            "verify",
            Kind::Text,
            "looks at name, issuer and who may read it",
        ),
    ],
);

/// People and processes at work.
pub(super) static SESSIONS: Shape = shape(
    "sessions",
    "`sessions`",
    &[may(
        "end",
        Kind::Text,
        "waits for whoever is at work, then ends it",
    )],
);

/// Data migrated while services run.
pub(super) static MIGRATIONS: Shape = shape(
    "migrations",
    "`migrations`",
    &[may(
        "online",
        Kind::Text,
        "the service whose data is migrated while it runs",
    )],
);

/// A mark that others read.
pub(super) static MARK: Shape = shape(
    "mark",
    "`mark`",
    &[
        may("set", Kind::Text, "sets a mark that others read"),
        may("clear", Kind::Text, "takes it away"),
    ],
);

/// All of them; the key of each is its id.
static ALL: [&Shape; 5] = [&DNS, &CERTIFICATE, &SESSIONS, &MIGRATIONS, &MARK];

/// The shape below one of these keys.
pub(super) fn of(key: &str) -> Option<&'static Shape> {
    ALL.iter().copied().find(|shape| shape.id == key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use overhaul_model::later::{Later, WORDS};

    #[test]
    fn every_written_word_is_a_thing_of_the_model_and_the_other_way_round() {
        let written: Vec<Later> = ALL
            .iter()
            .flat_map(|shape| {
                let verbs = shape.one_of.iter();
                verbs.map(|verb| Later::of(shape.id, verb.name).unwrap())
            })
            .collect();
        let actions = WORDS.iter().filter(|word| of(word.key).is_some());
        assert_eq!(written, actions.map(|word| word.later).collect::<Vec<_>>());
    }
}
