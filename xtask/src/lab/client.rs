//! A client of a web site: one request after the other from one address, at a steady rate, each judged by itself.

use std::fmt::Write as _;
use std::io::{self, Read, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};

use crate::say::say;

use super::error::{Result, malformed};
use super::paths;

/// A request without a 200 within this has failed: people begin to reload by then.
const FAILED_AFTER: Duration = Duration::from_secs(2);
/// How much of an answer is read.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Failed requests that are told one by one.
const TOLD_MAX: usize = 20;
/// The port of a URL that names none.
const HTTP_PORT: u16 = 80;

/// Arguments of `lab client`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The client's own address; one of this machine.
    #[arg(long)]
    from: IpAddr,
    /// What is asked for: `http://ADDRESS[:PORT]/PATH`.
    #[arg(long)]
    url: String,
    /// The time from one request to the next.
    #[arg(long, default_value = "50ms", value_parser = span)]
    every: Duration,
    /// Ends as soon as this file is there.
    #[arg(long)]
    until: PathBuf,
    /// Where the figures are written to as JSON.
    #[arg(long)]
    report: Option<PathBuf>,
}

fn span(text: &str) -> std::result::Result<Duration, String> {
    let wrong = || format!("{text:?}: write milliseconds or seconds, like 50ms or 1s");
    let (number, unit_ms) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(number), _) => (number, 1),
        (None, Some(number)) => (number, 1_000),
        (None, None) => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    match number.checked_mul(unit_ms).filter(|ms| *ms > 0) {
        Some(ms) => Ok(Duration::from_millis(ms)),
        None => Err(wrong()),
    }
}

/// Where requests go.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Site {
    from: IpAddr,
    to: SocketAddr,
    host: String,
    path: String,
}

impl Site {
    fn parse(from: IpAddr, url: &str) -> std::result::Result<Self, String> {
        let rest = url
            .strip_prefix("http://")
            .ok_or("the URL must begin with http://")?;
        let (host, path) = match rest.split_once('/') {
            Some((host, path)) => (host, format!("/{path}")),
            None => (rest, "/".to_owned()),
        };
        let to = match host.parse::<SocketAddr>() {
            Ok(to) => to,
            Err(_) => SocketAddr::new(
                host.parse()
                    .map_err(|_| format!("{host:?} is no address"))?,
                HTTP_PORT,
            ),
        };
        if from.is_ipv4() != to.is_ipv4() {
            return Err("both addresses must be of one family".to_owned());
        }
        Ok(Self {
            from,
            to,
            host: host.to_owned(),
            path,
        })
    }
}

/// What became of one request.
#[derive(Debug, Clone)]
struct Asked {
    /// When it began, since the client began.
    at: Duration,
    /// How long it took.
    took: Duration,
    /// Why it has failed.
    failure: Option<String>,
}

/// Figures over all requests.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Figures {
    /// All requests.
    pub total: usize,
    /// Those without a 200 within two seconds.
    pub failed: usize,
    /// The slowest that did not fail.
    pub slowest_ms: u128,
    /// The longest time from one good answer to the next.
    pub longest_gap_ms: u128,
    /// How long the client asked.
    pub span_s: u64,
    /// The first failures, each with its time and reason.
    pub failures: Vec<String>,
    /// When each request that failed was asked, since the client began.
    pub failed_at_ms: Vec<u128>,
}

/// What is written down: when the client began, and its figures.
#[derive(Debug, serde::Serialize)]
struct Report<'a> {
    began_unix_ms: i64,
    #[serde(flatten)]
    figures: &'a Figures,
}

