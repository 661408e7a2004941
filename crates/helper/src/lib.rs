//! The small static program that works on a target and keeps its receipts.
