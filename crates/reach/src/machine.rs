//! Work on machines: the right one is asserted, its provider called, and what stands there afterwards
//! proven.

mod beside;

use crate::detached;
use crate::link::{Hope, Link};
use crate::outcome::{failed, not_begun};
use crate::provider::{self, Answer, EXIT_NOT_BEGUN, State};
use crate::provider_call::{ANSWER, ProviderCall, settled_as};
use crate::ssh_reach::SshReach;
use overhaul_engine::ports::{Order, Progress, Unbegun};
use overhaul_model::belonging::Which;
use overhaul_model::event::{Outcome, Settlement};
use overhaul_model::facts::FactsWanted;
use overhaul_model::id::{HostName, InstallId};
use overhaul_model::machine::Machine;
use overhaul_model::primitive::{Exec, MachineAct, MachineOp, Measure, Measurement};
use overhaul_model::receipt::WorkEnd;
use overhaul_model::span::Span;
use overhaul_model::wire::{HostWork, RequestBody, ResponseBody};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Why nothing can be asserted of a machine, or told apart from it.
const UNKNOWN_MACHINE: &str =
    "it is not known which machine the plan was made for: its machine id was not measured";

/// Facts of a machine that has just booted.
const FACTS_S_MAX: u64 = 120;
/// A measure on a machine that is about to go.
const MEASURE_S_MAX: u64 = 30;
/// Between two looks whether a new machine answers.
const LOOK_MS: u64 = 2_000;
/// How long another host key than the one that was told is borne: the old machine may still answer for a
/// moment, and first boots make their keys late.
const OTHER_KEY_S_MAX: u64 = 120;

/// One step about a machine.
pub(crate) struct MachineWork<'a> {
    pub(crate) call: ProviderCall<'a>,
    act: &'a MachineAct,
}

impl<'a> MachineWork<'a> {
    pub(crate) fn new(reach: &'a SshReach, order: &Order, act: &'a MachineAct) -> Self {
        Self {
            call: ProviderCall::new(reach, order),
            act,
        }
    }

    /// Carries it out, or goes on with it where an earlier controller left it.
    pub(crate) async fn run(&self, progress: &Progress) -> Outcome {
        if self.act.op == MachineOp::Prove {
            if self.call.about.expected.is_none() {
                return not_begun(UNKNOWN_MACHINE);
            }
            let outcome = match self.act.takes_over() {
                true => self.taken_over(progress).await,
                false => self.proven(&Answer::default(), progress).await,
            };
            return outcome.unwrap_or_else(not_begun);
        }
        let (near, begun) = match self.call.looked_up().await {
            Ok(found) => found,
            Err(unseen) => return unseen,
        };
        if !begun {
            match self.may_begin(progress).await {
                Ok(None) => {}
                Ok(Some(already)) => return already,
                Err(why) => return not_begun(why),
            }
        }
        let work = match self.work() {
            Ok(work) => work,
            Err(why) => return not_begun(why),
        };
        let ended = detached::run(near, &self.call.order, work, &[], progress).await;
        self.after(ended, progress).await
    }

    /// What the receipt of an earlier attempt says, the proof included.
    pub(crate) async fn settle(
        &self,
        install_id: &InstallId,
        known_sequence: u64,
        unbegun: Unbegun,
    ) -> Settlement {
        let settled = self.call.settled(install_id, known_sequence, unbegun).await;
        let Settlement::Ended(outcome) = settled else {
            return settled;
        };
        let quiet: Progress = Arc::new(|_, _| {});
        settled_as(self.after(outcome, &quiet).await)
    }

    fn work(&self) -> Result<HostWork, String> {
        let provider = self.call.provider()?;
        let script = provider::program(provider)?;
        let (token, known) = (self.call.token(), self.call.about.known.as_ref());
        let request = provider::request(provider, self.act.op, self.act, token.as_str(), known);
        Ok(HostWork::Exec(provider::exec(&script, request)))
    }

    async fn described(&self) -> Result<Answer, String> {
        let known = self.call.about.known.as_ref();
        provider::describe(self.call.provider()?, self.act, known).await
    }