/// Asks until the file is there, and tells the figures; failed requests are figures, no failure of the client.
///
/// # Errors
/// When the arguments make no sense, or the report cannot be written.
pub fn run(args: &Args) -> Result<()> {
    let site = Site::parse(args.from, &args.url).map_err(|why| malformed(&args.url, why))?;
    let began = Instant::now();
    let began_unix_ms = jiff::Timestamp::now().as_millisecond();
    let (sender, receiver) = mpsc::channel();
    let mut next = began;
    while !args.until.exists() {
        let (site, sender) = (site.clone(), sender.clone());
        thread::spawn(move || {
            let start = Instant::now();
            let failure = ask(&site, start + FAILED_AFTER).err();
            // The receiver lives as long as there are senders.
            let _ = sender.send(Asked {
                at: start.duration_since(began),
                took: start.elapsed(),
                failure: failure.map(|error| error.to_string()),
            });
        });
        // By the clock, not by the answers: a slow site is asked as often as a fast one.
        next += args.every;
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    drop(sender);
    let all: Vec<Asked> = receiver.into_iter().collect();
    let figures = figures(all, began.elapsed());
    if let Some(path) = &args.report {
        let report = Report {
            began_unix_ms,
            figures: &figures,
        };
        let text = serde_json::to_vec_pretty(&report)
            .map_err(|error| malformed("the client's figures", error))?;
        paths::write_private(path, &text)?;
    }
    say(words(&figures));
    Ok(())
}

fn figures(mut all: Vec<Asked>, span: Duration) -> Figures {
    all.sort_by_key(|asked| asked.at);
    let good = || all.iter().filter(|asked| asked.failure.is_none());
    let mut answers: Vec<Duration> = good().map(|asked| asked.at + asked.took).collect();
    answers.push(Duration::ZERO);
    answers.push(span);
    answers.sort();
    let gaps = answers
        .iter()
        .zip(answers.iter().skip(1))
        .map(|(one, next)| next.saturating_sub(*one));
    let failed = || {
        all.iter()
            .filter_map(|asked| Some((asked, asked.failure.as_ref()?)))
    };
    let told = failed().take(TOLD_MAX).map(|(asked, why)| {
        format!(
            "after {:.2} s: {why} ({} ms)",
            asked.at.as_secs_f64(),
            asked.took.as_millis()
        )
    });
    Figures {
        total: all.len(),
        failed: failed().count(),
        slowest_ms: good()
            .map(|asked| asked.took.as_millis())
            .max()
            .unwrap_or_default(),
        longest_gap_ms: gaps.max().unwrap_or_default().as_millis(),
        span_s: span.as_secs(),
        failed_at_ms: failed().map(|(asked, _)| asked.at.as_millis()).collect(),
        failures: told.collect(),
    }
}

fn words(figures: &Figures) -> String {
    let mut text = format!(
        "client: {} requests in {} s, {} failed, slowest {} ms, longest gap between answers {} ms",
        figures.total, figures.span_s, figures.failed, figures.slowest_ms, figures.longest_gap_ms
    );
    for failure in &figures.failures {
        let _ = write!(text, "\n  failed {failure}");
    }
    text
}

/// One request on a connection of its own.
fn ask(site: &Site, deadline: Instant) -> io::Result<()> {
    let mut stream = connected(site, deadline)?;
    stream.set_write_timeout(Some(left(deadline)?))?;
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        site.path, site.host
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut piece = [0_u8; 4096];
    loop {
        stream.set_read_timeout(Some(left(deadline)?))?;
        let count = stream.read(&mut piece)?;
        if count == 0 || answer.len() > ANSWER_BYTES_MAX {
            return judge(&answer);
        }
        answer.extend(piece.iter().take(count));
    }
}

fn judge(answer: &[u8]) -> io::Result<()> {
    let text = String::from_utf8_lossy(answer);
    let first = text.lines().next().unwrap_or_default();
    if first.split(' ').nth(1) != Some("200") {
        return Err(io::Error::other(format!("no 200 but {first:?}")));
    }
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return Err(io::Error::other("the answer ends within its head"));
    };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().ok())?
    });
    match length {
        Some(length) if body.len() < length => Err(io::Error::other("the answer ends too early")),
        _ => Ok(()),
    }
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time"));
    }
    Ok(left)
}

