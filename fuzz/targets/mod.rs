//! One module for each reader: `run` gives it any bytes.

pub use crate::text::text;

macro_rules! targets {
    ($($name:ident,)+) => {
        $(pub mod $name;)+

        /// All of them, by name.
        pub const ALL: &[(&str, fn(&[u8]))] = &[$((stringify!($name), $name::run),)+];
    };
}

targets! {
    answers,
    archive,
    cluster_kind,
    definition,
    frames,
    hooks,
    host_files,
    inventory_folder,
    inventory_ini,
    inventory_program,
    inventory_yaml,
    json,
    kind,
    known_hosts,
    patterns,
    provider,
    ssh_config,
    templates,
    tracker,
    vault,
}
