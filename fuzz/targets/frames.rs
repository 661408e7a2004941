//! Frames as the helper reads them: any bytes, read to their end or to the first fault.
#![no_main]

use libfuzzer_sys::fuzz_target;
use overhaul_helper::frame;

fuzz_target!(|bytes: &[u8]| {
    let mut stream = bytes;
    let mut left = stream.len();
    while let Ok(Some(_)) = frame::read(&mut stream) {
        assert!(stream.len() < left, "a frame takes bytes");
        left = stream.len();
    }
});
