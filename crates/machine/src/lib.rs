//! The state of a run as a pure machine: apply an event, ask what comes next.
