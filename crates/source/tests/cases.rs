//! Each case is a file's text in `cases/`; the snapshot is the whole value or every problem.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use overhaul_source::{SourceFile, check_texts, cluster_kind, definition, fleet, kind};
use std::fmt::Write as _;

/// The cases of a file: a name after `##### `, then the text.
fn cases(text: &str) -> Vec<SourceFile> {
    let blocks = text.split("##### ").skip(1);
    let cases = blocks.map(|block| block.split_once('\n').unwrap());
    cases
        .map(|(name, text)| SourceFile::new(name, text))
        .collect()
}

/// What came of each case, one after the other.
fn outcomes<T: serde::Serialize>(
    text: &str,
    read: impl Fn(&SourceFile) -> Result<T, overhaul_source::Problems>,
) -> String {
    let mut out = String::new();
    for case in cases(text) {
        writeln!(out, "##### {}", case.name).unwrap();
        match read(&case) {
            Ok(value) => writeln!(out, "{}", serde_json::to_string_pretty(&value).unwrap()),
            Err(problems) => writeln!(out, "{problems}"),
        }
        .unwrap();
    }
    out
}

/// The upgraders that definitions of cases may name.
fn upgraders() -> std::collections::BTreeMap<String, overhaul_model::kind::Upgrader> {
    let case = cases(include_str!("cases/kind-good.txt")).remove(0);
    let apt = kind::parse(&case).unwrap();
    [(apt.name.clone(), apt)].into()
}

fn read_fleet(file: &SourceFile) -> Result<serde_json::Value, overhaul_source::Problems> {
    let input = fleet::parse(file)?;
    let passwords = input.passwords.iter();
    let passwords: Vec<_> = passwords
        .map(|(host, secret)| format!("{host}: {}", secret.reveal()))
        .collect();
    let notes: Vec<_> = input
        .notes
        .iter()
        .map(|(file, note)| format!("{file}:{}: {}", note.line, note.message))
        .collect();
    let refused: Vec<_> = input
        .refused
        .iter()
        .map(|(host, refused)| format!("{host}: {}", refused.problems))
        .collect();
    let left_out: Vec<_> = input
        .left_out
        .iter()
        .map(|(name, why)| format!("{name}: {why:?}"))
        .collect();
    let members: Vec<_> = input
        .membership
        .groups
        .iter()
        .map(|(group, hosts)| format!("{group}: {}", hosts.join(" ")))
        .collect();
    Ok(serde_json::json!({
        "fleet": input.fleet,
        "passwords": passwords,
        "notes": notes,
        "refused": refused,
        "left_out": left_out,
        "members": members,
    }))
}

fn read_both(file: &SourceFile) -> Result<&'static str, overhaul_source::Problems> {
    let (fleet, upgrade) = file.text.split_once("=====\n").unwrap();
    let fleet = fleet::parse(&SourceFile::new("fleet.yaml", fleet))?;
    let upgrade = SourceFile::new("upgrade.yaml", upgrade);
    let definition = definition::parse(&upgrade, &upgraders())?;
    check_texts(&upgrade, &definition, &fleet).map(|()| "all texts are good")
}

#[test]
fn good_fleets() {
    insta::assert_snapshot!(outcomes(include_str!("cases/fleet-good.txt"), read_fleet));
}

#[test]
fn bad_fleets() {
    let outcomes = outcomes(include_str!("cases/fleet-bad.txt"), read_fleet);
    assert!(
        !outcomes.contains("hunter"),
        "a password is shown:\n{outcomes}"
    );
    insta::assert_snapshot!(outcomes);
}

fn clusters() -> Vec<overhaul_model::cluster_kind::ClusterKind> {
    let cases = cases(include_str!("cases/cluster-kind-good.txt"));
    cases
        .iter()
        .map(|case| cluster_kind::parse(case).unwrap())
        .collect()
}

#[test]
fn good_upgrades() {
    let (upgraders, clusters) = (upgraders(), clusters());
    insta::assert_snapshot!(outcomes(include_str!("cases/upgrade-good.txt"), |file| {
        // The upgrader itself stands in another snapshot.
        let kinds = definition::KnownKinds {
            upgraders: &upgraders,
            clusters: &clusters,
        };
        definition::parse(file, kinds).map(|mut definition| {
            definition.upgraders.clear();
            definition.clusters.clear();
            definition
        })
    }));
}

#[test]
fn bad_upgrades() {
    let (upgraders, clusters) = (upgraders(), clusters());
    insta::assert_snapshot!(outcomes(include_str!("cases/upgrade-bad.txt"), |file| {
        let kinds = definition::KnownKinds {
            upgraders: &upgraders,
            clusters: &clusters,
        };
        definition::parse(file, kinds)
    }));
}

#[test]
fn good_kinds() {
    insta::assert_snapshot!(outcomes(include_str!("cases/kind-good.txt"), kind::parse));
}

#[test]
fn bad_kinds() {
    insta::assert_snapshot!(outcomes(include_str!("cases/kind-bad.txt"), kind::parse));
}

#[test]
fn good_cluster_kinds() {
    let text = include_str!("cases/cluster-kind-good.txt");
    insta::assert_snapshot!(outcomes(text, cluster_kind::parse));
}

#[test]
fn bad_cluster_kinds() {
    let text = include_str!("cases/cluster-kind-bad.txt");
    insta::assert_snapshot!(outcomes(text, cluster_kind::parse));
}

#[test]
fn texts_against_fleets() {
    insta::assert_snapshot!(outcomes(include_str!("cases/texts.txt"), read_both));
}

/// Kinds that come with the tool can be read.
#[test]
fn our_own_kinds_are_good() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../kinds");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "yaml") {
            let file = overhaul_source::read::file(&path).unwrap();
            let read = if cluster_kind::is_cluster_kind(&file) {
                cluster_kind::parse(&file).map(|_| ())
            } else {
                kind::parse(&file).map(|_| ())
            };
            read.unwrap_or_else(|problems| panic!("{problems}"));
            count += 1;
        }
    }
    assert!(count > 0);
}

#[test]
fn hooks() {
    let read = |text| {
        outcomes(text, |file| {
            overhaul_source::parse_hooks(file).map(|hooks| format!("{hooks:#?}"))
        })
        .replace("\\n", "\n")
    };
    insta::assert_snapshot!("good_hooks", read(include_str!("cases/hooks-good.txt")));
    insta::assert_snapshot!("bad_hooks", read(include_str!("cases/hooks-bad.txt")));
}
