//! Requests served side by side over standard input and output.

mod begin;
mod follow;
mod pool;
mod request;
mod server;
mod session;
mod stream;
mod watch;

pub use server::{ServeError, serve};
