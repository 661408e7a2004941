//! The nouns of Overhaul: fleet, definition, facts, plan, step, events, findings, wire.
