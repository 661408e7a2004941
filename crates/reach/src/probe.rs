//! Conditions that the controller measures: does a port accept, does a page answer.

use crate::ssh::printable;
use overhaul_model::primitive::{Measure, Measurement};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// Read of an answer to find its status line; servers put it first.
const STATUS_LINE_BYTES_MAX: usize = 4 << 10;
/// Longest answer of a server that is told to a person.
const WORDS_CHARS_MAX: usize = 120;
/// The port of a URL that names none.
const HTTP_PORT: u16 = 80;

/// Measures from here, at most `within`. What only a host can measure is unknown.
pub(crate) async fn measure(measure: &Measure, within: Duration) -> Measurement {
    let deadline = Instant::now() + within;
    let mut parts = Vec::new();
    for part in flat(measure) {
        parts.push(one(part, deadline, within).await);
    }
    Measurement::all(parts)
}

/// The parts of a measure, without the lists in it.
pub(crate) fn flat(measure: &Measure) -> Vec<&Measure> {
    match measure {
        Measure::All(parts) => parts.iter().flat_map(flat).collect(),
        one => vec![one],
    }
}

async fn one(measure: &Measure, deadline: Instant, within: Duration) -> Measurement {
    match measure {
        Measure::Http { url, status } => {
            let Some(place) = Place::parse(url) else {
                return Measurement::Unknown {
                    reason: format!("{url}: only http://host[:port]/path can be asked"),
                };
            };
            let asked = timeout_at(deadline, place.status()).await;
            match flatten(asked) {
                Ok(got) if got == *status => Measurement::So {
                    evidence: format!("{url} answered {got}"),
                },
                Ok(got) => Measurement::NotSo {
                    evidence: format!("{url} answered {got}, not {status}"),
                },
                Err(error) => no_answer(url, &error, within),
            }
        }
        Measure::Tcp { address } => {
            let asked = timeout_at(deadline, TcpStream::connect(address)).await;
            match flatten(asked) {
                Ok(_) => Measurement::So {
                    evidence: format!("{address} accepts connections"),
                },
                Err(error) => no_answer(address, &error, within),
            }
        }
        Measure::All(_)
        | Measure::Command(_)
        | Measure::Unit { .. }
        | Measure::Release { .. }
        | Measure::PackagesClean
        | Measure::PackagesInstalled { .. }
        | Measure::FileIs(_)
        | Measure::FileEdited(_)
        | Measure::Member(_) => Measurement::Unknown {
            reason: "only a host can measure this".to_owned(),
        },
    }
}

fn flatten<T>(asked: Result<io::Result<T>, tokio::time::error::Elapsed>) -> io::Result<T> {
    asked.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// A server that refuses or keeps silent does not serve: that was measured. A name that does not
/// resolve or a network that is away may be our own trouble.
fn no_answer(what: &str, error: &io::Error, within: Duration) -> Measurement {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::TimedOut => Measurement::NotSo {
            evidence: format!("{what}: no answer within {within:?}"),
        },
        Kind::ConnectionRefused
        | Kind::ConnectionReset
        | Kind::ConnectionAborted
        | Kind::UnexpectedEof
        | Kind::BrokenPipe
        | Kind::InvalidData => Measurement::NotSo {
            evidence: format!("{what}: {error}"),
        },
        _ => Measurement::Unknown {
            reason: format!("{what}: {error}"),
        },
    }
}

/// Where an `http` URL points.
#[derive(Debug, PartialEq, Eq)]
struct Place<'a> {
    /// As it goes into the request.
    authority: &'a str,
    host: &'a str,
    port: u16,
    path: &'a str,
}

impl<'a> Place<'a> {
    fn parse(url: &'a str) -> Option<Self> {
        let rest = url.strip_prefix("http://")?;
        if rest.chars().any(|c| c.is_control() || c == ' ') {
            return None;
        }
        let rest = rest.split('#').next()?;
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(at);
        if authority.contains('@') {
            return None;
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(v6) => {
                let (host, after) = v6.split_once(']')?;
                (
                    host,
                    after.strip_prefix(':').or(after.is_empty().then_some(""))?,
                )
            }
            None => authority.split_once(':').unwrap_or((authority, "")),
        };
        let port = if port.is_empty() {
            HTTP_PORT
        } else {
            port.parse().ok()?
        };
        (!host.is_empty()).then_some(Self {
            authority,
            host,
            port,
            path,
        })
    }

