//! Processes of ours that end with what they were started for.

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Child;

/// A process that leads a group of its own. Dropping this ends the whole group.
#[derive(Debug)]
pub(super) struct Group(Option<Pid>);

impl Group {
    /// The group of a child that was started with `process_group(0)`. Keep the child as long as this,
    /// so that its number is not given to another process.
    pub(super) fn of(child: &Child) -> Self {
        let number = child.id().and_then(|id| i32::try_from(id).ok());
        Self(number.and_then(Pid::from_raw))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // That it is gone already is as good.
            let _gone = kill_process_group(group, Signal::TERM);
        }
    }
}
