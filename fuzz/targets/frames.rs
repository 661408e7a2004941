//! Frames as the helper reads them: any bytes, read to their end or to the first fault.

use overhaul_helper::frame;

pub fn run(bytes: &[u8]) {
    let mut stream = bytes;
    let mut left = stream.len();
    while let Ok(Some(_)) = frame::read(&mut stream) {
        assert!(stream.len() < left, "a frame takes bytes");
        left = stream.len();
    }
}
