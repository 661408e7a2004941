//! Data that goes from one host to another, and the authority over it.
//!
//! The receipt of an attempt is that of the host that receives; the other end has one of its own, whose key follows
//! from it. The two hosts are put in touch, and where they do not meet the bytes go through the controller. There they
//! wait nowhere: a host that is slow to take keeps the other one from sending.

use crate::carry::of_restore;
use crate::client::{ClientError, Feeder};
use crate::detached::{self, ANSWER_S_MAX, Begun, Ear, deadline, spool, unexpected};
use crate::link::{Hope, Link, Live};
use crate::meet::{self, Met};
use crate::outcome::{failed, is_success, not_begun, words};
use crate::ssh_reach::SshReach;
use crate::stream::{Opened, PROGRESS_MS, Step, Stream};
use overhaul_engine::ports::{Order, Progress};
use overhaul_model::authority::Claim;
use overhaul_model::event::Outcome;
use overhaul_model::id::{AttemptKey, Digest, HostName};
use overhaul_model::primitive::{Exec, Moving, Receive, TakeOver};
use overhaul_model::receipt::{ReceiptEnd, WorkEnd};
use overhaul_model::wire::{
    GiveAway, Have, HostWork, Receiving, RequestBody, ResponseBody, Sending, TakeAuthority,
    transfer_id,
};
use serde_json::Value;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// What keys of the source's receipts have behind that of the attempt.
const AT_SOURCE: &str = "-source";
/// The same for the offer to the other host to come for it.
const OFFERED: &str = "-offer";
/// The same for what is run there before.
const FIRST: &str = "-first";

/// How long the source may take to say how it ended, after the other host has.
const REASON_S_MAX: u64 = 20;

/// How long the controller's own resolver may take.
const RESOLVE_S_MAX: u64 = 5;

/// One end of a transfer.
struct End {
    link: Arc<Link>,
    order: Order,
    redact: Vec<String>,
}

impl End {
    fn stream<'a>(&'a self, reach: &'a SshReach, progress: &'a Progress) -> Stream<'a> {
        Stream {
            link: &self.link,
            data: reach.data(),
            order: &self.order,
            redact: &self.redact,
            progress,
        }
    }
}

/// The order for the host that data is taken from.
fn at_source(order: &Order, from: &HostName, data: &Moving, ending: &str) -> Order {
    let key = |key: &AttemptKey| AttemptKey::new(format!("{key}{ending}"));
    Order {
        host: from.clone(),
        key: key(&order.key),
        earlier: order.earlier.iter().map(key).collect(),
        claims: vec![Claim::Sends {
            dataset: data.dataset.clone(),
            paths: data.paths.clone(),
        }],
        ..order.clone()
    }
}

impl SshReach {
    fn end(&self, order: Order) -> Result<End, Outcome> {
        let entry = self.host(&order.host);
        let (link, redact) = match entry {
            Ok(entry) => (entry.link(), entry.redact.clone()),
            Err(error) => return Err(not_begun(error.to_string())),
        };
        Ok(End {
            link,
            order,
            redact,
        })
    }

    /// Receives data of another host.
    pub(crate) async fn receive(
        &self,
        order: &Order,
        receive: &Receive,
        progress: &Progress,
    ) -> Outcome {
        let Receive { data, from, first } = receive;
        let source = |ending| self.end(at_source(order, from, data, ending));
        let ends = self
            .end(order.clone())
            .and_then(|here| Ok((here, source(AT_SOURCE)?, source(OFFERED)?)));
        let (here, there, offer) = match ends {
            Ok(ends) => ends,
            Err(outcome) => return outcome,
        };
        let transfer = transfer_id(&order.generation.fleet, &data.dataset, from, &order.host);
        let have = match prepared(&here, &there, &transfer).await {
            Ok(have) => have,
            Err(why) => return not_begun(why),
        };
        if let Some(first) = first
            && let Err(end) = self.first(order, from, data, first, progress).await
        {
            return end.of_receive();
        }
        let moved = Transfer {
            here: here.stream(self, progress),
            there: there.stream(self, progress),
            offer: offer.stream(self, progress),
            addresses: self.addresses(from).await,
            data,
        };
        moved.run(transfer, have).await
    }

    /// The addresses of a host, as far as they can be told here.
    async fn addresses(&self, host: &HostName) -> Vec<IpAddr> {
        let Ok(entry) = self.host(host) else {
            return Vec::new();
        };
        let name = entry.address();
        let found = tokio::net::lookup_host((name.as_str(), 0));
        match timeout(Duration::from_secs(RESOLVE_S_MAX), found).await {
            Ok(Ok(found)) => found.map(|address| address.ip()).collect(),
            _ => Vec::new(),
        }
    }

