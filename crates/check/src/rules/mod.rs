//! The law, one concern per file.

mod available;
mod away;
mod boot;
mod bounds;
mod clocks;
mod copies;
mod data;
mod ids;
mod keep;
mod known_names;
mod law;
mod local;
mod machines;
mod names;
mod next_release;
mod no_return;
mod packages;
mod release;
mod repeats;
mod scopes;
mod scripts;
mod services;
mod space;
mod storage;
mod turns;
mod unknown;
mod windows;
mod zones;

pub use law::RULES;
