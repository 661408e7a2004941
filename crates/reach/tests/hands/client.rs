//! The client against helpers that are written out frame by frame.

use overhaul_model::facts::BootProof;
use overhaul_model::id::{AttemptKey, InstallId};
use overhaul_model::receipt::ReceiptStatus;
use overhaul_model::wire::{PROTOCOL, Refusal, Request, RequestBody, Response, ResponseBody};
use overhaul_reach::client::{Answer, ClientError, HELPER_VERSION, HelperClient};
use overhaul_reach::frame::{Frame, read_frame, write_frame};
use std::time::Duration;
use tokio::io::{AsyncWriteExt as _, DuplexStream, duplex};
use tokio::time::timeout;

const BOUND: Duration = Duration::from_secs(5);

fn hello(protocol: u32, version: &str) -> ResponseBody {
    ResponseBody::Hello {
        protocol,
        version: version.to_owned(),
        install_id: InstallId::new("install"),
        sequence: 7,
        boot: BootProof {
            boot_id: "boot".to_owned(),
            init_started_ticks: 1,
        },
        holder: None,
    }
}

/// The helper's end of the connection.
struct Fake {
    input: DuplexStream,
    output: DuplexStream,
    error: DuplexStream,
}

impl Fake {
    fn new() -> (
        Self,
        impl Future<Output = Result<HelperClient, ClientError>>,
    ) {
        let (stdin, input) = duplex(256);
        let (output, stdout) = duplex(256);
        let (error, stderr) = duplex(256);
        let client = HelperClient::start(stdout, stdin, stderr, BOUND);
        (
            Self {
                input,
                output,
                error,
            },
            client,
        )
    }

    /// A client that has been greeted.
    async fn greeted() -> (Self, HelperClient) {
        let (mut fake, client) = Self::new();
        let greet = fake.say(0, hello(PROTOCOL, HELPER_VERSION));
        let (client, ()) = tokio::join!(client, greet);
        (fake, client.unwrap())
    }

    async fn say(&mut self, id: u32, body: ResponseBody) {
        let text = serde_json::to_vec(&Response { id, body }).unwrap();
        write_frame(&mut self.output, &Frame::Json(text))
            .await
            .unwrap();
    }

    async fn data(&mut self, id: u32, bytes: &[u8]) {
        let bytes = bytes.to_vec();
        write_frame(&mut self.output, &Frame::Data { id, bytes })
            .await
            .unwrap();
    }

    async fn hear(&mut self) -> Request {
        match read_frame(&mut self.input).await.unwrap().unwrap() {
            Frame::Json(text) => serde_json::from_slice(&text).unwrap(),
            Frame::Data { .. } => panic!("data"),
        }
    }
}

fn receipt(key: &str) -> RequestBody {
    RequestBody::Receipt {
        key: AttemptKey::new(key),
    }
}

async fn ask(client: &HelperClient, key: &str) -> Result<ResponseBody, ClientError> {
    client.ask("a receipt", receipt(key), BOUND).await
}

#[tokio::test]
async fn greetings_of_another_build_are_refused() {
    for (protocol, version) in [(PROTOCOL + 1, HELPER_VERSION), (PROTOCOL, "0.0.0-other")] {
        let (mut fake, client) = Fake::new();
        let (client, ()) = tokio::join!(client, fake.say(0, hello(protocol, version)));
        let error = client.unwrap_err();
        assert_eq!(
            error,
            ClientError::OtherVersion {
                theirs: version.to_owned(),
                their_protocol: protocol
            }
        );
        assert!(error.to_string().contains("another version"));
        assert!(!error.is_transient());
    }
    // A future version may have another greeting; what tells the versions apart stays.
    let (mut fake, client) = Fake::new();
    let text = br#"{"id":0,"body":{"hello":{"protocol":99,"version":"9.0.0","news":[1]}}}"#;
    let frame = Frame::Json(text.to_vec());
    let (client, sent) = tokio::join!(client, write_frame(&mut fake.output, &frame));
    sent.unwrap();
    assert!(matches!(
        client.unwrap_err(),
        ClientError::OtherVersion {
            their_protocol: 99,
            ..
        }
    ));
}

