//! Inventories of several files: each case is a folder as text, the snapshot is what it says and the fleet.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use overhaul_source::SourceFile;
use overhaul_source::fleet::vault::VaultKeys;
use overhaul_source::fleet::{Disk, Kind, Request, inventory, load};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Files by path, and what programs say by path and arguments.
struct Texts(BTreeMap<String, String>);

impl Disk for Texts {
    fn kind(&mut self, path: &str) -> Kind {
        if self.0.contains_key(&format!("{path} --list")) {
            return Kind::Program;
        }
        if self.0.contains_key(path) {
            return Kind::File;
        }
        let folder = format!("{path}/");
        let is_folder = path == "." || self.0.keys().any(|name| name.starts_with(&folder));
        if is_folder {
            Kind::Folder
        } else {
            Kind::Missing
        }
    }

    fn names(&mut self, folder: &str) -> Result<Vec<String>, String> {
        let folder = format!("{folder}/");
        let inside = self.0.keys().filter_map(|name| name.strip_prefix(&folder));
        let mut names: Vec<String> = inside
            .map(|rest| rest.split(['/', ' ']).next().unwrap().to_owned())
            .collect();
        names.dedup();
        Ok(names)
    }

    fn text(&mut self, path: &str) -> Result<SourceFile, String> {
        let text = self.0.get(path).map(|text| SourceFile::new(path, text));
        text.ok_or_else(|| format!("{path} cannot be read: no such file"))
    }

    fn said(&mut self, program: &str, arguments: &[&str]) -> Result<String, String> {
        let key = format!("{program} {}", arguments.join(" "));
        let said = self.0.get(&key).cloned();
        said.ok_or_else(|| "the program ended with exit status: 1".to_owned())
    }
}

/// A case: its name, its sources with the folder of the definition after a `+`, and its files.
fn cases() -> Vec<(String, Vec<String>, Option<String>, Texts)> {
    let blocks = include_str!("cases/inventories.txt")
        .split("##### ")
        .skip(1);
    blocks
        .map(|block| {
            let (head, text) = block.split_once('\n').unwrap();
            let (name, sources) = head.split_once(": ").unwrap();
            let (sources, beside) = match sources.split_once(" + ") {
                Some((sources, beside)) => (sources, Some(beside.to_owned())),
                None => (sources, None),
            };
            let files = text.split("=== ").skip(1).map(|file| {
                let (path, text) = file.split_once('\n').unwrap();
                (path.to_owned(), text.to_owned())
            });
            let sources = sources.split(' ').map(str::to_owned).collect();
            (name.to_owned(), sources, beside, Texts(files.collect()))
        })
        .collect()
}

#[test]
fn folders_of_inventories() {
    let mut out = String::new();
    for (name, sources, beside, mut disk) in cases() {
        let request = Request {
            sources: &sources,
            beside: beside.as_deref(),
            working_folder: Some("/here"),
            keys: &VaultKeys::default(),
        };
        writeln!(out, "##### {name}").unwrap();
        if let Ok(loaded) = inventory(request, &mut disk) {
            let shown = serde_json::to_string_pretty(&loaded.inventory.to_json()).unwrap();
            writeln!(out, "{shown}").unwrap();
        }
        // The picture is raw; nothing else may show a password.
        let raw = out.len();
        match load(request, &mut disk) {
            Ok(input) => {
                for host in input.fleet.hosts.values() {
                    let said = serde_json::to_string(host).unwrap();
                    writeln!(out, "{said}").unwrap();
                }
                for (host, refused) in &input.refused {
                    writeln!(out, "refused: {host}: {}", refused.problems).unwrap();
                }
                for (file, note) in &input.notes {
                    writeln!(out, "note: {file}:{}: {}", note.line, note.message).unwrap();
                }
                writeln!(out, "left out: {:?}", input.left_out).unwrap();
                writeln!(out, "{}: {:?}", input.fleet.name, input.passwords).unwrap();
            }
            Err(problems) => {
                for problems in problems {
                    writeln!(out, "{problems}").unwrap();
                }
            }
        }
        assert!(
            !out[raw..].contains("hunter"),
            "a password is shown:\n{out}"
        );
    }
    insta::assert_snapshot!(out);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever stands in the files and whatever programs say: values or problems, never a panic.
    #[test]
    fn no_text_makes_a_reader_panic(text in "[ -~\n\tü{}\\[\\]:'\"]{0,200}", head in prop::sample::select(vec!["", "[web]\n", "all:\n  hosts:\n    ", "{\"web\": ", "a: !vault ", "a: &a {<<: "])) {
        let text = format!("{head}{text}");
        let files = ["hosts", "inv.yml", "x.ini", "group_vars/all", "group_vars/web.yml", "host_vars/a", "prog --list"];
        for name in files {
            let known = [("base.ini", "[web]\na\n".to_owned()), (name, text.clone())];
            let known = known.into_iter().map(|(name, text)| (name.to_owned(), text));
            let sources = ["base.ini".to_owned(), name.trim_end_matches(" --list").to_owned()];
            let count = if name.contains("_vars") { 1 } else { 2 };
            let request = Request {
                sources: &sources[..count],
                beside: None,
                working_folder: None,
                keys: &VaultKeys::default(),
            };
            match load(request, &mut Texts(known.collect())) {
                Ok(input) => prop_assert!(!input.membership.hosts.is_empty()),
                Err(problems) => prop_assert!(!problems.is_empty()),
            }
        }
    }
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the time that reading takes is what is measured"
)]
fn ten_thousand_hosts_in_two_hundred_groups_are_read() {
    let mut files = BTreeMap::new();
    let mut hosts = String::new();
    for group in 0..200 {
        writeln!(hosts, "[g{group}]").unwrap();
        for n in 0..50 {
            let host = group * 50 + n;
            let (high, low) = (host / 256, host % 256);
            writeln!(hosts, "h{host} ansible_host=10.0.{high}.{low} n={host}").unwrap();
        }
        let vars: String = (0..20).map(|n| format!("v{n}: value {n}\n")).collect();
        files.insert(format!("group_vars/g{group}.yml"), vars);
    }
    for host in (0..10_000).step_by(100) {
        files.insert(format!("host_vars/h{host}"), format!("special: {host}\n"));
    }
    let users = "  - {name: user, groups: [a, b]}\n".repeat(300);
    files.insert("group_vars/all.yml".to_owned(), format!("users:\n{users}"));
    files.insert("hosts.ini".to_owned(), hosts);
    let request = Request {
        sources: &["hosts.ini".to_owned()],
        beside: None,
        working_folder: None,
        keys: &VaultKeys::default(),
    };
    let mut disk = Texts(files);
    let start = std::time::Instant::now();
    let input = load(request, &mut disk).unwrap();
    let took = start.elapsed();
    println!("{took:?}");
    assert_eq!(input.fleet.hosts.len(), 10_000);
    let of = |host: &str| {
        let host = &input.fleet.hosts[&overhaul_model::id::HostName::new(host)];
        (host.vars["users"].clone(), host.vars.len())
    };
    let ((one, count), (other, _)) = (of("h100"), of("h9999"));
    assert_eq!(count, 23);
    assert!(
        std::sync::Arc::ptr_eq(&one, &other),
        "hosts copy what they share"
    );
    // Generous, because tests run without optimisation and beside others.
    assert!(took.as_secs() < 20, "{took:?}");
}
