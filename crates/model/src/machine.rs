//! What is known of a machine beside what its system says: who it is to its provider, where it answers,
//! and by which host keys.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// A machine, as a step that worked on it knows it. Travels as the outputs of that step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Its provider's own name for it, which no other machine ever had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// Its machine id, measured on itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine_id: Option<String>,
    /// Where it answers, when that is not where the inventory says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Its host keys, each `TYPE BASE64`, as its provider read or injected them; none when the known
    /// hosts of the operator hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub host_keys: Vec<String>,
}

impl Machine {
    /// As outputs of a step.
    pub fn outputs(&self) -> BTreeMap<String, Value> {
        let texts = [
            ("identity", &self.identity),
            ("machine_id", &self.machine_id),
            ("address", &self.address),
        ];
        let mut out: BTreeMap<String, Value> = texts
            .into_iter()
            .filter_map(|(name, text)| Some((name.to_owned(), Value::from(text.clone()?))))
            .collect();
        if !self.host_keys.is_empty() {
            out.insert("host_keys".to_owned(), Value::from(self.host_keys.clone()));
        }
        out
    }

    /// From the outputs of a step; what has another form there is not known.
    pub fn from_outputs(outputs: &BTreeMap<String, Value>) -> Self {
        let text = |name: &str| Some(outputs.get(name)?.as_str()?.to_owned());
        let keys = outputs.get("host_keys").and_then(Value::as_array);
        let keys = keys.into_iter().flatten();
        Self {
            identity: text("identity"),
            machine_id: text("machine_id"),
            address: text("address"),
            host_keys: keys
                .filter_map(|key| key.as_str().map(ToOwned::to_owned))
                .collect(),
        }
    }

    /// This machine with what only the other telling of the same machine knows.
    #[must_use]
    pub fn or(self, earlier: &Self) -> Self {
        Self {
            identity: self.identity.or_else(|| earlier.identity.clone()),
            machine_id: self.machine_id.or_else(|| earlier.machine_id.clone()),
            address: self.address.or_else(|| earlier.address.clone()),
            host_keys: if self.host_keys.is_empty() {
                earlier.host_keys.clone()
            } else {
                self.host_keys
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_step_hands_out_is_what_is_known_afterwards() {
        let machine = Machine {
            identity: Some("i-1".to_owned()),
            machine_id: None,
            address: Some("192.0.2.7".to_owned()),
            host_keys: vec!["ssh-ed25519 AAAA".to_owned()],
        };
        assert_eq!(Machine::from_outputs(&machine.outputs()), machine);
        assert_eq!(Machine::default().outputs(), BTreeMap::new());
    }

    #[test]
    fn a_later_telling_completes_the_earlier_one() {
        let earlier = Machine {
            identity: Some("i-1".to_owned()),
            machine_id: Some("abc".to_owned()),
            ..Machine::default()
        };
        let later = Machine {
            identity: Some("i-2".to_owned()),
            ..Machine::default()
        };
        let both = later.or(&earlier);
        assert_eq!(both.identity.as_deref(), Some("i-2"));
        assert_eq!(both.machine_id.as_deref(), Some("abc"));
    }
}
