//! No text makes a reader panic, hang or eat the memory; line ends and byte order marks change nothing.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use overhaul_source::{Problems, SourceFile, definition, fleet, kind};
use proptest::prelude::*;
use std::collections::BTreeMap;

const GOOD: [&str; 4] = [
    include_str!("cases/fleet-good.txt"),
    include_str!("cases/upgrade-good.txt"),
    include_str!("cases/upgrade-bad.txt"),
    include_str!("cases/kind-good.txt"),
];

fn cases() -> Vec<(String, String)> {
    let blocks = GOOD.iter().flat_map(|text| text.split("##### ").skip(1));
    let cases = blocks.map(|block| block.split_once('\n').unwrap());
    cases
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .collect()
}

/// Every reader on one text; each problem must have a place inside it.
fn read_all(text: &str) {
    let good = |problems: Problems| {
        for problem in &problems.list {
            if let Some(span) = &problem.span {
                assert!(
                    problems.file.text.get(span.clone()).is_some(),
                    "{problem:?}"
                );
            }
        }
        assert!(!problems.list.is_empty());
        let _ = problems.to_string();
    };
    for name in ["x.yaml", "x.ini", "hosts"] {
        let _ = fleet::parse(&SourceFile::new(name, text)).map_err(good);
    }
    let file = SourceFile::new("x.yaml", text);
    let _ = definition::parse(&file, &BTreeMap::new()).map_err(good);
    let _ = kind::parse(&file).map_err(good);
}

#[derive(Clone, Debug)]
enum Change {
    Cut(usize, usize),
    Insert(usize, String),
    Copy(usize, usize, usize),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let sign = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ":",
        ": ",
        "- ",
        "\n",
        "\t",
        "'",
        "\"",
        "&a ",
        "*a",
        "<<: ",
        "!t ",
        "|\n",
        "{{ ",
        "{% ",
        "#",
        "~",
        "0",
        "9999999999999999999999",
        "ü",
        "\u{feff}",
        "\r\n",
        "--- ",
        "[1:",
        "=",
        "\\",
        "\0",
    ]);
    let change = prop_oneof![
        (any::<usize>(), 0..20_usize).prop_map(|(at, count)| Change::Cut(at, count)),
        (any::<usize>(), sign).prop_map(|(at, text)| Change::Insert(at, text.to_owned())),
        (any::<usize>(), 0..60_usize, any::<usize>())
            .prop_map(|(from, count, to)| Change::Copy(from, count, to)),
    ];
    prop::collection::vec(change, 1..6)
}

fn changed(text: &str, changes: &[Change]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for change in changes {
        let place = |at: usize| at % (chars.len() + 1);
        match change {
            Change::Cut(at, count) => {
                let from = place(*at);
                let to = (from + count).min(chars.len());
                chars.drain(from..to);
            }
            Change::Insert(at, text) => {
                let at = place(*at);
                chars.splice(at..at, text.chars());
            }
            Change::Copy(from, count, to) => {
                let from = place(*from);
                let part: Vec<char> = chars.iter().skip(from).take(*count).copied().collect();
                let to = place(*to);
                chars.splice(to..to, part);
            }
        }
    }
    chars.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_text_makes_a_reader_panic(text in "[ -~\n\tü{}\\[\\]:]{0,200}") {
        read_all(&text);
    }

    #[test]
    fn no_changed_file_makes_a_reader_panic(
        case in prop::sample::select(cases()),
        changes in changes(),
    ) {
        read_all(&changed(&case.1, &changes));
    }
}

#[test]
fn line_ends_and_byte_order_marks_change_nothing() {
    let upgraders = BTreeMap::new();
    for (name, text) in cases() {
        let windows = format!(
            "\u{feff}{}",
            text.trim_start_matches('\u{feff}').replace('\n', "\r\n")
        );
        let (plain, windows) = (
            SourceFile::new(&name, text),
            SourceFile::new(&name, windows),
        );
        let fleets = [&plain, &windows].map(|file| fleet::parse(file).map_err(places));
        assert_eq!(
            fleets[0].as_ref().map(|f| &f.fleet),
            fleets[1].as_ref().map(|f| &f.fleet),
            "{name}"
        );
        let upgrades =
            [&plain, &windows].map(|file| definition::parse(file, &upgraders).map_err(places));
        assert_eq!(upgrades[0], upgrades[1], "{name}");
    }
}

fn places(problems: Problems) -> Vec<(String, u32, u32)> {
    let list = problems.list.into_iter();
    list.map(|problem| (problem.message, problem.line, problem.column))
        .collect()
}

