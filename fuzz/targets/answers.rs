//! Frames as the controller reads them from a helper: any bytes, read to their end or to the first fault.

use overhaul_reach::frame::{Frame, read_frame};
use overhaul_model::wire::Response;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// What is there already is read without waiting.
fn at_once<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}

pub fn run(bytes: &[u8]) {
    let mut stream = bytes;
    let mut left = stream.len();
    while let Ok(Some(frame)) = at_once(read_frame(&mut stream)) {
        assert!(stream.len() < left, "a frame takes bytes");
        left = stream.len();
        if let Frame::Json(text) = frame
            && let Err(error) = serde_json::from_slice::<Response>(&text)
        {
            assert!(!error.to_string().is_empty());
        }
    }
}
