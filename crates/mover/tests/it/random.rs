//! Trees that nobody thought of.

use crate::tree::Scene;
use proptest::prelude::*;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

#[derive(Clone, Debug)]
enum Node {
    File(Vec<u8>, usize, u32),
    Link(Vec<u8>),
    Folder(Vec<(Vec<u8>, Node)>, u32),
    /// Another name of the file that was made before it.
    Again,
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    let part = prop::collection::vec(
        any::<u8>().prop_filter("", |b| *b != 0 && *b != b'/'),
        1..40,
    );
    part.prop_filter("", |name| {
        name != b"." && name != b".." && name != b"lost+found"
    })
}

fn node() -> impl Strategy<Value = Node> {
    let leaf = prop_oneof![
        4 => (prop::collection::vec(any::<u8>(), 0..300), 0_usize..600, 0_u32..0o7777)
            .prop_map(|(bytes, times, mode)| Node::File(bytes, times, mode)),
        1 => prop::collection::vec(1_u8.., 1..100).prop_map(Node::Link),
        1 => Just(Node::Again),
    ];
    leaf.prop_recursive(4, 60, 8, |inner| {
        (prop::collection::vec((name(), inner), 0..8), 0_u32..0o7777)
            .prop_map(|(nodes, mode)| Node::Folder(nodes, mode))
    })
}

fn make(at: &Path, nodes: &[(Vec<u8>, Node)], last: &mut Option<PathBuf>) {
    for (name, node) in nodes {
        let path = at.join(std::ffi::OsStr::from_bytes(name));
        if path.symlink_metadata().is_ok() {
            continue;
        }
        match node {
            Node::File(bytes, times, mode) => {
                fs::write(&path, bytes.repeat(*times)).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
                *last = Some(path);
            }
            Node::Link(target) => symlink(std::ffi::OsStr::from_bytes(target), &path).unwrap(),
            Node::Folder(nodes, mode) => {
                fs::create_dir(&path).unwrap();
                make(&path, nodes, last);
                fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
            }
            Node::Again => {
                if let Some(last) = last {
                    fs::hard_link(last, &path).unwrap();
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 25, ..ProptestConfig::default() })]
    #[test]
    fn any_tree_comes_back_as_it_was(nodes in prop::collection::vec((name(), node()), 0..12)) {
        let scene = Scene::new();
        make(&scene.from("data"), &nodes, &mut None);
        scene.carry();
    }
}
