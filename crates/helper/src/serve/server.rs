//! Reads frames, and gives each request to a thread.

use super::pool::Pool;
use super::request;
use super::session::{Piece, Session};
use crate::boot;
use crate::frame::{self, Frame, FrameError};
use crate::process;
use crate::store::{Store, StoreError};
use overhaul_model::wire::{
    HostWork, PROTOCOL, Refusal, Request, RequestBody, Response, ResponseBody,
};
use rustix::event::{PollFd, PollFlags, Timespec};
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Serving came to a bad end. The other end was told, if it listens.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What came in is no protocol.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// Standard input or output is not there.
    #[error("standard input or output: {0}")]
    Streams(#[from] io::Error),
}

/// Serves requests until standard input ends. Detached work goes on then; work that is bound to the
/// connection is ended and recorded first.
///
/// # Errors
/// When the store cannot be used or the protocol is broken.
pub fn serve(dir: &Path) -> Result<(), ServeError> {
    // Modes of files that commands make are theirs; the helper names the modes of its own.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let input: File = rustix::stdio::stdin().try_clone_to_owned()?.into();
    let output: File = rustix::stdio::stdout().try_clone_to_owned()?.into();
    let mut refusing = output.try_clone()?;
    let greeted = std::path::absolute(dir)
        .map_err(StoreError::io("found", dir))
        .and_then(|dir| Store::open(&dir))
        .and_then(|store| hello(&store).map(|hello| (store, hello)));
    // Only now: the store may have been named from where we were.
    process::go_to_root();
    let (store, hello) = match greeted {
        Ok(opened) => opened,
        Err(error) => {
            refuse_all(&mut refusing, &error);
            return Err(error.into());
        }
    };
    let session = Arc::new(Session::new(store, output));
    session.send(0, hello);
    let result = read_all(&session, input);
    if let Err(error) = &result {
        session.refuse_bad(0, error.to_string());
    }
    session.close();
    session.settle();
    result.map_err(Into::into)
}

fn hello(store: &Store) -> Result<ResponseBody, StoreError> {
    Ok(ResponseBody::Hello {
        protocol: PROTOCOL,
        version: crate::VERSION.to_owned(),
        install_id: store.install_id().clone(),
        sequence: store.sequence()?,
        boot: boot::proof()?,
        holder: store.holder()?,
    })
}

/// Instead of the greeting: there is no store to serve from.
fn refuse_all(output: &mut File, error: &StoreError) {
    let body = ResponseBody::Refused(Refusal::Store {
        why: error.to_string(),
    });
    if let Ok(json) = serde_json::to_vec(&Response { id: 0, body }) {
        // When nobody listens, the exit code remains.
        let _ = frame::write_json(output, &json);
    }
}

fn read_all(session: &Arc<Session>, mut input: File) -> Result<(), FrameError> {
    let watched = input.try_clone()?;
    let hung_up = || has_hung_up(&watched);
    let pool = Pool::default();
    while let Some(frame) = frame::read(&mut input)? {
        if session.is_closed() {
            break;
        }
        match frame {
            Frame::Data { of, bytes } => session.feed(of, Piece::Bytes(bytes), hung_up),
            Frame::Json(json) => match serde_json::from_slice::<Request>(&json) {
                Ok(Request {
                    body: RequestBody::DataEnd { of },
                    ..
                }) => session.feed(of, Piece::End, hung_up),
                Ok(request) => hand_on(session, &pool, request),
                Err(error) => session.refuse_bad(id_of(&json), error.to_string()),
            },
        }
    }
    Ok(())
}

/// The id of a request that is not understood, so that its asker hears of it; else 0.
fn id_of(json: &[u8]) -> u32 {
    serde_json::from_slice::<serde_json::Value>(json)
        .ok()
        .and_then(|value| value.get("id")?.as_u64())
        .and_then(|id| u32::try_from(id).ok())
        .unwrap_or(0)
}

fn hand_on(session: &Arc<Session>, pool: &Pool, request: Request) {
    let Request { id, body } = request;
    if id == 0 {
        session.refuse_bad(0, "the id 0 is the greeting's");
        return;
    }
    let feed = if is_fed(&body) {
        let opened = session.open_feed(id);
        if opened.is_none() {
            session.refuse_bad(id, "the id is in use");
            return;
        }
        opened
    } else {
        None
    };
    let mine = Arc::clone(session);
    let job = move || {
        request::answer(&mine, id, body, feed);
        mine.close_feed(id);
    };
    if pool.run(Box::new(job)).is_err() {
        session.close_feed(id);
        session.refuse_bad(id, "too many requests wait already");
    }
}

/// Whether data frames follow the request.
fn is_fed(body: &RequestBody) -> bool {
    matches!(
        body,
        RequestBody::Begin { work, .. } if matches!(
            **work,
            HostWork::Feed(_)
                | HostWork::Restore(_)
                | HostWork::Receive(_)
                | HostWork::Offer(_)
        )
    )
}

/// Whether the other end has closed, even if there is still something to read.
fn has_hung_up(input: &File) -> bool {
    let mut fds = [PollFd::new(input, PollFlags::empty())];
    let now = Timespec::default();
    rustix::event::poll(&mut fds, Some(&now)).is_ok()
        && fds
            .iter()
            .any(|fd| fd.revents().intersects(PollFlags::HUP | PollFlags::ERR))
}
