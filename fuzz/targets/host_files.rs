//! Files of hosts, tables of their kernels and output of their programs, as the helper reads them. The first byte says which reader.

use overhaul_helper::facts::fuzzing;
use std::path::PathBuf;
use std::sync::LazyLock;

static FOLDER: LazyLock<PathBuf> =
    LazyLock::new(|| std::env::temp_dir().join(format!("host-files-{}", std::process::id())));

pub fn run(bytes: &[u8]) {
    fuzzing::read(&FOLDER, bytes);
}
