use super::*;

const CONTEXT: &str = "run-1 files a b 1";

fn peer(key: &str, context: &str, port: Option<u16>) -> Peer {
    let address = |port| format!("127.0.0.1:{port}");
    Peer {
        key: key.to_owned(),
        context: context.to_owned(),
        addresses: port.map(address).into_iter().collect(),
    }
}

/// As long as the second is there, the controller is.
fn held() -> (Leash, io::PipeWriter) {
    let (reads, writes) = io::pipe().unwrap();
    (Leash::of(reads).unwrap(), writes)
}

/// What becomes of one that comes with a key, to one that awaits a key, each with its word.
fn met(
    (came, named): (&Identity, &Identity),
    own: &Identity,
    words: (&str, &str),
) -> (Result<Vec<u8>, String>, Result<(), String>) {
    let offer = Offer::open().unwrap();
    let port = offer.port().unwrap();
    let awaited = peer(named.public(), words.0, None);
    let coming = peer(own.public(), words.1, Some(port));
    let (leash, _held) = held();
    thread::scope(|scope| {
        let listens = scope.spawn(|| {
            let mut channel = offer
                .accept(own, &awaited, &leash)
                .map_err(|e| e.to_string())?;
            let sent = channel
                .write_all(b"all of it")
                .and_then(|()| channel.flush());
            channel.conn.send_close_notify();
            sent.and(channel.flush()).map_err(|error| error.to_string())
        });
        let comes = connect(came, &coming)
            .map_err(|error| error.to_string())
            .and_then(|(mut channel, _)| {
                let mut all = Vec::new();
                channel.read_to_end(&mut all).map_err(|e| e.to_string())?;
                Ok(all)
            });
        if comes.is_err() {
            // It would wait for another one.
            for _ in 0..STRANGERS_MAX {
                drop(TcpStream::connect((Ipv4Addr::LOCALHOST, port)));
            }
        }
        (comes, listens.join().unwrap())
    })
}

#[test]
fn only_the_one_that_was_named_is_let_in_and_only_for_this_transfer() {
    let [own, named, other] = [(); 3].map(|()| Identity::new().unwrap());
    let (comes, listens) = met((&named, &named), &own, (CONTEXT, CONTEXT));
    assert_eq!((comes.as_deref(), listens), (Ok(&b"all of it"[..]), Ok(())));

    let nobody = || Err(ChannelError::Nobody.to_string());
    let (comes, listens) = met((&other, &named), &own, (CONTEXT, CONTEXT));
    assert!(comes.is_err());
    assert_eq!(listens, nobody());

    let (comes, listens) = met((&named, &named), &own, (CONTEXT, "run-1 files a b 2"));
    assert!(comes.is_err());
    assert_eq!(listens, nobody());
}

#[test]
fn an_offer_ends_with_whoever_wanted_it() {
    let own = Identity::new().unwrap();
    let awaited = peer(own.public(), CONTEXT, None);
    let (leash, held) = held();
    let since = Instant::now();
    drop(held);
    let error = Offer::open().unwrap().accept(&own, &awaited, &leash);
    let error = error.map(drop).unwrap_err().to_string();
    assert_eq!(error, ChannelError::Unwanted.to_string());
    assert!(since.elapsed() < Duration::from_secs(OFFER_S_MAX / 2));
}

#[test]
fn another_one_that_listens_at_the_address_gets_nothing() {
    let [own, named, other] = [(); 3].map(|()| Identity::new().unwrap());
    let offer = Offer::open().unwrap();
    let coming = peer(named.public(), CONTEXT, Some(offer.port().unwrap()));
    let awaited = peer(own.public(), CONTEXT, None);
    let (leash, _held) = held();
    thread::scope(|scope| {
        scope.spawn(|| {
            offer
                .accept(&other, &awaited, &leash)
                .map(drop)
                .unwrap_err()
        });
        let error = connect(&own, &coming).map(drop).unwrap_err().to_string();
        assert!(
            error.contains("another key than the one that was named"),
            "{error}"
        );
        for _ in 0..STRANGERS_MAX {
            drop(TcpStream::connect(&coming.addresses[0]));
        }
    });
}

#[test]
fn an_address_where_nobody_listens_is_named() {
    let own = Identity::new().unwrap();
    let offer = Offer::open().unwrap();
    let coming = peer(own.public(), CONTEXT, Some(offer.port().unwrap()));
    drop(offer);
    let error = connect(&own, &coming).map(drop).unwrap_err().to_string();
    assert!(
        error.contains("127.0.0.1") && error.contains("not reached"),
        "{error}"
    );
    let nowhere = Peer {
        addresses: Vec::new(),
        ..coming
    };
    let error = connect(&own, &nowhere).map(drop).unwrap_err().to_string();
    assert_eq!(error, "no address of it is known");
}
