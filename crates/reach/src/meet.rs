//! Two hosts are put in touch: each makes a key for one connection, and is told the other's.

use crate::client::ClientError;
use crate::detached::{Begun, Ear};
use crate::stream::{Opened, Step, Stream};
use crate::transfer::{Halt, Transfer};
use overhaul_engine::ports::Order;
use overhaul_model::id::Digest;
use overhaul_model::wire::{HostWork, Peer, Sending, Word};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::Instant;

/// How long an end may take for a word: one that comes tries eight addresses for five seconds each.
const WORD_S_MAX: u64 = 90;

/// Longest line that is taken from an end.
const WORD_BYTES_MAX: usize = 16 * 1024;

/// Whether the two have met.
pub(crate) enum Met {
    /// There; the source goes on sending.
    At(String, Opened),
    /// Nowhere, for this reason.
    Not(String),
}

/// The word that both ends must name: of run, step, dataset, both hosts and generation.
fn context(here: &Order, there: &Order) -> String {
    let generation = &here.generation;
    let all = [
        generation.fleet.as_str(),
        generation.run.as_str(),
        &generation.counter.to_string(),
        generation.nonce.as_str(),
        here.key.as_str(),
        there.host.as_str(),
        here.host.as_str(),
    ];
    Digest::of(all.join("\n")).as_str().to_owned()
}

/// Puts the two in touch. The one that receives has been asked to begin.
pub(crate) async fn meet(
    of: &Transfer<'_>,
    opened: &mut Opened,
    ear: &mut Ear<'_>,
    send: Sending,
    until: Instant,
) -> Result<Met, Halt> {
    let mut begun = Begun::Maybe;
    let own = match word(&of.here, opened, &mut begun, (until, Some(&mut *ear))).await {
        Ok(word) => word.key.unwrap_or_default(),
        Err(step) => return Err(Halt::of(step, &of.here, opened, ear).await),
    };
    let context = context(of.here.order, of.offer.order);
    let mut source = match of.offer.open(HostWork::Offer(send)).await {
        Ok(source) => source,
        Err(outcome) => return Err(Halt::GiveUp(of.at_source(&outcome))),
    };
    let peer = Peer {
        key: own,
        context: context.clone(),
        addresses: Vec::new(),
    };
    let offered = offered(of, &mut source, &peer, until).await?;
    let port = offered.port.unwrap_or_default();
    let at = of.addresses.iter();
    let peer = Peer {
        key: offered.key.unwrap_or_default(),
        context,
        addresses: at
            .map(|ip| SocketAddr::new(*ip, port).to_string())
            .collect(),
    };
    let told = say(opened, &peer).await;
    let answer = match told {
        Ok(()) => word(&of.here, opened, &mut begun, (until, Some(&mut *ear))).await,
        Err(error) => Err(Step::Cut(error)),
    };
    match answer {
        Ok(Word { at: Some(at), .. }) => Ok(Met::At(at, source)),
        Ok(Word { why, .. }) => {
            let why = why.unwrap_or_else(|| "they did not meet".to_owned());
            let _ended = of.offer.give_up(source, &why).await;
            Ok(Met::Not(why))
        }
        Err(step) => Err(Halt::of(step, &of.here, opened, ear).await),
    }
}

/// What the source offers, once it was told whom to expect.
async fn offered(
    of: &Transfer<'_>,
    source: &mut Opened,
    peer: &Peer,
    until: Instant,
) -> Result<Word, Halt> {
    let mut begun = Begun::Maybe;
    // It is fed from its beginning on.
    let told = say(source, peer).await;
    let answer = match told {
        Ok(()) => word(&of.offer, source, &mut begun, (until, None)).await,
        Err(error) => Err(Step::Cut(error)),
    };
    let why = match answer {
        Ok(word) => return Ok(word),
        Err(Step::Ended(end)) => of.ended_badly(&of.offer, source, &end).await,
        Err(Step::Over(outcome)) => of.at_source(&outcome),
        Err(Step::Cut(error)) => of.of_source(&error.to_string()),
        Err(Step::Began | Step::Data(_)) => of.of_source("it says what nobody asked"),
    };
    Err(Halt::GiveUp(why))
}

async fn say(to: &Opened, peer: &Peer) -> Result<(), ClientError> {
    let wrong = |error: serde_json::Error| ClientError::Protocol {
        why: error.to_string(),
    };
    let mut line = serde_json::to_vec(peer).map_err(wrong)?;
    line.push(b'\n');
    to.exchange.feeder().send(&line).await
}

/// The next line of an end, as it is printed; what follows it goes to whoever listens.
async fn word(
    stream: &Stream<'_>,
    opened: &mut Opened,
    begun: &mut Begun,
    (until, ear): (Instant, Option<&mut Ear<'_>>),
) -> Result<Word, Step> {
    let until = until.min(Instant::now() + Duration::from_secs(WORD_S_MAX));
    let mut line = Vec::new();
    loop {
        match stream.step(opened, begun, until).await {
            Step::Began => {}
            Step::Data(bytes) => {
                line.extend_from_slice(&bytes);
                let Some(end) = line.iter().position(|byte| *byte == b'\n') else {
                    if line.len() > WORD_BYTES_MAX {
                        return Err(Step::Cut(strange()));
                    }
                    continue;
                };
                let rest = line.split_off(end);
                if let (Some(ear), Some(rest)) = (ear, rest.get(1..)) {
                    ear.take(rest);
                }
                return serde_json::from_slice(&line).map_err(|_| Step::Cut(strange()));
            }
            other => return Err(other),
        }
    }
}

fn strange() -> ClientError {
    ClientError::Protocol {
        why: "a line that is no word of a transfer".to_owned(),
    }
}
