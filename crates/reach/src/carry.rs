//! Archives between a host and the controller: the mover's two ends on this side.

use crate::client::{ClientError, Feeder};
use crate::data_file::path_of;
use crate::detached::{ANSWER_S_MAX, Begun, Ear, deadline, spool, unexpected};
use crate::outcome::{failed, is_success, not_begun, unsynced, words};
use crate::output::Heard;
use crate::stream::{PROGRESS_MS, Step, Stream};
use overhaul_model::event::Outcome;
use overhaul_model::id::Digest;
use overhaul_model::primitive::{Persist, Restore};
use overhaul_model::receipt::ReceiptEnd;
use overhaul_model::wire::{Have, HostWork, Pack, RequestBody, ResponseBody, Unpack};
use overhaul_mover::{Keeping, Kept, MoverError, Sending};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::Instant;

/// Pieces that wait for the controller's disk: 8 MB.
const PIECES_WAITING_MAX: usize = 128;

/// Chunks that are read ahead of the network: some megabytes.
const CHUNKS_WAITING_MAX: usize = 4;

impl Stream<'_> {
    /// Receives paths of the host as an archive.
    pub(crate) async fn persist(&self, persist: &Persist) -> Outcome {
        let path = match path_of(self.data, &persist.file) {
            Ok(path) => path,
            Err(error) => return not_begun(error.to_string()),
        };
        let mut receiver = match Receiver::open(path).await {
            Ok(receiver) => receiver,
            Err(why) => return not_begun(why),
        };
        let pack = Pack {
            paths: persist.paths.clone(),
            one_filesystem: persist.one_filesystem,
            exclude: persist.exclude.clone(),
            live: persist.live,
            have: receiver.have.take(),
        };
        let mut opened = match self.open(HostWork::Persist(pack)).await {
            Ok(opened) => opened,
            Err(outcome) => return outcome,
        };
        let deadline = deadline(self.order);
        let mut begun = Begun::Maybe;
        let mut told = Instant::now();
        loop {
            match self.step(&mut opened, &mut begun, deadline).await {
                Step::Began => {}
                Step::Data(bytes) => {
                    receiver.bytes = receiver.bytes.saturating_add(bytes.len() as u64);
                    if receiver.pieces.send(bytes).await.is_err() {
                        let why = match receiver.close().await {
                            Ok(_) => "the archive could not be kept".to_owned(),
                            Err(why) => why,
                        };
                        return self.give_up(opened, &why).await;
                    }
                    if told.elapsed() >= Duration::from_millis(PROGRESS_MS) {
                        told = Instant::now();
                        self.tell(&format!("{} MB received", receiver.bytes / 1_000_000));
                    }
                }
                Step::Ended(end) if is_success(&end.end) => {
                    return match receiver.finish().await {
                        Ok(kept) => of_persist(&kept, &persist.file),
                        Err(why) => failed(why, String::new(), Some(end.end)),
                    };
                }
                Step::Ended(end) => {
                    let said = spool(&opened.client, self.order).await.tail();
                    // What came stays for the next attempt.
                    let _kept = receiver.close().await;
                    return failed(words(&end.end), said, Some(end.end));
                }
                Step::Over(outcome) => return outcome,
                Step::Cut(error) => {
                    let _kept = receiver.close().await;
                    return self.cut(&opened, &error, true).await;
                }
            }
        }
    }

    /// Sends an archive back to a host.
    pub(crate) async fn restore(&self, restore: &Restore) -> Outcome {
        let (archive, from_chunk, sha256) = match self.archive(restore).await {
            Ok(found) => found,
            Err(why) => return not_begun(why),
        };
        let unpack = Unpack {
            paths: restore.paths.clone(),
            sha256,
            existing: restore.existing,
            from_chunk,
        };
        let mut opened = match self.open(HostWork::Restore(unpack)).await {
            Ok(opened) => opened,
            Err(outcome) => return outcome,
        };
        let deadline = deadline(self.order);
        let mut begun = Begun::Maybe;
        let mut ear = Ear::new(self.order, self.progress);
        let mut sent_all = false;
        let mut sending = std::pin::pin!(send(archive, opened.exchange.feeder()));
        loop {
            let step = tokio::select! {
                biased;
                step = self.step(&mut opened, &mut begun, deadline) => step,
                sent = &mut sending, if begun == Begun::Yes && !sent_all => {
                    // When the connection fails the answers end as well, with the better reason.
                    if let Err(Some(why)) = sent {
                        return self.give_up(opened, &why).await;
                    }
                    sent_all = true;
                    continue;
                }
            };
            match step {
                Step::Began => {}
                Step::Data(bytes) => ear.take(&bytes),
                Step::Ended(end) => return of_restore(end, &ear.heard),
                Step::Over(outcome) => return outcome,
                Step::Cut(error) => return self.cut(&opened, &error, true).await,
            }
        }
    }

    /// The archive's chunks that the host wants, the number of the first of them, and the digest.
    async fn archive(&self, restore: &Restore) -> Result<(Chunks, u64, Digest), String> {
        let no_digest = || {
            format!(
                "no digest is known that the file `{}` must have",
                restore.file
            )
        };
        let sha256 = self.order.file_digest.clone().ok_or_else(no_digest)?;
        let path = path_of(self.data, &restore.file).map_err(|error| error.to_string())?;
        let request = RequestBody::Restored {
            sha256: sha256.clone(),
        };
        let bound = Duration::from_secs(ANSWER_S_MAX);
        let asked = self.link.ask("how far a restore is", request, bound).await;
        let from_chunk = match asked.map_err(|error| error.to_string())?.1 {
            ResponseBody::Restored { from_chunk } => from_chunk,
            other => return Err(unexpected(&other).to_string()),
        };
        let wanted = sha256.as_str().to_owned();
        let opened = spawn_blocking(move || Sending::open(&path, &wanted, from_chunk)).await;
        let archive = opened.map_err(|error| error.to_string())?;
        let archive = archive.map_err(|error| error.to_string())?;
        Ok((read_ahead(archive), from_chunk, sha256))
    }
}

