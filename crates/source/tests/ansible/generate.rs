//! Makes inventories from a seed: groups, children, variables, ranges, priorities, files beside, in INI or YAML.

use crate::case::Case;
use std::fmt::Write as _;

/// Numbers from a seed (SplitMix64), so that a case can be made again from its name.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let z = z ^ (z >> 31);
        usize::try_from(z % u64::try_from(end).unwrap()).unwrap()
    }

    fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    fn of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }
}

const GROUPS: [&str; 9] = [
    "web", "db", "zone_a", "zone_b", "cache", "Front", "w2", "site", "rest",
];
const HOSTS: [&str; 12] = [
    "web1",
    "web2",
    "web[01:04]",
    "db-[a:c]",
    "10.0.0.[1:3]",
    "n[0:9:3].example.com",
    "lone",
    "web-3",
    "Z9",
    "db.main",
    "x_1",
    "cache[1:2]",
];
const KEYS: [&str; 7] = [
    "v",
    "w",
    "http_port",
    "name",
    "motto",
    "ansible_user",
    "list",
];
const INI_VALUES: [&str; 16] = [
    "80",
    "0644",
    "yes",
    "True",
    "None",
    "text",
    "1.5",
    "-7",
    "'80'",
    "\"two words\"",
    "[1,2,'x']",
    "{'a':1}",
    "10.0.0.1",
    "a=b",
    "''",
    "{{x}}",
];
const YAML_VALUES: [&str; 18] = [
    "80",
    "0644",
    "yes",
    "True",
    "null",
    "text",
    "1.5",
    "-7",
    "'80'",
    "\"two words\"",
    "[1, 2, x]",
    "{a: 1, b: {c: no}}",
    "10.0.0.1",
    "1_000",
    "''",
    "\"{{ x }}\"",
    "2026-01-01",
    "~",
];

/// The case of a seed.
pub fn case(seed: u64) -> Case {
    let mut dice = Dice(seed);
    let count = 1 + dice.below(GROUPS.len());
    let groups: Vec<&str> = GROUPS[..count].to_vec();
    let yaml = dice.one_in(2);
    let mut case = Case {
        name: format!("generated-{seed}"),
        generated: true,
        sources: vec![if yaml { "inv/hosts.yml" } else { "inv/hosts" }.to_owned()],
        playbook: dice.one_in(2).then(|| "play".to_owned()),
        ..Case::default()
    };
    let text = if yaml {
        in_yaml(&mut dice, &groups)
    } else {
        in_ini(&mut dice, &groups)
    };
    case.files.push((case.sources[0].clone(), text, false));
    if dice.one_in(5) {
        // A second source, which names the same groups and hosts again.
        case.sources.push("more/hosts".to_owned());
        let text = in_ini(&mut dice, &groups);
        case.files.push(("more/hosts".to_owned(), text, false));
    }
    beside(&mut dice, &groups, &mut case);
    case
}

/// Groups below a group: only later ones, so that there is no circle.
fn children<'a>(dice: &mut Dice, groups: &[&'a str], at: usize) -> Vec<&'a str> {
    let later = groups.get(at + 1..).unwrap_or_default();
    later.iter().copied().filter(|_| dice.one_in(3)).collect()
}

fn in_ini(dice: &mut Dice, groups: &[&str]) -> String {
    let mut out = String::new();
    for _ in 0..dice.below(3) {
        writeln!(out, "{}{}", dice.of(&HOSTS), ini_variables(dice)).unwrap();
    }
    // Children may come before and behind the groups that they name.
    let order: Vec<usize> = if dice.one_in(2) {
        (0..groups.len()).collect()
    } else {
        (0..groups.len()).rev().collect()
    };
    for at in order {
        let group = groups[at];
        writeln!(out, "\n[{group}]").unwrap();
        for _ in 0..dice.below(4) {
            let port = if dice.one_in(8) { ":2222" } else { "" };
            writeln!(out, "{}{port}{}", dice.of(&HOSTS), ini_variables(dice)).unwrap();
        }
        let below = children(dice, groups, at);
        if !below.is_empty() {
            writeln!(out, "[{group}:children]\n{}", below.join("\n")).unwrap();
        }
        if dice.one_in(2) {
            writeln!(out, "[{group}:vars]").unwrap();
            for _ in 0..dice.below(4) {
                writeln!(out, "{} = {}", dice.of(&KEYS), dice.of(&INI_VALUES)).unwrap();
            }
            if dice.one_in(3) {
                writeln!(out, "ansible_group_priority={}", dice.below(4)).unwrap();
            }
        }
    }
    if dice.one_in(3) {
        writeln!(
            out,
            "[all:vars]\n{}={}",
            dice.of(&KEYS),
            dice.of(&INI_VALUES)
        )
        .unwrap();
    }
    out
}

