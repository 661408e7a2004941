//! Starting masters so that none outlives us.

use std::io;
use std::sync::{OnceLock, mpsc};
use std::thread;

use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

struct Job {
    command: Command,
    runtime: Handle,
    started: oneshot::Sender<io::Result<Child>>,
}

/// Starts a command that is told to end (`SIGTERM`) as soon as this process is gone, however it went.
pub(super) async fn spawn(command: Command) -> io::Result<Child> {
    // The kernel sends that signal when the *thread* that started the child ends; threads of a
    // runtime come and go, this one stays.
    static THREAD: OnceLock<Option<mpsc::Sender<Job>>> = OnceLock::new();
    let gone = || io::Error::other("no thread to start programs");
    let jobs = THREAD.get_or_init(|| {
        let (sender, jobs) = mpsc::channel();
        let thread = thread::Builder::new().name("ssh programs".to_owned());
        thread.spawn(move || work(&jobs)).ok().map(|_| sender)
    });
    let (started, answer) = oneshot::channel();
    let job = Job {
        command,
        runtime: Handle::current(),
        started,
    };
    jobs.as_ref()
        .ok_or_else(gone)?
        .send(job)
        .map_err(|_| gone())?;
    answer.await.map_err(|_| gone())?
}

fn work(jobs: &mpsc::Receiver<Job>) {
    for mut job in jobs {
        let _entered = job.runtime.enter();
        die_with_us(&mut job.command);
        // Whoever asked may have given up; the child then ends at once (`kill_on_drop`).
        let _gave_up = job.started.send(job.command.spawn());
    }
}

#[expect(
    unsafe_code,
    reason = "only between fork and exec can a child ask for this signal"
)]
fn die_with_us(command: &mut Command) {
    let us = getpid();
    let ask = move || {
        set_parent_process_death_signal(Some(Signal::TERM))?;
        // We may have gone between the fork and the line above.
        match getppid() == Some(us) {
            true => Ok(()),
            false => Err(io::Error::from_raw_os_error(
                rustix::io::Errno::SRCH.raw_os_error(),
            )),
        }
    };
    // SAFETY: the closure makes two system calls and allocates nothing, as is demanded after a fork.
    unsafe { command.pre_exec(ask) };
}