/// A connection from the client's own address, which the standard library cannot choose.
fn connected(site: &Site, deadline: Instant) -> io::Result<TcpStream> {
    let family = if site.to.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    bind(&socket, &SocketAddr::new(site.from, 0))?;
    match connect(&socket, &site.to) {
        Ok(()) => {}
        Err(rustix::io::Errno::INPROGRESS) => {
            let wait = Timespec::try_from(left(deadline)?).map_err(io::Error::other)?;
            let mut waited = [PollFd::new(&socket, PollFlags::OUT)];
            if poll(&mut waited, Some(&wait))? == 0 {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "no connection in time",
                ));
            }
        }
        Err(error) => return Err(error.into()),
    }
    let stream = TcpStream::from(socket);
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    stream.set_nonblocking(false)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::net::{Ipv4Addr, TcpListener};

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    /// A server of one connection that answers with these bytes and closes.
    fn served(answer: &'static str) -> String {
        let listener = TcpListener::bind((HERE, 0)).unwrap();
        let to = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0_u8; 1024];
            let _ = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        });
        format!("http://{to}/x")
    }

    fn asked(url: &str, bound: Duration) -> std::result::Result<(), String> {
        let site = Site::parse(HERE, url).unwrap();
        ask(&site, Instant::now() + bound).map_err(|error| error.to_string())
    }

    #[test]
    fn only_a_whole_answer_with_200_is_good() {
        let cases = [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", None),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok",
                Some("too early"),
            ),
            ("HTTP/1.1 200 OK\r\n", Some("within its head")),
            ("HTTP/1.1 503 No\r\n\r\n", Some("503")),
            ("", Some("no 200")),
        ];
        for (answer, reason) in cases {
            let said = asked(&served(answer), Duration::from_secs(5));
            match reason {
                None => assert_eq!(said, Ok(()), "{answer:?}"),
                Some(reason) => assert!(
                    said.clone().is_err_and(|why| why.contains(reason)),
                    "{answer:?}: {said:?}"
                ),
            }
        }
    }

    #[test]
    fn silence_and_refusal_are_failures() {
        let listener = TcpListener::bind((HERE, 0)).unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        assert!(asked(&url, Duration::from_millis(100)).is_err());
        drop(listener);
        assert!(asked(&url, Duration::from_secs(5)).is_err());
    }

    #[test]
    fn figures_count_failures_and_gaps() {
        let ms = Duration::from_millis;
        let one = |at, took, failure: Option<&str>| Asked {
            at: ms(at),
            took: ms(took),
            failure: failure.map(str::to_owned),
        };
        let all = vec![
            one(50, 2_000, Some("refused")),
            one(0, 5, None),
            one(100, 30, None),
        ];
        assert_eq!(
            figures(all, ms(200)),
            Figures {
                total: 3,
                failed: 1,
                slowest_ms: 30,
                longest_gap_ms: 125,
                span_s: 0,
                failures: vec!["after 0.05 s: refused (2000 ms)".to_owned()],
                failed_at_ms: vec![50],
            }
        );
        assert_eq!(figures(Vec::new(), ms(700)).longest_gap_ms, 700);
    }

    #[test]
    fn arguments_are_read() {
        assert_eq!(span("50ms"), Ok(Duration::from_millis(50)));
        assert_eq!(span("2s"), Ok(Duration::from_secs(2)));
        for wrong in ["50", "0ms", "-1s", "ms"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
        for wrong in [
            "https://127.0.0.1/",
            "http://name/",
            "http://[::1]/",
            "http://",
        ] {
            assert!(Site::parse(HERE, wrong).is_err(), "{wrong}");
        }
        let site = Site::parse(HERE, "http://127.0.0.1").unwrap();
        assert_eq!((site.to.port(), site.path.as_str()), (80, "/"));
    }
}
