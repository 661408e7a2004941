//! Work on volumes and addresses: what is so already is left alone, the right thing and the right machine
//! are asserted, the provider is called, and its answer says where the thing is now.

use crate::detached;
use crate::machine::{EXITED, answered, machine_id, same_to_provider};
use crate::outcome::{failed, not_begun};
use crate::provider::{self, ADDRESS_BYTES_MAX, Answer, CONTRACT, WORD_BYTES_MAX, is_word, parsed};
use crate::provider_call::{ProviderCall, settled_as};
use crate::ssh_reach::SshReach;
use overhaul_engine::ports::{Order, Progress, Unbegun};
use overhaul_model::belonging::{Belonging, BelongingAct, BelongingOp, Which};
use overhaul_model::event::{Outcome, Settlement};
use overhaul_model::id::InstallId;
use overhaul_model::machine::Machine;
use overhaul_model::primitive::{MachineAct, MachineOp};
use overhaul_model::wire::HostWork;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Longest path of a device: those by identity have some 80 characters.
const DEVICE_BYTES_MAX: usize = 255;

/// Where a volume or an address is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Place {
    /// With a machine.
    Attached,
    /// With none.
    Free,
    /// There is none of this name.
    #[default]
    Absent,
}

/// What a provider knows of a volume or an address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
struct Told {
    /// Its own name for it, which no other one ever had.
    #[serde(default)]
    identity: String,
    state: Place,
    /// The identity of the machine that has it.
    #[serde(default)]
    machine: Option<String>,
    /// Of a volume: the device as which the machine sees it.
    #[serde(default)]
    device: Option<String>,
    /// Of an address: itself.
    #[serde(default)]
    address: Option<String>,
}

impl Told {
    fn parse(text: &str) -> Result<Self, String> {
        let told: Self = parsed(text)?;
        for word in told.machine.iter().chain([&told.identity]) {
            if !is_word(word, WORD_BYTES_MAX) {
                return Err("an identity in the provider's answer is no plain word".to_owned());
            }
        }
        if told.identity.is_empty() && told.state != Place::Absent {
            return Err("the provider's answer names no identity of it".to_owned());
        }
        if told.state == Place::Attached && told.machine.as_ref().is_none_or(String::is_empty) {
            return Err("the provider's answer does not say which machine has it".to_owned());
        }
        if let Some(device) = &told.device
            && (!device.starts_with("/dev/")
                || device.contains("/../")
                || !is_word(device, DEVICE_BYTES_MAX))
        {
            return Err("the device in the provider's answer is none".to_owned());
        }
        if let Some(address) = &told.address
            && (address.starts_with('-') || !is_word(address, ADDRESS_BYTES_MAX))
        {
            return Err("the address in the provider's answer is no address".to_owned());
        }
        Ok(told)
    }

    fn is_with(&self, machine: &str) -> bool {
        self.state == Place::Attached && self.machine.as_deref() == Some(machine)
    }

    fn words(&self) -> String {
        match (self.state, &self.machine) {
            (Place::Attached, Some(machine)) => format!("with {machine}"),
            (Place::Attached, None) => "with some machine".to_owned(),
            (Place::Free, _) => "with no machine".to_owned(),
            (Place::Absent, _) => "not there".to_owned(),
        }
    }

    fn outputs(&self) -> BTreeMap<String, Value> {
        let texts = [
            ("identity", Some(&self.identity)),
            ("machine", self.machine.as_ref()),
            ("device", self.device.as_ref()),
            ("address", self.address.as_ref()),
        ];
        let told = texts.into_iter().filter_map(|(name, text)| {
            let text = text.filter(|text| !text.is_empty())?;
            Some((name.to_owned(), Value::from(text.clone())))
        });
        told.collect()
    }
}

/// One step about a volume or an address.
pub(crate) struct BelongingWork<'a> {
    call: ProviderCall<'a>,
    act: &'a BelongingAct,
}

impl<'a> BelongingWork<'a> {
    pub(crate) fn new(reach: &'a SshReach, order: &Order, act: &'a BelongingAct) -> Self {
        Self {
            call: ProviderCall::new(reach, order),
            act,
        }
    }

    /// Carries it out, or goes on with it where an earlier controller left it.
    pub(crate) async fn run(&self, progress: &Progress) -> Outcome {
        let (near, begun) = match self.call.looked_up().await {
            Ok(found) => found,
            Err(unseen) => return unseen,
        };
        let machine = match self.machine().await {
            Ok(machine) => machine,
            // What runs is followed; its end says what is certain.
            Err(_) if begun => String::new(),
            Err(why) => return not_begun(why),
        };
        if !begun {
            match self.may_begin(&machine).await {
                Ok(None) => {}
                Ok(Some(already)) => return already,
                Err(why) => return not_begun(why),
            }
        }
        let work = match self.work(&machine) {
            Ok(work) => work,
            Err(why) => return not_begun(why),
        };
        let ended = detached::run(near, &self.call.order, work, &[], progress).await;
        self.after(ended).await
    }

