//! The controller's end of one connection to `overhaul-helper serve`.
//!
//! Two tasks own the streams. Requests are told apart by id; each has a bounded queue for its
//! answers. A request whose reader does not read holds up the whole connection once its queue is
//! full, so large streams get a connection of their own. Dropping an [`Exchange`] throws its
//! further answers away; dropping the [`HelperClient`] closes the connection.

use crate::frame::{Frame, FrameError, read_frame, write_frame};
use crate::output::tail;
use overhaul_model::event::Generation;
use overhaul_model::facts::BootProof;
use overhaul_model::id::InstallId;
use overhaul_model::wire::{
    DATA_BYTES_MAX, PROTOCOL, Refusal, Request, RequestBody, Response, ResponseBody,
};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// Answers that wait for their reader, each at most a frame: with data frames of 64 KiB it is 1 MiB,
/// which keeps a link of 100 MB/s and 10 ms busy.
const ANSWERS_MAX: usize = 16;
/// Frames that wait to be written: a second one while the first is on its way, and a few requests.
const FRAMES_MAX: usize = 4;
/// The end of the helper's standard error that is kept for the reason why it ended.
const STDERR_BYTES_MAX: usize = 8 << 10;
/// What a helper may write to standard error before nobody listens any more: it has a line or two to say
/// in its life, and a host that writes without end must not keep us busy with it.
const STDERR_BYTES_TAKEN_MAX: usize = 4 << 20;
/// Answers to requests that were never made. A helper that understands nothing says so with the id 0.
const STRAYS_MAX: usize = 16;
/// How long the reason may come after the end: both come from a process that has just ended.
const REASON_MS_MAX: u64 = 300;

/// The version that a helper of this build has.
pub const HELPER_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Why a helper gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The connection ended.
    #[error("the connection to the helper was lost: {why}")]
    Lost {
        /// What is known of the reason.
        why: String,
    },
    /// The other end comes from another build.
    #[error(
        "helper of another version: it has {theirs} (protocol {their_protocol}), this program has {HELPER_VERSION} (protocol {PROTOCOL})"
    )]
    OtherVersion {
        /// Its version.
        theirs: String,
        /// Its protocol.
        their_protocol: u32,
    },
    /// What came is not what the protocol says.
    #[error("the helper does not keep to the protocol: {why}")]
    Protocol {
        /// What came.
        why: String,
    },
    /// A bound passed.
    #[error("the helper gave no answer to {what} within {bound:?}")]
    TimedOut {
        /// To what.
        what: &'static str,
        /// The bound.
        bound: Duration,
    },
    /// The request was not carried out, and nothing was changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The request is larger than a frame may be.
    #[error("the request is too large: {why}")]
    TooLarge {
        /// How large.
        why: String,
    },
}

impl ClientError {
    /// Whether the same request can succeed over a new connection with nothing changed by a person.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Lost { .. } | Self::TimedOut { .. })
    }
}

/// The helper's greeting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The store's identity.
    pub install_id: InstallId,
    /// The store's highest sequence number.
    pub sequence: u64,
    /// This boot.
    pub boot: BootProof,
    /// The generation that holds the host, if any.
    pub holder: Option<Generation>,
}

/// One answer to a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Bytes.
    Data(Vec<u8>),
    /// Anything else.
    Body(Box<ResponseBody>),
}

/// One connection to a helper. Used by many tasks at once.
pub struct HelperClient {
    shared: Arc<Shared>,
    frames: mpsc::Sender<Frame>,
    hello: Hello,
    _tasks: Tasks,
}

struct Tasks(Vec<AbortHandle>);

impl Drop for Tasks {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

struct Shared {
    next_id: AtomicU32,
    waiting: Mutex<HashMap<u32, mpsc::Sender<Answer>>>,
    lost: watch::Sender<Option<ClientError>>,
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, HashMap<u32, mpsc::Sender<Answer>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reason(&self) -> ClientError {
        self.lost
            .borrow()
            .clone()
            .unwrap_or_else(|| ClientError::Lost {
                why: "closed".to_owned(),
            })
    }

