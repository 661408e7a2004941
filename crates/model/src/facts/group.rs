//! Groups of facts: each a struct of which every field is [`Known`](super::Known), made in one way.

/// Declares a group: its fields are what was measured, each wrapped into `Known`. A field that an older
/// program did not write is read as unknown, never as good.
macro_rules! fact_group {
    ($(#[$about:meta])* $group:ident { $($(#[$fact:meta])* $name:ident: $value:ty,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(default)]
        pub struct $group {
            $($(#[$fact])* pub $name: $crate::facts::Known<$value>,)+
        }

        impl $group {
            /// All of it unknown for one reason.
            pub fn unknown(reason: &str) -> Self {
                Self { $($name: $crate::facts::Known::unknown(reason),)+ }
            }

            /// The fields that were not measured, with the reasons.
            pub fn gaps(&self) -> Vec<(&'static str, &str)> {
                [$((stringify!($name), self.$name.gap()),)+]
                    .into_iter()
                    .filter_map(|(name, reason)| Some((name, reason?)))
                    .collect()
            }
        }
    };
}

pub(super) use fact_group;
