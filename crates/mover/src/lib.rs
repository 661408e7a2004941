//! Trees of files into archives and back: whole, verified, resumable.
//!
//! [`pack`] turns paths into an archive, [`Keeping`] receives one as a file, [`Sending`] sends such a
//! file, [`unpack`] makes the paths again and reads them back. All of it is blocking: each end is a
//! process or a thread of its own.
//!
//! An archive is a magic word and chunks, each with a digest of its own, each a whole number of records,
//! so that either end can go on after any chunk. Where a directory ends its metadata follow, and what a
//! hard link leads to is told by path: the unpacker needs no memory of what it has made. The same tree
//! gives the same bytes, so that a copy goes on by making the archive again and leaving out what the
//! other end proves to have.
//!
//! docs/data.md says what is kept and what is not.

mod content;
mod contents;
mod decode;
mod error;
mod format;
mod keep;
mod manifest;
mod meta;
mod open;
mod owners;
mod pack;
mod place;
mod records;
mod send;
mod unpack;
mod walk;

pub use contents::{About, Contents, Entry, Listed, extract, list};
pub use error::MoverError;
pub use format::{Digesting, Have, Trailer};
pub use keep::{Keeping, Kept};
pub use pack::{PackSpec, Packed, pack, untouched};
pub use place::{complete, received, resume_point};
pub use send::Sending;
pub use unpack::{Form, OnExisting, UnpackSpec, Unpacked, unpack};
