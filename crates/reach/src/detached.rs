//! Work that goes on without a connection: begun once, followed over any number of connections.

use crate::client::{Answer, ClientError, Exchange, HelperClient};
use crate::error::ReachError;
use crate::link::{Hope, Link, Live};
use crate::outcome::{not_begun, of_end, unknown};
use crate::output::Heard;
use overhaul_engine::ports::{Order, Progress};
use overhaul_model::event::Outcome;
use overhaul_model::id::InstallId;
use overhaul_model::receipt::ReceiptEnd;
use overhaul_model::wire::{HostWork, Refusal, RequestBody, ResponseBody};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

/// From a request to its first answer: the receipt is synced before, which takes its time on a
/// disk that a package manager keeps busy.
pub(crate) const ANSWER_S_MAX: u64 = 90;
/// What the helper may take beyond a work's bound: it ends processes gently, then by force, lists
/// them and syncs the receipt.
pub(crate) const END_GRACE_S_MAX: u64 = 120;
/// Reading a bounded spool again.
const SPOOL_S_MAX: u64 = 60;

/// How far an attempt has come, as far as is known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Begun {
    /// Certainly not.
    No,
    /// It was asked for, and no answer came.
    Maybe,
    /// The helper said so.
    Yes,
}

impl Begun {
    /// How far it is before anything is asked here.
    pub(crate) fn of(order: &Order) -> Self {
        match order.begun {
            true => Self::Yes,
            false => Self::No,
        }
    }

    /// How long its host is tried.
    pub(crate) fn hope(self) -> Hope {
        match self {
            Self::No => Hope::Usual,
            Self::Maybe | Self::Yes => Hope::UnderWay,
        }
    }
}

/// Where the answers to one request led.
#[derive(Debug)]
pub(crate) enum Followed {
    Ended(ReceiptEnd),
    Lost(String),
    Refused(Refusal),
    /// The connection or the talk ended: another one may bring more.
    Cut(ClientError),
}

/// The request that begins an order's work.
pub(crate) fn begin(order: &Order, work: HostWork, redact: &[String]) -> RequestBody {
    RequestBody::Begin {
        generation: order.generation.clone(),
        key: order.key.clone(),
        position: order.position.clone(),
        step: order.step.clone(),
        work: Box::new(work),
        limits: order.limits,
        value: !order.outputs.is_empty(),
        redact: redact.to_vec(),
        earlier: order.earlier.clone(),
        claims: order.claims.clone(),
    }
}

/// The request that follows an order's work, with what it has printed from there on.
pub(crate) fn attach(order: &Order, from: u64) -> RequestBody {
    RequestBody::Attach {
        key: order.key.clone(),
        from,
    }
}

/// The moment at which the helper must have said how an order's work ended.
pub(crate) fn deadline(order: &Order) -> Instant {
    Instant::now() + order.limits.total.as_duration() + Duration::from_secs(END_GRACE_S_MAX)
}

/// The store is not the one in which the work was begun.
pub(crate) fn other_store(known: &InstallId, found: &InstallId) -> String {
    format!(
        "the host has another receipt store than the one known ({found} instead of {known}): \
         it was reinstalled, or its state folder was removed"
    )
}

/// Output on its way from a helper to a person.
pub(crate) struct Ear<'a> {
    pub(crate) order: &'a Order,
    pub(crate) progress: &'a Progress,
    pub(crate) heard: Heard,
}

impl<'a> Ear<'a> {
    pub(crate) fn new(order: &'a Order, progress: &'a Progress) -> Self {
        Self {
            order,
            progress,
            heard: Heard::new(),
        }
    }

    pub(crate) fn take(&mut self, bytes: &[u8]) {
        let fresh = self.heard.take(bytes);
        if !fresh.is_empty() {
            (self.progress)(&self.order.position, fresh);
        }
    }
}

/// Reads the answers to `Begin` or `Attach` until they lead somewhere.
pub(crate) async fn follow(
    live: &Live,
    exchange: &mut Exchange,
    ear: &mut Ear<'_>,
    begun: &mut Begun,
) -> Followed {
    let bound = Duration::from_secs(ANSWER_S_MAX);
    let mut answered = false;
    loop {
        let answer = if answered {
            exchange.next().await
        } else {
            let late = Err(ClientError::TimedOut {
                what: "an order",
                bound,
            });
            timeout(bound, exchange.next()).await.unwrap_or(late)
        };
        answered = true;
        match answer {
            Err(error) => return Followed::Cut(error),
            Ok(Answer::Data(bytes)) => ear.take(&bytes),
            Ok(Answer::Body(body)) => match *body {
                ResponseBody::Began { sequence, from } => {
                    *begun = Begun::Yes;
                    live.heard_sequence(sequence);
                    ear.heard.from(from);
                }
                ResponseBody::Ended(end) => return Followed::Ended(end),
                ResponseBody::Lost { why } => return Followed::Lost(why),
                ResponseBody::Refused(refusal) => return Followed::Refused(refusal),
                other => return Followed::Cut(unexpected(&other)),
            },
        }
    }
}

