//! A block device for one virtual machine, over a socket: the part of the NBD protocol that a machine needs for a disk with a write cache.
//!
//! Source: the protocol's own description, `doc/proto.md` of the NetworkBlockDevice project (fixed newstyle negotiation, simple replies).

use std::io::{self, Read, Write};

const MAGIC: u64 = 0x4e42_444d_4147_4943;
const OPTION_MAGIC: u64 = 0x4948_4156_454f_5054;
const OPTION_REPLY_MAGIC: u64 = 0x0003_e889_0455_65a9;
const REQUEST_MAGIC: u32 = 0x2560_9513;
const REPLY_MAGIC: u32 = 0x6744_6698;

/// Fixed newstyle; no zeroes behind the answer to an old option.
const HANDSHAKE_FLAGS: u16 = 0b11;
/// There are flags, and the device has a cache that can be flushed.
const TRANSMISSION_FLAGS: u16 = 0b101;

const OPTION_ABORT: u32 = 2;
const OPTION_GO: u32 = 7;
const REPLY_ACK: u32 = 1;
const REPLY_INFO: u32 = 3;
const REPLY_UNSUPPORTED: u32 = 0x8000_0001;
const INFO_EXPORT: u16 = 0;

const READ: u16 = 0;
const WRITE: u16 = 1;
const DISCONNECT: u16 = 2;
const FLUSH: u16 = 3;

/// "Input or output error" and "invalid argument", as the protocol numbers them.
const EIO: u32 = 5;
const EINVAL: u32 = 22;

/// Longest option of a client: names of exports may have 4 KiB.
const OPTION_BYTES_MAX: u32 = 64 * 1024;
/// Longest piece that is read or written at once, as the protocol advises.
const PIECE_BYTES_MAX: u32 = 32 * 1024 * 1024;

/// What answers reads, writes and flushes.
pub trait Block {
    /// Its size in bytes.
    fn size(&self) -> u64;
    /// Reads from a byte on.
    ///
    /// # Errors
    /// When that is not on the disk, or cannot be read.
    fn read(&mut self, from: u64, buffer: &mut [u8]) -> io::Result<()>;
    /// Writes from a byte on, into the cache.
    ///
    /// # Errors
    /// As for `read`.
    fn write(&mut self, from: u64, bytes: &[u8]) -> io::Result<()>;
    /// Makes durable what was written. `false` when the power is off: then there is no answer.
    ///
    /// # Errors
    /// When it cannot be written.
    fn flush(&mut self) -> io::Result<bool>;
}

/// Serves one client until it goes, or the power does.
///
/// # Errors
/// When the connection breaks or the client does not keep to the protocol.
pub fn serve(stream: &mut (impl Read + Write), block: &mut impl Block) -> io::Result<()> {
    if !negotiate(stream, block.size())? {
        return Ok(());
    }
    while let Some(request) = Request::read(stream)? {
        if !answer(stream, block, &request)? {
            return Ok(());
        }
    }
    Ok(())
}

/// Whether the client wants the device.
fn negotiate(stream: &mut (impl Read + Write), size: u64) -> io::Result<bool> {
    let mut hello = Vec::new();
    hello.extend(MAGIC.to_be_bytes());
    hello.extend(OPTION_MAGIC.to_be_bytes());
    hello.extend(HANDSHAKE_FLAGS.to_be_bytes());
    stream.write_all(&hello)?;
    let _flags: [u8; 4] = array(stream)?;
    loop {
        if u64::from_be_bytes(array(stream)?) != OPTION_MAGIC {
            return Err(wrong("an option without its magic number"));
        }
        let option = u32::from_be_bytes(array(stream)?);
        let length = u32::from_be_bytes(array(stream)?);
        if length > OPTION_BYTES_MAX {
            return Err(wrong("an option that is too long"));
        }
        bytes(stream, length)?;
        match option {
            OPTION_GO => {
                let mut info = INFO_EXPORT.to_be_bytes().to_vec();
                info.extend(size.to_be_bytes());
                info.extend(TRANSMISSION_FLAGS.to_be_bytes());
                reply(stream, option, REPLY_INFO, &info)?;
                reply(stream, option, REPLY_ACK, &[])?;
                return Ok(true);
            }
            OPTION_ABORT => {
                reply(stream, option, REPLY_ACK, &[])?;
                return Ok(false);
            }
            _ => reply(stream, option, REPLY_UNSUPPORTED, &[])?,
        }
    }
}

