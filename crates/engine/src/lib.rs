//! The loop that carries out a checked plan, and the ports it needs.

pub mod ports;