    /// What the receipt of an earlier attempt says, the proof included.
    pub(crate) async fn settle(
        &self,
        install_id: &InstallId,
        known_sequence: u64,
        unbegun: Unbegun,
    ) -> Settlement {
        match self.call.settled(install_id, known_sequence, unbegun).await {
            Settlement::Ended(outcome) => settled_as(self.after(outcome).await),
            other => other,
        }
    }

    /// The machine that it comes to or leaves, by its name; it has the identity that this run was told of it.
    async fn by_name(&self) -> Result<Answer, String> {
        let about = MachineAct {
            provider: Some(self.act.provider.clone()),
            op: MachineOp::Describe,
            machine: self.act.machine.clone(),
            which: self.act.which,
            other: None,
            image: None,
            params: BTreeMap::new(),
            answers_within: MachineAct::ANSWERS_WITHIN_DEFAULT,
        };
        let known = self.call.about.known.as_ref();
        let told = provider::describe(self.call.provider()?, &about, known).await?;
        if told.identity.is_empty() {
            return Err(format!(
                "the provider knows no machine {}",
                self.act.machine
            ));
        }
        let meant = known.and_then(|known| known.identity.as_ref());
        if let Some(meant) = meant
            && *meant != told.identity
        {
            return Err(format!(
                "{} is {} to the provider, and {meant} is meant; nothing was changed",
                self.act.machine, told.identity
            ));
        }
        if self.act.which != Which::Own {
            meant.ok_or("no step of this run told which machine that is: nothing was changed")?;
        }
        Ok(told)
    }

    /// Its identity, proven to be that of the host whose turn it is.
    async fn machine(&self) -> Result<String, String> {
        let told = self.by_name().await?;
        if self.act.which == Which::Own && self.act.op != BelongingOp::Describe {
            let host = &self.call.order.host;
            let link = self.call.reach.link(host).map_err(|e| e.to_string())?;
            let found = machine_id(&link).await?;
            if let Some(expected) = self.call.about.expected.as_ref().filter(|id| **id != found) {
                return Err(format!(
                    "this is not the machine that is meant: its machine id is {found}, not {expected}; nothing was changed"
                ));
            }
            same_to_provider(self.call.reach, host, &self.act.machine, &told, &found).await?;
        }
        Ok(told.identity)
    }

    async fn described(&self) -> Result<Told, String> {
        let request = self.request(BelongingOp::Describe, "", "");
        Told::parse(&provider::told(self.call.provider()?, &request).await?)
    }

    /// What stands against it, or the outcome where it is so already.
    async fn may_begin(&self, machine: &str) -> Result<Option<Outcome>, String> {
        let told = self.described().await?;
        let (kind, name) = (self.act.kind.word(), &self.act.name);
        if self.act.op == BelongingOp::Create {
            return match told.state {
                Place::Absent => Ok(None),
                _ if self.is_again() => Ok(None),
                _ => Err(format!(
                    "there is a {kind} {name} already ({}); nothing was changed",
                    told.identity
                )),
            };
        }
        if told.state == Place::Absent {
            return Err(format!("the provider knows no {kind} {name}"));
        }
        self.is_meant(&told)?;
        match self.act.op {
            BelongingOp::Describe | BelongingOp::Create => self.is_where_it_should(&told, machine),
            BelongingOp::Attach if told.is_with(machine) => Ok(Some(already(&told))),
            BelongingOp::Detach if told.state == Place::Free => Ok(Some(already(&told))),
            BelongingOp::Detach if told.is_with(machine) => Ok(None),
            BelongingOp::Attach if told.state == Place::Free => Ok(None),
            BelongingOp::Attach if self.may_lose(&told).await? => Ok(None),
            BelongingOp::Attach | BelongingOp::Detach => Err(format!(
                "the {kind} {name} is {}, not with {} ({machine}); nothing was changed",
                told.words(),
                self.act.machine
            )),
        }
    }

    /// A volume that will be moved must be with the machine that it is taken from.
    fn is_where_it_should(&self, told: &Told, machine: &str) -> Result<Option<Outcome>, String> {
        if self.act.kind == Belonging::Volume && !told.is_with(machine) {
            return Err(format!(
                "the volume {} is {}, not with {} ({machine})",
                self.act.name,
                told.words(),
                self.act.machine
            ));
        }
        Ok(Some(already(told)))
    }

    /// Whether the call is made again, because nobody knows the end of an earlier one.
    fn is_again(&self) -> bool {
        let token = self.call.about.token.as_ref();
        token.is_some_and(|token| *token != self.call.order.key)
    }

