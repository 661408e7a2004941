//! A network between us and sshd that can be cut.

use crate::support::connect_in;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Network {
    Good,
    /// Bytes wait, connections stand, new ones are taken and not answered.
    Silent,
    /// Connections break and new ones are refused as soon as they are made.
    Cut,
}

pub struct Proxy {
    pub port: u16,
    state: watch::Sender<Network>,
    tasks: Arc<Mutex<Vec<AbortHandle>>>,
}

impl Proxy {
    pub async fn to(port: u16) -> Self {
        Self::into(None, port).await
    }

    /// The only way into the network of a process.
    pub async fn into(network: Option<u32>, port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let state = watch::Sender::new(Network::Good);
        let tasks = Arc::new(Mutex::new(Vec::new()));
        let (told, all) = (state.subscribe(), Arc::clone(&tasks));
        let accept = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let pass = tokio::spawn(pass(client, (network, port), told.clone()));
                all.lock().unwrap().push(pass.abort_handle());
            }
        });
        tasks.lock().unwrap().push(accept.abort_handle());
        Self {
            port: own,
            state,
            tasks,
        }
    }

    pub fn set(&self, network: Network) {
        self.state.send_replace(network);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        for task in self.tasks.lock().unwrap().iter() {
            task.abort();
        }
    }
}

async fn pass(
    mut client: TcpStream,
    (network, port): (Option<u32>, u16),
    told: watch::Receiver<Network>,
) {
    if *told.borrow() == Network::Cut {
        return;
    }
    let connected = tokio::task::spawn_blocking(move || connect_in(network, port)).await;
    let server = connected.unwrap().and_then(|stream| {
        stream.set_nonblocking(true)?;
        TcpStream::from_std(stream)
    });
    let Ok(mut server) = server else {
        return;
    };
    let (mut client_read, mut client_write) = client.split();
    let (mut server_read, mut server_write) = server.split();
    let mut cut = told.clone();
    tokio::select! {
        () = one_way(&mut client_read, &mut server_write, told.clone()) => {}
        () = one_way(&mut server_read, &mut client_write, told.clone()) => {}
        _ = cut.wait_for(|network| *network == Network::Cut) => {}
    }
}

async fn one_way(
    from: &mut tokio::net::tcp::ReadHalf<'_>,
    to: &mut tokio::net::tcp::WriteHalf<'_>,
    mut told: watch::Receiver<Network>,
) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        drop(told.wait_for(|network| *network != Network::Silent).await);
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