    /// What stands against it, or the outcome where it is so already.
    async fn may_begin(&self, progress: &Progress) -> Result<Option<Outcome>, String> {
        let own = self.act.which == Which::Own;
        match self.act.op {
            MachineOp::Describe | MachineOp::Prove => Ok(None),
            MachineOp::Rename | MachineOp::Unprotect => beside::named(self).await,
            MachineOp::Create if !own => beside::free(self).await,
            MachineOp::Create => Ok(None),
            MachineOp::Start => beside::not_replaced(self).await.map(|()| None),
            MachineOp::Rebuild | MachineOp::Stop | MachineOp::Destroy if !own => {
                beside::harmed(self).await
            }
            MachineOp::Rebuild | MachineOp::Stop | MachineOp::Destroy => {
                self.right_one(progress).await.map(|()| None)
            }
        }
    }

    /// The machine that would be harmed is the one that is meant.
    async fn right_one(&self, progress: &Progress) -> Result<(), String> {
        let about = &self.call.about;
        let told = self.described().await?;
        // Switched off by this run, after it was asserted: it cannot be asked again.
        let proven = about
            .known
            .as_ref()
            .and_then(|known| known.identity.as_ref());
        if told.state == State::Stopped && proven == Some(&told.identity) {
            return Ok(());
        }
        if told.state == State::Absent {
            return Err(format!(
                "the provider knows no machine {}",
                self.act.machine
            ));
        }
        let expected = about.expected.as_ref().ok_or(UNKNOWN_MACHINE)?;
        let link = self
            .call
            .reach
            .link(&self.call.order.host)
            .map_err(|e| e.to_string())?;
        let found = machine_id(&link).await?;
        if found != *expected {
            return Err(format!(
                "this is not the machine that the plan was made for: its machine id is {found}, not {expected}; nothing was changed"
            ));
        }
        let host = &self.call.order.host;
        same_to_provider(self.call.reach, host, &self.act.machine, &told, &found).await?;
        let line = format!(
            "the right machine is asserted: {found} is {} to its provider\n",
            told.identity
        );
        progress(&self.call.order.position, line.as_bytes());
        Ok(())
    }

    /// From the end of the provider's call to what is certain.
    async fn after(&self, ended: Outcome, progress: &Progress) -> Outcome {
        let text = match answered(ended) {
            Ok(text) => text,
            Err(other) => return other,
        };
        let proven = match Answer::parse(&text) {
            Ok(answer) => self.proven(&answer, progress).await,
            Err(why) => Err(why),
        };
        proven.unwrap_or_else(|why| failed(why, String::new(), Some(EXITED)))
    }

    /// What stands under the name now is what the step is for.
    async fn proven(&self, answer: &Answer, progress: &Progress) -> Result<Outcome, String> {
        let op = self.act.op;
        let gone = matches!(op, MachineOp::Stop | MachineOp::Destroy);
        let wanted = match op {
            MachineOp::Destroy => Some(State::Absent),
            MachineOp::Stop => Some(State::Stopped),
            MachineOp::Rebuild | MachineOp::Create | MachineOp::Start => Some(State::Running),
            MachineOp::Describe | MachineOp::Rename | MachineOp::Unprotect | MachineOp::Prove => {
                None
            }
        };
        if wanted.is_some_and(|wanted| wanted != answer.state) {
            return Err(format!(
                "the provider ended well and says that the machine is {:?}",
                answer.state
            ));
        }
        beside::as_meant(self, answer)?;
        let machine_id = match (op, gone) {
            (MachineOp::Describe | MachineOp::Rename | MachineOp::Unprotect, _) => {
                answer.machine_id.clone()
            }
            (_, true) => self.call.about.expected.clone(),
            _ => Some(self.answers(&answer.machine(None), progress).await?),
        };
        let machine = answer.machine(machine_id);
        let evidence = match &machine.machine_id {
            Some(id) if op.makes_new() => format!("a new machine answers, machine id {id}"),
            Some(id) => format!("machine id {id}"),
            None => "the provider did it".to_owned(),
        };
        Ok(Outcome::Succeeded {
            changed: op != MachineOp::Describe,
            outputs: machine.outputs(),
            evidence,
            unsynced: None,
        })
    }

