//! The archive's form: a magic word, then chunks.
//!
//! A chunk is a header of 42 bytes and what is stored: one byte for its kind, one for how it is stored,
//! two little-endian `u32` (bytes unpacked, bytes stored), and the BLAKE3 digest of those ten bytes and
//! of what is stored. The first chunk is the head, the last the end; both are JSON, the others records.

use crate::error::MoverError;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::io::Read;

/// How an archive begins.
pub(crate) const MAGIC: &[u8; 8] = b"OVHLAR1\n";

/// A body chunk is closed when it has so many bytes: large enough for the compressor to find what
/// repeats, small enough that many are under way at once.
pub(crate) const CHUNK_BYTES: usize = 1024 * 1024;

/// Largest chunk that is taken, unpacked or stored. Records are kept below it by the packer.
pub(crate) const CHUNK_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of a chunk's header.
pub(crate) const HEADER_BYTES: usize = 42;

/// What a chunk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The first of an archive.
    Head,
    /// Records.
    Body,
    /// The last of an archive.
    End,
    /// Not of the archive: the packer's digest of all of it, SHA-256.
    Seal,
    /// Not of the archive: it begins again from its first byte, because the source is another by now.
    Again,
}

impl Kind {
    const fn byte(self) -> u8 {
        match self {
            Self::Head => 0,
            Self::Body => 1,
            Self::End => 2,
            Self::Seal => 3,
            Self::Again => 4,
        }
    }

    fn of(byte: u8) -> Result<Self, MoverError> {
        Ok(match byte {
            0 => Self::Head,
            1 => Self::Body,
            2 => Self::End,
            3 => Self::Seal,
            4 => Self::Again,
            other => return Err(MoverError::archive(format!("a chunk of kind {other}"))),
        })
    }
}

/// A chunk as it is stored, header included.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) kind: Kind,
    pub(crate) bytes: Vec<u8>,
}

/// How the bytes of a chunk are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Plain,
    Zstd,
}

impl Stored {
    /// `stored` is what follows the header.
    pub(crate) fn new(kind: Kind, form: Form, unpacked: usize, stored: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(HEADER_BYTES.saturating_add(stored.len()));
        bytes.push(kind.byte());
        bytes.push(u8::from(form == Form::Zstd));
        for length in [unpacked, stored.len()] {
            bytes.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
        }
        let digest = blake3::Hasher::new()
            .update(&bytes)
            .update(stored)
            .finalize();
        bytes.extend_from_slice(digest.as_bytes());
        bytes.extend_from_slice(stored);
        Self { kind, bytes }
    }

    /// A chunk whose content is stored as it is.
    pub(crate) fn plain(kind: Kind, content: &[u8]) -> Self {
        Self::new(kind, Form::Plain, content.len(), content)
    }

    /// A chunk of JSON.
    pub(crate) fn json(kind: Kind, value: &impl Serialize) -> Result<Self, MoverError> {
        let json = serde_json::to_vec(value).map_err(|e| MoverError::archive(e.to_string()))?;
        if json.len() > CHUNK_BYTES_MAX {
            return Err(MoverError::archive("its head would be too large"));
        }
        Ok(Self::plain(kind, &json))
    }

    /// The next chunk, its digest verified; `None` at the orderly end of the stream.
    pub(crate) fn read(stream: &mut impl Read) -> Result<Option<Self>, MoverError> {
        let mut bytes = vec![0_u8; HEADER_BYTES];
        if !read_or_end(stream, &mut bytes)? {
            return Ok(None);
        }
        let header = Header::parse(&bytes)?;
        bytes.resize(HEADER_BYTES.saturating_add(header.stored), 0);
        let stored = bytes.get_mut(HEADER_BYTES..).unwrap_or_default();
        stream.read_exact(stored).map_err(MoverError::Stream)?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(bytes.get(..10).unwrap_or_default());
        hasher.update(bytes.get(HEADER_BYTES..).unwrap_or_default());
        if hasher.finalize() != header.digest {
            return Err(MoverError::archive(
                "a chunk has another digest than its header",
            ));
        }
        let kind = header.kind;
        Ok(Some(Self { kind, bytes }))
    }

