//! The commands, one file each.

pub mod abort;
pub mod amend;
pub mod check;
pub mod classify;
pub mod cleanup;
pub mod data;
pub mod decide;
pub mod doctor;
pub mod export;
pub mod facts;
pub mod fleet;
pub mod init;
pub mod manual;
pub mod pause;
pub mod plan;
pub mod postpone;
pub mod report;
pub mod resume;
pub mod run;
pub mod simulate;
pub mod ssh;
pub mod status;
pub mod try_host;
pub mod void;
pub mod watch;
