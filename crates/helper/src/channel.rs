//! An encrypted way between two helpers, for one transfer.
//!
//! Each end makes a key for this one connection, which never leaves its process. The controller tells each the other's
//! public key over SSH; nobody else is let in, and nothing is sent before both have proven theirs and named the same
//! transfer. There is no way without encryption.

use overhaul_model::wire::Peer;
use rustix::net::sockopt;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring as provider};
use rustls::pki_types::{
    CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::CertifiedKey;
use rustls::{
    ClientConfig, ClientConnection, ConnectionCommon, DigitallySignedStruct, DistinguishedName,
    Error as TlsError, ServerConfig, ServerConnection, SideData, SignatureScheme, StreamOwned,
    crypto::verify_tls13_signature_with_raw_key, version::TLS13,
};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long the offer of a connection stands: the controller asks the other host within seconds.
const OFFER_S_MAX: u64 = 60;

/// How long one address is tried, and how long the two may take to prove who they are.
const TRY_S_MAX: u64 = 5;

/// Addresses of the other end that are tried.
const ADDRESSES_MAX: usize = 8;

/// Strangers that are turned away before the offer ends: a port that is scanned must not keep it busy.
const STRANGERS_MAX: usize = 16;

/// Pause between two looks whether somebody has come.
const LOOK_MS: u64 = 10;

/// Silence after which the other end is asked whether it lives; it may read a disk for minutes and say nothing.
const ALIVE_AFTER_S: u64 = 15;

/// What the one who listens says when it has seen the right word.
const WELCOME: u8 = 6;

/// The name that the protocol asks for; keys are what counts.
const NAME: &str = "transfer.invalid";

/// No way between two helpers.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// The system says no.
    #[error("{0}: {1}")]
    Io(&'static str, io::Error),
    /// The other end is not the one that was named, or breaks the protocol.
    #[error("encryption: {0}")]
    Tls(#[from] TlsError),
    /// No key could be made.
    #[error("no key could be made")]
    Key,
    /// The other end speaks of another transfer.
    #[error("the other end speaks of another transfer")]
    Other,
    /// Whoever wanted it is gone, or wants it no more.
    #[error("the controller wants it no more")]
    Unwanted,
    /// Nobody came.
    #[error("nobody came within {OFFER_S_MAX} s")]
    Nobody,
    /// It was not reached.
    #[error("{0}")]
    Unreachable(String),
}

fn io_error(doing: &'static str) -> impl FnOnce(io::Error) -> ChannelError {
    move |error| ChannelError::Io(doing, error)
}

/// A key for one connection.
pub struct Identity {
    own: Arc<CertifiedKey>,
    public: String,
}

impl Identity {
    /// A new one.
    ///
    /// # Errors
    /// When there are no random numbers.
    pub fn new() -> Result<Self, ChannelError> {
        let random = ring::rand::SystemRandom::new();
        let document = ring::signature::Ed25519KeyPair::generate_pkcs8(&random)
            .map_err(|_| ChannelError::Key)?;
        let secret = PrivatePkcs8KeyDer::from(document.as_ref());
        let key = provider::sign::any_eddsa_type(&secret)?;
        let public = key.public_key().ok_or(ChannelError::Key)?.to_vec();
        Ok(Self {
            public: hex(&public),
            own: Arc::new(CertifiedKey::new(vec![CertificateDer::from(public)], key)),
        })
    }

    /// What the other end must know.
    pub fn public(&self) -> &str {
        &self.public
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whoever has this key, and nobody else.
#[derive(Debug)]
struct Pinned {
    key: String,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Pinned {
    fn new(key: &str, provider: &CryptoProvider) -> Arc<Self> {
        Arc::new(Self {
            key: key.to_owned(),
            algorithms: provider.signature_verification_algorithms,
        })
    }

    fn is(&self, shown: &CertificateDer<'_>) -> Result<(), TlsError> {
        match hex(shown.as_ref()) == self.key {
            true => Ok(()),
            false => Err(TlsError::General(
                "it has another key than the one that was named".to_owned(),
            )),
        }
    }

    fn signed(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let key = SubjectPublicKeyInfoDer::from(key.as_ref());
        verify_tls13_signature_with_raw_key(message, &key, signature, &self.algorithms)
    }
}

/// Only the newest version is spoken.
fn too_old() -> Result<HandshakeSignatureValid, TlsError> {
    Err(TlsError::General(
        "an older version of the protocol".to_owned(),
    ))
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        self.is(shown).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        too_old()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.signed(message, key, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for Pinned {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, TlsError> {
        self.is(shown).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        too_old()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.signed(message, key, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

fn server(identity: &Identity, peer: &Peer) -> Result<Arc<ServerConfig>, ChannelError> {
    let provider = Arc::new(provider::default_provider());
    let pinned = Pinned::new(&peer.key, &provider);
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(pinned)
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(
            Arc::clone(&identity.own),
        )));
    Ok(Arc::new(config))
}

fn client(identity: &Identity, peer: &Peer) -> Result<Arc<ClientConfig>, ChannelError> {
    let provider = Arc::new(provider::default_provider());
    let pinned = Pinned::new(&peer.key, &provider);
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(pinned)
        .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(
            Arc::clone(&identity.own),
        )));
    // One connection.
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// The end that listens.
pub type Listening = StreamOwned<ServerConnection, TcpStream>;

/// The end that comes.
pub type Coming = StreamOwned<ClientConnection, TcpStream>;

/// A port that stands open for a minute.
pub struct Offer(TcpListener);

impl Offer {
    /// Opens it, on all addresses of the host.
    ///
    /// # Errors
    /// When the system says no.
    pub fn open() -> Result<Self, ChannelError> {
        let any = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0))
            .or_else(|_| TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)));
        let listener = any.map_err(io_error("no port can be opened"))?;
        let unblocked = listener.set_nonblocking(true);
        unblocked.map_err(io_error("the port cannot be set up"))?;
        Ok(Self(listener))
    }

    /// Which.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn port(&self) -> Result<u16, ChannelError> {
        let address = self.0.local_addr();
        Ok(address.map_err(io_error("the port is not known"))?.port())
    }

    /// Waits for the one that was named; others are turned away.
    ///
    /// # Errors
    /// When it does not come, or is not waited for any more.
    pub fn accept(
        self,
        identity: &Identity,
        peer: &Peer,
        leash: &Leash,
    ) -> Result<Listening, ChannelError> {
        let config = server(identity, peer)?;
        let until = Instant::now() + Duration::from_secs(OFFER_S_MAX);
        let mut strangers = 0;
        while Instant::now() < until && strangers < STRANGERS_MAX {
            if leash.is_loose() {
                return Err(ChannelError::Unwanted);
            }
            match self.0.accept() {
                Ok((stream, _)) => match welcome(stream, &config, &peer.context) {
                    Ok(channel) => {
                        leash.hold(&channel.sock)?;
                        return Ok(channel);
                    }
                    Err(_) => strangers += 1,
                },
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    thread::sleep(Duration::from_millis(LOOK_MS));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ChannelError::Io("nobody can be let in", error)),
            }
        }
        Err(ChannelError::Nobody)
    }
}

fn welcome(
    stream: TcpStream,
    config: &Arc<ServerConfig>,
    context: &str,
) -> Result<Listening, ChannelError> {
    let failed = || io_error("the connection cannot be set up");
    stream.set_nonblocking(false).map_err(failed())?;
    bounded(&stream, Some(TRY_S_MAX)).map_err(failed())?;
    let mut connection = ServerConnection::new(Arc::clone(config))?;
    let mut stream = stream;
    shake(&mut connection, &mut stream)?;
    let mut channel = StreamOwned::new(connection, stream);
    let mut word = vec![0; context.len()];
    channel.read_exact(&mut word).map_err(failed())?;
    if word != context.as_bytes() {
        return Err(ChannelError::Other);
    }
    channel.write_all(&[WELCOME]).map_err(failed())?;
    channel.flush().map_err(failed())?;
    bounded(&channel.sock, None).map_err(failed())?;
    Ok(channel)
}

/// Comes to the one that listens, at the first of its addresses where it proves to be the one that was named.
///
/// # Errors
/// When there is none, with what each of them said.
pub fn connect(identity: &Identity, peer: &Peer) -> Result<(Coming, SocketAddr), ChannelError> {
    let config = client(identity, peer)?;
    let mut said = Vec::new();
    for text in peer.addresses.iter().take(ADDRESSES_MAX) {
        let Ok(address) = text.parse::<SocketAddr>() else {
            continue;
        };
        match come(address, &config, &peer.context) {
            Ok(channel) => return Ok((channel, address)),
            Err(error) => said.push(format!("{address}: {error}")),
        }
    }
    if said.is_empty() {
        said.push("no address of it is known".to_owned());
    }
    Err(ChannelError::Unreachable(said.join("; ")))
}

fn come(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
    context: &str,
) -> Result<Coming, ChannelError> {
    let bound = Duration::from_secs(TRY_S_MAX);
    let stream = TcpStream::connect_timeout(&address, bound);
    let mut stream = stream.map_err(io_error("not reached"))?;
    let failed = || io_error("the connection cannot be set up");
    bounded(&stream, Some(TRY_S_MAX)).map_err(failed())?;
    let name = ServerName::try_from(NAME).map_err(|_| ChannelError::Key)?;
    let mut connection = ClientConnection::new(Arc::clone(config), name)?;
    shake(&mut connection, &mut stream)?;
    let mut channel = StreamOwned::new(connection, stream);
    channel.write_all(context.as_bytes()).map_err(failed())?;
    channel.flush().map_err(failed())?;
    let mut word = [0; 1];
    channel
        .read_exact(&mut word)
        .map_err(io_error("not let in"))?;
    if word != [WELCOME] {
        return Err(ChannelError::Other);
    }
    bounded(&channel.sock, None).map_err(failed())?;
    Ok(channel)
}

/// Both prove who they are.
fn shake<S: SideData>(
    connection: &mut ConnectionCommon<S>,
    stream: &mut TcpStream,
) -> Result<(), ChannelError> {
    while connection.is_handshaking() {
        connection
            .complete_io(stream)
            .map_err(io_error("they did not come to an agreement"))?;
    }
    Ok(())
}

/// Waits have this bound; without one, the other end is asked now and then whether it lives.
fn bounded(stream: &TcpStream, within_s: Option<u64>) -> io::Result<()> {
    let bound = within_s.map(Duration::from_secs);
    stream.set_read_timeout(bound)?;
    stream.set_write_timeout(bound)?;
    if within_s.is_none() {
        sockopt::set_socket_keepalive(stream, true)?;
        sockopt::set_tcp_keepidle(stream, Duration::from_secs(ALIVE_AFTER_S))?;
        sockopt::set_tcp_keepintvl(stream, Duration::from_secs(ALIVE_AFTER_S / 3))?;
        sockopt::set_tcp_keepcnt(stream, 3)?;
    }
    Ok(())
}

/// Ends a connection when an input ends: whoever gave it is gone, or wants no more.
pub struct Leash(Arc<Mutex<Held>>);

#[derive(Default)]
struct Held {
    loose: bool,
    stream: Option<TcpStream>,
}

impl Leash {
    /// Reads the input in a thread of its own.
    ///
    /// # Errors
    /// When there is no thread.
    pub fn of(mut input: impl Read + Send + 'static) -> Result<Self, ChannelError> {
        let held = Arc::new(Mutex::new(Held::default()));
        let own = Arc::clone(&held);
        let watch = move || {
            let mut room = [0_u8; 64];
            while matches!(input.read(&mut room), Ok(length) if length > 0) {}
            let mut held = own.lock().unwrap_or_else(PoisonError::into_inner);
            held.loose = true;
            if let Some(stream) = &held.stream {
                // The other thread finds it ended.
                let _ended = stream.shutdown(Shutdown::Both);
            }
        };
        let begun = thread::Builder::new().spawn(watch);
        begun.map_err(io_error("nobody watches the controller"))?;
        Ok(Self(held))
    }

    fn is_loose(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).loose
    }

    /// This connection ends with it.
    ///
    /// # Errors
    /// When it has ended by now, or the system says no.
    pub fn hold(&self, stream: &TcpStream) -> Result<(), ChannelError> {
        let own = stream.try_clone();
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.stream = Some(own.map_err(io_error("the connection cannot be watched"))?);
        match held.loose {
            true => Err(ChannelError::Unwanted),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
