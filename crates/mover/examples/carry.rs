//! The mover's four ends as a program, so that `bench/mover/run.sh` can put any line between them.
//!
//! `carry pack PATH`, `carry keep FILE`, `carry send FILE SHA256`, `carry unpack PATH BASE`: archives go
//! through standard input and output; `keep` prints the archive's SHA-256, `unpack` nothing.

use overhaul_mover::{
    Digesting, Form, Keeping, OnExisting, PackSpec, Sending, UnpackSpec, pack, unpack,
};
use std::error::Error;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;

/// As much as a pipe gives at once.
const READ_BYTES: usize = 1024 * 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    // Without a lock and a buffer of the library's own: chunks are large.
    let mut input = File::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    let mut output = File::from(std::io::stdout().as_fd().try_clone_to_owned()?);
    match words.as_slice() {
        ["pack", path] => {
            let spec = PackSpec {
                base: "/".into(),
                paths: vec![path.as_bytes().to_vec()],
                one_filesystem: false,
                exclude: Vec::new(),
                live: false,
                digesting: Digesting::File,
                have: None,
            };
            pack(&spec, &mut output)?;
        }
        ["keep", file] => {
            let mut keeping = Keeping::open(Path::new(file))?;
            let mut room = vec![0; READ_BYTES];
            loop {
                let length = input.read(&mut room)?;
                if length == 0 {
                    break;
                }
                keeping.take(room.get(..length).unwrap_or_default())?;
            }
            writeln!(output, "{}", keeping.finish()?.sha256)?;
        }
        ["send", file, sha256] => {
            let mut sending = Sending::open(Path::new(file), sha256, 0)?;
            while let Some(chunk) = sending.next_chunk()? {
                output.write_all(&chunk)?;
            }
        }
        ["unpack", path, base] => {
            let spec = UnpackSpec {
                base: base.into(),
                paths: vec![path.as_bytes().to_vec()],
                id: "bench".to_owned(),
                existing: OnExisting::Refuse,
                form: Form::Archive { from_chunk: 0 },
                progress: Some(Path::new(base).join("progress.json")),
            };
            unpack(&spec, input)?;
        }
        _ => return Err("pack PATH | keep FILE | send FILE SHA256 | unpack PATH BASE".into()),
    }
    Ok(())
}
