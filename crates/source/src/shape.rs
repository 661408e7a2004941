//! What keys there are: the one table from which readers, suggestions and JSON Schemas come.

/// What an object of a file looks like.
pub(crate) struct Shape {
    /// Name in the JSON Schema.
    pub(crate) id: &'static str,
    /// How messages call it, like `a host`.
    pub(crate) what: &'static str,
    /// Its keys, in groups, so that shapes can share some.
    pub(crate) keys: &'static [&'static [Key]],
    /// Keys that the design knows and this version does not, with what to do instead.
    pub(crate) later: &'static [(&'static str, &'static str)],
    /// Keys of which exactly one must be there; none when empty.
    pub(crate) one_of: &'static [Key],
}

/// A key.
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) needed: bool,
    /// What it means, in the schema.
    pub(crate) says: &'static str,
}

/// What a value looks like.
pub(crate) enum Kind {
    /// A text, or a number taken as it is spelt.
    Text,
    /// One of these words.
    Words(&'static [&'static str]),
    /// A whole number within bounds.
    Int(i64, i64),
    /// `true` or `false`.
    Bool,
    /// A length of time.
    Span,
    /// A date.
    Date,
    /// Anything.
    Any,
    /// An empty value.
    Nothing,
    List(&'static Kind),
    /// Names with a value each.
    Map(&'static Kind),
    Object(&'static Shape),
    Either(&'static [Kind]),
}

/// A key that may be left out.
pub(crate) const fn may(name: &'static str, kind: Kind, says: &'static str) -> Key {
    Key {
        name,
        kind,
        needed: false,
        says,
    }
}

/// A key that must be there.
pub(crate) const fn must(name: &'static str, kind: Kind, says: &'static str) -> Key {
    Key {
        name,
        kind,
        needed: true,
        says,
    }
}

impl Shape {
    /// All keys.
    pub(crate) fn all(&self) -> impl Iterator<Item = &'static Key> + Clone + use<> {
        self.keys
            .iter()
            .flat_map(|group| group.iter())
            .chain(self.one_of.iter())
    }

    pub(crate) fn knows(&self, name: &str) -> bool {
        self.all().any(|key| key.name == name)
    }
}