/// An answer that does not belong to the question.
pub(crate) fn unexpected(answer: &ResponseBody) -> ClientError {
    let text = format!("{answer:?}");
    ClientError::Protocol {
        why: format!(
            "unexpected answer {}",
            crate::ssh::printable(text.as_bytes(), 200)
        ),
    }
}

/// Carries out detached work, making lost connections again.
pub(crate) async fn run(
    link: &Arc<Link>,
    order: &Order,
    work: HostWork,
    redact: &[String],
    progress: &Progress,
) -> Outcome {
    let mut ear = Ear::new(order, progress);
    let mut begun = Begun::of(order);
    let mut store: Option<InstallId> = None;
    let deadline = deadline(order);
    // Connections in a row that brought nothing.
    let mut idle = 0;
    loop {
        let live = match link.live_again(begun.hope()).await {
            Ok(live) => live,
            Err(error) => return gave_up(begun, &error),
        };
        let found = &live.hello().install_id;
        let known = store.get_or_insert_with(|| found.clone());
        if begun > Begun::No && known != found {
            return unknown(other_store(known, found));
        }
        let (before, heard_before) = (begun, ear.heard.next());
        let request = match begun {
            Begun::Yes => attach(order, ear.heard.next()),
            Begun::No | Begun::Maybe => begin(order, work.clone(), redact),
        };
        let mut exchange = match live.client.open(request).await {
            Ok(exchange) => exchange,
            Err(error) if error.is_transient() => {
                link.forget(&live);
                continue;
            }
            Err(error) => return refused(begun, &error.to_string()),
        };
        begun = begun.max(Begun::Maybe);
        let followed = follow(&live, &mut exchange, &mut ear, &mut begun);
        match timeout_at(deadline, followed).await {
            Ok(Followed::Ended(end)) => return of_end(end, &ear.heard, &order.outputs),
            Ok(Followed::Lost(why)) => return unknown(lost_work(&why)),
            // Nobody could ask for its receipt when it was time; it is followed now, and its end is this one's.
            Ok(Followed::Refused(Refusal::StillAtWork { key })) if before == Begun::No => {
                let (order, begun) = (order.clone(), true);
                let order = Order {
                    key,
                    begun,
                    ..order
                };
                return Box::pin(run(link, &order, work, redact, progress)).await;
            }
            Ok(Followed::Refused(refusal)) => return refused(before, &refusal.to_string()),
            Ok(Followed::Cut(error)) if error.is_transient() => link.forget(&live),
            Ok(Followed::Cut(error)) => return unknown(error.to_string()),
            Err(_) => return unknown(no_end(order)),
        }
        if Instant::now() >= deadline {
            return unknown(no_end(order));
        }
        if (begun, ear.heard.next()) == (before, heard_before) {
            tokio::time::sleep(link.settings.back_off(idle)).await;
            idle += 1;
        } else {
            idle = 0;
        }
    }
}

/// The work was cut off on the target.
pub(crate) fn lost_work(why: &str) -> String {
    format!(
        "it began and was cut off: {}",
        crate::ssh::printable(why.as_bytes(), 400)
    )
}

fn no_end(order: &Order) -> String {
    format!(
        "its bound of {} has passed and the host did not say how it ended",
        order.limits.total
    )
}

/// What a refusal means depends on what was asked before.
pub(crate) fn refused(before: Begun, why: &str) -> Outcome {
    match before {
        Begun::No => not_begun(why),
        Begun::Maybe | Begun::Yes => unknown(format!("it may have begun, and then: {why}")),
    }
}

/// The connection was not made again within the budget, or never will be.
pub(crate) fn gave_up(begun: Begun, error: &ReachError) -> Outcome {
    out_of_sight(begun, &error.to_string())
}

/// Nothing more can be asked.
pub(crate) fn out_of_sight(begun: Begun, why: &str) -> Outcome {
    match begun {
        Begun::No => not_begun(why),
        Begun::Maybe => unknown(format!("it may have begun; then: {why}")),
        Begun::Yes => unknown(format!("it had begun; then: {why}")),
    }
}

/// The kept output of an attempt that ended, read again from its start.
pub(crate) async fn spool(client: &HelperClient, order: &Order) -> Heard {
    let mut heard = Heard::new();
    let read = async {
        let mut exchange = client.open(attach(order, 0)).await?;
        loop {
            match exchange.next().await? {
                Answer::Data(bytes) => {
                    heard.take(&bytes);
                }
                Answer::Body(body) => match *body {
                    ResponseBody::Began { from, .. } => heard.from(from),
                    _ => return Ok::<(), ClientError>(()),
                },
            }
        }
    };
    // What is lacking is lacking in words for a person only.
    let _incomplete = timeout(Duration::from_secs(SPOOL_S_MAX), read).await;
    heard
}
