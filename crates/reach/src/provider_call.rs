//! The call of a provider that a step consists of: what steps about machines, and about what belongs to
//! them, have in common.

use crate::detached::{self, Begun, out_of_sight};
use crate::link::Link;
use crate::settle;
use crate::ssh_reach::SshReach;
use overhaul_engine::ports::{MachineOrder, Order, Unbegun};
use overhaul_model::definition::{OutputFrom, Provider};
use overhaul_model::event::{Outcome, Settlement};
use overhaul_model::id::{AttemptKey, InstallId};
use overhaul_model::receipt::ReceiptStatus;
use overhaul_model::wire::{RequestBody, ResponseBody};
use std::sync::Arc;
use std::time::Duration;

/// The name under which the provider's answer comes from its receipt.
pub(crate) const ANSWER: &str = "answer";

/// A call that the controller's own helper makes.
pub(crate) struct ProviderCall<'a> {
    pub(crate) reach: &'a SshReach,
    /// The order, with the provider's answer wanted as a value.
    pub(crate) order: Order,
    pub(crate) about: MachineOrder,
}

impl<'a> ProviderCall<'a> {
    pub(crate) fn new(reach: &'a SshReach, order: &Order) -> Self {
        let mut order = order.clone();
        order.outputs = [(ANSWER.to_owned(), OutputFrom::Stdout)].into();
        Self {
            reach,
            about: order.machine.clone().unwrap_or_default(),
            order,
        }
    }

    /// The controller's own helper, and whether it has begun the attempt; or how the attempt ended, which
    /// cannot be seen.
    pub(crate) async fn looked_up(&self) -> Result<(&'a Arc<Link>, bool), Outcome> {
        let unseen = |why: String| out_of_sight(Begun::of(&self.order), &why);
        let near = self
            .reach
            .near()
            .map_err(|error| unseen(error.to_string()))?;
        let begun = is_begun(near, &self.order).await.map_err(unseen)?;
        Ok((near, begun))
    }

    /// What the receipt of an earlier attempt says. Its end is still to be proven: [`settled_as`].
    pub(crate) async fn settled(
        &self,
        install_id: &InstallId,
        known_sequence: u64,
        unbegun: Unbegun,
    ) -> Settlement {
        let near = match self.reach.near() {
            Ok(near) => near,
            Err(error) => {
                return Settlement::Unknown {
                    reason: error.to_string(),
                };
            }
        };
        let (data, known) = (self.reach.data(), (install_id, known_sequence));
        settle::settle(near, data, &self.order, known, unbegun).await
    }

    pub(crate) fn provider(&self) -> Result<&Provider, String> {
        let provider = self.about.provider.as_ref();
        provider.ok_or_else(|| "the plan names no provider for it".to_owned())
    }

    /// What the provider knows the call by, the same for each time that it is made.
    pub(crate) fn token(&self) -> &AttemptKey {
        self.about.token.as_ref().unwrap_or(&self.order.key)
    }
}

/// What an attempt comes to whose end was proven.
pub(crate) fn settled_as(proven: Outcome) -> Settlement {
    match proven {
        Outcome::Unknown { reason } => Settlement::Unknown { reason },
        outcome => Settlement::Ended(outcome),
    }
}

/// Whether the controller's helper has begun an attempt.
async fn is_begun(near: &Arc<Link>, order: &Order) -> Result<bool, String> {
    let key = order.key.clone();
    let bound = Duration::from_secs(detached::ANSWER_S_MAX);
    let asked = near.ask("a receipt", RequestBody::Receipt { key }, bound);
    match asked.await.map_err(|error| error.to_string())?.1 {
        ResponseBody::Receipt(status) => Ok(status != ReceiptStatus::Absent),
        other => Err(detached::unexpected(&other).to_string()),
    }
}
