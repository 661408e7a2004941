//! The way to a host: the network, a jump host, or a command.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::sync::OwnedSemaphorePermit;

use super::config::Family;
use super::error::SshError;
use super::proxy::{LastWords, Proxy};
use super::session::{Session, Target};
use super::through::Through;
use super::wire::Way;

/// What leads to a host.
#[derive(Debug, Clone)]
pub enum Via {
    /// A connection of our own.
    Network {
        /// Which kinds of addresses are tried.
        family: Family,
        /// The address to come from.
        bind: Option<IpAddr>,
    },
    /// A channel of a jump host's connection.
    Jump(Seat),
    /// A command of the operator; its standard streams are the way.
    Command(String),
}

impl Default for Via {
    fn default() -> Self {
        Self::Network {
            family: Family::Any,
            bind: None,
        }
    }
}

/// A place on a jump host's connection, which stands while somebody has one.
#[derive(Debug, Clone)]
pub struct Seat {
    pub(super) session: Session,
    pub(super) _permit: Arc<OwnedSemaphorePermit>,
}

impl Via {
    pub(super) async fn open(
        &self,
        target: &Target,
    ) -> Result<(Box<dyn Way>, Option<LastWords>), SshError> {
        match self {
            Self::Network { family, bind } => {
                let tcp = dial(target, *family, *bind).await;
                let tcp = tcp.map_err(|error| unreachable(target, "", &error.to_string()))?;
                Ok((Box::new(tcp), None))
            }
            Self::Jump(seat) => {
                let handle = &seat.session.inner.handle;
                // The server wants to know who asks; OpenSSH says the same of connections that
                // nobody made from elsewhere.
                let channel = handle
                    .channel_open_direct_tcpip(&target.address, target.port.into(), "127.0.0.1", 0)
                    .await
                    .map_err(|error| {
                        let from = format!(" from {}", seat.session.host());
                        unreachable(target, &from, &error.to_string())
                    })?;
                Ok((Box::new(Through::new(channel.into_stream())), None))
            }
            Self::Command(command) => {
                let (proxy, words) = Proxy::start(command).map_err(|error| SshError::Proxy {
                    host: target.name.clone(),
                    reason: error.to_string(),
                })?;
                Ok((Box::new(proxy), Some(words)))
            }
        }
    }
}

fn unreachable(target: &Target, from: &str, reason: &str) -> SshError {
    SshError::Unreachable {
        host: target.name.clone(),
        address: format!("{} port {}{from}", target.address, target.port),
        reason: reason.to_owned(),
    }
}

/// Tries all addresses of the name, as they come.
async fn dial(target: &Target, family: Family, bind: Option<IpAddr>) -> std::io::Result<TcpStream> {
    let addresses = lookup_host((target.address.as_str(), target.port)).await?;
    let wanted = |address: &SocketAddr| {
        let by_family = match family {
            Family::Any => true,
            Family::Inet => address.is_ipv4(),
            Family::Inet6 => address.is_ipv6(),
        };
        by_family && bind.is_none_or(|bind| bind.is_ipv4() == address.is_ipv4())
    };
    let mut last = std::io::Error::other("no address of the wanted kind");
    for address in addresses.filter(wanted) {
        match dial_one(address, bind).await {
            Ok(tcp) => {
                tcp.set_nodelay(true)?;
                return Ok(tcp);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn dial_one(address: SocketAddr, bind: Option<IpAddr>) -> std::io::Result<TcpStream> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    if let Some(bind) = bind {
        socket.bind(SocketAddr::new(bind, 0))?;
    }
    socket.connect(address).await
}