    /// The first reason counts: what follows comes of it.
    fn end(&self, error: ClientError) {
        self.lost.send_if_modified(|lost| {
            let first = lost.is_none();
            if first {
                *lost = Some(error);
            }
            first
        });
        self.waiting().clear();
    }
}

impl HelperClient {
    /// Takes the streams of a helper that was just started and reads its greeting, at most `within`.
    ///
    /// # Errors
    /// When no greeting comes, or it is of another version.
    pub async fn start<R, W, E>(
        mut stdout: R,
        stdin: W,
        stderr: E,
        within: Duration,
    ) -> Result<Self, ClientError>
    where
        R: AsyncRead + Unpin + Send + 'static,
        W: AsyncWrite + Unpin + Send + 'static,
        E: AsyncRead + Unpin + Send + 'static,
    {
        let said = Arc::new(Mutex::new(Vec::new()));
        let listener = tokio::spawn(keep_end(stderr, Arc::clone(&said)));
        let mut tasks = Tasks(vec![listener.abort_handle()]);
        let first = timeout(within, read_frame(&mut stdout)).await;
        let first = match first {
            Err(_) => {
                return Err(ClientError::TimedOut {
                    what: "the start",
                    bound: within,
                });
            }
            Ok(Err(FrameError::Io(_)) | Ok(None)) => {
                let _late = timeout(Duration::from_millis(REASON_MS_MAX), listener).await;
                return Err(lost_with(&said, "it ended before its greeting"));
            }
            Ok(Err(error)) => return Err(protocol(&error)),
            Ok(Ok(Some(frame))) => frame,
        };
        let hello = greeting(&first)?;
        let (frames, queue) = mpsc::channel(FRAMES_MAX);
        let shared = Arc::new(Shared {
            next_id: AtomicU32::new(1),
            waiting: Mutex::new(HashMap::new()),
            lost: watch::Sender::new(None),
        });
        let reader = tokio::spawn(read_loop(stdout, Arc::clone(&shared), said, listener));
        let writer = tokio::spawn(write_loop(stdin, queue, Arc::clone(&shared)));
        tasks
            .0
            .extend([reader.abort_handle(), writer.abort_handle()]);
        Ok(Self {
            shared,
            frames,
            hello,
            _tasks: tasks,
        })
    }

    /// The greeting, as it was when the helper started.
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// Whether the connection stands, as far as is known.
    pub fn is_open(&self) -> bool {
        self.shared.lost.borrow().is_none()
    }

    /// Waits until the connection is lost and says why.
    pub async fn lost(&self) -> ClientError {
        let mut lost = self.shared.lost.subscribe();
        let _closed = lost.wait_for(Option::is_some).await;
        self.shared.reason()
    }

    /// Sends a request; its answers come to the exchange.
    ///
    /// # Errors
    /// When the connection is lost or the request too large; then it was not sent whole.
    pub async fn open(&self, body: RequestBody) -> Result<Exchange, ClientError> {
        // 2^32 requests on one connection would take years.
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        let (sender, answers) = mpsc::channel(ANSWERS_MAX);
        let exchange = Exchange {
            id,
            shared: Arc::clone(&self.shared),
            frames: self.frames.clone(),
            answers,
        };
        self.shared.waiting().insert(id, sender);
        // The reader clears the table when it ends: an entry that came later would wait for ever.
        if !self.is_open() {
            return Err(self.shared.reason());
        }
        exchange.request(id, body).await?;
        Ok(exchange)
    }

