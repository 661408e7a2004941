//! Runs all laws and prints every breach.

use super::{edges, licences, text};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// What `cargo metadata` tells, as far as it is needed.
#[derive(Deserialize)]
pub struct Metadata {
    pub packages: Vec<Package>,
    workspace_members: Vec<String>,
}

/// A package.
#[derive(Deserialize)]
pub struct Package {
    id: String,
    pub name: String,
    pub license: Option<String>,
    manifest_path: PathBuf,
    pub dependencies: Vec<Dependency>,
}

/// A dependency as its manifest names it.
#[derive(Deserialize)]
pub struct Dependency {
    pub name: String,
    pub kind: Option<String>,
}

impl Metadata {
    /// The packages of this workspace.
    pub fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages
            .iter()
            .filter(|package| self.workspace_members.contains(&package.id))
    }
}

/// Why tidy could not look at the workspace.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot run `{0}`: {1}")]
    Start(&'static str, std::io::Error),
    #[error("`{0}` failed: {1}")]
    Failed(&'static str, String),
    #[error("cargo's metadata was not understood: {0}")]
    Metadata(#[from] serde_json::Error),
}

/// Prints what is wrong; success when nothing is.
pub fn run() -> ExitCode {
    match breaches() {
        Ok(breaches) if breaches.is_empty() => {
            println!("tidy: all laws of the workspace hold");
            ExitCode::SUCCESS
        }
        Ok(breaches) => {
            for breach in &breaches {
                eprintln!("tidy: {breach}");
            }
            eprintln!("tidy: {} breaches", breaches.len());
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("tidy: {error}");
            ExitCode::FAILURE
        }
    }
}

fn breaches() -> Result<Vec<String>, Error> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."));
    let json = output(
        root,
        "cargo metadata",
        &["cargo", "metadata", "--format-version", "1", "--locked"],
    )?;
    let metadata: Metadata = serde_json::from_str(&json)?;
    let mut out = edges::check(&metadata);
    out.extend(licences::check(&metadata));
    out.extend(text::check_pure_fences(root));
    for package in metadata.members() {
        let manifest = std::fs::read_to_string(&package.manifest_path).unwrap_or_default();
        if !manifest.contains("[lints]\nworkspace = true") {
            out.push(format!(
                "{} does not take the workspace's lints",
                package.name
            ));
        }
    }
    let files = output(root, "git ls-files", &["git", "ls-files", "*.rs"])?;
    let mut texts = Vec::new();
    for path in files.lines() {
        let Ok(text) = std::fs::read_to_string(root.join(path)) else {
            continue;
        };
        out.extend(text::check(&text::Source { path, text: &text }));
        texts.push(text);
    }
    let promises = std::fs::read_to_string(root.join("docs/promises.md")).unwrap_or_default();
    out.extend(text::check_promises(&promises, &texts));
    let crates: Vec<String> = metadata
        .members()
        .map(|package| package.name.trim_start_matches("overhaul-").to_owned())
        .collect();
    let map = std::fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap_or_default();
    out.extend(text::check_map(&map, &crates));
    Ok(out)
}

fn output(root: &Path, name: &'static str, argv: &[&str]) -> Result<String, Error> {
    let (program, arguments) = argv.split_first().unwrap_or((&"true", &[]));
    let done = Command::new(program)
        .args(arguments)
        .current_dir(root)
        .output()
        .map_err(|error| Error::Start(name, error))?;
    if !done.status.success() {
        return Err(Error::Failed(
            name,
            String::from_utf8_lossy(&done.stderr).into_owned(),
        ));
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}
