//! A test in a process of its own, for what needs another environment or is to be killed.

use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The folder of the test that started this process for a part of itself.
const FOLDER: &str = "OVERHAUL_TEST_FOLDER";

/// The folder, in the process that was started for the inner part.
pub fn folder() -> Option<std::path::PathBuf> {
    std::env::var_os(FOLDER).map(Into::into)
}

/// Starts the same test once more; there [`folder`] gives this folder.
pub fn start(test: &str, folder: &Path, environment: &[(&str, String)]) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(FOLDER, folder)
        .envs(environment.iter().cloned())
        .stdin(Stdio::null())
        .spawn()
        .unwrap()
}