    /// Sends a request that has one answer and waits for it, at most `within`.
    ///
    /// # Errors
    /// When no answer comes, or it is a refusal.
    pub async fn ask(
        &self,
        what: &'static str,
        body: RequestBody,
        within: Duration,
    ) -> Result<ResponseBody, ClientError> {
        let asked = async {
            let mut exchange = self.open(body).await?;
            match exchange.next().await? {
                Answer::Body(body) => match *body {
                    ResponseBody::Refused(refusal) => Err(ClientError::Refused(refusal)),
                    body => Ok(body),
                },
                Answer::Data(_) => Err(protocol(&"data instead of an answer")),
            }
        };
        timeout(within, asked)
            .await
            .unwrap_or(Err(ClientError::TimedOut {
                what,
                bound: within,
            }))
    }
}

impl std::fmt::Debug for HelperClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HelperClient")
            .field("hello", &self.hello)
            .field("open", &self.is_open())
            .finish()
    }
}

/// A request that was sent, and its answers.
pub struct Exchange {
    id: u32,
    shared: Arc<Shared>,
    frames: mpsc::Sender<Frame>,
    answers: mpsc::Receiver<Answer>,
}

impl Exchange {
    /// The next answer. Safe to cancel.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn next(&mut self) -> Result<Answer, ClientError> {
        match self.answers.recv().await {
            Some(answer) => Ok(answer),
            None => Err(self.shared.reason()),
        }
    }

    /// A handle by which data can be sent while another task reads the answers.
    pub fn feeder(&self) -> Feeder {
        Feeder {
            id: self.id,
            shared: Arc::clone(&self.shared),
            frames: self.frames.clone(),
        }
    }

    async fn request(&self, id: u32, body: RequestBody) -> Result<(), ClientError> {
        send_request(&self.frames, &self.shared, id, body).await
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.shared.waiting().remove(&self.id);
    }
}

/// Sends the data of one request.
pub struct Feeder {
    id: u32,
    shared: Arc<Shared>,
    frames: mpsc::Sender<Frame>,
}

impl Feeder {
    /// Sends bytes, in frames of a bounded size. Waits while the connection is busy.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn send(&self, bytes: &[u8]) -> Result<(), ClientError> {
        for piece in bytes.chunks(DATA_BYTES_MAX) {
            let frame = Frame::Data {
                id: self.id,
                bytes: piece.to_vec(),
            };
            self.frames
                .send(frame)
                .await
                .map_err(|_| self.shared.reason())?;
        }
        Ok(())
    }

    /// Says that no more data comes.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn end(self) -> Result<(), ClientError> {
        // It has no answer of its own, so that its id only has to be one that nobody waits for.
        send_request(
            &self.frames,
            &self.shared,
            u32::MAX,
            RequestBody::DataEnd { of: self.id },
        )
        .await
    }
}

async fn send_request(
    frames: &mpsc::Sender<Frame>,
    shared: &Shared,
    id: u32,
    body: RequestBody,
) -> Result<(), ClientError> {
    let text = serde_json::to_vec(&Request { id, body }).map_err(|error| protocol(&error))?;
    // The kind byte counts too.
    if text.len() >= overhaul_model::wire::FRAME_BYTES_MAX {
        return Err(ClientError::TooLarge {
            why: format!(
                "{} bytes; at most {} can be sent",
                text.len(),
                overhaul_model::wire::FRAME_BYTES_MAX
            ),
        });
    }
    frames
        .send(Frame::Json(text))
        .await
        .map_err(|_| shared.reason())
}

fn protocol(why: &impl std::fmt::Display) -> ClientError {
    ClientError::Protocol {
        why: why.to_string(),
    }
}

fn lost_with(said: &Mutex<Vec<u8>>, what: &str) -> ClientError {
    let said = said.lock().unwrap_or_else(PoisonError::into_inner);
    let words = tail(&said);
    ClientError::Lost {
        why: if words.is_empty() {
            what.to_owned()
        } else {
            format!("{what}: {words}")
        },
    }
}

