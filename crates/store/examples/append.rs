//! Appends rows to the journal of a run and prints the number of each one that is durable: `append STATE RUN COUNT`.
//! The tests kill it in the middle and trace its system calls.
#![expect(clippy::print_stdout, reason = "what it prints is what it promises")]

use overhaul_engine::ports::Journal;
use overhaul_model::event::{Choice, Decision, Event};
use overhaul_model::id::{Digest, Nonce, Person, RunId};
use overhaul_store::RunStore;
use std::io::Write;
use std::path::Path;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, state, run, count] = arguments.as_slice() else {
        return Err("usage: append STATE RUN COUNT".into());
    };
    let dir = RunStore::open(Path::new(state))?.run(&RunId::new(run.clone()))?;
    let _lock = dir.lock()?;
    let (mut journal, _inbox) = dir.open()?;
    for number in 0..count.parse::<u64>()? {
        let event = Event::Decided(Decision {
            person: Person::new("tester"),
            reason: format!("row {number}"),
            plan: Digest::of("plan"),
            nonce: Nonce::new(number.to_string()),
            choice: Choice::Pause,
        });
        let record = journal.append(jiff::Timestamp::now(), event).await?;
        println!("{}", record.seq);
        std::io::stdout().flush()?;
    }
    Ok(())
}
