//! JSON that we wrote ourselves and that comes back from a host or a file; the first byte says which. What is read is
//! written and read again to the same.

use overhaul_model::event::{Decision, Record};
use overhaul_model::facts::{FleetFacts, HostFacts};
use overhaul_model::plan::Plan;
use overhaul_model::receipt::{ReceiptBegin, ReceiptEnd};
use overhaul_model::wire::{Request, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

fn read<T: Serialize + DeserializeOwned>(text: &[u8]) {
    let Ok(first) = serde_json::from_slice::<T>(text) else {
        return;
    };
    let written = serde_json::to_string(&first).expect("what was read can be written");
    let second: T = serde_json::from_str(&written).expect("what was written can be read");
    assert_eq!(serde_json::to_string(&second).expect("again"), written);
}

pub fn run(bytes: &[u8]) {
    match bytes.split_first() {
        Some((b'f', text)) => read::<HostFacts>(text),
        Some((b'a', text)) => read::<Response>(text),
        Some((b'b', text)) => read::<ReceiptBegin>(text),
        Some((b'd', text)) => read::<Decision>(text),
        Some((b'e', text)) => read::<ReceiptEnd>(text),
        Some((b'l', text)) => read::<FleetFacts>(text),
        Some((b'p', text)) => read::<Plan>(text),
        Some((b'q', text)) => read::<Request>(text),
        Some((b'r', text)) => read::<Record>(text),
        _ => {}
    }
}
