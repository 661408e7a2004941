//! The framed protocol between controller and helper, over one SSH channel.
//!
//! A frame is a big-endian `u32` length of what follows, one byte for its kind, and the payload:
//! kind 0 is JSON ([`Request`] one way, [`Response`] the other), kind 1 is data: a big-endian `u32`
//! request id and raw bytes. The helper sends one [`Response`] with id 0, [`ResponseBody::Hello`],
//! before it reads anything. Requests are served side by side; their answers carry their id.

use crate::action::Limits;
use crate::authority::{AuthorityRecord, Claim};
use crate::event::Generation;
use crate::facts::{BootProof, FactsWanted, HostFacts};
use crate::id::{AttemptKey, DatasetName, Digest, HostName, InstallId, Person, Position};
use crate::primitive::{EditFile, Exec, Existing, Measure, Measurement, Moving, Reboot, WriteFile};
use crate::receipt::{ReceiptEnd, ReceiptStatus};
use crate::span::Span;
use serde::{Deserialize, Serialize};

/// The protocol's version: both ends must have the same, since they come from one build.
pub const PROTOCOL: u32 = 1;

/// Largest frame, kind byte and payload together: bounds the memory that either end can be made to use.
pub const FRAME_BYTES_MAX: usize = 1024 * 1024;

/// Largest piece of data in one frame: small enough that answers do not wait long behind it.
pub const DATA_BYTES_MAX: usize = 64 * 1024;

/// Frame kind of JSON.
pub const KIND_JSON: u8 = 0;

/// Frame kind of data.
pub const KIND_DATA: u8 = 1;

/// From the controller.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Chosen by the controller, not 0, not used again on this channel.
    pub id: u32,
    /// What is asked.
    pub body: RequestBody,
}

/// What the controller asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum RequestBody {
    /// Accept this generation. Answer: `Registered` or `Refused`.
    Register {
        /// The generation.
        generation: Generation,
    },
    /// The run is over here. Answer: `Released` or `Refused`.
    Release {
        /// The generation that was registered.
        generation: Generation,
    },
    /// Free the host of a run whose journal is lost; person and reason stay in the store. Answer: `Released` or `Refused`.
    ForceRelease {
        /// The generation that the person saw as the holder.
        holder: Generation,
        /// Who.
        person: Person,
        /// Why.
        reason: String,
    },
    /// Who holds the host now? Answer: `Held`.
    Holder,
    /// Gather facts. Answer: `Facts`.
    Facts {
        /// What beyond the usual.
        wanted: FactsWanted,
        /// The controller's clock, for the offset.
        controller_now: jiff::Timestamp,
    },
    /// Measure a condition. Answer: `Measured`.
    Measure {
        /// The condition, rendered.
        measure: Measure,
        /// Bound of the measurement.
        within: Span,
    },
    /// Begin an attempt, or attach to it if it has begun. Answers: `Began`, then data frames of output
    /// from byte `from`, then `Ended`, `Lost` or `Refused`.
    Begin {
        /// The generation that must be the registered one.
        generation: Generation,
        /// The attempt.
        key: AttemptKey,
        /// The step, for the receipt.
        position: Position,
        /// The step's digest.
        step: Digest,
        /// The work, rendered.
        work: Box<HostWork>,
        /// Its bounds, kept by the target itself.
        limits: Limits,
        /// Whether a command's standard output is wanted as a value (see [`crate::receipt::Said`]).
        #[serde(default)]
        value: bool,
        /// Values that must not appear in the spool; they stay in memory.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        redact: Vec<String>,
        /// Attempts at the same step that were made before: while one of them is at work this one is refused, and
        /// those that have not begun never will.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        earlier: Vec<AttemptKey>,
        /// What the work would do to data: refused when the host's records of authority stand against it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        claims: Vec<Claim>,
    },
    /// Follow an attempt from a byte of its output. Answers as for `Begin`.
    Attach {
        /// The attempt.
        key: AttemptKey,
        /// The first byte wanted.
        from: u64,
    },
    /// What does the store know of an attempt? Answer: `Receipt`.
    Receipt {
        /// The attempt.
        key: AttemptKey,
    },
    /// As `Receipt`; and an attempt that has none is refused from now on, so that a request for it that is still on
    /// its way makes no lie of the answer. Answer: `Receipt` or `Refused`.
    RuleOut {
        /// The generation that must be the registered one.
        generation: Generation,
        /// The attempt.
        key: AttemptKey,
    },
    /// End an attempt's work. Answer: `Receipt`, after it ended.
    Kill {
        /// The generation that must be the registered one.
        generation: Generation,
        /// The attempt.
        key: AttemptKey,
        /// Why, for the receipt.
        why: String,
    },
    /// How much of a transfer does the host have for certain? Answer: `Received`.
    Received {
        /// The transfer, see [`transfer_id`].
        transfer: Digest,
    },
    /// What does the host keep of the authority over datasets? Answer: `Authority`.
    Authority,
    /// Declare a record of authority void; person and reason stay in it. Answer: `Authority` or `Refused`.
    VoidAuthority {
        /// What [`AuthorityRecord::seen`] gave of the record that the person saw.
        seen: Digest,
        /// Who.
        person: Person,
        /// Why.
        reason: String,
    },
    /// How far is the restore of this archive? Answer: `Restored`.
    Restored {
        /// The archive's digest.
        sha256: Digest,
    },
    /// No more data frames come for the request with this id (see [`HostWork::Feed`]). No answer of its own.
    DataEnd {
        /// The request.
        of: u32,
    },
}

