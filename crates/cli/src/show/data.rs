//! What an archive of files holds, in words.

use crate::text;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use overhaul_mover::{About, Contents, Entry, Listed, Trailer};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;

/// Any bytes as text: what is no UTF-8, drives a terminal or ends a line is escaped, and so is the escape itself.
fn shown(path: &[u8]) -> String {
    let mut out = String::with_capacity(path.len());
    for piece in path.utf8_chunks() {
        for c in piece.valid().chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                c if c.is_control() || text::is_unseen(c) => out.extend(c.escape_default()),
                c => out.push(c),
            }
        }
        for byte in piece.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

fn word(entry: &Entry) -> &'static str {
    match entry {
        Entry::Directory => "directory",
        Entry::File(_) => "file",
        Entry::Symlink(_) => "symlink",
        Entry::Hardlink(_) => "hardlink",
        Entry::Fifo => "fifo",
        Entry::Device(true, ..) => "block-device",
        Entry::Device(false, ..) => "character-device",
    }
}

/// Type and permissions as `ls` writes them.
fn mode(entry: &Entry, mode: u32) -> String {
    let mut out = String::with_capacity(10);
    out.push(match entry {
        Entry::Directory => 'd',
        Entry::File(_) => '-',
        Entry::Symlink(_) => 'l',
        Entry::Hardlink(_) => 'h',
        Entry::Fifo => 'p',
        Entry::Device(true, ..) => 'b',
        Entry::Device(false, ..) => 'c',
    });
    for (shift, special, with, without) in [
        (6, 0o4000, 's', 'S'),
        (3, 0o2000, 's', 'S'),
        (0, 0o1000, 't', 'T'),
    ] {
        let has = |bit: u32| mode >> shift & bit != 0;
        out.push(if has(4) { 'r' } else { '-' });
        out.push(if has(2) { 'w' } else { '-' });
        out.push(match (mode & special != 0, has(1)) {
            (true, true) => with,
            (true, false) => without,
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    out
}

fn named((number, name): &(u32, Option<String>)) -> String {
    let name = name.as_deref().map(|name| text::one_line(name, 32));
    name.unwrap_or_else(|| number.to_string())
}

fn modified(about: &About) -> String {
    let at = Timestamp::from_second(about.modified_s);
    at.map_or_else(
        |_| "?".to_owned(),
        |at| {
            let at = at.to_zoned(TimeZone::system());
            at.strftime("%Y-%m-%d %H:%M:%S").to_string()
        },
    )
}

/// One entry.
pub fn line(listed: &Listed) -> String {
    let Listed { path, entry, about } = listed;
    let about = about.as_ref();
    let size = match entry {
        Entry::File(bytes) => bytes.to_string(),
        Entry::Device(_, major, minor) => format!("{major},{minor}"),
        _ => "-".to_owned(),
    };
    let owner = about.map_or_else(String::new, |about| {
        format!("{}/{}", named(&about.user), named(&about.group))
    });
    let to = match entry {
        Entry::Symlink(to) => format!(" -> {}", shown(to)),
        Entry::Hardlink(of) => format!(" is also {}", shown(of)),
        _ => String::new(),
    };
    let more = about.is_some_and(|about| !about.attributes.is_empty());
    format!(
        "{}{} {owner:<17} {size:>12} {:<19} {}{to}",
        about.map_or_else(|| "h---------".to_owned(), |about| mode(entry, about.mode)),
        if more { '+' } else { ' ' },
        about.map(modified).unwrap_or_default(),
        shown(path),
    )
}

/// One entry for programs.
pub fn json(listed: &Listed) -> Value {
    let Listed { path, entry, about } = listed;
    let mut out = json!({ "path": shown(path), "type": word(entry) });
    let mut add = |key: &str, value: Value| {
        if let Some(object) = out.as_object_mut() {
            object.insert(key.to_owned(), value);
        }
    };
    match entry {
        Entry::File(bytes) => add("bytes", json!(bytes)),
        Entry::Symlink(to) => add("to", json!(shown(to))),
        Entry::Hardlink(of) => add("of", json!(shown(of))),
        Entry::Device(_, major, minor) => add("device", json!([major, minor])),
        Entry::Directory | Entry::Fifo => {}
    }
    if let Some(about) = about {
        add("mode", json!(format!("{:04o}", about.mode)));
        add("uid", json!(about.user.0));
        add("gid", json!(about.group.0));
        add("user", json!(about.user.1));
        add("group", json!(about.group.1));
        add("modified_s", json!(about.modified_s));
        let attributes: Vec<String> = about.attributes.iter().map(|name| shown(name)).collect();
        add("attributes", json!(attributes));
    }
    out
}

/// The archive as a whole.
pub fn whole(contents: &Contents) -> String {
    let Contents {
        paths,
        trailer,
        sha256,
    } = contents;
    let paths: Vec<String> = paths.iter().map(|path| shown(path)).collect();
    let mut out = format!(
        "whole: {}; SHA-256 {sha256}\n{}",
        counted(trailer),
        format_args!("of {}", paths.join(", "))
    );
    out.push_str(&shortcomings(trailer));
    out
}

/// The same for programs.
pub fn whole_json(contents: &Contents) -> Value {
    let trailer = &contents.trailer;
    let paths: Vec<String> = contents.paths.iter().map(|path| shown(path)).collect();
    json!({ "archive": {
        "paths": paths, "sha256": contents.sha256, "entries": trailer.entries,
        "content_bytes": trailer.content, "left_out": trailer.left_out,
        "changed_while_copied": trailer.changed,
    }})
}

/// That it was unpacked.
pub fn unpacked(into: &Path, trailer: &Trailer, times_kept: bool) -> String {
    let mut out = format!(
        "{} in {}, read back and equal to what was copied",
        counted(trailer),
        text::clean(&into.display().to_string())
    );
    out.push_str(&shortcomings(trailer));
    if !times_kept {
        out.push_str("\nthis file system keeps times more coarsely than the source's");
    }
    out.push('\n');
    out
}

fn counted(trailer: &Trailer) -> String {
    let entries = usize::try_from(trailer.entries).unwrap_or(usize::MAX);
    let entries = if entries == 1 {
        "1 entry".to_owned()
    } else {
        format!("{entries} entries")
    };
    format!("{entries}, {} of content", text::size(trailer.content))
}

/// What is not in it as it was.
fn shortcomings(trailer: &Trailer) -> String {
    let mut out = String::new();
    if trailer.left_out > 0 {
        let _ = write!(
            out,
            "\nleft out when it was made: {} (sockets, mount points, what was excluded)",
            trailer.left_out
        );
    }
    if trailer.changed > 0 {
        let _ = write!(
            out,
            "\nchanged while it was made: {} files; they may be torn",
            trailer.changed
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_modes_are_shown_as_people_know_them() {
        for (path, wanted) in [
            (&b"/srv/a b"[..], "/srv/a b"),
            (b"/srv/\xff\n\x1b[31m", "/srv/\\xff\\n\\u{1b}[31m"),
            (b"/srv/back\\slash", "/srv/back\\\\slash"),
            ("/srv/Größe".as_bytes(), "/srv/Größe"),
            ("/srv/\u{202e}txt".as_bytes(), "/srv/\\u{202e}txt"),
        ] {
            assert_eq!(shown(path), wanted);
        }
        for (entry, bits, wanted) in [
            (Entry::File(0), 0o644, "-rw-r--r--"),
            (Entry::Directory, 0o1777, "drwxrwxrwt"),
            (Entry::File(0), 0o6750, "-rwsr-s---"),
            (Entry::File(0), 0o7000, "---S--S--T"),
        ] {
            assert_eq!(mode(&entry, bits), wanted);
        }
    }
}
