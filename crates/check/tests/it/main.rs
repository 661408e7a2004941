//! Tests of the law: for each rule the smallest plan that breaks it and its nearest good neighbour.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that meets the unexpected shall stop there"
)]

mod cases;
mod cases_in_time;
mod cases_of_clusters;
mod cases_of_machines;
mod cases_of_transfers;
mod cluster_text;
mod documented;
mod facts_text;
mod findings;
mod plan_text;