fn ini_variables(dice: &mut Dice) -> String {
    let count = dice.below(3);
    (0..count)
        .map(|_| format!(" {}={}", dice.of(&KEYS), dice.of(&INI_VALUES)))
        .collect()
}

fn in_yaml(dice: &mut Dice, groups: &[&str]) -> String {
    let mut out = String::new();
    if dice.one_in(2) {
        out.push_str("all:\n");
        yaml_body(dice, &mut out, "  ", &[]);
    }
    for (at, group) in groups.iter().enumerate() {
        writeln!(out, "{group}:").unwrap();
        let below = children(dice, groups, at);
        yaml_body(dice, &mut out, "  ", &below);
    }
    out
}

fn yaml_body(dice: &mut Dice, out: &mut String, indent: &str, below: &[&str]) {
    if !dice.one_in(4) {
        writeln!(out, "{indent}hosts:").unwrap();
        let mut left: Vec<&str> = HOSTS.iter().copied().filter(|_| dice.one_in(4)).collect();
        left.dedup();
        for host in left {
            let host = if host.contains('[') {
                format!("\"{host}\"")
            } else {
                host.to_owned()
            };
            let variables = yaml_map(dice);
            writeln!(out, "{indent}  {host}: {variables}").unwrap();
        }
    }
    if dice.one_in(2) {
        let mut map = yaml_map(dice);
        if dice.one_in(3) {
            let priority = dice.below(4);
            map = if map == "{}" {
                format!("{{ansible_group_priority: {priority}}}")
            } else {
                map.replacen('{', &format!("{{ansible_group_priority: {priority}, "), 1)
            };
        }
        writeln!(out, "{indent}vars: {map}").unwrap();
    }
    if !below.is_empty() {
        writeln!(out, "{indent}children:").unwrap();
        for child in below {
            writeln!(out, "{indent}  {child}:").unwrap();
        }
    }
}

/// Variables on one line, each key once.
fn yaml_map(dice: &mut Dice) -> String {
    let keys: Vec<&str> = KEYS.iter().copied().filter(|_| dice.one_in(4)).collect();
    let pairs: Vec<String> = keys
        .iter()
        .map(|key| format!("{key}: {}", dice.of(&YAML_VALUES)))
        .collect();
    format!("{{{}}}", pairs.join(", "))
}

/// Files of variables beside the inventory and the playbook.
fn beside(dice: &mut Dice, groups: &[&str], case: &mut Case) {
    let places: &[&str] = if case.playbook.is_some() {
        &["inv", "play"]
    } else {
        &["inv"]
    };
    for place in places {
        for _ in 0..dice.below(4) {
            let mut names = groups.to_vec();
            names.extend(["all", "ungrouped"]);
            let group = dice.of(&names);
            let ending = dice.of(&["", ".yml", ".yaml", ".json", "/main.yml", "/a/b.yml"]);
            add_file(dice, case, format!("{place}/group_vars/{group}{ending}"));
        }
        for _ in 0..dice.below(3) {
            let host = dice.of(&[
                "web1",
                "web01",
                "db-a",
                "10.0.0.2",
                "n3.example.com",
                "lone",
                "nobody",
            ]);
            let ending = dice.of(&["", ".yml", "/x.yml"]);
            add_file(dice, case, format!("{place}/host_vars/{host}{ending}"));
        }
    }
}

fn add_file(dice: &mut Dice, case: &mut Case, path: String) {
    // A file cannot be a folder as well.
    let clashes = |other: &str| {
        other == path
            || other.starts_with(&format!("{path}/"))
            || path.starts_with(&format!("{other}/"))
    };
    if case.files.iter().any(|(other, ..)| clashes(other)) {
        return;
    }
    let text = yaml_map(dice);
    case.files.push((path, format!("{text}\n"), false));
}
