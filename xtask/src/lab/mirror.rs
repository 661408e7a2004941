//! The lab's own package mirror: a small web server that passes on this machine's mirror and keeps what went through it.
//! Hosts reach nothing else, and nothing is downloaded twice. It also answers as a proxy, for trees that are being built.

use std::collections::HashMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use super::command::bounded;
use super::error::{LabError, Named, Result};
use super::sources::Mirror;

/// Where hosts expect it.
pub const PORT: u16 = 3142;
/// Lists of a suite change a few times a day; within one upgrade they should not change at all.
const LIST_AGE_S_MAX: u64 = 600;
/// The largest package of an upgrade is below 100 MB; a mirror that needs longer for it is of no use.
const FETCH_S_MAX: u64 = 300;
/// apt asks for ten files ahead; so many are fetched at once, over all hosts.
const FETCHES_AT_ONCE_MAX: usize = 8;
/// How many requests of one connection are read ahead of the answers.
const PIPELINE_MAX: usize = 16;
/// A request of apt has below 1 KiB.
const REQUEST_BYTES_MAX: u64 = 16 * 1024;
/// A client that is silent for so long has gone.
const IDLE_S_MAX: u64 = 120;

/// The server's state, shared by all connections.
#[derive(Debug)]
pub struct Front {
    folder: PathBuf,
    archives: Vec<(&'static str, String)>,
    /// One lock for each file, so that hosts which want the same file at once cause one download.
    files: Mutex<HashMap<PathBuf, Arc<Mutex<()>>>>,
    free_fetches: Mutex<usize>,
    fetch_ended: Condvar,
}

#[derive(Debug)]
enum Answer {
    File(PathBuf),
    Absent,
    Refused,
    Failed,
}

#[derive(Debug, PartialEq, Eq)]
struct Request {
    body_wanted: bool,
    target: String,
}

impl Front {
    /// A mirror that keeps its files in `folder`.
    pub fn new(folder: PathBuf, mirror: &Mirror) -> Self {
        let mut archives = vec![("debian", mirror.archive.clone())];
        archives.extend(mirror.security.clone().map(|uri| ("debian-security", uri)));
        Self {
            folder,
            archives,
            files: Mutex::default(),
            free_fetches: Mutex::new(FETCHES_AT_ONCE_MAX),
            fetch_ended: Condvar::new(),
        }
    }

    /// Serves on a free port of the loopback address for the rest of this process; returns the port.
    pub fn serve_here(self) -> Result<u16> {
        let address = "127.0.0.1:0";
        let listener = TcpListener::bind(address).named(Path::new(address))?;
        let port = listener.local_addr().named(Path::new(address))?.port();
        thread::spawn(move || self.serve(&listener));
        Ok(port)
    }

    /// Serves until the process ends.
    pub fn serve(self, listener: &TcpListener) {
        let front = Arc::new(self);
        for stream in listener.incoming().flatten() {
            let front = Arc::clone(&front);
            thread::spawn(move || {
                // A connection that breaks is the client's affair: apt asks again.
                let _ = front.connection(stream);
            });
        }
    }