#[tokio::test]
async fn what_is_no_greeting_is_an_error_in_time() {
    let (mut fake, client) = Fake::new();
    let junk = async {
        fake.output.write_all(b"Welcome to web-1!\n").await.unwrap();
    };
    let (client, ()) = tokio::join!(client, junk);
    assert!(matches!(client.unwrap_err(), ClientError::Protocol { .. }));

    // A helper that cannot open its store says why.
    let refusal = Refusal::Store {
        why: "read-only file system".to_owned(),
    };
    let (mut fake, client) = Fake::new();
    let refuse = fake.say(0, ResponseBody::Refused(refusal.clone()));
    let (client, ()) = tokio::join!(client, refuse);
    assert_eq!(client.unwrap_err(), ClientError::Refused(refusal));

    let (mut fake, client) = Fake::new();
    let dying = async move {
        fake.error
            .write_all(b"no space left\x1b[31m\n")
            .await
            .unwrap();
        drop(fake);
    };
    let (client, ()) = tokio::join!(client, dying);
    assert_eq!(
        client.unwrap_err(),
        ClientError::Lost {
            why: "it ended before its greeting: no space left".to_owned()
        }
    );

    let (stdin, _input) = duplex(16);
    let (_output, stdout) = duplex(16);
    let bound = Duration::from_millis(50);
    let client = HelperClient::start(stdout, stdin, tokio::io::empty(), bound).await;
    assert_eq!(
        client.unwrap_err(),
        ClientError::TimedOut {
            what: "the start",
            bound
        }
    );
}

#[tokio::test]
async fn answers_find_their_questions_in_any_order() {
    let (mut fake, client) = Fake::greeted().await;
    assert_eq!(client.hello().sequence, 7);
    let helper = async {
        let (first, second) = (fake.hear().await, fake.hear().await);
        assert_ne!(first.id, second.id);
        fake.say(second.id, ResponseBody::Released).await;
        // Nobody has asked this.
        fake.say(4_000, ResponseBody::Released).await;
        fake.data(4_000, b"?").await;
        fake.say(first.id, ResponseBody::Receipt(ReceiptStatus::Absent))
            .await;
    };
    let release = client.ask("a release", receipt("b"), BOUND);
    let (absent, released, ()) = tokio::join!(ask(&client, "a"), release, helper);
    assert_eq!(
        absent.unwrap(),
        ResponseBody::Receipt(ReceiptStatus::Absent)
    );
    assert_eq!(released.unwrap(), ResponseBody::Released);

    let refusal = Refusal::NotRegistered;
    let helper = async {
        let id = fake.hear().await.id;
        fake.say(id, ResponseBody::Refused(refusal.clone())).await;
    };
    let (refused, ()) = tokio::join!(ask(&client, "a"), helper);
    assert_eq!(refused.unwrap_err(), ClientError::Refused(refusal));
}

#[tokio::test]
async fn a_dropped_exchange_holds_up_nobody() {
    let (mut fake, client) = Fake::greeted().await;
    let exchange = client.open(receipt("unread")).await.unwrap();
    let id = fake.hear().await.id;
    let helper = async {
        // More than all queues hold: the client stops reading until the exchange is dropped.
        for _ in 0..200 {
            fake.data(id, &[0; 100]).await;
        }
    };
    let flooded = async {
        let mut helper = std::pin::pin!(helper);
        assert!(
            timeout(Duration::from_millis(100), &mut helper)
                .await
                .is_err()
        );
        drop(exchange);
        timeout(BOUND, helper).await.unwrap();
    };
    flooded.await;
    let helper = async {
        let id = fake.hear().await.id;
        fake.say(id, ResponseBody::Released).await;
    };
    let (answer, ()) = tokio::join!(ask(&client, "next"), helper);
    assert_eq!(answer.unwrap(), ResponseBody::Released);
}

#[tokio::test]
async fn data_goes_both_ways_in_order() {
    let (mut fake, client) = Fake::greeted().await;
    let sent: Vec<u8> = (0..200_000_u32).map(|n| n as u8).collect();
    let helper = async {
        let id = fake.hear().await.id;
        let mut got: Vec<u8> = Vec::new();
        loop {
            match read_frame(&mut fake.input).await.unwrap().unwrap() {
                Frame::Data { id: of, bytes } => {
                    assert_eq!(of, id);
                    got.extend(&bytes);
                    fake.data(id, &bytes).await;
                }
                Frame::Json(text) => {
                    let end: Request = serde_json::from_slice(&text).unwrap();
                    assert_eq!(end.body, RequestBody::DataEnd { of: id });
                    fake.say(id, ResponseBody::Released).await;
                    return got;
                }
            }
        }
    };
    let ours = async {
        let mut exchange = client.open(receipt("echo")).await.unwrap();
        let feeder = exchange.feeder();
        let feed = async {
            feeder.send(&sent).await.unwrap();
            feeder.end().await.unwrap();
        };
        let read = async {
            let mut got: Vec<u8> = Vec::new();
            loop {
                match exchange.next().await.unwrap() {
                    Answer::Data(bytes) => got.extend(bytes),
                    Answer::Body(_) => return got,
                }
            }
        };
        tokio::join!(read, feed).0
    };
    let (there, back) = timeout(BOUND, async { tokio::join!(helper, ours) })
        .await
        .unwrap();
    assert!(there == sent && back == sent);
}