/// Each text is refused, or read, without much memory or time.
#[test]
fn bombs_are_bounded() {
    let mut aliases = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..40 {
        let before = level - 1;
        let items = vec![format!("*a{before}"); 9].join(", ");
        aliases.push_str(&format!("a{level}: &a{level} [{items}]\n"));
    }
    let deep_list = "[".repeat(100_000);
    let deep_map = (0..2_000)
        .map(|depth| format!("{}a:\n", " ".repeat(depth)))
        .collect::<String>();
    let big = format!(
        "fleet: &f {}\nx: [{}]\n",
        "y".repeat(1_000_000),
        vec!["*f"; 100_000].join(", ")
    );
    let huge = "# remark\n".repeat(4_000_000);
    let circle = "a: &a {b: *a}\n".to_owned();
    let ranges = "fleet: f\nhosts:\n  a[0:999][0:999][0:999]: {}\n".to_owned();
    let expression = format!(
        "upgrade: x\nfrom: a 1\nto: a 2\nroles: {{r: {{strategy: in-place, stop: [{{name: x, shell: '{{{{ {}1{} }}}}'}}]}}}}",
        "(".repeat(5_000),
        ")".repeat(5_000)
    );
    for (name, text, says) in [
        ("aliases", aliases, "aliases make this file too large"),
        ("deep list", deep_list, "nested"),
        ("deep map", deep_map, "nested"),
        ("big", big, "aliases make this file too large"),
        ("huge", huge, "larger than"),
        ("circle", circle, "inside the value that it names"),
        ("ranges", ranges, "more than"),
        ("expression", expression, "recursion"),
    ] {
        let file = SourceFile::new("x.yaml", text);
        let problems = fleet::parse(&file).map(|_| ()).unwrap_err().to_string();
        let more = definition::parse(&file, &BTreeMap::new())
            .map(|_| ())
            .unwrap_err()
            .to_string();
        assert!(
            problems.contains(says) || more.contains(says),
            "{name}: {problems:.500} {more:.500}"
        );
    }
    let ini = "web[0:9999999]\n".to_owned();
    let problems = fleet::parse(&SourceFile::new("x.ini", ini)).unwrap_err();
    assert!(
        problems.to_string().contains("more than 1000000 names"),
        "{problems}"
    );
}

#[test]
fn many_problems_are_cut_off() {
    let lines: String = (0..1_000).map(|n| format!("k{n}: 1\n")).collect();
    let problems = fleet::parse(&SourceFile::new("x.yaml", lines)).unwrap_err();
    assert_eq!(problems.list.len(), 201);
    assert_eq!(
        problems.list[200].message,
        "802 more problems are not listed"
    );
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the time that reading takes is what is measured"
)]
fn ten_thousand_hosts_are_read() {
    let yaml: String = (0..10_000)
        .map(|n| format!("  host{n}: {{address: 10.{}.{}.{}, roles: [web, r{}], zone: z{}, vars: {{n: {n}, label: \"number {n}\"}}}}\n", n / 65_536, n / 256 % 256, n % 256, n % 10, n % 3))
        .collect();
    let yaml = format!("fleet: f\ndefaults: {{user: root}}\nhosts:\n{yaml}");
    let ini: String = (0..10_000)
        .map(|n| {
            format!(
                "host{n} ansible_host=10.9.{}.{} n={n} label='number {n}'\n",
                n / 256,
                n % 256
            )
        })
        .collect();
    let ini = format!("[web]\n{ini}[all:vars]\nansible_user=root\n[site:children]\nweb\n");
    for (name, text) in [("x.yaml", yaml), ("x.ini", ini)] {
        let start = std::time::Instant::now();
        let input = fleet::parse(&SourceFile::new(name, text)).unwrap_or_else(|p| panic!("{p}"));
        assert_eq!(input.fleet.hosts.len(), 10_000);
        let took = start.elapsed();
        println!("{name}: {took:?}");
        // Generous, because tests run without optimisation and beside others.
        assert!(took.as_secs() < 20, "{name}: {took:?}");
    }
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the time that checking takes is what is measured"
)]
fn texts_of_ten_thousand_hosts_are_checked() {
    let hosts: String = (0..10_000)
        .map(|n| format!("  host{n}: {{roles: [web], vars: {{n: {n}}}}}\n"))
        .collect();
    let text = format!("fleet: f\ndefaults: {{vars: {{port: 80}}}}\nhosts:\n{hosts}");
    let fleet = fleet::parse(&SourceFile::new("f.yaml", text)).unwrap();
    let steps: String = (0..20)
        .map(|n| format!("      - {{name: s{n}, shell: \"echo {{{{ port }}}} {{{{ host.name }}}}\", when: \"port == 80\"}}\n"))
        .collect();
    let kind = include_str!("cases/kind-good.txt")
        .split_once('\n')
        .unwrap()
        .1;
    let apt = kind::parse(&SourceFile::new("apt.yaml", kind)).unwrap();
    let text = format!(
        "upgrade: x\nfrom: debian 12\nto: debian 13\nroles:\n  web:\n    strategy: in-place\n    stop:\n{steps}"
    );
    let file = SourceFile::new("u.yaml", text);
    let definition = definition::parse(&file, &[("apt".to_owned(), apt)].into()).unwrap();
    let start = std::time::Instant::now();
    overhaul_source::check_texts(&file, &definition, &fleet).unwrap();
    let took = start.elapsed();
    println!("check: {took:?}");
    assert!(took.as_secs() < 20, "{took:?}");
}

#[test]
fn the_disk_gives_plain_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fleet.yaml");
    let said = |path: &std::path::Path| overhaul_source::read::file(path).unwrap_err().to_string();
    assert!(said(&path).contains("cannot be read"));
    assert!(said(folder.path()).contains("is not a file"));
    std::fs::write(&path, b"a\xff").unwrap();
    assert!(said(&path).contains("byte 1 does not fit"));
    std::fs::write(&path, "fleet: f").unwrap();
    assert_eq!(overhaul_source::read::file(&path).unwrap().text, "fleet: f");
    let big = std::fs::File::create(&path).unwrap();
    big.set_len(overhaul_source::read::FILE_BYTES_MAX + 1)
        .unwrap();
    assert!(said(&path).contains("is larger than"));
}