fn reply(stream: &mut impl Write, option: u32, kind: u32, data: &[u8]) -> io::Result<()> {
    let length = u32::try_from(data.len()).map_err(|_| wrong("an answer that is too long"))?;
    let mut out = OPTION_REPLY_MAGIC.to_be_bytes().to_vec();
    out.extend(option.to_be_bytes());
    out.extend(kind.to_be_bytes());
    out.extend(length.to_be_bytes());
    out.extend(data);
    stream.write_all(&out)
}

/// What a client asks of the device.
struct Request {
    kind: u16,
    cookie: [u8; 8],
    from: u64,
    length: u32,
}

impl Request {
    /// The next one; none when the client has gone.
    fn read(stream: &mut impl Read) -> io::Result<Option<Self>> {
        let magic = match array(stream) {
            Ok(bytes) => u32::from_be_bytes(bytes),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        };
        if magic != REQUEST_MAGIC {
            return Err(wrong("a request without its magic number"));
        }
        let _flags: [u8; 2] = array(stream)?;
        let request = Self {
            kind: u16::from_be_bytes(array(stream)?),
            cookie: array(stream)?,
            from: u64::from_be_bytes(array(stream)?),
            length: u32::from_be_bytes(array(stream)?),
        };
        let moves_bytes = [READ, WRITE].contains(&request.kind);
        if moves_bytes && request.length > PIECE_BYTES_MAX {
            return Err(wrong("a piece that is too long"));
        }
        Ok(Some(request))
    }

    /// The head of an answer to it.
    fn head(&self, error: u32) -> Vec<u8> {
        let mut out = REPLY_MAGIC.to_be_bytes().to_vec();
        out.extend(error.to_be_bytes());
        out.extend(self.cookie);
        out
    }
}

/// Whether there will be further answers.
fn answer(
    stream: &mut (impl Read + Write),
    block: &mut impl Block,
    request: &Request,
) -> io::Result<bool> {
    let out = match request.kind {
        READ => {
            let mut buffer = vec![0; usize::try_from(request.length).map_err(wrong_size)?];
            match block.read(request.from, &mut buffer) {
                Ok(()) => [request.head(0), buffer].concat(),
                Err(_) => request.head(EIO),
            }
        }
        WRITE => {
            let bytes = bytes(stream, request.length)?;
            request.head(block.write(request.from, &bytes).map_or(EIO, |()| 0))
        }
        FLUSH => match block.flush() {
            Ok(true) => request.head(0),
            Ok(false) => return Ok(false),
            Err(_) => request.head(EIO),
        },
        DISCONNECT => return Ok(false),
        _ => request.head(EINVAL),
    };
    stream.write_all(&out)?;
    Ok(true)
}

fn array<const N: usize>(stream: &mut impl Read) -> io::Result<[u8; N]> {
    let mut out = [0; N];
    stream.read_exact(&mut out)?;
    Ok(out)
}

