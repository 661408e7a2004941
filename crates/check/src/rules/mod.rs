//! The law, one concern per file.

mod bounds;
mod clocks;
mod copies;
mod data;
mod ids;
mod known_names;
mod law;
mod machines;
mod no_return;
mod packages;
mod release;
mod repeats;
mod scopes;
mod scripts;
mod services;
mod space;
mod turns;
mod unknown;
mod windows;

pub use law::RULES;
