//! A lab fleet as a test: the facts that the program tells of it are compared with what was recorded.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Map, Value, json};

use crate::say::say;

use super::command::bounded;
use super::error::{LabError, Named, Result, malformed};
use super::instance::{Id, Instance};
use super::lifecycle;
use super::paths;
use super::recorded;

/// Gathering takes some seconds for each host, all at the same time.
const FACTS_S_MAX: u64 = 300;
/// Lines of a difference that are shown.
const DIFFERENCES_MAX: usize = 40;

/// Arguments of `check-facts`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The topology.
    #[arg(default_value = "twelve")]
    topology: String,
    /// Write the records anew instead of comparing with them.
    #[arg(long)]
    record: bool,
    /// Leave the hosts up.
    #[arg(long)]
    keep: bool,
    /// The program under test; its helper stands beside it.
    #[arg(long, default_value = "target/debug/overhaul")]
    overhaul: PathBuf,
}

/// Brings the fleet up, asks it, compares, and takes it down.
///
/// # Errors
/// When the fleet or the program fails, or what it says is not what was recorded.
pub fn check(id: &Id, args: &Args) -> Result<()> {
    let began = Instant::now();
    let instance = lifecycle::up(id, Some(&args.topology), &[])?;
    say(format_args!(
        "up after {:.1} s",
        began.elapsed().as_secs_f64()
    ));
    let checked = asked(&instance, &args.overhaul).and_then(|hosts| {
        say(format_args!(
            "facts of {} hosts after {:.1} s",
            hosts.len(),
            began.elapsed().as_secs_f64()
        ));
        if args.record {
            record(&args.topology, &hosts)
        } else {
            compare(&args.topology, &hosts)
        }
    });
    if !args.keep {
        lifecycle::down(id)?;
    }
    checked
}

fn folder(topology: &str) -> PathBuf {
    paths::data().join("recorded").join(topology)
}

fn asked(instance: &Instance, program: &Path) -> Result<Map<String, Value>> {
    let program = fs::canonicalize(program).named(program)?;
    let state = instance.file("state");
    paths::make_private_folder(&state)?;
    let mut command = bounded(FACTS_S_MAX, &program.display().to_string());
    command
        .arg("--state")
        .arg(&state)
        .args(["--json", "facts", "--stored", "--fleet"])
        .arg(instance.file("inventory"));
    // Its status says whether all hosts were reached; the hosts themselves are looked at below.
    let answer = command.output().map_err(|source| LabError::Start {
        program: program.display().to_string(),
        source,
    })?;
    let said = String::from_utf8_lossy(&answer.stderr).trim().to_owned();
    let answer = String::from_utf8_lossy(&answer.stdout);
    let gateway = instance.gateway().to_string();
    let network = gateway.trim_end_matches(|c: char| c.is_ascii_digit());
    recorded::kept(&answer, network).map_err(|why| {
        malformed(
            "answer of overhaul facts",
            format!("{why}; it said: {said}"),
        )
    })
}

fn record(topology: &str, hosts: &Map<String, Value>) -> Result<()> {
    let stable = recorded::stable(hosts);
    let folder = folder(topology);
    fs::create_dir_all(&folder).named(&folder)?;
    // A line for each host keeps it small.
    let lines: Vec<String> = hosts
        .iter()
        .map(|(name, facts)| format!("{}: {facts}", json!(name)))
        .collect();
    let facts = format!(
        "{{\"format\": 2, \"hosts\": {{\n{}\n}}}}\n",
        lines.join(",\n")
    );
    for (name, text) in [
        ("facts.json", facts),
        ("stable.json", format!("{stable:#}\n")),
    ] {
        let path = folder.join(name);
        fs::write(&path, text).named(&path)?;
        say(format_args!("wrote {}", path.display()));
    }
    Ok(())
}

fn compare(topology: &str, hosts: &Map<String, Value>) -> Result<()> {
    let path = folder(topology).join("stable.json");
    let text = fs::read_to_string(&path).named(&path)?;
    let wanted: Value = serde_json::from_str(&text)
        .map_err(|error| malformed(path.display().to_string(), error))?;
    let mut found = Vec::new();
    differences("", &wanted, &recorded::stable(hosts), &mut found);
    if found.is_empty() {
        say(format_args!("as recorded in {}", path.display()));
        return Ok(());
    }
    let count = found.len();
    found.truncate(DIFFERENCES_MAX);
    Err(LabError::State(format!(
        "{count} differences from {}:\n{}",
        path.display(),
        found.join("\n")
    )))
}

fn differences(path: &str, wanted: &Value, is: &Value, out: &mut Vec<String>) {
    match (wanted, is) {
        (Value::Object(left), Value::Object(right)) => {
            let keys = left
                .keys()
                .chain(right.keys().filter(|key| !left.contains_key(*key)));
            for key in keys {
                let side = |map: &Map<String, Value>| map.get(key).cloned().unwrap_or_default();
                differences(&format!("{path}/{key}"), &side(left), &side(right), out);
            }
        }
        (Value::Array(left), Value::Array(right)) => {
            let lacking = |all: &[Value], other: &[Value], sign: &str| {
                let gone = all.iter().filter(|item| !other.contains(item));
                gone.map(|item| format!("  {path}: {sign} {item}"))
                    .collect::<Vec<_>>()
            };
            out.extend(lacking(left, right, "-"));
            out.extend(lacking(right, left, "+"));
        }
        _ if wanted == is => {}
        _ => out.push(format!("  {path}: {wanted} is now {is}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_name_their_place() {
        let mut out = Vec::new();
        let wanted = json!({"a": {"list": [1, 2], "same": true}, "gone": 1});
        let is = json!({"a": {"list": [2, 3], "same": true}, "new": "x"});
        differences("", &wanted, &is, &mut out);
        assert_eq!(
            out,
            [
                "  /a/list: - 1",
                "  /a/list: + 3",
                "  /gone: 1 is now null",
                "  /new: null is now \"x\""
            ]
        );
        out.clear();
        differences("", &wanted, &wanted, &mut out);
        assert!(out.is_empty());
    }
}
