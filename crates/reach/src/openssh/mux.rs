//! The protocol of a master's socket: OpenSSH's `PROTOCOL.mux`, version 4, as far as we need it.
//!
//! Every packet is a length and a body of big-endian numbers and length-prefixed strings. A
//! connection carries one session; its end is the end of the session.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::UnixStream;

const VERSION: u32 = 4;
const HELLO: u32 = 0x0000_0001;
const NEW_SESSION: u32 = 0x1000_0002;
const ALIVE_CHECK: u32 = 0x1000_0004;
const PERMISSION_DENIED: u32 = 0x8000_0002;
const FAILURE: u32 = 0x8000_0003;
const EXIT_MESSAGE: u32 = 0x8000_0004;
const ALIVE: u32 = 0x8000_0005;
const SESSION_OPENED: u32 = 0x8000_0006;
/// No character stands for "talk to the ssh program itself".
const NO_ESCAPE: u32 = u32::MAX;
/// We ask one thing on each connection.
const REQUEST: u32 = 0;
/// Largest packet of a master; its longest is a reason in words.
const PACKET_BYTES_MAX: u32 = 64 << 10;

/// Why a master did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum MuxError {
    /// The socket is gone, or went: the master is.
    #[error("the ssh program's socket: {0}")]
    Gone(#[from] io::Error),
    /// The master, or the server behind it, does not open a session.
    #[error("{0}")]
    Refused(String),
    /// Not what the protocol says.
    #[error("the ssh program answers {0:#x} on its socket, which is not expected there")]
    Odd(u32),
    /// Not the version that OpenSSH has spoken since 5.4.
    #[error("the ssh program speaks version {0} of its multiplexing protocol, not {VERSION}")]
    OtherVersion(u32),
    /// More than fits into a packet.
    #[error("a command of {0} bytes is too long")]
    TooLong(usize),
}

/// A connection to a master's socket.
pub(super) struct Mux {
    socket: UnixStream,
}

/// What a session tells of its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Its command returned this status. Output may still be under way.
    Exit(u32),
    /// The master closed the session, or is gone.
    Closed,
}

impl Mux {
    pub(super) async fn connect(path: &Path) -> Result<Self, MuxError> {
        let mut mux = Self {
            socket: UnixStream::connect(path).await?,
        };
        let mut hello = Packet::new(HELLO);
        hello.number(VERSION);
        mux.send(hello).await?;
        let mut answer = mux.receive().await?;
        match (answer.kind, answer.number()?) {
            (HELLO, VERSION) => Ok(mux),
            (HELLO, other) => Err(MuxError::OtherVersion(other)),
            (other, _) => Err(MuxError::Odd(other)),
        }
    }

    /// Whether the master still works: one that is on its way out does not answer.
    pub(super) async fn is_alive(path: &Path) -> bool {
        let asked = async {
            let mut mux = Self::connect(path).await?;
            let mut check = Packet::new(ALIVE_CHECK);
            check.number(REQUEST);
            mux.send(check).await?;
            Ok::<_, MuxError>(mux.receive().await?.kind == ALIVE)
        };
        asked.await.unwrap_or(false)
    }

    /// Opens a session that runs `command` with these streams. The connection then belongs to the
    /// session: dropping it ends the session.
    pub(super) async fn open(
        &mut self,
        command: &str,
        streams: [OwnedFd; 3],
    ) -> Result<(), MuxError> {
        let mut open = Packet::new(NEW_SESSION);
        open.number(REQUEST);
        open.text("")?;
        // No terminal, no X11, no agent, no subsystem.
        for _ in 0..4 {
            open.number(0);
        }
        open.number(NO_ESCAPE);
        open.text("")?;
        open.text(command)?;
        self.send(open).await?;
        for stream in &streams {
            self.pass(stream.as_fd()).await?;
        }
        let mut answer = self.receive().await?;
        match answer.kind {
            SESSION_OPENED => Ok(()),
            FAILURE | PERMISSION_DENIED => {
                let _request = answer.number()?;
                Err(MuxError::Refused(answer.text()?))
            }
            other => Err(MuxError::Odd(other)),
        }
    }

    /// What comes next on a session's connection.
    pub(super) async fn told(&mut self) -> Told {
        loop {
            match self.receive().await {
                Ok(mut packet) if packet.kind == EXIT_MESSAGE => {
                    let status = packet.number().and_then(|_session| packet.number());
                    return status.map_or(Told::Closed, Told::Exit);
                }
                Ok(_) => {}
                Err(_) => return Told::Closed,
            }
        }
    }

    async fn send(&mut self, packet: Packet) -> Result<(), MuxError> {
        let length = u32::try_from(packet.body.len())
            .ok()
            .filter(|length| *length <= PACKET_BYTES_MAX)
            .ok_or(MuxError::TooLong(packet.body.len()))?;
        let mut bytes = length.to_be_bytes().to_vec();
        bytes.extend(&packet.body);
        Ok(self.socket.write_all(&bytes).await?)
    }

    /// Hands over one stream, with the one byte that must come along.
    async fn pass(&self, stream: BorrowedFd<'_>) -> Result<(), MuxError> {
        let passed = self.socket.async_io(Interest::WRITABLE, || {
            let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut ancillary = SendAncillaryBuffer::new(&mut space);
            let streams = [stream];
            ancillary.push(SendAncillaryMessage::ScmRights(&streams));
            let byte = [IoSlice::new(&[0])];
            Ok(sendmsg(
                &self.socket,
                &byte,
                &mut ancillary,
                SendFlags::NOSIGNAL,
            )?)
        });
        match passed.await? {
            0 => Err(io::Error::from(io::ErrorKind::WriteZero).into()),
            _ => Ok(()),
        }
    }

    async fn receive(&mut self) -> Result<Answer, MuxError> {
        let length = self.socket.read_u32().await?;
        if length > PACKET_BYTES_MAX {
            return Err(MuxError::Odd(length));
        }
        let mut body = Vec::new();
        let read = (&mut self.socket)
            .take(u64::from(length))
            .read_to_end(&mut body)
            .await?;
        if u32::try_from(read) != Ok(length) {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let mut answer = Answer {
            kind: 0,
            body,
            read: 0,
        };
        answer.kind = answer.number()?;
        Ok(answer)
    }
}

struct Packet {
    body: Vec<u8>,
}

impl Packet {
    fn new(kind: u32) -> Self {
        Self {
            body: kind.to_be_bytes().to_vec(),
        }
    }

    fn number(&mut self, number: u32) {
        self.body.extend(number.to_be_bytes());
    }

    fn text(&mut self, text: &str) -> Result<(), MuxError> {
        let length = u32::try_from(text.len()).map_err(|_| MuxError::TooLong(text.len()))?;
        self.number(length);
        self.body.extend(text.as_bytes());
        Ok(())
    }
}

struct Answer {
    kind: u32,
    body: Vec<u8>,
    read: usize,
}

impl Answer {
    fn take(&mut self, length: usize) -> Result<&[u8], MuxError> {
        let end = self.read.saturating_add(length);
        let taken = self.body.get(self.read..end);
        self.read = end;
        taken.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof).into())
    }

    fn number(&mut self) -> Result<u32, MuxError> {
        let bytes = self.take(4)?;
        Ok(bytes
            .iter()
            .fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    fn text(&mut self) -> Result<String, MuxError> {
        let length = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }
}
