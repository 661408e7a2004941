//! Data that streams between a host's command and a file of the controller. Such work ends with
//! its connection, which it has for itself: nothing else waits behind its bytes.

use crate::client::{Answer, ClientError, Exchange, HelperClient};
use crate::data_file::{FileError, Incoming, Outgoing, digest_of, path_of};
use crate::detached::{ANSWER_S_MAX, Begun, Ear, begin, deadline, other_store, spool, unexpected};
use crate::link::{Hope, Link, Live};
use crate::outcome::{failed, is_success, not_begun, of_end, of_fetch, unknown, words};
use crate::settle::rule_out;
use overhaul_engine::ports::{Order, Progress};
use overhaul_model::event::Outcome;
use overhaul_model::id::Digest;
use overhaul_model::primitive::{Feed, Fetch};
use overhaul_model::receipt::{ReceiptEnd, ReceiptStatus, WorkEnd};
use overhaul_model::wire::{DATA_BYTES_MAX, HostWork, RequestBody, ResponseBody};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// How long the helper may take to end a command whose stream was cut.
const CUT_S_MAX: u64 = 60;
/// Between two questions whether it has.
const CUT_ASK_MS: u64 = 500;
/// How long the helper may take to end a command on request.
const KILL_S_MAX: u64 = 60;
/// Between two words to a person about how much has come.
pub(crate) const PROGRESS_MS: u64 = 1_000;

/// One attempt at a stream.
pub(crate) struct Stream<'a> {
    pub(crate) link: &'a Arc<Link>,
    pub(crate) data: &'a Path,
    pub(crate) order: &'a Order,
    pub(crate) redact: &'a [String],
    pub(crate) progress: &'a Progress,
}

/// The connections of a stream that was asked for.
pub(crate) struct Opened {
    live: Arc<Live>,
    pub(crate) client: HelperClient,
    pub(crate) exchange: Exchange,
}

/// Where an answer led.
pub(crate) enum Step {
    Data(Vec<u8>),
    Began,
    Ended(ReceiptEnd),
    Over(Outcome),
    Cut(ClientError),
}