fn bytes(stream: &mut impl Read, length: u32) -> io::Result<Vec<u8>> {
    let mut out = vec![0; usize::try_from(length).map_err(wrong_size)?];
    stream.read_exact(&mut out)?;
    Ok(out)
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

fn wrong_size(_: std::num::TryFromIntError) -> io::Error {
    wrong("a size that this machine does not have")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client that says all that it has to say at once, and what it was told.
    struct Client<'a> {
        says: &'a [u8],
        told: Vec<u8>,
    }

    impl Read for Client<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.says.read(buffer)
        }
    }

    impl Write for Client<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.told.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Sixteen bytes whose power goes at the second flush.
    struct Few {
        bytes: [u8; 16],
        flushes: u32,
    }

    impl Block for Few {
        fn size(&self) -> u64 {
            16
        }

        fn read(&mut self, from: u64, buffer: &mut [u8]) -> io::Result<()> {
            let from = usize::try_from(from).unwrap();
            let there = self.bytes.get(from..from + buffer.len());
            buffer.copy_from_slice(there.ok_or_else(|| wrong("beyond"))?);
            Ok(())
        }

        fn write(&mut self, from: u64, bytes: &[u8]) -> io::Result<()> {
            let from = usize::try_from(from).unwrap();
            let there = self.bytes.get_mut(from..from + bytes.len());
            there.ok_or_else(|| wrong("beyond"))?.copy_from_slice(bytes);
            Ok(())
        }

        fn flush(&mut self) -> io::Result<bool> {
            self.flushes += 1;
            Ok(self.flushes < 2)
        }
    }

    fn request(kind: u16, from: u64, length: u32, bytes: &[u8]) -> Vec<u8> {
        let mut out = REQUEST_MAGIC.to_be_bytes().to_vec();
        out.extend([0, 0]);
        out.extend(kind.to_be_bytes());
        out.extend(*b"a cookie");
        out.extend(from.to_be_bytes());
        out.extend(length.to_be_bytes());
        out.extend(bytes);
        out
    }

    fn served(says: &[u8]) -> Vec<u8> {
        let mut client = Client {
            says,
            told: Vec::new(),
        };
        let mut few = Few {
            bytes: [7; 16],
            flushes: 0,
        };
        serve(&mut client, &mut few).unwrap();
        client.told
    }

    fn option(number: u32, data: &[u8]) -> Vec<u8> {
        let mut out = OPTION_MAGIC.to_be_bytes().to_vec();
        out.extend(number.to_be_bytes());
        out.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
        out.extend(data);
        out
    }

    #[test]
    fn a_client_gets_its_device_and_no_answer_when_the_power_is_off() {
        let head = |error: u32| {
            [
                &REPLY_MAGIC.to_be_bytes()[..],
                &error.to_be_bytes(),
                b"a cookie",
            ]
            .concat()
        };
        let asked = [
            vec![0, 0, 0, 3],
            option(8, &[]),
            option(OPTION_GO, &[0, 0, 0, 0, 0, 0]),
            request(WRITE, 2, 2, &[1, 2]),
            request(FLUSH, 0, 0, &[]),
            request(READ, 1, 4, &[]),
            request(READ, 14, 4, &[]),
            request(4, 0, 4, &[]),
            request(FLUSH, 0, 0, &[]),
            request(READ, 0, 1, &[]),
        ];
        let out = served(&asked.concat());
        let told = |option: u32, kind: u32, data: &[u8]| {
            let length = u32::try_from(data.len()).unwrap();
            let words = [option, kind, length].map(u32::to_be_bytes).concat();
            [&OPTION_REPLY_MAGIC.to_be_bytes()[..], &words, data].concat()
        };
        let export = [0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 5];
        let expected = [
            [
                &MAGIC.to_be_bytes()[..],
                &OPTION_MAGIC.to_be_bytes(),
                &[0, 3],
            ]
            .concat(),
            told(8, REPLY_UNSUPPORTED, &[]),
            told(OPTION_GO, REPLY_INFO, &export),
            told(OPTION_GO, REPLY_ACK, &[]),
            head(0),
            head(0),
            head(0),
            vec![7, 1, 2, 7],
            head(EIO),
            head(EINVAL),
        ];
        assert_eq!(out, expected.concat());
    }

    #[test]
    fn who_only_looks_is_let_go() {
        let out = served(&[vec![0, 0, 0, 1], option(OPTION_ABORT, &[])].concat());
        assert!(out.ends_with(&[0, 0, 0, 0]), "{out:?}");
    }
}