    /// Asks for the page and reads the status. Redirects are answers like others: not followed.
    async fn status(&self) -> io::Result<u16> {
        let mut stream = TcpStream::connect((self.host, self.port)).await?;
        let slash = if self.path.starts_with('/') { "" } else { "/" };
        let request = format!(
            "GET {slash}{} HTTP/1.1\r\nHost: {}\r\nUser-Agent: overhaul\r\nAccept: */*\r\nConnection: close\r\n\r\n",
            self.path, self.authority
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        let mut buffer = [0_u8; 512];
        while !answer.contains(&b'\n') && answer.len() < STATUS_LINE_BYTES_MAX {
            let length = stream.read(&mut buffer).await?;
            if length == 0 {
                break;
            }
            answer.extend(buffer.iter().take(length));
        }
        status_of(&answer)
    }
}

fn status_of(answer: &[u8]) -> io::Result<u16> {
    let line = answer.split(|byte| *byte == b'\n').next().unwrap_or(answer);
    if line.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "closed without an answer",
        ));
    }
    let words: Vec<_> = line.split(|byte| *byte == b' ').collect();
    let status = match words.as_slice() {
        [version, status, ..] if version.starts_with(b"HTTP/1.") => std::str::from_utf8(status)
            .ok()
            .map(str::trim_end)
            .filter(|status| status.len() == 3)
            .and_then(|status| status.parse().ok()),
        _ => None,
    };
    status.ok_or_else(|| {
        let words = printable(line, WORDS_CHARS_MAX);
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("no HTTP answer: {words}"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::net::TcpListener;

    const BOUND: Duration = Duration::from_millis(400);

    #[test]
    fn urls_point_where_they_say() {
        for (url, host, port, path) in [
            ("http://web", "web", 80, ""),
            ("http://web:8080/up?x=1#top", "web", 8080, "/up?x=1"),
            ("http://web?x", "web", 80, "?x"),
            ("http://[fd00::1]:81/", "fd00::1", 81, "/"),
            ("http://[fd00::1]", "fd00::1", 80, ""),
        ] {
            let place = Place::parse(url).unwrap();
            assert_eq!(
                (place.host, place.port, place.path),
                (host, port, path),
                "{url}"
            );
        }
        for url in [
            "https://web",
            "web",
            "http://",
            "http://web:99999",
            "http://a@b/",
            "http://web/a b",
            "http://web/\r\nX: y",
            "http://[::1]x",
        ] {
            assert_eq!(Place::parse(url), None, "{url}");
        }
    }

    proptest! {
        #[test]
        fn foreign_answers_never_panic(answer in prop::collection::vec(any::<u8>(), 0..200), url in ".{0,60}") {
            let _any = status_of(&answer);
            let _any = Place::parse(&url);
            let _any = Place::parse(&format!("http://{url}"));
        }
    }

    /// A server that says `answer` to the first who asks, and then nothing.
    async fn server(answer: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _any = stream.read(&mut [0; 1024]).await;
            stream.write_all(answer).await.unwrap();
            tokio::time::sleep(BOUND * 4).await;
        });
        address
    }

    #[tokio::test]
    async fn statuses_are_told_apart() {
        for (answer, status, so) in [
            (&b"HTTP/1.1 200 OK\r\n\r\nhello"[..], 200, "so"),
            (b"HTTP/1.0 503 busy\r\n\r\n", 200, "not"),
            (b"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", 302, "so"),
            (b"SSH-2.0-x\r\n", 200, "not"),
            (b"", 200, "not"),
        ] {
            let address = server(answer).await;
            let url = format!("http://{address}/up");
            let got = measure(&Measure::Http { url, status }, BOUND).await;
            let is = match got {
                Measurement::So { .. } => "so",
                Measurement::NotSo { .. } => "not",
                Measurement::Unknown { .. } => "unknown",
            };
            assert_eq!(is, so, "{answer:?} {got:?}");
        }
    }

    #[tokio::test]
    async fn ports_and_lists() {
        let address = server(b"").await;
        let open = Measure::Tcp {
            address: address.clone(),
        };
        assert!(measure(&open, BOUND).await.is_so());
        let closed = Measure::Tcp {
            address: "127.0.0.1:1".to_owned(),
        };
        let both = Measure::All(vec![open.clone(), Measure::All(vec![closed])]);
        assert!(matches!(
            measure(&both, BOUND).await,
            Measurement::NotSo { .. }
        ));
        let nowhere = Measure::Tcp {
            address: "no-such-host.invalid:80".to_owned(),
        };
        let got = measure(&nowhere, Duration::from_secs(5)).await;
        assert!(!got.is_so(), "{got:?}");
        let on_host = Measure::All(vec![open, Measure::PackagesClean]);
        assert!(matches!(
            measure(&on_host, BOUND).await,
            Measurement::Unknown { .. }
        ));
    }
}