impl Stream<'_> {
    /// Receives a command's output as a file.
    pub(crate) async fn fetch(&self, fetch: &Fetch) -> Outcome {
        let mut file = match Incoming::create(self.data, &fetch.file).await {
            Ok(file) => file,
            Err(error) => return not_begun(error.to_string()),
        };
        let mut opened = match self.open(HostWork::Fetch(fetch.exec.clone())).await {
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
                    if let Err(error) = file.write(&bytes).await {
                        drop(file);
                        return self.give_up(opened, &error.to_string()).await;
                    }
                    if told.elapsed() >= Duration::from_millis(PROGRESS_MS) {
                        told = Instant::now();
                        self.tell(&format!("{} MB received", file.bytes() / 1_000_000));
                    }
                }
                Step::Ended(end) => return self.fetched(fetch, file, end, &opened.client).await,
                Step::Over(outcome) => return outcome,
                Step::Cut(error) => {
                    drop(file);
                    return self.cut(&opened, &error, true).await;
                }
            }
        }
    }

    async fn fetched(
        &self,
        fetch: &Fetch,
        file: Incoming,
        end: ReceiptEnd,
        client: &HelperClient,
    ) -> Outcome {
        if !is_success(&end.end) {
            let said = spool(client, self.order).await.tail();
            return failed(words(&end.end), said, Some(end.end));
        }
        let (here, bytes) = (file.digest(), file.bytes());
        if end.sha256.as_ref() != Some(&here) {
            return failed(
                digests_differ(&here, end.sha256.as_ref()),
                String::new(),
                Some(end.end),
            );
        }
        match file.finish().await {
            Ok(()) => of_fetch(&end, here.as_str(), bytes, &fetch.file),
            Err(error) => failed(error.to_string(), String::new(), Some(end.end)),
        }
    }

    /// Sends a file to a command's standard input.
    pub(crate) async fn feed(&self, feed: &Feed) -> Outcome {
        let (file, wanted) = match self.checked_file(feed).await {
            Ok(checked) => checked,
            Err(why) => return not_begun(why),
        };
        let mut opened = match self.open(HostWork::Feed(feed.exec.clone())).await {
            Ok(opened) => opened,
            Err(outcome) => return outcome,
        };
        let deadline = deadline(self.order);
        let mut begun = Begun::Maybe;
        let mut ear = Ear::new(self.order, self.progress);
        let mut sent_all = false;
        let mut sending = std::pin::pin!(send_file(file, &wanted, opened.exchange.feeder()));
        loop {
            let step = tokio::select! {
                biased;
                step = self.step(&mut opened, &mut begun, deadline) => step,
                sent = &mut sending, if begun == Begun::Yes && !sent_all => {
                    match sent {
                        Ok(()) => sent_all = true,
                        Err(SendError::File(why)) => return self.give_up(opened, &why).await,
                        // The answers end as well, with the better reason.
                        Err(SendError::Connection) => sent_all = true,
                    }
                    continue;
                }
            };
            match step {
                Step::Began => {}
                Step::Data(bytes) => ear.take(&bytes),
                Step::Ended(end) => {
                    // A command may stop reading early; then there is no digest of the whole.
                    let differs = sent_all && end.sha256.as_ref().is_some_and(|d| *d != wanted);
                    if differs && is_success(&end.end) {
                        let why = digests_differ(&wanted, end.sha256.as_ref());
                        return failed(why, ear.heard.tail(), Some(end.end));
                    }
                    return of_end(end, &ear.heard, &self.order.outputs);
                }
                Step::Over(outcome) => return outcome,
                Step::Cut(error) => return self.cut(&opened, &error, false).await,
            }
        }
    }

    async fn checked_file(&self, feed: &Feed) -> Result<(Outgoing, Digest), String> {
        let wanted =
            self.order.file_digest.clone().ok_or_else(|| {
                format!("no digest is known that the file `{}` must have", feed.file)
            })?;
        let words = |error: FileError| error.to_string();
        let path = path_of(self.data, &feed.file).map_err(words)?;
        let (found, _) = digest_of(path.clone()).await.map_err(words)?;
        if found != wanted {
            return Err(changed_file(&path, &found, &wanted));
        }
        let file = Outgoing::open(path).await.map_err(words)?;
        Ok((file, wanted))
    }

    pub(crate) fn tell(&self, text: &str) {
        (self.progress)(&self.order.position, format!("{text}\n").as_bytes());
    }

    pub(crate) async fn open(&self, work: HostWork) -> Result<Opened, Outcome> {
        let not = |why: String| not_begun(why);
        let live = self
            .link
            .live_again(Hope::Usual)
            .await
            .map_err(|e| not(e.to_string()))?;
        let client = self
            .link
            .serve(&live)
            .await
            .map_err(|e| not(e.to_string()))?;
        let request = begin(self.order, work, self.redact);
        let exchange = client.open(request).await.map_err(|e| not(e.to_string()))?;
        Ok(Opened {
            live,
            client,
            exchange,
        })
    }

    pub(crate) async fn step(
        &self,
        opened: &mut Opened,
        begun: &mut Begun,
        deadline: Instant,
    ) -> Step {
        let bound = Duration::from_secs(ANSWER_S_MAX);
        let until = match begun {
            Begun::Yes => deadline,
            Begun::No | Begun::Maybe => Instant::now() + bound,
        };
        let answer = timeout_at(until, opened.exchange.next()).await;
        let late = Err(ClientError::TimedOut {
            what: "an order",
            bound,
        });
        match answer.unwrap_or(late) {
            Err(error) => Step::Cut(error),
            Ok(Answer::Data(bytes)) => Step::Data(bytes),
            Ok(Answer::Body(body)) => match *body {
                ResponseBody::Began { sequence, .. } => {
                    *begun = Begun::Yes;
                    opened.live.heard_sequence(sequence);
                    Step::Began
                }
                ResponseBody::Ended(end) => Step::Ended(end),
                ResponseBody::Refused(refusal) if *begun < Begun::Yes => {
                    Step::Over(not_begun(refusal.to_string()))
                }
                ResponseBody::Lost { why } => Step::Cut(ClientError::Lost { why }),
                other => Step::Cut(unexpected(&other)),
            },
        }
    }

    /// The controller's side failed: the work is ended on the host, too.
    pub(crate) async fn give_up(&self, opened: Opened, why: &str) -> Outcome {
        let Opened {
            live,
            client,
            exchange,
        } = opened;
        // First its connection: a helper that waits for us to take data hears of nothing else.
        drop((exchange, client));
        let end = kill(&live.client, self.order, why).await;
        failed(why, String::new(), end)
    }

    /// The stream broke: what became of the command?
    pub(crate) async fn cut(&self, opened: &Opened, why: &ClientError, is_fetch: bool) -> Outcome {
        let live = match self.link.live_again(Hope::UnderWay).await {
            Ok(live) => live,
            Err(error) => {
                return unknown(format!("in the middle of the stream: {why}; then: {error}"));
            }
        };
        let (known, found) = (&opened.live.hello().install_id, &live.hello().install_id);
        if known != found {
            return unknown(other_store(known, found));
        }
        let why = format!("in the middle of the stream: {why}");
        after_cut(&live.client, self.order, &why, is_fetch).await
    }
}