    /// Takes the authority over data from the host that it was received from.
    pub(crate) async fn take_over(
        &self,
        order: &Order,
        take: &TakeOver,
        progress: &Progress,
    ) -> Outcome {
        let TakeOver {
            data,
            from,
            digest,
            stamps,
            first,
        } = take;
        let ends = self.end(order.clone()).and_then(|here| {
            // It judges by its own record, which may be of an attempt at this very step.
            let there = Order {
                claims: Vec::new(),
                ..at_source(order, from, data, AT_SOURCE)
            };
            Ok((here, self.end(there)?))
        });
        let (here, there) = match ends {
            Ok(ends) => ends,
            Err(outcome) => return outcome,
        };
        let take = HostWork::TakeAuthority(TakeAuthority {
            data: data.clone(),
            from: from.clone(),
            transfer: transfer_id(&order.generation.fleet, &data.dataset, from, &order.host),
            digest: digest.clone(),
        });
        if order.begun {
            return detached::run(&here.link, &here.order, take, &here.redact, progress).await;
        }
        if let Some(first) = first
            && let Err(end) = self.first(order, from, data, first, progress).await
        {
            return not_begun(end.why);
        }
        let give = HostWork::GiveAway(GiveAway {
            data: data.clone(),
            to: order.host.clone(),
            digest: digest.clone(),
            stamps: stamps.clone(),
        });
        let given = detached::run(&there.link, &there.order, give, &there.redact, progress).await;
        // It may be put on record there by now, and can be asked for again: this host has not taken it.
        match given {
            Outcome::Succeeded { .. } => {}
            Outcome::Failed { why, tail, .. } => {
                let said = [why, tail].join("; ");
                let said = said.trim_end_matches("; ");
                return not_begun(format!("{from} does not give it away: {said}"));
            }
            Outcome::Unknown { reason } => {
                return not_begun(format!(
                    "nobody knows whether {from} has given it away, which can be asked again: {reason}"
                ));
            }
        }
        detached::run(&here.link, &here.order, take, &here.redact, progress).await
    }
}

/// What was to be run at the source before did not do well. Nothing was begun on the host that receives.
struct Unready {
    why: String,
    tail: String,
    end: Option<WorkEnd>,
}

impl Unready {
    /// It has failed for certain, or nobody knows; either way it can be begun again.
    fn of_receive(self) -> Outcome {
        match self.end {
            None => not_begun(self.why),
            end => failed(self.why, self.tail, end),
        }
    }
}

impl SshReach {
    /// What is run at the source before, as its own work: it goes on without a connection, and what an earlier attempt
    /// has begun is followed.
    async fn first(
        &self,
        order: &Order,
        from: &HostName,
        data: &Moving,
        first: &Exec,
        progress: &Progress,
    ) -> Result<(), Unready> {
        let unready = |why: String, tail, end| {
            Err(Unready {
                why: format!("at {from}, where it comes from: {why}"),
                tail,
                end,
            })
        };
        let mut source = match self.end(at_source(order, from, data, FIRST)) {
            Ok(source) => source,
            Err(Outcome::Failed { why, .. }) => return unready(why, String::new(), None),
            Err(_) => return unready("it is not known".to_owned(), String::new(), None),
        };
        // Values of the step are those of the host that receives.
        source.order.outputs.clear();
        source.order.begun = false;
        let work = HostWork::Exec(first.clone());
        let (link, order, redact) = (&source.link, &source.order, &source.redact);
        match detached::run(link, order, work, redact, progress).await {
            Outcome::Succeeded { .. } => Ok(()),
            Outcome::Failed { why, tail, end } => {
                let last = tail.trim().lines().last().unwrap_or_default().to_owned();
                let why = format!("{why}: {last}");
                unready(why.trim_end_matches([':', ' ']).to_owned(), tail, end)
            }
            Outcome::Unknown { reason } => unready(reason, String::new(), None),
        }
    }
}

/// Both ends are there and are two hosts; what the receiving one has already.
async fn prepared(here: &End, there: &End, transfer: &Digest) -> Result<Option<Have>, String> {
    let stores = async {
        let one = here.link.live_again(Hope::Usual).await?;
        let other = there.link.live_again(Hope::Usual).await?;
        let id = |live: &Live| live.hello().install_id.clone();
        Ok::<_, crate::error::ReachError>((id(&one), id(&other)))
    };
    let (one, other) = stores.await.map_err(|error| error.to_string())?;
    if one == other {
        return Err(format!(
            "{} and {} are one host (install id {one}): nothing can go from it to itself",
            here.order.host, there.order.host
        ));
    }
    let request = RequestBody::Received {
        transfer: transfer.clone(),
    };
    let bound = Duration::from_secs(ANSWER_S_MAX);
    let asked = here.link.ask("how far a transfer is", request, bound).await;
    match asked.map_err(|error| error.to_string())?.1 {
        ResponseBody::Received { have } => Ok(have),
        other => Err(unexpected(&other).to_string()),
    }
}

