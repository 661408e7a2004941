//! What people read: plans, facts, findings, the state of a run, reports.

pub mod classify;
pub mod cleanup;
pub mod compare;
pub mod data;
pub mod decide;
pub mod doctor;
pub mod export;
pub mod export_work;
pub mod facts;
pub mod findings;
pub mod fleet;
pub mod fleet_facts;
pub mod report;
pub mod status;