/// Work on a host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostWork {
    /// A detached command: outlives the connection.
    Exec(Exec),
    /// A file written whole.
    WriteFile(WriteFile),
    /// A file edited.
    EditFile(EditFile),
    /// A reboot. `Ended` comes only after it was proven, over another connection.
    Reboot(Reboot),
    /// A command whose standard output comes back as data frames, whole; it ends with the connection.
    /// Standard error goes to the spool.
    Fetch(Exec),
    /// A command fed by data frames of this request's id until `DataEnd`; it ends with the connection.
    /// Its output goes to the spool. It may stop reading early; further data is thrown away.
    Feed(Exec),
    /// Paths packed into an archive that comes back as data frames; it ends with the connection.
    Persist(Pack),
    /// An archive that comes as data frames of this request's id until `DataEnd`, unpacked at its paths
    /// and read back; it ends with the connection.
    Restore(Unpack),
    /// Paths packed into a stream for another host that comes back as data frames; it ends with the connection.
    /// Refused when a unit that writes to them runs.
    Send(Sending),
    /// The same for another host that comes for it over the network. Data frames of this request's id bring one line,
    /// the other one's key as JSON; output is one line with its key and its port. It ends with the connection.
    Offer(Sending),
    /// Such a stream, as data frames of this request's id until `DataEnd`, unpacked at its paths and read back; it
    /// ends with the connection, and makes durable first what came.
    Receive(Receiving),
    /// The authority over a dataset is given away, which is put on record.
    GiveAway(GiveAway),
    /// The authority over a dataset is taken, which is put on record.
    TakeAuthority(TakeAuthority),
}

/// The name of a transfer, the same for every attempt at it by any run: nobody else's interrupted one is gone on with.
pub fn transfer_id(fleet: &str, dataset: &DatasetName, from: &HostName, to: &HostName) -> Digest {
    let all = [fleet, dataset.as_str(), from.as_str(), to.as_str()];
    // No name has a line's end in it.
    Digest::of(all.join("\n"))
}

/// What is packed for another host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sending {
    /// The data.
    pub data: Moving,
    /// What the other host has of it already.
    pub have: Option<Have>,
}

/// What is received from another host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receiving {
    /// The data.
    pub data: Moving,
    /// The transfer, see [`transfer_id`].
    pub transfer: Digest,
    /// Whether the other host is tried first. Then the output begins with a line with the key for that, the data
    /// frames with a line with key and addresses of the other one, and a second line of output says whether it was
    /// reached; only if not, the stream follows in data frames.
    #[serde(default)]
    pub direct: bool,
}

/// What each end of a connection between two hosts is told of the other one: a line of JSON on its standard input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its public key, in hexadecimal digits.
    pub key: String,
    /// The word for run, dataset, both hosts and generation.
    pub context: String,
    /// Where it listens, each as `ADDRESS:PORT`; of the one that comes, nothing.
    #[serde(default)]
    pub addresses: Vec<String>,
}

/// What such an end says of itself and of the way: lines of JSON on its standard output.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    /// Its public key for this connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Where it listens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Where it has reached the other one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Why it has not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Authority that is given away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GiveAway {
    /// The data.
    pub data: Moving,
    /// To whom.
    pub to: HostName,
    /// The digest of what was sent.
    pub digest: String,
    /// What the source looked like then.
    pub stamps: String,
}

/// Authority that is taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakeAuthority {
    /// The data.
    pub data: Moving,
    /// From whom.
    pub from: HostName,
    /// The transfer by which it came.
    pub transfer: Digest,
    /// The digest of what was received.
    pub digest: String,
}