/// A transfer on its way.
pub(crate) struct Transfer<'a> {
    pub(crate) here: Stream<'a>,
    there: Stream<'a>,
    pub(crate) offer: Stream<'a>,
    /// Where the source may be reached.
    pub(crate) addresses: Vec<IpAddr>,
    data: &'a Moving,
}

/// What ends a transfer before its data goes.
pub(crate) enum Halt {
    /// The host that receives has its end.
    Over(Outcome),
    /// It is to be ended, for this reason.
    GiveUp(String),
}

impl Halt {
    /// Of a step at the host that receives.
    pub(crate) async fn of(step: Step, here: &Stream<'_>, opened: &Opened, ear: &Ear<'_>) -> Self {
        Self::Over(match step {
            Step::Ended(end) => of_restore(end, &ear.heard),
            Step::Over(outcome) => outcome,
            Step::Cut(error) => here.cut(opened, &error, true).await,
            Step::Began | Step::Data(_) => not_begun("the host says what nobody asked"),
        })
    }
}

impl Transfer<'_> {
    async fn run(&self, transfer: Digest, have: Option<Have>) -> Outcome {
        let receiving = Receiving {
            data: self.data.clone(),
            transfer,
            direct: true,
        };
        let mut opened = match self.here.open(HostWork::Receive(receiving)).await {
            Ok(opened) => opened,
            Err(outcome) => return outcome,
        };
        let mut ear = Ear::new(self.here.order, self.here.progress);
        let until = deadline(self.here.order);
        let send = Sending {
            data: self.data.clone(),
            have,
        };
        match meet::meet(self, &mut opened, &mut ear, send.clone(), until).await {
            Ok(Met::At(address, source)) => self.direct(opened, source, ear, until, &address).await,
            Ok(Met::Not(why)) => {
                self.here.tell(&format!("through the controller: {why}"));
                self.through(opened, ear, send, until, &why).await
            }
            Err(Halt::Over(outcome)) => outcome,
            Err(Halt::GiveUp(why)) => self.here.give_up(opened, &why).await,
        }
    }

    /// The two hosts have met: each is followed to its end.
    async fn direct(
        &self,
        mut opened: Opened,
        mut source: Opened,
        mut ear: Ear<'_>,
        until: Instant,
        address: &str,
    ) -> Outcome {
        let (mut here_begun, mut there_begun) = (Begun::Yes, Begun::Yes);
        let mut ended: Option<Result<(), String>> = None;
        loop {
            let step = tokio::select! {
                biased;
                step = self.here.step(&mut opened, &mut here_begun, until) => step,
                step = self.offer.step(&mut source, &mut there_begun, until), if ended.is_none() => {
                    ended = self.source_ended(step, &source).await;
                    continue;
                }
            };
            match step {
                Step::Began => {}
                Step::Data(bytes) => ear.take(&bytes),
                Step::Ended(end) => {
                    if !is_success(&end.end) && ended.is_none() {
                        ended = self.reason(&mut source, until).await;
                    }
                    let way = format!("directly from {address}");
                    return self.came(end, &ear, ended, &way);
                }
                Step::Over(outcome) => return outcome,
                Step::Cut(error) => return self.here.cut(&opened, &error, true).await,
            }
        }
    }

    /// How the source ended; nothing while it has not.
    async fn source_ended(&self, step: Step, source: &Opened) -> Option<Result<(), String>> {
        Some(match step {
            Step::Began | Step::Data(_) => return None,
            Step::Ended(end) if is_success(&end.end) => Ok(()),
            Step::Ended(end) => Err(self.ended_badly(&self.offer, source, &end).await),
            Step::Over(outcome) => Err(self.at_source(&outcome)),
            Step::Cut(error) => Err(self.of_source(&error.to_string())),
        })
    }

    async fn reason(&self, source: &mut Opened, until: Instant) -> Option<Result<(), String>> {
        let mut begun = Begun::Yes;
        let until = until.min(Instant::now() + Duration::from_secs(REASON_S_MAX));
        loop {
            let step = self.offer.step(source, &mut begun, until).await;
            if let Some(ended) = self.source_ended(step, source).await {
                return Some(ended);
            }
        }
    }

    /// The success or failure of the host that receives, with the way that the data took, or with what the source
    /// says of why it did not come.
    fn came(
        &self,
        end: ReceiptEnd,
        ear: &Ear<'_>,
        source: Option<Result<(), String>>,
        way: &str,
    ) -> Outcome {
        let from = &self.there.order.host;
        match of_restore(end, &ear.heard) {
            Outcome::Succeeded {
                changed,
                mut outputs,
                evidence,
                unsynced,
            } => {
                outputs.insert("way".to_owned(), Value::from(way));
                Outcome::Succeeded {
                    changed,
                    outputs,
                    evidence: format!("{evidence}; from {from}, {way}, one digest at both ends"),
                    unsynced,
                }
            }
            Outcome::Failed { why, tail, end } => match source {
                Some(Err(source)) => Outcome::Failed {
                    why: source,
                    tail,
                    end,
                },
                _ => Outcome::Failed { why, tail, end },
            },
            unknown @ Outcome::Unknown { .. } => unknown,
        }
    }

    async fn through(
        &self,
        mut opened: Opened,
        mut ear: Ear<'_>,
        send: Sending,
        until: Instant,
        why: &str,
    ) -> Outcome {
        let here = &self.here;
        let mut source = match self.there.open(HostWork::Send(send)).await {
            Ok(source) => source,
            Err(outcome) => return here.give_up(opened, &self.at_source(&outcome)).await,
        };
        let mut begun = Begun::Yes;
        let mut sent_all = false;
        let mut sending = std::pin::pin!(self.pump(&mut source, opened.exchange.feeder(), until));
        loop {
            let step = tokio::select! {
                biased;
                step = here.step(&mut opened, &mut begun, until) => step,
                sent = &mut sending, if !sent_all => {
                    if let Err(Some(why)) = sent {
                        return here.give_up(opened, &why).await;
                    }
                    // When the connection fails the answers end as well, with the better reason.
                    sent_all = true;
                    continue;
                }
            };
            match step {
                Step::Began => {}
                Step::Data(bytes) => ear.take(&bytes),
                Step::Ended(end) => {
                    let way = format!("through the controller ({why})");
                    return self.came(end, &ear, None, &way);
                }
                Step::Over(outcome) => return outcome,
                Step::Cut(error) => return here.cut(&opened, &error, true).await,
            }
        }
    }

    /// Hands on what the source sends, at the pace of the one that takes it. `Err(None)` when the connection to
    /// that one failed.
    async fn pump(
        &self,
        source: &mut Opened,
        feeder: Feeder,
        until: Instant,
    ) -> Result<(), Option<String>> {
        let cut = |_: ClientError| None;
        let mut begun = Begun::Maybe;
        let mut bytes: u64 = 0;
        let mut told = Instant::now();
        loop {
            match self.there.step(source, &mut begun, until).await {
                Step::Began => {}
                Step::Data(piece) => {
                    bytes = bytes.saturating_add(piece.len() as u64);
                    feeder.send(&piece).await.map_err(cut)?;
                    if told.elapsed() >= Duration::from_millis(PROGRESS_MS) {
                        told = Instant::now();
                        let host = &self.there.order.host;
                        self.here
                            .tell(&format!("{} MB from {host}", bytes / 1_000_000));
                    }
                }
                Step::Ended(end) if is_success(&end.end) => {
                    return feeder.end().await.map_err(cut);
                }
                Step::Ended(end) => {
                    return Err(Some(self.ended_badly(&self.there, source, &end).await));
                }
                Step::Over(outcome) => return Err(Some(self.at_source(&outcome))),
                Step::Cut(error) => return Err(Some(self.of_source(&error.to_string()))),
            }
        }
    }

    /// How the source failed, with what it printed.
    pub(crate) async fn ended_badly(
        &self,
        stream: &Stream<'_>,
        source: &Opened,
        end: &ReceiptEnd,
    ) -> String {
        let said = spool(&source.client, stream.order).await.tail();
        let last = said.trim().lines().last().unwrap_or_default();
        let why = format!("{}: {last}", words(&end.end));
        self.of_source(why.trim_end_matches([':', ' ']))
    }

    pub(crate) fn of_source(&self, why: &str) -> String {
        format!("at {}, where it comes from: {why}", self.there.order.host)
    }

    pub(crate) fn at_source(&self, outcome: &Outcome) -> String {
        match outcome {
            Outcome::Failed { why, .. } => self.of_source(why),
            Outcome::Unknown { reason } => self.of_source(reason),
            Outcome::Succeeded { evidence, .. } => self.of_source(evidence),
        }
    }
}