fn greeting(frame: &Frame) -> Result<Hello, ClientError> {
    /// What every version of the protocol has had and will have in its greeting.
    #[derive(serde::Deserialize)]
    struct AnyHello {
        body: AnyBody,
    }
    #[derive(serde::Deserialize)]
    struct AnyBody {
        hello: Versions,
    }
    #[derive(serde::Deserialize)]
    struct Versions {
        protocol: u32,
        version: String,
    }
    let Frame::Json(text) = frame else {
        return Err(protocol(&"data instead of a greeting"));
    };
    // A helper without a store to serve from says so instead.
    if let Ok(Response {
        body: ResponseBody::Refused(refusal),
        ..
    }) = serde_json::from_slice(text)
    {
        return Err(ClientError::Refused(refusal));
    }
    let Versions {
        protocol: their_protocol,
        version,
    } = serde_json::from_slice::<AnyHello>(text)
        .map_err(|error| protocol(&error))?
        .body
        .hello;
    if their_protocol != PROTOCOL || version != HELPER_VERSION {
        return Err(ClientError::OtherVersion {
            theirs: crate::ssh::printable(version.as_bytes(), 60),
            their_protocol,
        });
    }
    match serde_json::from_slice(text).map_err(|error| protocol(&error))? {
        Response {
            body:
                ResponseBody::Hello {
                    install_id,
                    sequence,
                    boot,
                    holder,
                    ..
                },
            ..
        } => Ok(Hello {
            install_id,
            sequence,
            boot,
            holder,
        }),
        Response { .. } => Err(protocol(&"another answer instead of a greeting")),
    }
}

async fn read_loop<R: AsyncRead + Unpin>(
    mut stdout: R,
    shared: Arc<Shared>,
    said: Arc<Mutex<Vec<u8>>>,
    listener: tokio::task::JoinHandle<()>,
) {
    let mut strays = 0;
    let error = loop {
        let (id, answer) = match read_frame(&mut stdout).await {
            Ok(Some(Frame::Data { id, bytes })) => (id, Answer::Data(bytes)),
            Ok(Some(Frame::Json(text))) => match serde_json::from_slice::<Response>(&text) {
                Ok(response) => (response.id, Answer::Body(Box::new(response.body))),
                Err(error) => break protocol(&error),
            },
            Ok(None) => {
                let _late = timeout(Duration::from_millis(REASON_MS_MAX), listener).await;
                break lost_with(&said, "it ended");
            }
            Err(FrameError::Io(error)) => {
                break ClientError::Lost {
                    why: error.to_string(),
                };
            }
            Err(error) => break protocol(&error),
        };
        if id == 0 || id >= shared.next_id.load(Ordering::Relaxed) {
            strays += 1;
            if strays > STRAYS_MAX {
                break protocol(&"answers that nobody asked for");
            }
        }
        let sender = shared.waiting().get(&id).cloned();
        if let Some(sender) = sender {
            // Nobody listens any more: the rest is thrown away.
            let _dropped = sender.send(answer).await;
        }
    };
    shared.end(error);
}

async fn write_loop<W: AsyncWrite + Unpin>(
    mut stdin: W,
    mut queue: mpsc::Receiver<Frame>,
    shared: Arc<Shared>,
) {
    while let Some(frame) = queue.recv().await {
        let written = async {
            write_frame(&mut stdin, &frame).await?;
            Ok::<(), FrameError>(stdin.flush().await?)
        };
        if let Err(error) = written.await {
            // The reader's reason is better when it has one: give it the time to see the same end.
            tokio::time::sleep(Duration::from_millis(REASON_MS_MAX)).await;
            shared.end(ClientError::Lost {
                why: error.to_string(),
            });
            return;
        }
    }
}

/// Reads a stream to its end and keeps the last of it.
async fn keep_end<E: AsyncRead + Unpin>(mut stream: E, kept: Arc<Mutex<Vec<u8>>>) {
    let mut buffer = [0_u8; 2048];
    let mut taken = 0_usize;
    while let Ok(length) = stream.read(&mut buffer).await {
        if length == 0 {
            return;
        }
        taken = taken.saturating_add(length);
        if taken > STDERR_BYTES_TAKEN_MAX {
            // Held unread, it stalls whoever writes; given up, it would be read away for ever.
            return std::future::pending().await;
        }
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(buffer.iter().take(length));
        let surplus = kept.len().saturating_sub(STDERR_BYTES_MAX);
        kept.drain(..surplus);
    }
}
