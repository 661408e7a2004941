//! Cases: an inventory with everything beside it, in one file.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// What must come of an inventory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// Both read it, to the same.
    #[default]
    Same,
    /// Both refuse it.
    Refused,
    /// Ansible reads it, and we refuse it for a reason.
    RefusedByUs(String),
    /// We read it, and Ansible refuses it for a reason.
    RefusedByThem(String),
    /// Both read it, and its variables differ for a reason.
    Differs(String),
}

/// An inventory, what is beside it, and what is asked.
#[derive(Clone, Debug, Default)]
pub struct Case {
    pub name: String,
    pub sources: Vec<String>,
    pub playbook: Option<String>,
    /// Labels with passwords.
    pub vault: Vec<(String, String)>,
    pub patterns: Vec<String>,
    pub limits: Vec<String>,
    pub wanted: Wanted,
    /// Whether nobody wrote it.
    pub generated: bool,
    /// Path, text, and whether it is a program.
    pub files: Vec<(String, String, bool)>,
}

/// A case on the disk, its names made whole.
#[derive(Clone, Debug)]
pub struct Placed {
    pub case: Case,
    pub folder: PathBuf,
}

impl Placed {
    /// The sources as both programs get them.
    pub fn sources(&self) -> Vec<String> {
        let whole = |source: &String| match source.contains(',') {
            true => source.clone(),
            false => self.folder.join(source).display().to_string(),
        };
        self.case.sources.iter().map(whole).collect()
    }

    /// The folder of the playbook.
    pub fn playbook(&self) -> Option<String> {
        let playbook = self.case.playbook.as_ref()?;
        Some(self.folder.join(playbook).display().to_string())
    }

    /// The limits, with whole paths of their files.
    pub fn limits(&self) -> Vec<String> {
        let at = format!("@{}/", self.folder.display());
        self.case
            .limits
            .iter()
            .map(|limit| limit.replace('@', &at))
            .collect()
    }
}

/// The cases in `cases/`, by name.
pub fn written() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ansible/cases");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Case {
    let text = std::fs::read_to_string(path).unwrap();
    let mut case = Case {
        name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
        ..Case::default()
    };
    let mut parts = text.split("==== ");
    for line in parts
        .next()
        .unwrap()
        .lines()
        .filter(|line| !line.starts_with('#'))
    {
        let (key, value) = line
            .split_once(": ")
            .unwrap_or_else(|| panic!("{}: {line}", case.name));
        let words = || value.split_whitespace().map(str::to_owned);
        let listed = || value.split(" | ").map(str::to_owned);
        match key {
            "sources" => case.sources = words().collect(),
            "playbook" => case.playbook = Some(value.to_owned()),
            "vault" => case.vault = words().map(|word| pair(&word)).collect(),
            "patterns" => case.patterns = listed().collect(),
            "limits" => case.limits = listed().collect(),
            "refused" => case.wanted = wanted(value),
            "differs" => case.wanted = Wanted::Differs(value.to_owned()),
            other => panic!("{}: {other}", case.name),
        }
    }
    for part in parts {
        let (head, text) = part.split_once('\n').unwrap();
        let program = head.strip_suffix(" program");
        case.files.push((
            program.unwrap_or(head).to_owned(),
            text.to_owned(),
            program.is_some(),
        ));
    }
    case
}

fn pair(word: &str) -> (String, String) {
    let (label, password) = word.split_once('=').unwrap();
    (label.to_owned(), password.to_owned())
}

fn wanted(value: &str) -> Wanted {
    match value.split_once(": ") {
        None if value == "both" => Wanted::Refused,
        Some(("ours", reason)) => Wanted::RefusedByUs(reason.to_owned()),
        Some(("theirs", reason)) => Wanted::RefusedByThem(reason.to_owned()),
        _ => panic!("{value}"),
    }
}

/// Writes the cases below a folder.
pub fn place(cases: &[Case], folder: &Path) -> Vec<Placed> {
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names.len(), cases.len(), "two cases of one name");
    cases
        .iter()
        .map(|case| place_one(case, &folder.join(&case.name)))
        .collect()
}

fn place_one(case: &Case, folder: &Path) -> Placed {
    std::fs::create_dir_all(folder.join("no-playbook")).unwrap();
    for (path, text, program) in &case.files {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        let mode = if *program { 0o755 } else { 0o644 };
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    Placed {
        case: case.clone(),
        folder: folder.to_owned(),
    }
}
