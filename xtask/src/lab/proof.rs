//! What must be the same before and after an upgrade of a whole fleet, and how its hosts must end.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::kill::moment;
use crate::say::say;

use super::database;
use super::error::{LabError, Named, Result, malformed};
use super::instance::Instance;
use super::manifest;
use super::paths;
use super::ssh;

/// The tree of a file server.
const SHARED: &str = "/srv/files";
/// Roles of hosts that the lab needs and nobody upgrades.
const JUMP: &str = "jump";
/// The words of a host's end are said in a second; a busy machine may need many.
const END_S_MAX: u64 = 120;
/// Differences that are shown.
const SHOWN_MAX: usize = 20;

/// What a host is asked at the end: a line each, empty where all is well.
const QUESTIONS: [(&str, &str); 6] = [
    (
        "release",
        "sed -n 's/^VERSION_ID=//p' /etc/os-release | tr -d '\"'",
    ),
    ("audit", "dpkg --audit 2>&1"),
    ("dependencies", "apt-get -qq check 2>&1"),
    (
        "failed units",
        "systemctl list-units --failed --plain --no-legend",
    ),
    (
        "masked",
        "find /etc/systemd/system /run/systemd/system -maxdepth 1 -name '*.service' -lname /dev/null -printf '%f ' | tr ' ' '\\n' | \
         grep -vxE 'systemd-networkd-wait-online.service|console-getty.service|e2scrub_reap.service|systemd-resolved.service|nmbd.service|samba-ad-dc.service'; \
         ls /usr/sbin/policy-rc.d 2>/dev/null; true",
    ),
    ("packages", "dpkg-query -W | sha256sum | cut -c1-16"),
];

/// Content that an upgrade must leave alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// The digest of all rows, by database host.
    rows: BTreeMap<String, String>,
    /// The manifest, by file server.
    trees: BTreeMap<String, String>,
}

impl Content {
    /// As it is now.
    ///
    /// # Errors
    /// When a host is away or its content cannot be read.
    pub fn of(instance: &Instance) -> Result<Self> {
        let mut content = Self {
            rows: BTreeMap::new(),
            trees: BTreeMap::new(),
        };
        for (name, record) in &instance.hosts {
            let has = |role: &str| record.spec.roles.iter().any(|one| one == role);
            if has("database") {
                let rows = database::digest(instance, name)?;
                content.rows.insert(name.clone(), rows);
            }
            if has("files") {
                let tree = manifest::of_host(instance, name, Path::new(SHARED))?;
                content.trees.insert(name.clone(), tree);
            }
        }
        Ok(content)
    }
}

/// Writes down what must be the same afterwards.
///
/// # Errors
/// When it cannot be read or written.
pub fn remember(instance: &Instance, file: &Path) -> Result<()> {
    let content = Content::of(instance)?;
    let text =
        serde_json::to_vec_pretty(&content).map_err(|error| malformed("the content", error))?;
    paths::write_private(file, &text)?;
    for (host, rows) in &content.rows {
        say(format_args!("{host}: rows {rows}"));
    }
    for (host, tree) in &content.trees {
        say(format_args!("{host}: {}", tree_words(tree)));
    }
    Ok(())
}

fn tree_words(tree: &str) -> String {
    format!(
        "{SHARED} has {} entries, manifest {}",
        tree.lines().count(),
        digest(tree)
    )
}

fn digest(text: &str) -> String {
    let digest = Sha256::digest(text);
    digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// How a host ended: an answer for each question.
type End = BTreeMap<String, String>;

/// How all hosts that are upgraded ended, as a text that is the same for the same end.
fn ends(instance: &Instance) -> Result<BTreeMap<String, End>> {
    let mut ends = BTreeMap::new();
    for (name, record) in &instance.hosts {
        if record.spec.roles.iter().any(|role| role == JUMP) {
            continue;
        }
        let mut line = String::new();
        for (question, command) in QUESTIONS {
            let _ = write!(line, "echo '== {question}'; {command}; ");
        }
        let said = ssh::run(instance, name, END_S_MAX, &line)?;
        let answers = said.split("== ").skip(1);
        let end = answers.map(|answer| {
            let (question, rest) = answer.split_once('\n').unwrap_or((answer, ""));
            let lines: Vec<&str> = rest.lines().map(str::trim).collect();
            (question.to_owned(), lines.join(" ").trim().to_owned())
        });
        ends.insert(name.clone(), end.collect());
    }
    Ok(ends)
}

/// What is wrong with an end.
fn wrong(host: &str, end: &End, release: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (question, _) in QUESTIONS {
        let answer = end.get(question).map(String::as_str);
        let good = match question {
            "release" => answer == Some(release),
            "packages" => answer.is_some_and(|digest| !digest.is_empty()),
            _ => answer == Some(""),
        };
        if !good {
            found.push(format!(
                "{host}: {question}: {}",
                answer.unwrap_or("no answer")
            ));
        }
    }
    found
}

/// Arguments of `lab prove`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What `lab remember` wrote before.
    before: PathBuf,
    /// The release that every host must be on.
    #[arg(long, default_value = "13")]
    release: String,
    /// Where the end of all hosts is written to, to be compared with other runs.
    #[arg(long)]
    end: Option<PathBuf>,
    /// The state folder of the run, whose journal's rows are counted into the end.
    #[arg(long)]
    state: Option<PathBuf>,
}

