//! `overhaul data`: archives of a host's files in the hands of a person.

use crate::args::{ArchiveArgs, CatArgs, DataCommand, UnpackArgs};
use crate::console::Console;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome, file};
use crate::runs;
use crate::show::data as show;
use crate::text;
use overhaul_model::id::RunId;
use overhaul_mover::{Form, MoverError, OnExisting, UnpackSpec, Unpacked};
use overhaul_store::RunStore;
use std::fs::{DirBuilder, File};
use std::io::{BufReader, ErrorKind};
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Component, Path, PathBuf};

/// Read at once from an archive.
const READ_BYTES: usize = 1024 * 1024;

/// Lists, shows a file, or unpacks.
pub fn data(command: &DataCommand, state: Option<&Path>, console: Console) -> Outcome {
    match command {
        DataCommand::List(args) => list(args, state, console),
        DataCommand::Cat(args) => cat(args, state, console),
        DataCommand::Unpack(args) => unpack(args, state, console),
    }
}

fn list(args: &ArchiveArgs, state: Option<&Path>, console: Console) -> Outcome {
    let path = meant(args, state)?;
    let contents = overhaul_mover::list(opened(&path)?, |listed| {
        let line = if console.json {
            text::json(&show::json(listed).to_string())
        } else {
            show::line(listed)
        };
        match console.line(&line) {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    });
    match contents.map_err(|error| failure(&path, error))? {
        Some(contents) if console.json => {
            console.line(&text::json(&show::whole_json(&contents).to_string()));
        }
        Some(contents) => console.note(&show::whole(&contents)),
        // Nobody reads any more.
        None => {}
    }
    Ok(Exit::Ok)
}

fn cat(args: &CatArgs, state: Option<&Path>, console: Console) -> Outcome {
    let path = meant(&args.archive, state)?;
    let out = console.raw().map_err(|why| {
        Failure::input(why).hint("send them into a file: overhaul data cat ARCHIVE PATH > FILE")
    })?;
    let wanted = args.path.as_bytes();
    match overhaul_mover::extract(opened(&path)?, wanted, out) {
        Ok(()) => Ok(Exit::Ok),
        Err(MoverError::Io { error, .. }) if error.kind() == ErrorKind::BrokenPipe => Ok(Exit::Ok),
        Err(error) => {
            Err(failure(&path, error).hint("overhaul data list shows the paths of an archive"))
        }
    }
}

fn unpack(args: &UnpackArgs, state: Option<&Path>, console: Console) -> Outcome {
    let path = meant(&args.archive, state)?;
    // All of it is verified before anything is made.
    let verified = overhaul_mover::list(opened(&path)?, |_| ControlFlow::Continue(()));
    let verified = verified.map_err(|error| failure(&path, error))?;
    let paths = verified.map(|contents| contents.paths).unwrap_or_default();
    empty(&args.into)?;
    let spec = UnpackSpec {
        base: args.into.clone(),
        paths,
        id: String::new(),
        existing: OnExisting::Refuse,
        form: Form::Archive { from_chunk: 0 },
        progress: None,
    };
    let unpacked = overhaul_mover::unpack(&spec, opened(&path)?);
    let Unpacked {
        trailer,
        times_kept,
        ..
    } = unpacked.map_err(|error| half_done(failure(&path, error), &args.into))?;
    if console.json {
        console.out_json(&serde_json::json!({
            "into": args.into, "entries": trailer.entries, "content_bytes": trailer.content,
            "changed_while_copied": trailer.changed, "left_out": trailer.left_out, "times_kept": times_kept,
        }));
        return Ok(Exit::Ok);
    }
    console.out(&show::unpacked(&args.into, &trailer, times_kept));
    Ok(Exit::Ok)
}

/// The file that is meant.
fn meant(args: &ArchiveArgs, state: Option<&Path>) -> Result<PathBuf, Failure> {
    let Some(run) = &args.run else {
        return Ok(args.archive.clone());
    };
    let plain = |part| matches!(part, Component::Normal(_));
    if !args.archive.components().all(plain) {
        let message = format!(
            "{} is no name of an archive of a run",
            args.archive.display()
        );
        return Err(Failure::input(message).hint("overhaul report names them, like db1/carried"));
    }
    let store = RunStore::look(&runs::state_dir(state)?);
    let run = store.run(&RunId::new(run.clone()))?;
    Ok(run.data().join(&args.archive))
}

fn opened(path: &Path) -> Result<BufReader<File>, Failure> {
    let opened = File::open(path).and_then(|opened| match opened.metadata()?.is_dir() {
        true => Err(ErrorKind::IsADirectory.into()),
        false => Ok(opened),
    });
    let opened = opened.map_err(|error| file(path, "read", &error))?;
    Ok(BufReader::with_capacity(READ_BYTES, opened))
}

/// A folder that holds nothing; made where there is none.
fn empty(path: &Path) -> Result<(), Failure> {
    let mut entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let made = DirBuilder::new().mode(0o700).create(path);
            return made.map_err(|error| file(path, "made", &error));
        }
        Err(error) => return Err(file(path, "read", &error)),
    };
    match entries.next() {
        None => Ok(()),
        Some(_) => Err(Failure::input(format!(
            "{} is not empty; nothing was changed",
            path.display()
        ))
        .hint("name a folder that does not exist yet")),
    }
}

fn failure(archive: &Path, error: MoverError) -> Failure {
    let full =
        matches!(&error, MoverError::Io { error, .. } if error.kind() == ErrorKind::StorageFull);
    let exit = match full {
        true => Exit::StoreTrouble,
        false => Exit::BadInput,
    };
    let root_only = matches!(
        &error,
        MoverError::Io { error, .. } if error.kind() == ErrorKind::PermissionDenied
    );
    let failure = Failure::new(exit, format!("{}: {error}", archive.display()));
    match root_only {
        true => failure.hint("owners, devices and capabilities can be given by root only"),
        false => failure,
    }
}

/// The archive was sound, so that it is this machine's fault.
fn half_done(mut failure: Failure, into: &Path) -> Failure {
    if failure.exit == Exit::BadInput {
        failure.exit = Exit::Internal;
    }
    failure.hint(format!(
        "what was made so far is in {}; remove it before you try again",
        into.display()
    ))
}
