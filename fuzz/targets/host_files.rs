//! Files of hosts, tables of their kernels and output of their programs, as the helper reads them. The first byte says which reader.
#![no_main]

use libfuzzer_sys::fuzz_target;
use overhaul_helper::facts::fuzzing;
use std::path::PathBuf;
use std::sync::LazyLock;

static FOLDER: LazyLock<PathBuf> =
    LazyLock::new(|| std::env::temp_dir().join(format!("host-files-{}", std::process::id())));

fuzz_target!(|bytes: &[u8]| fuzzing::read(&FOLDER, bytes));
