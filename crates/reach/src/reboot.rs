//! A reboot: ordered over one connection, proven over another.

use crate::detached::{
    Begun, Ear, Followed, attach, begin, follow, gave_up, lost_work, other_store, out_of_sight,
    refused,
};
use crate::error::ReachError;
use crate::link::{Link, Live};
use crate::outcome::{failed, of_end, unknown};
use overhaul_engine::ports::{Order, Progress};
use overhaul_model::event::Outcome;
use overhaul_model::primitive::Reboot;
use overhaul_model::receipt::ReceiptStatus;
use overhaul_model::wire::{HostWork, RequestBody, ResponseBody};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// Between two looks whether the host is there: short beside any boot.
const LOOK_MS: u64 = 1_000;
/// How long a host that is there may take to accept a connection.
const ACCEPT_MS_MAX: u64 = 2_000;
/// One look: a host that is booting lets people in slowly.
const LOOK_S_MAX: u64 = 60;
/// How long a helper may take to look up a receipt.
const RECEIPT_S_MAX: u64 = 20;

/// Orders the reboot and waits until the host's receipt proves it.
pub(crate) async fn run(
    link: &Arc<Link>,
    order: &Order,
    reboot: &Reboot,
    redact: &[String],
    progress: &Progress,
) -> Outcome {
    let before = Begun::of(order);
    let live = match link.live_again(before.hope()).await {
        Ok(live) => live,
        Err(error) => return gave_up(before, &error),
    };
    let request = match before {
        Begun::Yes => attach(order, 0),
        Begun::No | Begun::Maybe => begin(order, HostWork::Reboot(reboot.clone()), redact),
    };
    let mut exchange = match live.client.open(request).await {
        Ok(exchange) => exchange,
        Err(error) => return out_of_sight(before, &error.to_string()),
    };
    let mut begun = before.max(Begun::Maybe);
    let mut ear = Ear::new(order, progress);
    let deadline = Instant::now() + reboot.back_within.as_duration();
    let followed = {
        let followed = follow(&live, &mut exchange, &mut ear, &mut begun);
        tokio::select! {
            followed = followed => Some(followed),
            () = went_down(link) => None,
            () = sleep_until(deadline) => None,
        }
    };
    match followed {
        Some(Followed::Ended(end)) => return of_end(end, &ear.heard, &order.outputs),
        Some(Followed::Refused(refusal)) => return refused(before, &refusal.to_string()),
        Some(Followed::Lost(why)) => return unknown(lost_work(&why)),
        Some(Followed::Cut(_)) | None => {}
    }
    link.forget(&live);
    drop(exchange);
    let back = Back {
        link,
        order,
        before: live,
        begun,
        back_within: reboot.back_within.to_string(),
    };
    back.wait(deadline, &ear).await
}

/// Waits until the host does not accept connections any more: a host that goes down by a hard
/// reset says no goodbye.
async fn went_down(link: &Link) {
    loop {
        sleep(Duration::from_millis(LOOK_MS)).await;
        if accepts(link).await == Some(false) {
            return;
        }
    }
}

/// `None`: nobody can tell without logging in.
async fn accepts(link: &Link) -> Option<bool> {
    link.accepts(Duration::from_millis(ACCEPT_MS_MAX)).await
}

/// The wait for the host's return.
struct Back<'a> {
    link: &'a Arc<Link>,
    order: &'a Order,
    before: Arc<Live>,
    begun: Begun,
    back_within: String,
}

/// What was seen last.
enum Seen {
    Nothing(String),
    SameBoot,
}

impl Back<'_> {
    async fn wait(&self, deadline: Instant, ear: &Ear<'_>) -> Outcome {
        // Looked at once at least, also when the order itself took all the time.
        let seen = loop {
            let seen = if accepts(self.link).await != Some(false) {
                let bound = Duration::from_secs(LOOK_S_MAX);
                match timeout(bound, self.look(ear)).await {
                    Ok(Ok(outcome)) => return outcome,
                    Ok(Err(seen)) => seen,
                    Err(_) => Seen::Nothing(format!("it lets nobody in within {bound:?}")),
                }
            } else {
                Seen::Nothing("it does not accept connections".to_owned())
            };
            if Instant::now() >= deadline {
                break seen;
            }
            sleep(Duration::from_millis(LOOK_MS)).await;
        };
        match seen {
            Seen::Nothing(why) => unknown(format!(
                "the host was not back within {} of the order to reboot: {why}",
                self.back_within
            )),
            Seen::SameBoot => failed(
                format!(
                    "the host still runs under the same boot {} after the order to reboot",
                    self.back_within
                ),
                ear.heard.tail(),
                None,
            ),
        }
    }

    /// The outcome, when the host's receipt tells it by now.
    async fn look(&self, ear: &Ear<'_>) -> Result<Outcome, Seen> {
        let live = match self.link.live().await {
            Ok(live) => live,
            Err(error) => return self.not_let_in(&error),
        };
        let (known, found) = (&self.before.hello().install_id, &live.hello().install_id);
        if known != found {
            return Ok(unknown(other_store(known, found)));
        }
        let request = RequestBody::Receipt {
            key: self.order.key.clone(),
        };
        let bound = Duration::from_secs(RECEIPT_S_MAX);
        match live.client.ask("a receipt", request, bound).await {
            Ok(ResponseBody::Receipt(status)) => match status {
                ReceiptStatus::Ended { end, .. } => {
                    Ok(of_end(end, &ear.heard, &self.order.outputs))
                }
                ReceiptStatus::Running { .. } => Err(Seen::SameBoot),
                ReceiptStatus::Lost { why, .. } => Ok(unknown(lost_work(&why))),
                // The helper that got the order may still be about to write its receipt.
                ReceiptStatus::Absent if self.begun == Begun::Maybe => Ok(unknown(
                    "the connection was lost as the reboot was ordered, and no receipt tells more",
                )),
                ReceiptStatus::Absent => Ok(unknown(
                    "the host's receipt store has lost the reboot's receipt",
                )),
            },
            Ok(other) => Ok(unknown(crate::detached::unexpected(&other).to_string())),
            Err(error) => {
                self.link.forget(&live);
                Err(Seen::Nothing(error.to_string()))
            }
        }
    }

    /// A host that is booting refuses people for many reasons that pass; another host key does not.
    fn not_let_in(&self, error: &ReachError) -> Result<Outcome, Seen> {
        if error.is_about_host_key() {
            return Ok(unknown(format!("after the order to reboot: {error}")));
        }
        Err(Seen::Nothing(error.to_string()))
    }
}
