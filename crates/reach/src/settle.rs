//! What a target's receipt says of an attempt that an earlier controller, or this one, lost sight of.

use crate::carry::of_restore;
use crate::client::HelperClient;
use crate::data_file::{digest_of, path_of};
use crate::detached::{ANSWER_S_MAX, lost_work, other_store, spool, unexpected};
use crate::link::{Hope, Link};
use crate::outcome::{failed, is_success, of_end, of_fetch, words};
use crate::stream::after_cut;
use overhaul_engine::ports::{Order, Unbegun};
use overhaul_model::event::{Outcome, Settlement};
use overhaul_model::id::InstallId;
use overhaul_model::primitive::{Fetch, Primitive};
use overhaul_model::receipt::{ReceiptBegin, ReceiptEnd, ReceiptStatus};
use overhaul_model::wire::{RequestBody, ResponseBody};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Why a stream has not gone on.
const STREAM_LOST: &str = "the controller that streamed its data is gone";

/// Why an archive that the host sent whole is not here.
const NOT_TAKEN: &str = "the host sent the archive, but the controller that received it is gone; \
                         what it has of it is taken up by the next attempt";

/// Whether work of which a part was done has failed for certain: what came is not taken for whole,
/// neither here nor there.
fn is_harmless(work: &Primitive) -> bool {
    matches!(
        work,
        Primitive::Fetch(_) | Primitive::Persist(_) | Primitive::Restore(_) | Primitive::Receive(_)
    )
}

pub(crate) async fn settle(
    link: &Arc<Link>,
    data: &Path,
    order: &Order,
    known: (&InstallId, u64),
    unbegun: Unbegun,
) -> Settlement {
    let asked = ask(link, order, known, unbegun).await;
    let (client, status) = match asked {
        Ok(asked) => asked,
        Err(reason) => return Settlement::Unknown { reason },
    };
    let begin = match &status {
        ReceiptStatus::Absent => return Settlement::NeverBegan,
        ReceiptStatus::Running { begin, .. }
        | ReceiptStatus::Ended { begin, .. }
        | ReceiptStatus::Lost { begin, .. } => begin,
    };
    if let Some(reason) = another_step(begin, order) {
        return Settlement::Unknown { reason };
    }
    let settled = match status {
        // Work that streams cannot be attached to: it is ended and counts as cut.
        ReceiptStatus::Running { .. } => match &order.work {
            work if is_harmless(work) => after_cut(&client, order, STREAM_LOST, true).await,
            Primitive::Feed(_) => after_cut(&client, order, STREAM_LOST, false).await,
            _ => return Settlement::Running,
        },
        ReceiptStatus::Ended { end, .. } => match &order.work {
            Primitive::Fetch(fetch) => fetched(&client, data, order, fetch, end).await,
            Primitive::Persist(_) if is_success(&end.end) => {
                failed(NOT_TAKEN, String::new(), Some(end.end))
            }
            Primitive::Restore(_) | Primitive::Receive(_) => {
                of_restore(end, &spool(&client, order).await)
            }
            _ => of_end(end, &spool(&client, order).await, &order.outputs),
        },
        ReceiptStatus::Lost { why, .. } => match &order.work {
            work if is_harmless(work) => after_cut(&client, order, STREAM_LOST, true).await,
            _ => Outcome::Unknown {
                reason: lost_work(&why),
            },
        },
        ReceiptStatus::Absent => return Settlement::NeverBegan,
    };
    match settled {
        Outcome::Unknown { reason } => Settlement::Unknown { reason },
        outcome => Settlement::Ended(outcome),
    }
}

/// The receipt, if the store is the one that the journal knows and is whole. The helper is started
/// anew, so that its greeting is of this moment.
async fn ask(
    link: &Arc<Link>,
    order: &Order,
    (install_id, known_sequence): (&InstallId, u64),
    unbegun: Unbegun,
) -> Result<(HelperClient, ReceiptStatus), String> {
    let live = link
        .live_again(Hope::UnderWay)
        .await
        .map_err(|e| e.to_string())?;
    let client = link.serve(&live).await.map_err(|e| e.to_string())?;
    let hello = client.hello();
    if hello.install_id != *install_id {
        return Err(other_store(install_id, &hello.install_id));
    }
    let known = known_sequence.max(live.sequence());
    let back = (hello.sequence < known).then(|| {
        format!(
            "the host's receipt store went back in time: its last number is {} and {known} was seen \
             before; was a snapshot restored?",
            hello.sequence
        )
    });
    let request = match unbegun {
        Unbegun::Refuse => rule_out(order),
        Unbegun::Leave => RequestBody::Receipt {
            key: order.key.clone(),
        },
    };
    let bound = Duration::from_secs(ANSWER_S_MAX);
    let answer = client.ask("a receipt", request, bound).await;
    if let Some(why) = back {
        // It was asked all the same: a request that is still on its way must not begin what is unknown now.
        return Err(why);
    }
    match answer.map_err(|e| format!("{}: {e}", link.host()))? {
        ResponseBody::Receipt(status) => Ok((client, status)),
        ResponseBody::Refused(refusal) => Err(format!(
            "the host has no receipt of it, and cannot rule it out: {refusal}"
        )),
        other => Err(unexpected(&other).to_string()),
    }
}

/// Asks what became of an attempt. A request for it may still be on its way, over a connection that broke: one
/// that is told as never begun is refused from then on.
pub(crate) fn rule_out(order: &Order) -> RequestBody {
    RequestBody::RuleOut {
        generation: order.generation.clone(),
        key: order.key.clone(),
    }
}

fn another_step(begin: &ReceiptBegin, order: &Order) -> Option<String> {
    (begin.step != order.step).then(|| {
        format!(
            "the receipt of this attempt is of another step than the plan's ({} instead of {})",
            begin.step.short(),
            order.step.short()
        )
    })
}

/// The command ended; whether its whole output is a file here decides.
async fn fetched(
    client: &HelperClient,
    data: &Path,
    order: &Order,
    fetch: &Fetch,
    end: ReceiptEnd,
) -> Outcome {
    if !is_success(&end.end) {
        let said = spool(client, order).await.tail();
        return failed(words(&end.end), said, Some(end.end));
    }
    let found = match path_of(data, &fetch.file) {
        Ok(path) => digest_of(path).await.ok(),
        Err(_) => None,
    };
    match found {
        Some((digest, bytes)) if end.sha256.as_ref() == Some(&digest) => {
            of_fetch(&end, digest.as_str(), bytes, &fetch.file)
        }
        _ => failed(
            "the command ended well, but its output did not all come to the controller",
            String::new(),
            Some(end.end),
        ),
    }
}
