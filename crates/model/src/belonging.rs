//! What belongs to one machine at a time and can go to another: volumes and addresses. And which of the
//! machines of a host is meant, where there is a new one beside the old.

use crate::id::ProviderName;
use crate::primitive::MachineOp;
use crate::span::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Which of a host's machines is meant.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Which {
    /// The one that stands under the host's name.
    #[default]
    Own,
    /// The new one that was launched beside it and has not taken over yet.
    Beside,
    /// The one whose place was taken.
    Old,
}

impl Which {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Own, Self::Beside, Self::Old];

    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Beside => "beside",
            Self::Old => "old",
        }
    }

    /// Whether it is the machine under the host's name, as in all that is stored without the word.
    pub fn is_own(&self) -> bool {
        *self == Self::Own
    }
}

/// What belongs to a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Belonging {
    /// A volume with a file system.
    Volume,
    /// An address.
    Address,
}

impl Belonging {
    /// As it is written, and as a provider reads it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Volume => "volume",
            Self::Address => "address",
        }
    }
}

/// What a provider does with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BelongingOp {
    /// It says what it knows of it; nothing changes.
    Describe,
    /// It is made, where there was none.
    Create,
    /// It comes to the machine.
    Attach,
    /// It leaves the machine.
    Detach,
}

/// A provider's work on a volume or an address of a host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BelongingAct {
    /// The provider.
    pub provider: ProviderName,
    /// What it is.
    pub kind: Belonging,
    /// What is done.
    pub op: BelongingOp,
    /// Its name at the provider; may be a template.
    pub name: String,
    /// The machine that it comes to or leaves, by its name at the provider; may be a template.
    pub machine: String,
    /// Which of the host's machines that is: its identity is asserted before anything moves.
    #[serde(default, skip_serializing_if = "Which::is_own")]
    pub which: Which,
    /// The machine that may lose it, by its name at the provider, where it comes from another one than
    /// the machine whose place was taken; may be a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Its identity, as an earlier step told it; may be a template. Without one its name alone is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<String>,
    /// What else the provider is told; every text in it may be a template.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, serde_json::Value>,
}

impl BelongingAct {
    /// The word for it in what a provider reads.
    pub fn word(&self) -> &'static str {
        match (self.kind, self.op) {
            (Belonging::Volume, BelongingOp::Describe) => "describe-volume",
            (Belonging::Volume, BelongingOp::Create) => "create-volume",
            (Belonging::Volume, BelongingOp::Attach) => "attach-volume",
            (Belonging::Volume, BelongingOp::Detach) => "detach-volume",
            (Belonging::Address, BelongingOp::Describe) => "describe-address",
            (Belonging::Address, BelongingOp::Create) => "create-address",
            (Belonging::Address, BelongingOp::Attach) => "move-address",
            (Belonging::Address, BelongingOp::Detach) => "release-address",
        }
    }
}

/// How a volume is mounted, and that it comes back after a boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MountedBy {
    /// A line of `/etc/fstab`.
    #[default]
    Fstab,
    /// A unit of systemd.
    Unit,
}

impl MountedBy {
    /// As it is written, and as the script reads it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Fstab => "fstab",
            Self::Unit => "unit",
        }
    }
}

/// Where a volume is mounted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountPoint {
    /// Absolute path.
    pub path: String,
    /// What brings it back after a boot.
    #[serde(default)]
    pub by: MountedBy,
    /// Options of the mount, apart by commas.
    pub options: String,
}

impl MountPoint {
    /// Options when nobody says others: a machine boots without its volume too, and says so.
    pub const OPTIONS_DEFAULT: &'static str = "defaults,nofail";
}

/// A volume that holds data of a role: it goes with the data to another machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleVolume {
    /// Its name at the provider; may be a template.
    pub name: String,
    /// Where it is mounted.
    pub mount: MountPoint,
}

/// What a role says of the change by which a new machine takes the place of the old one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replace {
    /// The new machine's name at the provider, until it gets the host's; may be a template.
    pub beside: String,
    /// The old machine's name from then on; may be a template.
    pub old: String,
    /// Addresses that go over to the new machine, by their names at the provider; may be templates.
    pub addresses: Vec<String>,
    /// Whether the definition agrees to the end of the old machine, which then comes in the slot `finish`; else
    /// a person begins it by name.
    pub agreed: bool,
}

impl Default for Replace {
    fn default() -> Self {
        Self {
            beside: "{{ host.name }}-new".to_owned(),
            old: "{{ host.name }}-old".to_owned(),
            addresses: Vec::new(),
            agreed: false,
        }
    }
}

/// Work on a volume, as a person wrote it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WrittenVolume {
    /// What is done to it; never [`BelongingOp::Describe`].
    pub op: BelongingOp,
    /// Its name at the provider.
    pub name: String,
    /// The provider.
    pub provider: ProviderName,
    /// Which of the host's machines it comes to or leaves.
    pub which: Which,
    /// The machine's name at the provider, when it is not the one that the role says.
    pub machine: Option<String>,
    /// Where it is mounted, or unmounted from; `None` when others see to that.
    pub mount: Option<MountPoint>,
    /// The file system that a new volume gets, like `ext4`.
    pub format: Option<String>,
    /// What else the provider is told.
    pub params: BTreeMap<String, serde_json::Value>,
}

/// An address that moves, as a person wrote it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WrittenAddress {
    /// Its name at the provider.
    pub name: String,
    /// The provider.
    pub provider: ProviderName,
    /// Which of the host's machines it comes to.
    pub which: Which,
    /// The machine's name at the provider, when it is not the one that the role says.
    pub machine: Option<String>,
    /// The machine that may lose it, by its name at the provider.
    pub from: Option<String>,
    /// What else the provider is told.
    pub params: BTreeMap<String, serde_json::Value>,
}

/// Work on the host's machine, as a person wrote it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WrittenMachine {
    /// What is done; never [`MachineOp::Prove`], which stands beside a question of its own.
    pub op: MachineOp,
    /// The provider.
    pub provider: ProviderName,
    /// The machine's name at the provider, when it is not the host's own.
    pub machine: Option<String>,
    /// Which of the host's machines it is.
    pub which: Which,
    /// The name that it gets, with [`MachineOp::Rename`].
    pub other: Option<String>,
    /// Whether its protection against being ended is switched off first.
    pub unprotect: bool,
    /// What a new machine is made from.
    pub image: Option<String>,
    /// What else the provider is told.
    pub params: BTreeMap<String, serde_json::Value>,
    /// Within this a machine that is started or made must answer.
    pub answers_within: Span,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_without_the_word_means_the_own_machine() {
        let act = r#"{"provider":"cloud","kind":"volume","op":"attach","name":"d","machine":"m"}"#;
        let act: BelongingAct = serde_json::from_str(act).unwrap();
        assert_eq!(act.which, Which::Own);
        assert_eq!(act.word(), "attach-volume");
        assert!(!serde_json::to_string(&act).unwrap().contains("which"));
    }
}
