//! Readers of foreign bytes, each given its corpus and inputs near it; the search with coverage is `fuzz/run.sh`.
#![cfg(test)]

#[path = "../../fuzz/mutate.rs"]
mod mutate;
#[path = "../../fuzz/text.rs"]
mod text;

/// Readers that only their own crate can call; they are tested there.
const ELSEWHERE: [&str; 2] = ["host_files", "provider"];

macro_rules! short {
    ($($name:ident: $inputs:literal,)+) => {
        #[path = "../../fuzz/targets"]
        mod targets {
            pub use super::text::text;

            $(pub mod $name;)+
        }

        const HERE: &[&str] = &[$(stringify!($name),)+];

        mod short {
            use super::{mutate, targets};

            $(
                #[test]
                fn $name() {
                    mutate::short(stringify!($name), targets::$name::run, $inputs);
                }
            )+
        }
    };
}

// So many that each takes some seconds at most without optimisation.
short! {
    answers: 100_000,
    archive: 400,
    cluster_kind: 5_000,
    definition: 1_000,
    frames: 250_000,
    hooks: 5_000,
    inventory_folder: 500,
    inventory_ini: 5_000,
    inventory_program: 5_000,
    inventory_yaml: 2_500,
    json: 25_000,
    kind: 1_000,
    known_hosts: 10_000,
    patterns: 10_000,
    ssh_config: 5_000,
    templates: 10_000,
    tracker: 500,
    vault: 250,
}

#[test]
fn every_target_is_played() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/targets");
    let names = std::fs::read_dir(folder).expect("the targets").flatten();
    let names = names.map(|entry| {
        entry
            .path()
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
    });
    let mut found: Vec<String> = names.flatten().filter(|name| name != "mod").collect();
    let mut played: Vec<String> = HERE
        .iter()
        .chain(&ELSEWHERE)
        .map(ToString::to_string)
        .collect();
    found.sort();
    played.sort();
    assert_eq!(found, played);
}
