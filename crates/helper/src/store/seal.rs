//! The checksum that files of the store carry as their last line: a bit that flipped is found, and not taken for
//! what was written.

use overhaul_model::id::Digest;

/// What the last line of a sealed file begins with.
const WORD: &[u8] = b"sha256 ";

/// Hexadecimal digits of a checksum.
const DIGITS: usize = 64;

/// What is said of a file whose checksum does not fit.
const BROKEN: &str = "its checksum does not fit what it holds: a bit has flipped, or something else has written to it. \
                      Look at the disk; what this host has done can only be seen by hand";

/// The content with the line of its checksum behind it.
pub(crate) fn sealed(mut content: Vec<u8>) -> Vec<u8> {
    if content.last() != Some(&b'\n') {
        content.push(b'\n');
    }
    let digest = Digest::of(&content);
    content.extend_from_slice(WORD);
    content.extend_from_slice(digest.as_str().as_bytes());
    content.push(b'\n');
    content
}

/// The content of a file. One that has no such line was written by an earlier version, and is taken as it is: where
/// the line itself was harmed, the content is followed by what no reader of it takes.
///
/// # Errors
/// When the checksum does not fit, as a sentence with what to do.
pub(crate) fn opened(bytes: &[u8]) -> Result<&[u8], &'static str> {
    let line = WORD.len() + DIGITS + 1;
    let Some((content, seal)) = bytes
        .len()
        .checked_sub(line)
        .and_then(|at| bytes.split_at_checked(at))
    else {
        return Ok(bytes);
    };
    let digits = seal
        .strip_prefix(WORD)
        .and_then(|rest| rest.strip_suffix(b"\n"));
    match digits {
        None => Ok(bytes),
        Some(digits) if Digest::of(content).as_str().as_bytes() == digits => Ok(content),
        Some(_) => Err(BROKEN),
    }
}

#[cfg(test)]
mod tests;
