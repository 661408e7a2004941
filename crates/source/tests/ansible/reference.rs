//! Asks ansible-core.

use crate::case::Placed;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Bound of one question to ansible-core, in seconds: hundreds of inventories take it some twenty.
const ASK_S_MAX: &str = "300";

/// What ansible-core makes of an inventory.
#[derive(Deserialize)]
pub struct Said {
    pub hosts: Vec<String>,
    pub groups: Vec<SaidGroup>,
    pub variables: BTreeMap<String, Map<String, Value>>,
    pub patterns: Vec<SaidPattern>,
}

/// A group of it.
#[derive(Deserialize)]
pub struct SaidGroup {
    pub name: String,
    /// Hosts that stand in it themselves.
    pub hosts: Vec<String>,
    /// Those, and the hosts of all groups below.
    pub members: Vec<String>,
    pub children: Vec<String>,
    pub depth: u64,
    pub priority: i64,
}

/// What a pattern or limit means.
#[derive(Deserialize)]
pub struct SaidPattern {
    pub pattern: String,
    pub limit: bool,
    pub said: SaidHosts,
}

/// The hosts, or why there are none.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SaidHosts {
    Hosts(Vec<String>),
    Error(String),
}

/// The answers of ansible-core for all cases, from one start of it; an error's first line where it refuses an inventory.
pub fn ask(cases: &[Placed]) -> Vec<Result<Said, String>> {
    let python = installed();
    let questions: String = cases
        .iter()
        .map(|case| question(case).to_string() + "\n")
        .collect();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ansible/reference.py");
    let mut started = command("timeout")
        .arg(ASK_S_MAX)
        .arg(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = started.stdin.take().unwrap();
    let writer = std::thread::Builder::new()
        .spawn(move || input.write_all(questions.as_bytes()))
        .unwrap();
    let done = started.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(done.status.success(), "reference.py: {}", done.status);
    let answers: Vec<Result<Said, String>> = String::from_utf8(done.stdout)
        .unwrap()
        .lines()
        .map(answer)
        .collect();
    assert_eq!(answers.len(), cases.len(), "an answer for each question");
    answers
}

fn question(case: &Placed) -> Value {
    json!({
        "folder": case.folder,
        "sources": case.sources(),
        "playbook": case.playbook(),
        "vault": case.case.vault,
        "patterns": case.case.patterns,
        "limits": case.limits(),
    })
}

fn answer(line: &str) -> Result<Said, String> {
    let mut value: Value = serde_json::from_str(line).unwrap();
    match value.get_mut("error") {
        Some(error) => Err(error.take().to_string()),
        None => Ok(serde_json::from_value(value).unwrap()),
    }
}

/// The Python of an environment that has ansible-core.
fn installed() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let done = command("sh")
        .arg(here.join("tests/ansible/setup"))
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    here.join("../../target/ansible-core/bin/python")
}

#[expect(
    clippy::disallowed_methods,
    reason = "the peer of this suite is a program"
)]
fn command(program: &str) -> Command {
    Command::new(program)
}
