//! JSON that we wrote ourselves and that comes back from a host or a file: facts (`f`), the helper's answers (`a`), records of a
//! journal (`r`). The first byte says which. What is read is written and read again to the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use overhaul_model::event::Record;
use overhaul_model::facts::HostFacts;
use overhaul_model::wire::Response;
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

fuzz_target!(|bytes: &[u8]| {
    match bytes.split_first() {
        Some((b'f', text)) => read::<HostFacts>(text),
        Some((b'a', text)) => read::<Response>(text),
        Some((b'r', text)) => read::<Record>(text),
        _ => {}
    }
});
