//! A small client of the helper, over pipes, as the controller is one over SSH.
#![expect(dead_code, reason = "each test binary uses its own part of the client")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops where the helper does not answer as it must"
)]

use jiff::Timestamp;
use overhaul_helper::frame::{self, Frame};
use overhaul_model::action::Limits;
use overhaul_model::event::Generation;
use overhaul_model::id::{AttemptKey, Digest, Nonce, Position, RunId, StepId};
use overhaul_model::primitive::Exec;
use overhaul_model::receipt::{ReceiptEnd, ReceiptStatus};
use overhaul_model::span::Span;
use overhaul_model::wire::{HostWork, Refusal, Request, RequestBody, Response, ResponseBody};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longest wait of a test for one frame: far more than any needs, on a busy machine too.
const FRAME_S_MAX: u64 = 60;

pub const HELPER: &str = env!("CARGO_BIN_EXE_overhaul-helper");

/// A store in a folder of its own, removed at the end.
pub struct Host {
    pub dir: TempDir,
}

impl Host {
    pub fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub fn state(&self) -> PathBuf {
        self.dir.path().join("deep/state")
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn receipt(&self, key: &str, file: &str) -> PathBuf {
        self.state().join("receipts").join(key).join(file)
    }

    /// A client that was greeted.
    pub fn connect(&self) -> Client {
        Client::start(&self.state())
    }

    /// A client whose generation is registered.
    pub fn registered(&self) -> Client {
        let mut client = self.connect();
        let answer = client.ask(RequestBody::Register {
            generation: generation(1),
        });
        assert!(
            matches!(answer, ResponseBody::Registered { .. }),
            "{answer:?}"
        );
        client
    }
}

pub fn generation(counter: u64) -> Generation {
    Generation {
        fleet: "shop".to_owned(),
        run: RunId::new("run-1"),
        counter,
        nonce: Nonce::new(format!("nonce-{counter}")),
    }
}

pub fn limits(total_ms: u64, stall_ms: Option<u64>) -> Limits {
    Limits {
        total: Span::from_ms(total_ms),
        stall: stall_ms.map(Span::from_ms),
        expected: Span::from_ms(total_ms),
    }
}

pub fn begin(key: &str, work: HostWork) -> RequestBody {
    begin_with(key, work, limits(60_000, None), &[])
}

pub fn begin_with(key: &str, work: HostWork, limits: Limits, redact: &[&str]) -> RequestBody {
    RequestBody::Begin {
        generation: generation(1),
        key: AttemptKey::new(key),
        position: Position::on(StepId::new("upgrade/step"), "db1".into()),
        step: Digest::of("step"),
        work: Box::new(work),
        limits,
        value: false,
        redact: redact.iter().map(|text| (*text).to_owned()).collect(),
        earlier: Vec::new(),
        claims: Vec::new(),
    }
}

pub fn shell(key: &str, script: &str) -> RequestBody {
    begin(key, HostWork::Exec(Exec::shell(script)))
}

/// How an attempt went, as its follower saw it.
#[derive(Debug)]
pub struct Followed {
    pub sequence: u64,
    pub from: u64,
    pub data: Vec<u8>,
    pub last: ResponseBody,
}

impl Followed {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.data).into_owned()
    }

    #[track_caller]
    pub fn end(&self) -> &ReceiptEnd {
        match &self.last {
            ResponseBody::Ended(end) => end,
            other => panic!("no end, but {other:?}"),
        }
    }
}

pub struct Client {
    pub child: Child,
    stdin: Option<ChildStdin>,
    frames: Receiver<Incoming>,
    early: HashMap<u32, Vec<Incoming>>,
    next: u32,
    pub hello: ResponseBody,
}

/// A frame for one request.
#[derive(Debug)]
pub enum Incoming {
    Json(u32, Box<ResponseBody>),
    Data(u32, Vec<u8>),
}

impl Incoming {
    fn id(&self) -> u32 {
        match self {
            Self::Json(id, _) | Self::Data(id, _) => *id,
        }
    }
}

impl Client {
    pub fn start(state: &Path) -> Self {
        Self::spawn(Command::new(HELPER).arg("serve").arg("--state").arg(state))
    }