    fn connection(self: Arc<Self>, stream: TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(IDLE_S_MAX)))?;
        stream.set_write_timeout(Some(Duration::from_secs(IDLE_S_MAX)))?;
        let out = stream.try_clone()?;
        let (queue, answers) = sync_channel(PIPELINE_MAX);
        let writer = thread::spawn(move || write_answers(out, &answers));
        let mut reader = BufReader::new(stream);
        while let Some(request) = read_request(&mut reader)? {
            let (send, answer) = sync_channel(1);
            if queue.send((request.body_wanted, answer)).is_err() {
                break;
            }
            let front = Arc::clone(&self);
            thread::spawn(move || front.answer(&request.target, &send));
        }
        drop(queue);
        writer
            .join()
            .map_err(|_| io::Error::other("writer ended early"))?
    }

    fn answer(&self, target: &str, send: &SyncSender<Answer>) {
        let answer = match self.locate(target) {
            Some((path, uri)) => self.provide(&path, &uri),
            None => Answer::Refused,
        };
        // Nobody waits any more when the client has gone.
        let _ = send.send(answer);
    }

    /// Where a requested file is kept, and where it comes from.
    fn locate(&self, target: &str) -> Option<(PathBuf, String)> {
        let path = match target.strip_prefix("http://") {
            Some(rest) => rest.split_once('/')?.1,
            None => target.strip_prefix('/')?,
        };
        let (folder, rest) = path.split_once('/')?;
        let (_, archive) = self.archives.iter().find(|(name, _)| *name == folder)?;
        Some((
            self.folder.join(folder).join(safe_path(rest)?),
            format!("{archive}/{rest}"),
        ))
    }

    fn provide(&self, path: &Path, uri: &str) -> Answer {
        let file = {
            let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(files.entry(path.to_path_buf()).or_default())
        };
        let _only_one = file.lock().unwrap_or_else(PoisonError::into_inner);
        if is_fresh(path) {
            return Answer::File(path.to_path_buf());
        }
        let _slot = self.slot();
        match fetch(path, uri) {
            // Old lists are better than none when the mirror does not answer.
            Answer::Failed if path.is_file() => Answer::File(path.to_path_buf()),
            answer => answer,
        }
    }

    fn slot(&self) -> Slot<'_> {
        let mut free = self
            .free_fetches
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        while *free == 0 {
            free = self
                .fetch_ended
                .wait(free)
                .unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
        Slot(self)
    }
}

struct Slot<'a>(&'a Front);

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        let mut free = self
            .0
            .free_fetches
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *free += 1;
        self.0.fetch_ended.notify_one();
    }
}

/// Whether the file is kept and cannot have changed: packages and lists named by their digest never do.
fn is_fresh(path: &Path) -> bool {
    let Ok(about) = fs::metadata(path) else {
        return false;
    };
    let name = path.to_string_lossy();
    about.is_file()
        && (name.contains("/pool/")
            || name.contains("/by-hash/")
            || about
                .modified()
                .ok()
                .and_then(|time| SystemTime::now().duration_since(time).ok())
                .is_some_and(|age| age < Duration::from_secs(LIST_AGE_S_MAX)))
}

/// Downloads with curl, which knows the machine's certificates and proxies; the file appears in one step.
fn fetch(path: &Path, uri: &str) -> Answer {
    let Some(folder) = path.parent() else {
        return Answer::Refused;
    };
    if fs::create_dir_all(folder).is_err() {
        return Answer::Failed;
    }
    let Ok(temporary) = tempfile::Builder::new()
        .prefix(".part-")
        .tempfile_in(folder)
    else {
        return Answer::Failed;
    };
    let output = bounded(FETCH_S_MAX, "curl")
        .args([
            "-q",
            "-sS",
            "-f",
            "-L",
            "--connect-timeout",
            "10",
            "--retry",
            "2",
            "-w",
            "%{http_code}",
            "-o",
        ])
        .arg(temporary.path())
        .arg("--")
        .arg(uri)
        .output();
    match output {
        Ok(output) if output.status.success() => match temporary.persist(path) {
            Ok(_) => Answer::File(path.to_path_buf()),
            Err(_) => Answer::Failed,
        },
        Ok(output) if output.stdout == b"404" => Answer::Absent,
        _ => Answer::Failed,
    }
}

/// Decodes the percent signs of a path and refuses what could leave the folder.
fn safe_path(raw: &str) -> Option<PathBuf> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    let text = String::from_utf8(bytes).ok()?;
    let is_safe = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && !part.contains(|c: char| c.is_control() || c == '?' || c == '#')
    };
    text.split('/').all(is_safe).then(|| PathBuf::from(text))
}

fn read_request(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut head = reader.take(REQUEST_BYTES_MAX);
    let mut first = String::new();
    if head.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    let mut line = String::from("x");
    while !line.trim_end().is_empty() {
        line.clear();
        if head.read_line(&mut line)? == 0 {
            return Err(io::Error::other("a request without end"));
        }
    }
    let mut words = first.split_whitespace();
    let body_wanted = match words.next() {
        Some("GET") => true,
        Some("HEAD") => false,
        _ => return Err(io::Error::other("neither GET nor HEAD")),
    };
    let target = words.next().unwrap_or_default().to_owned();
    Ok(Some(Request {
        body_wanted,
        target,
    }))
}

