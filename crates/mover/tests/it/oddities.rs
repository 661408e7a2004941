//! Everything odd that a file server may hold.

use crate::tree::{Scene, look};
use overhaul_mover::{MoverError, OnExisting, Sending, UnpackSpec, unpack};
use rustix::fs::{
    CWD, FileType, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags, chownat, lsetxattr, mknodat,
    utimensat,
};
use std::fs::{self, File, Permissions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

type Make = fn(&Path);

fn mode(path: &Path, bits: u32) {
    fs::set_permissions(path, Permissions::from_mode(bits)).unwrap();
}

fn xattr(path: &Path, name: &str, value: &[u8]) {
    lsetxattr(path, name, value, XattrFlags::empty()).unwrap();
}

fn owner(path: &Path, uid: u32, gid: u32) {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    chownat(
        CWD,
        path,
        Some(uid),
        Some(gid),
        rustix::fs::AtFlags::SYMLINK_NOFOLLOW,
    )
    .unwrap();
}

fn time(path: &Path, s: i64, ns: i64) {
    let at = Timespec {
        tv_sec: s,
        tv_nsec: ns,
    };
    let times = Timestamps {
        last_access: at,
        last_modification: at,
    };
    utimensat(CWD, path, &times, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

fn name(bytes: &[u8]) -> PathBuf {
    std::ffi::OsStr::from_bytes(bytes).into()
}

/// A list with a user and a group of their own, as setfacl writes it.
fn acl(default: bool) -> (&'static str, Vec<u8>) {
    let mut value = 2_u32.to_le_bytes().to_vec();
    for (tag, perm, id) in [
        (0x01_u16, 7_u16, u32::MAX),
        (0x02, 5, 4_242),
        (0x04, 5, u32::MAX),
        (0x08, 4, 4_343),
        (0x10, 7, u32::MAX),
        (0x20, 0, u32::MAX),
    ] {
        value.extend_from_slice(&tag.to_le_bytes());
        value.extend_from_slice(&perm.to_le_bytes());
        value.extend_from_slice(&id.to_le_bytes());
    }
    let name = if default {
        "system.posix_acl_default"
    } else {
        "system.posix_acl_access"
    };
    (name, value)
}

const ODDITIES: &[(&str, Make)] = &[
    ("an empty directory", |_| {}),
    ("an empty file, and one without its last newline", |d| {
        fs::write(d.join("empty"), "").unwrap();
        fs::write(d.join("short"), "no newline").unwrap();
    }),
    ("files at the borders of pieces and chunks", |d| {
        for size in [
            4_095, 4_096, 4_097, 65_535, 65_536, 65_537, 1_048_563, 1_048_576, 3_000_001,
        ] {
            let content: Vec<u8> = (0..size)
                .map(|n| u8::try_from(n * 7 % 251).unwrap())
                .collect();
            fs::write(d.join(format!("{size}")), content).unwrap();
        }
    }),
    ("modes with all bits, and none", |d| {
        for bits in [0o000, 0o400, 0o644, 0o1777, 0o2755, 0o4755, 0o6711, 0o7777] {
            let path = d.join(format!("{bits:o}"));
            fs::write(&path, "x").unwrap();
            mode(&path, bits);
            let folder = d.join(format!("d{bits:o}"));
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("in"), "x").unwrap();
            mode(&folder, bits);
        }
    }),
    ("owners that have no name", |d| {
        fs::write(d.join("file"), "x").unwrap();
        symlink("file", d.join("link")).unwrap();
        for path in ["file", "link"] {
            owner(&d.join(path), 54_321, 4_000_000_000);
        }
        owner(d, 54_322, 7);
    }),
    ("times of every sort", |d| {
        for (name, s, ns) in [
            ("old", -5, 1),
            ("zero", 0, 0),
            ("fine", 1_700_000_000, 123_456_789),
        ] {
            fs::write(d.join(name), name).unwrap();
            time(&d.join(name), s, ns);
        }
        symlink("nowhere", d.join("link")).unwrap();
        time(&d.join("link"), 1_600_000_000, 987_654_321);
        time(d, 1_500_000_000, 5);
    }),
    ("extended attributes", |d| {
        fs::write(d.join("file"), "x").unwrap();
        xattr(&d.join("file"), "user.note", b"any\0bytes\xff");
        xattr(&d.join("file"), "user.empty", b"");
        xattr(&d.join("file"), "trusted.mark", b"root only");
        xattr(d, "user.folder", &[7; 3_000]);
        symlink("file", d.join("link")).unwrap();
        xattr(&d.join("link"), "trusted.link", b"of the link");
    }),
    ("access lists", |d| {
        fs::write(d.join("file"), "x").unwrap();
        let (name, value) = acl(false);
        xattr(&d.join("file"), name, &value);
        xattr(d, name, &value);
        let (name, value) = acl(true);
        xattr(d, name, &value);
    }),
    ("capabilities", |d| {
        fs::write(d.join("ping"), "#!/bin/true").unwrap();
        mode(&d.join("ping"), 0o755);
        // cap_net_raw=ep, as setcap writes it.
        let value = [
            1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ];
        xattr(&d.join("ping"), "security.capability", &value);
    }),
    (
        "hard links, within and across directories, to every sort of file",
        |d| {
            fs::create_dir(d.join("z")).unwrap();
            fs::write(d.join("m"), vec![9; 100_000]).unwrap();
            for other in ["a", "z/m", "z/n"] {
                fs::hard_link(d.join("m"), d.join(other)).unwrap();
            }
            symlink("m", d.join("link")).unwrap();
            fs::hard_link(d.join("link"), d.join("z/link")).unwrap();
        },
    ),
    ("a hard link to outside of the path", |d| {
        fs::write(d.join("../outside"), "x").unwrap();
        fs::hard_link(d.join("../outside"), d.join("inside")).unwrap();
        fs::remove_file(d.join("../outside")).unwrap();
    }),
    (
        "holes at the start, in the middle, at the end, and nothing else",
        |d| {
            let mut file = File::create(d.join("middle")).unwrap();
            file.write_all(b"start").unwrap();
            file.seek(SeekFrom::Start(30 << 20)).unwrap();
            file.write_all(&[1; 10_000]).unwrap();
            file.set_len(60 << 20).unwrap();
            File::create(d.join("all"))
                .unwrap()
                .set_len(50 << 20)
                .unwrap();
            let mut file = File::create(d.join("end")).unwrap();
            file.seek(SeekFrom::Start(20 << 20)).unwrap();
            file.write_all(b"end").unwrap();
            fs::write(d.join("zeros"), vec![0; 5 << 20]).unwrap();
        },
    ),
    ("fifos and devices", |d| {
        let bits = Mode::from_raw_mode(0o640);
        let device = rustix::fs::makedev(1, 3);
        mknodat(CWD, d.join("null"), FileType::CharacterDevice, bits, device).unwrap();
        let device = rustix::fs::makedev(259, 1_048_575);
        mknodat(CWD, d.join("disk"), FileType::BlockDevice, bits, device).unwrap();
        mknodat(CWD, d.join("fifo"), FileType::Fifo, bits, 0).unwrap();
        owner(&d.join("fifo"), 3, 4);
        time(&d.join("fifo"), 1_234, 5_678);
    }),
    ("a socket, which its program makes again", |d| {
        drop(UnixListener::bind(d.join("socket")).unwrap());
        fs::write(d.join("beside"), "x").unwrap();
    }),
    (
        "symbolic links: relative, absolute, broken, long, to themselves",
        |d| {
            for (name, target) in [
                ("relative", "../data/x"),
                ("absolute", "/etc/passwd"),
                ("broken", "no/such"),
                ("self", "self"),
                ("long", &"y/".repeat(2_000)),
            ] {
                symlink(target, d.join(name)).unwrap();
            }
            symlink(name(b"not \xff text\n"), d.join("bytes")).unwrap();
        },
    ),
    ("names of every sort", |d| {
        for part in [
            b" leading".as_slice(),
            b"trailing ",
            b"new\nline",
            b"\xff\xfe not utf-8",
            b"-rf",
            b"*",
            b"'quote\"",
            b"\\back",
            b"...",
            b"hex:00",
            b"\x1b[31mred",
            b"{{ braces }}",
            &[b'n'; 255],
        ] {
            fs::write(d.join(name(part)), part).unwrap();
        }
    }),
    ("a path far longer than PATH_MAX", |d| {
        let mut dir =
            rustix::fs::openat(CWD, d, rustix::fs::OFlags::DIRECTORY, Mode::empty()).unwrap();
        for _ in 0..12 {
            let part = "p".repeat(200);
            rustix::fs::mkdirat(&dir, &part, Mode::from_raw_mode(0o755)).unwrap();
            let flags = rustix::fs::OFlags::DIRECTORY;
            dir = rustix::fs::openat(&dir, &part, flags, Mode::empty()).unwrap();
        }
    }),
    ("many files in one directory", |d| {
        for number in 0..3_000 {
            fs::write(d.join(format!("{number}")), format!("{number}")).unwrap();
        }
    }),
];

#[test]
fn all_of_it_comes_back_as_it_was() {
    for (what, make) in ODDITIES {
        println!("{what}");
        let scene = Scene::new();
        make(&scene.from("data"));
        let unpacked = scene.carry();
        assert!(unpacked.made && unpacked.times_kept, "{what}");
    }
}

#[test]
fn what_was_left_out_is_counted_and_sockets_are() {
    let scene = Scene::new();
    drop(UnixListener::bind(scene.from("data/socket")).unwrap());
    fs::create_dir(scene.from("data/skipped")).unwrap();
    fs::write(scene.from("data/skipped/file"), "x").unwrap();
    fs::create_dir(scene.from("data/lost+found")).unwrap();
    let spec = overhaul_mover::PackSpec {
        exclude: vec![b"/data/skipped".to_vec()],
        ..scene.spec()
    };
    let mut out = Vec::new();
    let packed = overhaul_mover::pack(&spec, &mut out).unwrap();
    assert_eq!((packed.trailer.left_out, packed.trailer.entries), (3, 2));
}

#[test]
fn a_single_file_and_several_paths() {
    let mut scene = Scene::new();
    scene.paths = vec![
        b"/etc/app.conf".to_vec(),
        b"/data".to_vec(),
        b"/var/lib/app".to_vec(),
    ];
    for folder in ["etc", "var/lib/app"] {
        fs::create_dir_all(scene.from(folder)).unwrap();
    }
    mode(&scene.from("var"), 0o711);
    fs::write(scene.from("etc/app.conf"), "x").unwrap();
    fs::hard_link(scene.from("etc/app.conf"), scene.from("data/same")).unwrap();
    fs::write(scene.from("var/lib/app/db"), "x").unwrap();
    let kept = scene.persist().unwrap();
    scene.restore(&kept).unwrap();
    let (from, to) = (look(&scene.from("")), look(&scene.to("")));
    assert_eq!(
        from.keys().collect::<Vec<_>>(),
        to.keys().collect::<Vec<_>>()
    );
    for path in ["etc/app.conf", "data/same", "var/lib/app", "var/lib/app/db"] {
        assert_eq!(from[path], to[path], "{path}");
    }
    // A directory above gets its mode and owner, and the time at which it was made.
    assert_eq!(from["var"].split(' ').next(), to["var"].split(' ').next());
}

#[test]
fn owners_are_mapped_by_name() {
    let scene = Scene::new();
    for (side, line) in [
        ("from", "app:x:990:980::/:/bin/sh\n"),
        ("to", "app:x:995:985::/:/bin/sh\n"),
    ] {
        let etc = if side == "from" {
            scene.from("etc")
        } else {
            scene.to("etc")
        };
        fs::create_dir(&etc).unwrap();
        fs::write(etc.join("passwd"), line).unwrap();
        fs::write(
            etc.join("group"),
            line.replace("990", "980").replace("995", "985"),
        )
        .unwrap();
    }
    let path = scene.from("data/file");
    fs::write(&path, "x").unwrap();
    owner(&path, 990, 980);
    let mut value = acl(false).1;
    value[16..20].copy_from_slice(&990_u32.to_le_bytes());
    xattr(&path, "system.posix_acl_access", &value);
    let kept = scene.persist().unwrap();
    scene.restore(&kept).unwrap();
    let line = look(&scene.to("data"))["file"].clone();
    let mapped = 995_u32.to_le_bytes().escape_ascii().to_string();
    assert!(
        line.contains(" 995:985 ") && line.contains(&mapped),
        "{line}"
    );
}

#[test]
fn what_is_in_the_way_stays() {
    let scene = Scene::new();
    fs::write(scene.from("data/file"), "new").unwrap();
    let kept = scene.persist().unwrap();
    fs::create_dir(scene.to("data")).unwrap();
    fs::write(scene.to("data/file"), "old").unwrap();
    let error = scene.restore(&kept).unwrap_err().to_string();
    assert!(
        error.contains("/data exists on this host and is another"),
        "{error}"
    );
    assert_eq!(fs::read(scene.to("data/file")).unwrap(), b"old");

    let spec = UnpackSpec {
        existing: OnExisting::SetAside,
        ..scene.unpack_spec(&kept.sha256)
    };
    let stream = scene.sent(&kept, 0).unwrap();
    assert!(unpack(&spec, stream.as_slice()).unwrap().made);
    assert_eq!(fs::read(scene.to("data/file")).unwrap(), b"new");
    assert_eq!(
        fs::read(scene.to("data.overhaul-before/file")).unwrap(),
        b"old"
    );
    // Once more, as after an outcome that nobody heard: it is there, and stays.
    let again = unpack(&spec, stream.as_slice()).unwrap();
    assert!(!again.made);
    assert!(!scene.restore(&kept).unwrap().made);
}

#[test]
fn a_source_in_use_is_named_and_a_live_one_is_counted() {
    let scene = Scene::new();
    let path = scene.from("data/log");
    fs::write(&path, vec![1; 8 << 20]).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = File::options().append(true).open(&path).unwrap();
            while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                file.write_all(b"more").unwrap();
            }
        });
        // On a busy machine the writer may rest for as long as one reading takes.
        let error = (0..100).find_map(|_| scene.packed().err());
        let live = overhaul_mover::PackSpec {
            live: true,
            ..scene.spec()
        };
        let counted = (0..100).find_map(|_| {
            let packed = overhaul_mover::pack(&live, &mut Vec::new()).ok()?;
            (packed.trailer.changed > 0).then_some(packed.trailer.changed)
        });
        stop.store(true, std::sync::atomic::Ordering::SeqCst);
        assert!(
            matches!(&error, Some(MoverError::Changed { path, .. }) if path == "/data/log"),
            "{error:?}"
        );
        assert_eq!(counted, Some(1));
    });
}

