//! The rules a plan must keep; the only maker of a checked plan.
