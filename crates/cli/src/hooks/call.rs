//! What a hook is told.

use jiff::Timestamp;
use overhaul_model::id::{Position, ServiceName};
use overhaul_source::CallFor;
use serde_json::{Value, json};

/// The version of the JSON.
const CALL_FORMAT: u32 = 1;

/// Something that people are called for.
#[derive(Clone, Debug)]
pub struct Call {
    /// What for.
    pub kind: CallFor,
    /// When.
    pub at: Timestamp,
    /// A sentence for people; foreign text in it was made harmless.
    pub text: String,
    /// The step that it is about.
    pub position: Option<Position>,
    /// The service that it is about.
    pub service: Option<ServiceName>,
}

impl Call {
    /// As JSON, for a run of this upgrade on this fleet.
    pub fn json(&self, run: &str, upgrade: &str, fleet: &str) -> Value {
        json!({
            "format": CALL_FORMAT,
            "event": self.kind.word(),
            "at": self.at,
            "run": run,
            "upgrade": upgrade,
            "fleet": fleet,
            "position": self.position,
            "service": self.service,
            "text": self.text,
        })
    }
}