fn write_answers(
    mut out: TcpStream,
    answers: &Receiver<(bool, Receiver<Answer>)>,
) -> io::Result<()> {
    for (body_wanted, answer) in answers {
        let answer = answer.recv().unwrap_or(Answer::Failed);
        let status = match answer {
            Answer::File(path) => {
                let mut file = fs::File::open(path)?;
                let length = file.metadata()?.len();
                write!(out, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n")?;
                if body_wanted {
                    io::copy(&mut file, &mut out)?;
                }
                continue;
            }
            Answer::Absent => "404 Not Found",
            Answer::Refused => "403 Forbidden",
            Answer::Failed => "502 Bad Gateway",
        };
        write!(out, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n")?;
    }
    Ok(())
}

/// Binds the address on which hosts expect the mirror.
pub fn bind(address: std::net::Ipv4Addr) -> Result<TcpListener> {
    TcpListener::bind((address, PORT)).map_err(|source| LabError::Start {
        program: format!("mirror on {address}:{PORT}"),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn front(folder: &Path) -> Front {
        let mirror = Mirror {
            archive: "http://127.0.0.1:9/a".into(),
            security: None,
            updates: false,
            keyring: PathBuf::new(),
        };
        Front::new(folder.to_path_buf(), &mirror)
    }

    #[test]
    fn paths_that_could_leave_the_folder_are_refused() {
        let good = [
            ("pool/a/b_1%2b2%7e3.deb", "pool/a/b_1+2~3.deb"),
            ("dists/x/InRelease", "dists/x/InRelease"),
        ];
        for (raw, path) in good {
            assert_eq!(safe_path(raw), Some(PathBuf::from(path)));
        }
        for bad in [
            "",
            "../x",
            "a/%2e%2e/b",
            "a//b",
            "a/",
            "a%2",
            "a%zz",
            "a/.x",
            "a?b",
            "a%00b",
        ] {
            assert_eq!(safe_path(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_proxy_request_means_the_same_file() {
        let front = front(Path::new("/c"));
        let expected = Some((
            PathBuf::from("/c/debian/pool/x.deb"),
            "http://127.0.0.1:9/a/pool/x.deb".to_owned(),
        ));
        assert_eq!(front.locate("/debian/pool/x.deb"), expected);
        assert_eq!(
            front.locate("http://mirror.lab:3142/debian/pool/x.deb"),
            expected
        );
        assert_eq!(front.locate("/elsewhere/pool/x.deb"), None);
        assert_eq!(front.locate("/debian-security/x"), None);
    }

    #[test]
    fn pipelined_requests_are_answered_in_order() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("debian/pool")).unwrap();
        fs::write(folder.path().join("debian/pool/a"), "first").unwrap();
        fs::write(folder.path().join("debian/pool/b"), "second").unwrap();
        let port = front(folder.path()).serve_here().unwrap();
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let ask = "GET /debian/pool/a HTTP/1.1\r\nHost: x\r\n\r\nGET /no/such HTTP/1.1\r\n\r\nGET http://h/debian/pool/b HTTP/1.1\r\n\r\nHEAD /debian/pool/a HTTP/1.1\r\n\r\n";
        stream.write_all(ask.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert_eq!(
            text,
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst\
             HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n\
             HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond\
             HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
        );
    }

    #[test]
    fn a_request_is_read_to_its_end_or_refused() {
        let read = |text: &str| read_request(&mut BufReader::new(text.as_bytes()));
        assert_eq!(read("").unwrap(), None);
        let request = read("HEAD /x HTTP/1.1\r\nA: b\r\n\r\n").unwrap().unwrap();
        assert_eq!(
            (request.body_wanted, request.target.as_str()),
            (false, "/x")
        );
        assert!(read("GET /x HTTP/1.1\r\nA: b\r\n").is_err());
        assert!(read("POST /x HTTP/1.1\r\n\r\n").is_err());
        let long = format!("GET /x HTTP/1.1\r\nA: {}\r\n\r\n", "b".repeat(20_000));
        assert!(read(&long).is_err());
    }
}