    /// Waits until the machine answers behind the host keys that were told, and gives its machine id.
    async fn answers(&self, machine: &Machine, progress: &Progress) -> Result<String, String> {
        let host = &self.call.order.host;
        let own = self.act.which == Which::Own;
        let new = self.act.op.makes_new() && !self.act.takes_over();
        let began = Instant::now();
        let within = self.act.answers_within.as_duration();
        progress(
            &self.call.order.position,
            b"waiting until the machine answers\n",
        );
        let mut other_key_since = None;
        loop {
            // Its own each time: known hosts may have been changed by a person meanwhile.
            let link = match own {
                true => self.call.reach.link_to(host, machine),
                false => self.call.reach.link_beside(host, machine),
            };
            let link = link.map_err(|e| e.to_string())?;
            let why = match self.look(&link).await {
                Ok(id) if new && self.call.about.expected.as_ref() == Some(&id) => {
                    format!("it still has the machine id of the old machine, {id}")
                }
                Ok(id) => match &self.call.about.expected {
                    Some(expected) if !new && *expected != id => {
                        return Err(format!("another machine answers: {id}, not {expected}"));
                    }
                    _ => return Ok(id),
                },
                Err((why, about_key)) => {
                    let since = *other_key_since.get_or_insert_with(Instant::now);
                    if !about_key {
                        other_key_since = None;
                    } else if since.elapsed() > Duration::from_secs(OTHER_KEY_S_MAX) {
                        return Err(why);
                    }
                    why
                }
            };
            link.leave().await;
            if began.elapsed() >= within {
                return Err(format!(
                    "no new machine answered within {}: {why}",
                    self.act.answers_within
                ));
            }
            sleep(Duration::from_millis(LOOK_MS)).await;
        }
    }

    async fn look(&self, link: &Arc<Link>) -> Result<String, (String, bool)> {
        let deadline = Instant::now() + self.call.reach.connect_bound();
        match link.live_until(deadline, Hope::Usual).await {
            Ok(_) => machine_id(link).await.map_err(|why| (why, false)),
            Err(error) => Err((error.to_string(), error.is_about_host_key())),
        }
    }
}

/// The end of a call that went well.
pub(crate) const EXITED: WorkEnd = WorkEnd::Exited {
    code: 0,
    success: true,
};

/// What a provider wrote at the end of a call that went well; otherwise the outcome.
pub(crate) fn answered(ended: Outcome) -> Result<String, Outcome> {
    match ended {
        Outcome::Succeeded { outputs, .. } => {
            let text = outputs.get(ANSWER).and_then(|text| text.as_str());
            Ok(text.unwrap_or_default().to_owned())
        }
        Outcome::Failed {
            tail,
            end:
                Some(WorkEnd::Exited {
                    code: EXIT_NOT_BEGUN,
                    ..
                }),
            ..
        } => Err(Outcome::Failed {
            why: "the provider could not, and changed nothing".to_owned(),
            tail,
            end: None,
        }),
        other => Err(other),
    }
}

/// What the provider calls by this name is the machine that we are connected with.
pub(crate) async fn same_to_provider(
    reach: &SshReach,
    host: &HostName,
    machine: &str,
    told: &Answer,
    found: &str,
) -> Result<(), String> {
    if told.machine_id.is_none() && told.product_uuid.is_none() {
        return Err("the provider tells neither machine_id nor product_uuid of it, and its word alone harms no machine".to_owned());
    }
    if let Some(id) = &told.machine_id
        && id != found
    {
        return Err(format!(
            "the provider means another machine by {machine}: {id}, not {found}; nothing was changed"
        ));
    }
    let Some(uuid) = &told.product_uuid else {
        return Ok(());
    };
    let script = r#"test "$(tr A-F a-f </sys/class/dmi/id/product_uuid)" = "$1""#;
    let uuid = uuid.to_ascii_lowercase();
    let same = Exec::argv(["/bin/sh", "-c", script, "sh", uuid.as_str()]);
    let within = Span::from_s(MEASURE_S_MAX);
    match reach.measure_at(host, Measure::Command(same), within).await {
        Measurement::So { .. } => Ok(()),
        other => Err(format!(
            "the provider means the machine with the UUID {uuid} by {machine}, and its firmware does not say so ({}); nothing was changed",
            other.words()
        )),
    }
}

/// The machine id of the host behind a connection, measured now.
pub(crate) async fn machine_id(link: &Arc<Link>) -> Result<String, String> {
    let body = RequestBody::Facts {
        wanted: FactsWanted::default(),
        controller_now: jiff::Timestamp::now(),
    };
    let bound = Duration::from_secs(FACTS_S_MAX);
    match link
        .ask("facts", body, bound)
        .await
        .map_err(|e| e.to_string())?
        .1
    {
        ResponseBody::Facts(facts) => facts
            .machine_id
            .value()
            .cloned()
            .ok_or_else(|| format!("{}: its machine id cannot be read", link.host())),
        other => Err(detached::unexpected(&other).to_string()),
    }
}