    /// What stands before its content; zeros where there is none.
    pub(crate) fn header(&self) -> [u8; HEADER_BYTES] {
        self.bytes
            .first_chunk()
            .copied()
            .unwrap_or([0; HEADER_BYTES])
    }

    /// What follows the header, unpacked.
    pub(crate) fn content(&self) -> Result<Vec<u8>, MoverError> {
        let header = Header::parse(&self.bytes)?;
        let stored = self.bytes.get(HEADER_BYTES..).unwrap_or_default();
        let content = match header.form {
            Form::Plain => stored.to_vec(),
            Form::Zstd => zstd::bulk::decompress(stored, header.unpacked)
                .map_err(|e| MoverError::archive(format!("a chunk cannot be unpacked: {e}")))?,
        };
        if content.len() != header.unpacked {
            return Err(MoverError::archive(
                "a chunk has another size than its header",
            ));
        }
        Ok(content)
    }

    /// Its JSON.
    pub(crate) fn parse<T: for<'de> Deserialize<'de>>(&self) -> Result<T, MoverError> {
        serde_json::from_slice(&self.content()?)
            .map_err(|e| MoverError::archive(format!("its head or end cannot be read: {e}")))
    }
}

struct Header {
    kind: Kind,
    form: Form,
    unpacked: usize,
    stored: usize,
    digest: blake3::Hash,
}

impl Header {
    fn parse(bytes: &[u8]) -> Result<Self, MoverError> {
        let short = || MoverError::archive("a chunk without a header");
        let ([kind, form], rest) = bytes.split_first_chunk::<2>().ok_or_else(short)?;
        let (unpacked, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        let (stored, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        let digest = rest.first_chunk::<32>().ok_or_else(short)?;
        let size = |bytes: &[u8; 4]| {
            usize::try_from(u32::from_le_bytes(*bytes))
                .ok()
                .filter(|size| *size <= CHUNK_BYTES_MAX)
                .ok_or_else(|| MoverError::archive("a chunk that is too large"))
        };
        let form = match form {
            0 => Form::Plain,
            1 => Form::Zstd,
            other => return Err(MoverError::archive(format!("a chunk of form {other}"))),
        };
        Ok(Self {
            kind: Kind::of(*kind)?,
            form,
            unpacked: size(unpacked)?,
            stored: size(stored)?,
            digest: blake3::Hash::from_bytes(*digest),
        })
    }
}

/// How many bytes follow a header.
pub(crate) fn stored_bytes(header: &[u8]) -> Result<usize, MoverError> {
    Ok(Header::parse(header)?.stored)
}

/// Fills the buffer; `false` when the stream ended before its first byte.
fn read_or_end(stream: &mut impl Read, buffer: &mut [u8]) -> Result<bool, MoverError> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match stream.read(rest) {
            Ok(0) if filled == 0 => return Ok(false),
            Ok(0) => return Err(MoverError::Stream(std::io::ErrorKind::UnexpectedEof.into())),
            Ok(count) => filled = filled.saturating_add(count),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(MoverError::Stream(error)),
        }
    }
    Ok(true)
}

/// The magic word of a stream.
pub(crate) fn read_magic(stream: &mut impl Read) -> Result<(), MoverError> {
    let mut magic = [0_u8; MAGIC.len()];
    if read_or_end(stream, &mut magic)? && magic == *MAGIC {
        return Ok(());
    }
    Err(MoverError::archive("it does not begin like one of ours"))
}

/// What stands at the beginning of an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    pub(crate) roots: Vec<Root>,
    pub(crate) one_filesystem: bool,
    #[serde(with = "names")]
    pub(crate) exclude: Vec<Vec<u8>>,
    /// Accounts and groups of the source.
    pub(crate) users: Vec<(u32, String)>,
    pub(crate) groups: Vec<(u32, String)>,
}

/// One of the paths of an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Root {
    #[serde(with = "name")]
    pub(crate) path: Vec<u8>,
    /// The directories above it, from the top: mode, owner and group, for those that are to be made.
    pub(crate) above: Vec<(u32, u32, u32)>,
}