/// Proves that content is the same and that every host ended well.
///
/// # Errors
/// When anything is not so; everything that is not so is named.
pub fn prove(instance: &Instance, args: &Args) -> Result<()> {
    let text = fs::read(&args.before).named(&args.before)?;
    let before: Content = serde_json::from_slice(&text)
        .map_err(|error| malformed(args.before.display().to_string(), error))?;
    let ends = ends(instance)?;
    let now = Content::of(instance)?;
    let mut found: Vec<String> = ends
        .iter()
        .flat_map(|(host, end)| wrong(host, end, &args.release))
        .collect();
    for (host, end) in &ends {
        let answer = |question: &str| end.get(question).map_or("", String::as_str);
        say(format_args!(
            "{host}: Debian {}, audit {:?}, failed units {:?}, packages {}",
            answer("release"),
            answer("audit"),
            answer("failed units"),
            answer("packages")
        ));
    }
    for (host, rows) in &now.rows {
        say(format_args!("{host}: rows {rows}"));
    }
    for (host, tree) in &now.trees {
        say(format_args!("{host}: {}", tree_words(tree)));
    }
    let (sockets, others) = differences(&before, &now)
        .into_iter()
        .partition::<Vec<_>, _>(|line| is_lost_socket(line));
    for line in sockets {
        say(format_args!("not carried: {line}"));
    }
    found.extend(others);
    if let Some(path) = &args.end {
        let end = serde_json::json!({
            "hosts": ends,
            "rows": now.rows,
            "journal_rows": args.state.as_deref().and_then(moment::journal).and_then(|journal| moment::rows(&journal)),
        });
        paths::write_private(path, format!("{end:#}\n").as_bytes())?;
    }
    if found.is_empty() {
        say(
            "proven: content is the same in all respects but what is named as not carried, and every host ended well",
        );
        return Ok(());
    }
    Err(LabError::State(format!(
        "not as it must be:\n  {}",
        found.join("\n  ")
    )))
}

/// Whether a difference is a socket that is gone: it was the end of a process that is gone too, and what carries files leaves it out.
fn is_lost_socket(difference: &str) -> bool {
    difference.contains(": - \"") && difference.contains("\" mode 140")
}

fn differences(before: &Content, now: &Content) -> Vec<String> {
    let mut found = Vec::new();
    for (host, rows) in &before.rows {
        if now.rows.get(host) != Some(rows) {
            found.push(format!("{host}: the rows differ"));
        }
    }
    for (host, tree) in &before.trees {
        let is = now.trees.get(host).map_or("", String::as_str);
        let lacking = |all: &str, other: &str, sign: char| -> Vec<String> {
            let other: std::collections::BTreeSet<&str> = other.lines().collect();
            let gone = all.lines().filter(|line| !other.contains(line));
            gone.map(|line| format!("{host}: {sign} {line}")).collect()
        };
        let mut lines = lacking(tree, is, '-');
        lines.extend(lacking(is, tree, '+'));
        let more = lines.len().saturating_sub(SHOWN_MAX);
        lines.truncate(SHOWN_MAX);
        found.extend(lines);
        if more > 0 {
            found.push(format!("{host}: and {more} more"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(words: &[(&str, &str)]) -> End {
        let mut end: End = QUESTIONS
            .iter()
            .map(|(question, _)| ((*question).to_owned(), String::new()))
            .collect();
        end.insert("release".into(), "13".into());
        end.insert("packages".into(), "ab".into());
        for (question, answer) in words {
            end.insert((*question).to_owned(), (*answer).to_owned());
        }
        end
    }

    #[test]
    fn a_bad_end_is_named() {
        assert_eq!(wrong("a", &end(&[]), "13"), [""; 0]);
        assert_eq!(
            wrong(
                "a",
                &end(&[("release", "12"), ("failed units", "x.service")]),
                "13"
            ),
            ["a: release: 12", "a: failed units: x.service"]
        );
        assert_eq!(wrong("a", &End::new(), "13").len(), QUESTIONS.len());
    }

    #[test]
    fn differences_are_told_line_by_line() {
        let content = |rows: &str, tree: &str| Content {
            rows: BTreeMap::from([("db".to_owned(), rows.to_owned())]),
            trees: BTreeMap::from([("f".to_owned(), tree.to_owned())]),
        };
        let before = content("1", "x\ny\n");
        assert_eq!(differences(&before, &before), [""; 0]);
        assert_eq!(
            differences(&before, &content("2", "x\nz\n")),
            ["db: the rows differ", "f: - y", "f: + z"]
        );
        let none = Content {
            rows: BTreeMap::new(),
            trees: BTreeMap::new(),
        };
        assert_eq!(differences(&before, &none).len(), 3);
    }

    #[test]
    fn a_socket_alone_may_be_lost() {
        assert!(is_lost_socket(
            "f: - \"special/socket\" mode 140755 owner 0:0"
        ));
        assert!(!is_lost_socket(
            "f: + \"special/socket\" mode 140755 owner 0:0"
        ));
        assert!(!is_lost_socket(
            "f: - \"special/pipe\" mode 10620 owner 0:0"
        ));
    }
}