/// What is packed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pack {
    /// Absolute paths.
    pub paths: Vec<String>,
    /// Whether what is mounted below them is left out.
    pub one_filesystem: bool,
    /// Absolute paths that are left out.
    pub exclude: Vec<String>,
    /// Whether the source may change meanwhile.
    pub live: bool,
    /// What the controller has of it already; these chunks are not sent again if they are the same.
    pub have: Option<Have>,
}

/// The whole chunks of an archive or stream that are on the disk of the end that receives it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Have {
    /// How many, from the first.
    pub chunks: u64,
    /// Of an archive the digest of their bytes, of a stream their chain.
    pub digest: Digest,
}

/// What is unpacked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unpack {
    /// The paths that the archive must have.
    pub paths: Vec<String>,
    /// The digest that the whole archive must have.
    pub sha256: Digest,
    /// What becomes of what is in the way.
    pub existing: Existing,
    /// The first chunk that is sent after the head, as the host wanted it ([`RequestBody::Restored`]).
    pub from_chunk: u64,
}

/// From the helper.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Response {
    /// The request's id; 0 for the greeting.
    pub id: u32,
    /// The answer.
    pub body: ResponseBody,
}

/// What the helper answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum ResponseBody {
    /// The greeting.
    Hello {
        /// [`PROTOCOL`].
        protocol: u32,
        /// The helper's version.
        version: String,
        /// The store's identity.
        install_id: InstallId,
        /// The store's highest sequence number.
        sequence: u64,
        /// This boot.
        boot: BootProof,
        /// The generation that holds the host, if any.
        holder: Option<Generation>,
    },
    /// The generation was accepted and is stored.
    Registered {
        /// The store's highest sequence number.
        sequence: u64,
    },
    /// The host is free.
    Released,
    /// Who holds the host.
    Held {
        /// The generation, if any.
        holder: Option<Generation>,
    },
    /// Facts.
    Facts(Box<HostFacts>),
    /// A measurement.
    Measured(Measurement),
    /// The receipt is synced and the work runs, or had begun before.
    Began {
        /// The receipt's sequence number.
        sequence: u64,
        /// The first byte of output that follows.
        from: u64,
    },
    /// The work ended; all of its output was sent before this.
    Ended(ReceiptEnd),
    /// The work began, has no end, and nothing of it runs.
    Lost {
        /// What speaks for that.
        why: String,
    },
    /// A receipt.
    Receipt(ReceiptStatus),
    /// What the host has of a transfer; nothing when `None`.
    Received {
        /// Its chunks.
        have: Option<Have>,
    },
    /// What the host keeps of authority.
    Authority {
        /// One for each dataset.
        records: Vec<AuthorityRecord>,
    },
    /// How far the restore of an archive is.
    Restored {
        /// The first chunk that is not on the host's disk for certain; 0 when nothing is.
        from_chunk: u64,
    },
    /// The request was not carried out; nothing was changed.
    Refused(Refusal),
}

/// Why a helper does not carry out a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Refusal {
    /// A newer controller of the same run has taken over.
    #[error("a newer controller (generation {held}) has taken over this run")]
    Outdated {
        /// The counter that is registered.
        held: u64,
    },
    /// Another controller of the same run registered with the same counter.
    #[error("another controller holds this run on the host with the same generation {held}")]
    Contested {
        /// The counter.
        held: u64,
    },
    /// Another run has not released the host.
    #[error("run {run} (fleet {fleet}) has not released this host")]
    OtherRun {
        /// Its fleet.
        fleet: String,
        /// The run.
        run: String,
        /// Its counter.
        counter: u64,
    },
    /// The generation was never registered here.
    #[error("this controller has not registered on the host")]
    NotRegistered,
    /// The attempt was asked after before, and was told to have never begun.
    #[error("this attempt was told to have never begun, and is not begun any more")]
    RuledOut,
    /// An earlier attempt at the same step has no end yet.
    #[error("an earlier attempt at this step ({key}) is still at work")]
    StillAtWork {
        /// That attempt.
        key: AttemptKey,
    },
    /// The host's records of authority stand against it.
    #[error("{why}")]
    NotAuthority {
        /// The record.
        why: String,
    },
    /// The store cannot be written.
    #[error("the receipt store cannot be written: {why}")]
    Store {
        /// Why.
        why: String,
    },
    /// The request makes no sense to this helper.
    #[error("the request was not understood: {why}")]
    BadRequest {
        /// Why.
        why: String,
    },
}
