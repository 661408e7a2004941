//! Archives of somebody else: a whole stream, and records in chunks that are sound. Nothing but the path
//! that was asked for may come to be.

use overhaul_mover::{Form, OnExisting, UnpackSpec, unpack};
use std::fs;

/// The form of docs/data.md.
fn chunk(kind: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![kind, 0];
    for _ in 0..2 {
        out.extend_from_slice(&u32::try_from(content.len()).unwrap_or(0).to_le_bytes());
    }
    let digest = blake3::Hasher::new().update(&out).update(content).finalize();
    out.extend_from_slice(digest.as_bytes());
    out.extend_from_slice(content);
    out
}

const HEAD: &[u8] = br#"{"roots":[{"path":"/data","above":[]}],"one_filesystem":false,"exclude":[],"users":[],"groups":[]}"#;
const END: &[u8] =
    br#"{"entries":0,"content":0,"left_out":0,"changed":0,"manifest":"","times":""}"#;

pub fn run(bytes: &[u8]) {
    let base = std::env::temp_dir().join(format!("archive-{}", std::process::id()));
    let _none = fs::remove_dir_all(&base);
    fs::create_dir_all(&base).expect("a folder");
    let spec = UnpackSpec {
        base: base.clone(),
        paths: vec![b"/data".to_vec()],
        id: "x".to_owned(),
        existing: OnExisting::Refuse,
        form: Form::Archive { from_chunk: 0 },
        progress: None,
    };
    let sound = [b"OVHLAR1\n".to_vec(), chunk(0, HEAD), chunk(1, bytes), chunk(2, END)].concat();
    for stream in [bytes, sound.as_slice()] {
        if let Err(error) = unpack(&spec, stream) {
            assert!(!error.to_string().is_empty());
        }
        for entry in fs::read_dir(&base).expect("the folder") {
            assert_eq!(entry.expect("an entry").file_name(), "data");
        }
    }
}