/// What became of a command whose stream was cut; one that still runs is ended.
pub(crate) async fn after_cut(
    client: &HelperClient,
    order: &Order,
    why: &str,
    is_fetch: bool,
) -> Outcome {
    let deadline = Instant::now() + Duration::from_secs(CUT_S_MAX);
    while Instant::now() < deadline {
        let bound = Duration::from_secs(ANSWER_S_MAX);
        let status = match client.ask("a receipt", rule_out(order), bound).await {
            Ok(ResponseBody::Receipt(status)) => status,
            Ok(ResponseBody::Refused(refusal)) => {
                return unknown(format!("{why}; then: {refusal}"));
            }
            Ok(other) => return unknown(unexpected(&other).to_string()),
            Err(error) => return unknown(format!("{why}; then: {error}")),
        };
        match status {
            ReceiptStatus::Absent => return not_begun(why),
            ReceiptStatus::Ended { end, .. } => {
                let tail = spool(client, order).await.tail();
                return failed(why, tail, Some(end.end));
            }
            // The file is not here, so that it failed for certain; what a command that was fed did
            // with a part of its data, nobody can say.
            ReceiptStatus::Lost { why: lost, .. } if is_fetch => {
                return failed(format!("{why}; {lost}"), String::new(), None);
            }
            ReceiptStatus::Lost { why: lost, .. } => return unknown(format!("{why}; {lost}")),
            ReceiptStatus::Running { .. } => {
                kill(client, order, why).await;
                sleep(Duration::from_millis(CUT_ASK_MS)).await;
            }
        }
    }
    unknown(format!("{why}; its command could not be ended"))
}

async fn kill(client: &HelperClient, order: &Order, why: &str) -> Option<WorkEnd> {
    let request = RequestBody::Kill {
        generation: order.generation.clone(),
        key: order.key.clone(),
        why: why.to_owned(),
    };
    let bound = Duration::from_secs(KILL_S_MAX);
    match client.ask("an order to end work", request, bound).await {
        Ok(ResponseBody::Receipt(ReceiptStatus::Ended { end, .. })) => Some(end.end),
        _ => None,
    }
}

enum SendError {
    File(String),
    Connection,
}

/// Sends the whole file. Its digest is compared before the end is told, so that a command never
/// takes another file than the one that was checked for whole.
async fn send_file(
    mut file: Outgoing,
    wanted: &Digest,
    feeder: crate::client::Feeder,
) -> Result<(), SendError> {
    let mut buffer = vec![0; DATA_BYTES_MAX];
    loop {
        let bytes = file
            .read(&mut buffer)
            .await
            .map_err(|error| SendError::File(error.to_string()))?;
        if bytes.is_empty() {
            break;
        }
        feeder
            .send(bytes)
            .await
            .map_err(|_| SendError::Connection)?;
    }
    let found = file.digest();
    if found != *wanted {
        return Err(SendError::File(format!(
            "the file changed while it was sent: SHA-256 {found} instead of {wanted}"
        )));
    }
    feeder.end().await.map_err(|_| SendError::Connection)
}

fn changed_file(path: &Path, found: &Digest, wanted: &Digest) -> String {
    format!(
        "{} on the controller is not the file that was made: SHA-256 {found} instead of {wanted}",
        path.display()
    )
}

fn digests_differ(here: &Digest, there: Option<&Digest>) -> String {
    match there {
        Some(there) => format!("SHA-256 is {here} on the controller and {there} on the host"),
        None => "the host named no SHA-256 of what it sent".to_owned(),
    }
}