/// The chunks of an archive, or why there are no more.
type Chunks = mpsc::Receiver<Result<Vec<u8>, MoverError>>;

fn read_ahead(mut archive: Sending) -> Chunks {
    let (found, chunks) = mpsc::channel(CHUNKS_WAITING_MAX);
    spawn_blocking(move || {
        while let Some(chunk) = archive.next_chunk().transpose() {
            let failed = chunk.is_err();
            if found.blocking_send(chunk).is_err() || failed {
                return;
            }
        }
    });
    chunks
}

/// `Err(None)` when the connection failed.
async fn send(mut chunks: Chunks, feeder: Feeder) -> Result<(), Option<String>> {
    let cut = |_: ClientError| None;
    while let Some(chunk) = chunks.recv().await {
        let chunk = chunk.map_err(|error| Some(error.to_string()))?;
        feeder.send(&chunk).await.map_err(cut)?;
    }
    feeder.end().await.map_err(cut)
}

/// The file that an archive becomes, on a thread of its own.
struct Receiver {
    pieces: mpsc::Sender<Vec<u8>>,
    keeper: JoinHandle<Result<Keeping, MoverError>>,
    have: Option<Have>,
    bytes: u64,
}

impl Receiver {
    async fn open(path: PathBuf) -> Result<Self, String> {
        let opened = spawn_blocking(move || Keeping::open(&path)).await;
        let mut keeping = opened
            .map_err(|error| error.to_string())?
            .map_err(|error| format!("on the controller, {error}"))?;
        let have = keeping.have().map(|have| {
            Digest::parse(&have.digest).map(|digest| Have {
                chunks: have.chunks,
                digest,
            })
        });
        let have = have.transpose().map_err(|error| error.to_string())?;
        let bytes = keeping.bytes();
        let (pieces, mut waiting) = mpsc::channel::<Vec<u8>>(PIECES_WAITING_MAX);
        let keeper = spawn_blocking(move || {
            while let Some(bytes) = waiting.blocking_recv() {
                keeping.take(&bytes)?;
            }
            Ok(keeping)
        });
        Ok(Self {
            pieces,
            keeper,
            have,
            bytes,
        })
    }

    /// When all that came is written.
    async fn close(self) -> Result<Keeping, String> {
        drop(self.pieces);
        let kept = self.keeper.await.map_err(|error| error.to_string())?;
        kept.map_err(|error| format!("on the controller, {error}"))
    }

    async fn finish(self) -> Result<Kept, String> {
        let keeping = self.close().await?;
        let kept = spawn_blocking(move || keeping.finish()).await;
        let kept = kept.map_err(|error| error.to_string())?;
        kept.map_err(|error| format!("on the controller, {error}"))
    }
}

fn of_persist(kept: &Kept, file: &str) -> Outcome {
    let Kept {
        trailer,
        sha256,
        bytes,
    } = kept;
    let outputs = [
        ("sha256", Value::from(sha256.as_str())),
        ("bytes", Value::from(*bytes)),
        ("file", Value::from(file)),
        ("entries", Value::from(trailer.entries)),
        ("content", Value::from(trailer.content)),
        ("manifest", Value::from(trailer.manifest.as_str())),
        ("left_out", Value::from(trailer.left_out)),
        ("changed", Value::from(trailer.changed)),
    ];
    let named = outputs.map(|(name, value)| (name.to_owned(), value));
    Outcome::Succeeded {
        changed: true,
        outputs: BTreeMap::from(named),
        evidence: format!(
            "{} entries, {} bytes of content; {bytes} bytes in {file}, SHA-256 {sha256} at both ends",
            trailer.entries, trailer.content
        ),
        unsynced: None,
    }
}

/// The outcome of an unpacker, which says in its last line what it has made.
pub(crate) fn of_restore(end: ReceiptEnd, heard: &Heard) -> Outcome {
    if !is_success(&end.end) {
        return failed(words(&end.end), heard.tail(), Some(end.end));
    }
    // Whole, where the last line of evidence would be shortened.
    let tail = heard.tail();
    let said = tail.lines().last().unwrap_or_default();
    let Ok(Value::Object(outputs)) = serde_json::from_str(said) else {
        let why = "the host does not say what it has restored";
        return failed(why, heard.tail(), Some(end.end));
    };
    let made = outputs.get("made") == Some(&Value::Bool(true));
    let number = |name: &str| outputs.get(name).and_then(Value::as_u64).unwrap_or(0);
    let counts = (number("entries"), number("content"));
    let how = if made {
        "restored and read back"
    } else {
        "there already, read back"
    };
    let times = if outputs.get("times_kept") == Some(&Value::Bool(false)) {
        "; the file system keeps modification times more coarsely"
    } else {
        ""
    };
    Outcome::Succeeded {
        changed: made,
        evidence: format!(
            "{} entries, {} bytes of content, {how}{times}",
            counts.0, counts.1
        ),
        outputs: outputs.into_iter().collect(),
        unsynced: unsynced(&end),
    }
}