    fn is_meant(&self, told: &Told) -> Result<(), String> {
        match &self.act.expect {
            Some(meant) if *meant != told.identity => Err(format!(
                "the {} {} is {} to the provider, and {meant} is meant; nothing was changed",
                self.act.kind.word(),
                self.act.name,
                told.identity
            )),
            _ => Ok(()),
        }
    }

    /// A volume is taken from nobody. An address leaves the machine whose place was taken, or that which the
    /// definition names.
    async fn may_lose(&self, told: &Told) -> Result<bool, String> {
        if self.act.kind == Belonging::Volume {
            return Ok(false);
        }
        let replaced = self.call.about.replaced.as_ref();
        let replaced = replaced.and_then(|machine: &Machine| machine.identity.as_deref());
        if replaced.is_some_and(|old| told.is_with(old)) {
            return Ok(true);
        }
        let Some(from) = &self.act.from else {
            return Ok(false);
        };
        let about = MachineAct {
            provider: Some(self.act.provider.clone()),
            op: MachineOp::Describe,
            machine: from.clone(),
            which: Which::Own,
            other: None,
            image: None,
            params: BTreeMap::new(),
            answers_within: MachineAct::ANSWERS_WITHIN_DEFAULT,
        };
        let loser = provider::describe(self.call.provider()?, &about, None).await?;
        Ok(!loser.identity.is_empty() && told.is_with(&loser.identity))
    }

    fn request(&self, op: BelongingOp, token: &str, machine: &str) -> String {
        let act = BelongingAct {
            op,
            ..self.act.clone()
        };
        let mut request = json!({
            "contract": CONTRACT,
            "op": act.word(),
            "token": token,
            "machine": act.machine,
            "params": act.params,
            "expect": {
                "identity": act.expect,
                "machine": Some(machine).filter(|machine| !machine.is_empty()),
            },
            "config": self.call.about.provider.as_ref().map(|provider| &provider.config),
        });
        if let Some(request) = request.as_object_mut() {
            request.insert(act.kind.word().to_owned(), Value::from(act.name));
        }
        request.to_string()
    }

    fn work(&self, machine: &str) -> Result<HostWork, String> {
        let script = provider::program(self.call.provider()?)?;
        let request = self.request(self.act.op, self.call.token().as_str(), machine);
        Ok(HostWork::Exec(provider::exec(&script, request)))
    }

    /// From the end of the provider's call to what is certain.
    async fn after(&self, ended: Outcome) -> Outcome {
        let text = match answered(ended) {
            Ok(text) => text,
            Err(other) => return other,
        };
        let proven = match Told::parse(&text) {
            Ok(told) => self.proven(&told).await,
            Err(why) => Err(why),
        };
        proven.unwrap_or_else(|why| failed(why, String::new(), Some(EXITED)))
    }

    /// Where it is now is where it should be.
    async fn proven(&self, told: &Told) -> Result<Outcome, String> {
        let so = match self.act.op {
            BelongingOp::Describe => true,
            BelongingOp::Create => told.state != Place::Absent,
            BelongingOp::Detach => told.state == Place::Free,
            BelongingOp::Attach => told.is_with(&self.by_name().await?.identity),
        };
        if !so {
            return Err(format!(
                "the provider ended well and says that the {} {} is {}",
                self.act.kind.word(),
                self.act.name,
                told.words()
            ));
        }
        self.is_meant(told)?;
        Ok(Outcome::Succeeded {
            changed: self.act.op != BelongingOp::Describe,
            outputs: told.outputs(),
            unsynced: None,
            evidence: format!("{} is {}", told.identity, told.words()),
        })
    }
}

fn already(told: &Told) -> Outcome {
    Outcome::Succeeded {
        changed: false,
        outputs: told.outputs(),
        unsynced: None,
        evidence: format!(
            "{} is {}, and nobody was asked",
            told.identity,
            told.words()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_believed_in_their_form_only() {
        let good =
            r#"{"identity": "vol-1", "state": "attached", "machine": "i-1", "device": "/dev/vdb"}"#;
        assert!(Told::parse(good).unwrap().is_with("i-1"));
        assert!(Told::parse(r#"{"state": "absent"}"#).is_ok());
        for (text, why) in [
            ("", "agreed form"),
            (r#"{"identity": "v"}"#, "agreed form"),
            (r#"{"state": "free"}"#, "no identity"),
            (r#"{"identity": "v", "state": "attached"}"#, "which machine"),
            (
                r#"{"identity": "v", "state": "free", "device": "/etc/passwd"}"#,
                "device",
            ),
            (
                r#"{"identity": "v", "state": "free", "device": "/dev/../etc/x"}"#,
                "device",
            ),
            (r#"{"identity": "v w", "state": "free"}"#, "no plain word"),
            (
                r#"{"identity": "v", "state": "free", "address": "-x"}"#,
                "no address",
            ),
        ] {
            let error = Told::parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