    pub fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = child.stdout.take().unwrap();
        let (to, frames) = channel();
        std::thread::spawn(move || {
            while let Ok(Some(frame)) = frame::read(&mut out) {
                let incoming = match frame {
                    Frame::Json(json) => {
                        let response: Response = serde_json::from_slice(&json).unwrap();
                        Incoming::Json(response.id, Box::new(response.body))
                    }
                    Frame::Data { of, bytes } => Incoming::Data(of, bytes),
                };
                if to.send(incoming).is_err() {
                    return;
                }
            }
        });
        let mut client = Self {
            stdin: child.stdin.take(),
            child,
            frames,
            early: HashMap::new(),
            next: 0,
            hello: ResponseBody::Released,
        };
        client.hello = client.answer(0);
        client
    }

    pub fn send(&mut self, body: RequestBody) -> u32 {
        self.next += 1;
        let request = Request {
            id: self.next,
            body,
        };
        self.send_json(&serde_json::to_vec(&request).unwrap());
        self.next
    }

    pub fn send_json(&mut self, json: &[u8]) {
        frame::write_json(self.stdin.as_mut().unwrap(), json).unwrap();
    }

    pub fn send_raw(&mut self, bytes: &[u8]) {
        use std::io::Write;
        self.stdin.as_mut().unwrap().write_all(bytes).unwrap();
    }

    pub fn send_data(&mut self, of: u32, bytes: &[u8]) {
        frame::write_data(self.stdin.as_mut().unwrap(), of, bytes).unwrap();
    }

    pub fn ask(&mut self, body: RequestBody) -> ResponseBody {
        let id = self.send(body);
        self.answer(id)
    }

    /// The next frame of a request; none when the helper has ended.
    pub fn next_of(&mut self, id: u32) -> Option<Incoming> {
        if let Some(early) = self.early.get_mut(&id).filter(|early| !early.is_empty()) {
            return Some(early.remove(0));
        }
        loop {
            match self.frames.recv_timeout(Duration::from_secs(FRAME_S_MAX)) {
                Ok(frame) if frame.id() == id => return Some(frame),
                Ok(frame) => self.early.entry(frame.id()).or_default().push(frame),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => panic!("no frame for request {id}"),
            }
        }
    }

    #[track_caller]
    pub fn answer(&mut self, id: u32) -> ResponseBody {
        match self.next_of(id) {
            Some(Incoming::Json(_, body)) => *body,
            other => panic!("no answer to {id}, but {other:?}"),
        }
    }

    #[track_caller]
    pub fn follow(&mut self, id: u32) -> Followed {
        let began = self.answer(id);
        let ResponseBody::Began { sequence, from } = began else {
            return Followed {
                sequence: 0,
                from: 0,
                data: Vec::new(),
                last: began,
            };
        };
        let mut data = Vec::new();
        loop {
            match self.next_of(id) {
                Some(Incoming::Data(_, bytes)) => data.extend(bytes),
                Some(Incoming::Json(_, last)) => {
                    return Followed {
                        sequence,
                        from,
                        data,
                        last: *last,
                    };
                }
                None => panic!("the helper ended while {id} was followed: {data:?}"),
            }
        }
    }

    #[track_caller]
    pub fn run(&mut self, body: RequestBody) -> Followed {
        let id = self.send(body);
        self.follow(id)
    }

    pub fn attach(&mut self, key: &str, from: u64) -> Followed {
        self.run(RequestBody::Attach {
            key: AttemptKey::new(key),
            from,
        })
    }

    #[track_caller]
    pub fn status(&mut self, key: &str) -> ReceiptStatus {
        let key = AttemptKey::new(key);
        match self.ask(RequestBody::Receipt { key }) {
            ResponseBody::Receipt(status) => status,
            other => panic!("no receipt, but {other:?}"),
        }
    }

    /// Waits until data came for a request.
    pub fn wait_for_data(&mut self, id: u32) -> Vec<u8> {
        loop {
            match self.next_of(id) {
                Some(Incoming::Data(_, bytes)) => return bytes,
                Some(Incoming::Json(_, body)) if matches!(*body, ResponseBody::Began { .. }) => {}
                other => panic!("no data, but {other:?}"),
            }
        }
    }

    /// Ends the connection, and waits for the helper's own end.
    pub fn close(mut self) -> i32 {
        drop(self.stdin.take());
        self.child.wait().unwrap().code().unwrap_or(-1)
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}

/// Waits until something is so.
#[track_caller]
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !so() {
        assert!(
            since.elapsed() < Duration::from_secs(FRAME_S_MAX),
            "never: {what}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn facts_request() -> RequestBody {
    RequestBody::Facts {
        wanted: overhaul_model::facts::FactsWanted::default(),
        controller_now: Timestamp::now(),
    }
}

#[track_caller]
pub fn refusal(answer: ResponseBody) -> Refusal {
    match answer {
        ResponseBody::Refused(refusal) => refusal,
        other => panic!("not refused, but {other:?}"),
    }
}