#[test]
fn what_cannot_be_a_path_is_refused() {
    let mut scene = Scene::new();
    symlink("data", scene.from("link")).unwrap();
    for (paths, part) in [
        (vec!["/none"], "/none does not exist"),
        (vec!["/link"], "is a symbolic link"),
        (vec!["/link/below"], "symbolic link"),
        (vec!["data"], "is no absolute path"),
        (vec!["/data/../etc"], "is no plain absolute path"),
        (vec!["/data", "/data"], "overlap"),
        (vec!["/data/x", "/data"], "overlap"),
        (vec!["/", "/data"], "overlap"),
        (vec![], "no paths"),
    ] {
        scene.paths = paths.iter().map(|path| path.as_bytes().to_vec()).collect();
        let error = scene.packed().unwrap_err().to_string();
        assert!(error.contains(part), "{paths:?}: {error}");
    }
}

#[test]
fn an_archive_that_was_changed_on_the_controller_never_gets_its_end() {
    let scene = Scene::new();
    fs::write(scene.from("data/file"), vec![3; 100_000]).unwrap();
    let kept = scene.persist().unwrap();
    let bytes = fs::read(scene.archive()).unwrap();
    for place in [0, 8, 20, 60, bytes.len() / 2, bytes.len() - 1] {
        let mut wrong = bytes.clone();
        wrong[place] ^= 1;
        fs::write(scene.archive(), wrong).unwrap();
        assert!(scene.restore(&kept).is_err(), "{place}");
        assert!(!scene.to("data").exists() || scene.to(".data.overhaul-restoring").exists());
    }
    fs::write(scene.archive(), bytes).unwrap();
    let other = "0".repeat(64);
    let mut sending = Sending::open(&scene.archive(), &other, 0).unwrap();
    let end = std::iter::from_fn(|| sending.next_chunk().transpose()).find_map(Result::err);
    assert!(end.unwrap().to_string().contains("instead of 0000"));
    scene.restore(&kept).unwrap();
    assert_eq!(look(&scene.to("")), look(&scene.from("")));
}
