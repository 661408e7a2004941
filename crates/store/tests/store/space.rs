//! Disks that fill: at every write of the controller's store.

use crate::{Mounted, decision, plan};
use overhaul_engine::ports::{Inbox as _, Journal as _, JournalError};
use overhaul_model::event::{Decision, Event};
use overhaul_model::id::RunId;
use overhaul_store::{RunStore, StoreError};
use std::path::Path;

/// Rows of the run: each is larger than a page, so that every one needs new space.
const ROWS: usize = 8;

/// The disk, and the smallest piece that it hands out.
const DISK: &str = "4m";
const PIECE: usize = 4096;

/// More free pieces than the run needs.
const PIECES_MAX: usize = 120;

/// Fills the disk but for so many pieces.
fn fill(place: &Path, pieces: usize) {
    use std::io::Write as _;
    let mut ballast = std::fs::File::create(place.join("ballast")).unwrap();
    while ballast.write_all(&[1; PIECE]).is_ok() {}
    let size = ballast.metadata().unwrap().len();
    let kept = size.saturating_sub((pieces * PIECE) as u64);
    ballast.set_len(kept).unwrap();
}

fn row(number: usize) -> Event {
    Event::Decided(Decision {
        reason: format!("{number}").repeat(PIECE),
        ..decision(&number.to_string())
    })
}

/// Goes on with the run from wherever it is, to its end: all rows, and one request that was settled.
async fn live(state: &Path) -> Result<(), StoreError> {
    let id = RunId::new("r1");
    let store = RunStore::open(state)?;
    let dir = match store.run(&id) {
        Err(StoreError::NoRun { .. }) => store.create(&id, &plan(), &Default::default())?,
        found => found?,
    };
    let _lock = dir.lock()?;
    dir.submit(&decision("wish"))?;
    let (mut journal, mut inbox) = dir.open()?;
    let had = journal.replay().await?.len();
    for number in had..ROWS {
        journal
            .append(jiff::Timestamp::UNIX_EPOCH, row(number))
            .await?;
    }
    inbox.settle(&"wish".into()).await?;
    Ok(())
}

#[tokio::test]
async fn a_disk_that_fills_at_any_write_leaves_what_can_go_on_to_the_same_end() {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test mounts small filesystems: run it as root"
    );
    let mut failed = 0;
    let mut places = std::collections::BTreeSet::new();
    for pieces in 0..PIECES_MAX {
        let place = tempfile::tempdir().unwrap();
        let mounted = Mounted::new(place.path(), DISK);
        let state = place.path().join("state");
        fill(place.path(), pieces);
        let first = live(&state).await;
        if let Err(error) = &first {
            failed += 1;
            let words = error.to_string();
            assert!(
                words.contains("space") || words.contains("full"),
                "{pieces} pieces: {words}"
            );
            assert!(
                matches!(
                    error,
                    StoreError::File { .. } | StoreError::Journal(JournalError::Storage { .. })
                ),
                "{pieces} pieces: {error:?}"
            );
            places.insert(words.replace(place.path().to_str().unwrap(), "DISK"));
            // What is there is whole: no run, or one that can be read.
            for dir in RunStore::look(&state).list().unwrap_or_default() {
                assert_eq!(dir.plan().unwrap(), plan());
            }
        }
        std::fs::remove_file(place.path().join("ballast")).unwrap();
        live(&state).await.unwrap();
        let dir = RunStore::open(&state).unwrap().run(&"r1".into()).unwrap();
        let rows: Vec<Event> = dir
            .records()
            .unwrap()
            .into_iter()
            .map(|r| r.event)
            .collect();
        assert_eq!(rows, (0..ROWS).map(row).collect::<Vec<_>>());
        assert!(dir.pending().unwrap().is_empty());
        assert_eq!(std::fs::read_dir(state.join("runs")).unwrap().count(), 1);
        drop(mounted);
        if first.is_ok() {
            println!("{failed} full disks, which stopped it at:\n{places:#?}");
            assert!(failed > 30, "{failed}");
            return;
        }
    }
    panic!("the run needs more than {PIECES_MAX} pieces");
}