/// What stands at the end of an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trailer {
    /// Files, directories and all else.
    pub entries: u64,
    /// Bytes of content in files, holes not counted.
    pub content: u64,
    /// What was left out: sockets, mount points, excluded.
    pub left_out: u64,
    /// Files of a live source that changed while they were read.
    pub changed: u64,
    /// Digest of all that must be equal at the destination, as hexadecimal digits.
    pub manifest: String,
    /// Digest of the modification times, which some file systems keep coarsely.
    pub times: String,
    /// Of a stream: what `stat` said of all of the source, to tell later whether it was touched since.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stamps: String,
}

/// The whole chunks of an archive or of a stream that the other end has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Have {
    /// How many.
    pub chunks: u64,
    /// Of an archive the SHA-256 of their bytes, the magic word included; of a stream its chain; as
    /// hexadecimal digits.
    pub digest: String,
}

/// How all of an archive is told in one digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digesting {
    /// SHA-256 of its bytes, for a file that people look at with tools of their own.
    File,
    /// A chain over the digests of its chunks, for a stream that goes on from any of them.
    Chain,
}

/// The digest of a stream up to a chunk: of the digest before it, and of the chunk's header, which has
/// the digest of what follows it. Whoever knows the digest alone can go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chain([u8; 32]);

impl Chain {
    pub(crate) fn new() -> Self {
        Self(*blake3::hash(MAGIC).as_bytes())
    }

    pub(crate) fn of_hex(text: &str) -> Option<Self> {
        unhex(text)?.try_into().ok().map(Self)
    }

    pub(crate) fn add(&mut self, header: &[u8; HEADER_BYTES]) {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.0);
        hasher.update(header);
        self.0 = *hasher.finalize().as_bytes();
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) fn hex(&self) -> String {
        hex(&self.0)
    }
}

/// The digest of what was sent so far.
pub(crate) enum Running {
    File(Sha256),
    Chain(Chain),
}

impl Running {
    /// After the magic word.
    pub(crate) fn new(digesting: Digesting) -> Self {
        match digesting {
            Digesting::File => Self::File(Sha256::new_with_prefix(MAGIC)),
            Digesting::Chain => Self::Chain(Chain::new()),
        }
    }

    pub(crate) fn take(&mut self, chunk: &Stored) {
        match self {
            Self::File(sha256) => sha256.update(&chunk.bytes),
            Self::Chain(chain) => chain.add(&chunk.header()),
        }
    }

    pub(crate) fn digest(&self) -> Vec<u8> {
        match self {
            Self::File(sha256) => sha256.clone().finalize().to_vec(),
            Self::Chain(chain) => chain.bytes().to_vec(),
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _infallible = write!(out, "{byte:02x}");
        out
    })
}

pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| {
        char::from(*byte)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    let pairs = text.as_bytes().chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    pairs
        .map(|pair| match pair {
            [high, low] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        })
        .collect()
}

/// A name of any bytes in JSON: as text when it is text, else as `hex:` and digits.
pub(crate) mod name {
    use super::{hex, unhex};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    const MARK: &str = "hex:";

    pub(crate) fn to_text(name: &[u8]) -> String {
        match std::str::from_utf8(name) {
            Ok(text) if !text.starts_with(MARK) => text.to_owned(),
            _ => format!("{MARK}{}", hex(name)),
        }
    }

    pub(crate) fn of_text(text: &str) -> Option<Vec<u8>> {
        match text.strip_prefix(MARK) {
            Some(digits) => unhex(digits),
            None => Some(text.as_bytes().to_vec()),
        }
    }

    pub(crate) fn serialize<S: Serializer>(name: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&to_text(name))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        of_text(&text).ok_or_else(|| D::Error::custom("a name is no hexadecimal number"))
    }
}

/// Several names.
pub(crate) mod names {
    use super::name;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(names: &[Vec<u8>], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(names.iter().map(|one| name::to_text(one)))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<Vec<u8>>, D::Error> {
        let texts = Vec::<String>::deserialize(from)?;
        let names = texts.iter().map(|text| name::of_text(text));
        names
            .collect::<Option<_>>()
            .ok_or_else(|| D::Error::custom("a name is no hexadecimal number"))
    }
}
