//! Trees there and back. They need root: owners, devices and capabilities are part of what is kept.

#![cfg(test)]

mod contents;
mod cuts;
mod foreign;
mod oddities;
mod random;
mod streams;
mod tree;