#[tokio::test]
async fn the_end_of_the_helper_ends_all_questions() {
    let (mut fake, client) = Fake::greeted().await;
    let dying = async {
        fake.hear().await;
        fake.error.write_all(b"out of memory\n").await.unwrap();
        drop(fake);
    };
    let (answer, ()) = tokio::join!(ask(&client, "a"), dying);
    let lost = ClientError::Lost {
        why: "it ended: out of memory".to_owned(),
    };
    assert_eq!(answer.unwrap_err(), lost);
    assert_eq!(client.lost().await, lost);
    assert!(!client.is_open() && lost.is_transient());
    assert_eq!(ask(&client, "b").await.unwrap_err(), lost);
}

#[tokio::test]
async fn a_helper_that_breaks_the_protocol_is_left() {
    let (mut fake, client) = Fake::greeted().await;
    let breaking = async {
        fake.hear().await;
        fake.output
            .write_all(&u32::MAX.to_be_bytes())
            .await
            .unwrap();
    };
    let (answer, ()) = tokio::join!(ask(&client, "a"), breaking);
    assert!(matches!(
        answer.unwrap_err(),
        ClientError::Protocol { why } if why.contains("4294967295")
    ));
}

#[tokio::test]
async fn silence_and_oversize_are_errors() {
    let (_fake, client) = Fake::greeted().await;
    let bound = Duration::from_millis(50);
    let answer = client.ask("a receipt", receipt("a"), bound).await;
    assert!(matches!(
        answer.unwrap_err(),
        ClientError::TimedOut {
            what: "a receipt",
            ..
        }
    ));
    let huge = receipt(&"x".repeat(1 << 20));
    assert!(matches!(
        client.open(huge).await.err().unwrap(),
        ClientError::TooLarge { .. }
    ));
    assert!(client.is_open());
}

#[tokio::test]
async fn endless_words_on_standard_error_keep_nobody_busy() {
    let (mut fake, client) = Fake::greeted().await;
    let mut error = std::mem::replace(&mut fake.error, duplex(1).0);
    let flood = tokio::spawn(async move {
        let mut written = 0;
        let line = [b'x'; 64 << 10];
        while timeout(Duration::from_millis(500), error.write_all(&line))
            .await
            .is_ok_and(|done| done.is_ok())
        {
            written += line.len();
        }
        (written, error)
    });
    // The helper works on meanwhile.
    for _ in 0..3 {
        let helper = async {
            let id = fake.hear().await.id;
            fake.say(id, ResponseBody::Released).await;
        };
        let (answer, ()) = tokio::join!(ask(&client, "a"), helper);
        assert_eq!(answer.unwrap(), ResponseBody::Released);
    }
    let (written, error) = flood.await.unwrap();
    assert!(
        (1 << 20..8 << 20).contains(&written),
        "{written} bytes read"
    );
    // Its end is seen, although standard error never ends, and its last words are bounded.
    drop(fake);
    let lost = timeout(BOUND, client.lost()).await.unwrap().to_string();
    assert!(
        lost.contains("it ended: ") && lost.len() < 10_000,
        "{} bytes",
        lost.len()
    );
    drop(error);
}

/// What a frame of 100 bytes begins with.
const HALF: &[u8] = &[0, 0, 0, 100, 0, b'{', b'"', b'i', b'd'];

#[tokio::test]
async fn a_frame_that_stops_half_way_is_an_error_in_time() {
    // The connection stands, and no more comes.
    let (mut fake, client) = Fake::greeted().await;
    fake.output.write_all(HALF).await.unwrap();
    let bound = Duration::from_millis(50);
    let answer = client.ask("a receipt", receipt("a"), bound).await;
    let error = answer.unwrap_err();
    assert!(matches!(error, ClientError::TimedOut { .. }), "{error}");
    // It ends there.
    drop(fake);
    let error = timeout(BOUND, client.lost()).await.unwrap();
    assert!(matches!(error, ClientError::Lost { .. }), "{error}");
    assert!(error.is_transient());

    // The greeting itself stops.
    let (stdin, _input) = duplex(256);
    let (mut output, stdout) = duplex(256);
    output.write_all(HALF).await.unwrap();
    let greeted = HelperClient::start(stdout, stdin, tokio::io::empty(), bound).await;
    let error = greeted.unwrap_err();
    assert!(matches!(error, ClientError::TimedOut { .. }), "{error}");
    let (mut fake, client) = Fake::new();
    let ending = async move {
        fake.output.write_all(HALF).await.unwrap();
        drop(fake);
    };
    let (greeted, ()) = tokio::join!(client, ending);
    let error = greeted.unwrap_err();
    assert!(matches!(error, ClientError::Lost { .. }), "{error}");
}
