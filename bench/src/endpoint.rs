//! An endpoint of AWS: it answers with what was recorded, over TLS, and counts the calls and the connections.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
    serve::Listener,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{
    Fault,
    answers::{Answers, operation},
    certificates::{Certificates, HOST},
};

/// An endpoint for one program.
pub(crate) struct Endpoint {
    address: SocketAddr,
    seen: Arc<Seen>,
    /// Ends with the endpoint.
    _serving: JoinSet<std::io::Result<()>>,
}

/// What a program did since the last look.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Traffic {
    pub(crate) connections: u64,
    /// Calls by operation. A request that names none only opens a connection, and is not counted.
    pub(crate) calls: BTreeMap<String, usize>,
    /// The body of each of these calls, in their order.
    pub(crate) bodies: Vec<Bytes>,
    /// Operations that were called without a recorded answer.
    pub(crate) unknown: Vec<String>,
}

impl Traffic {
    /// Connections and calls together.
    pub(crate) fn count(&self) -> u64 {
        self.calls.values().fold(self.connections, |sum, calls| sum.saturating_add(*calls as u64))
    }
}

struct Seen {
    answers: Answers,
    traffic: Mutex<Traffic>,
}

impl Seen {
    fn traffic(&self) -> MutexGuard<'_, Traffic> {
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Endpoint {
    pub(crate) async fn start(certificates: &Certificates, answers: Answers) -> Result<Self, Fault> {
        let no_port = |error: std::io::Error| Fault::new(format!("the endpoint has no port: {error}"));
        let tcp = TcpListener::bind("127.0.0.1:0").await.map_err(no_port)?;
        let address = tcp.local_addr().map_err(no_port)?;
        let seen = Arc::new(Seen { answers, traffic: Mutex::default() });
        let acceptor = TlsAcceptor::from(Arc::new(certificates.server()?));
        let listener = Tls::listen(tcp, address, acceptor, Arc::clone(&seen));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&seen));
        let mut serving = JoinSet::new();
        serving.spawn(axum::serve(listener, router).into_future());
        Ok(Self { address, seen, _serving: serving })
    }

    /// Its address for `AWS_ENDPOINT_URL`.
    pub(crate) fn url(&self) -> String {
        format!("https://{HOST}:{}", self.address.port())
    }

    /// What the program did since the last look.
    pub(crate) fn take(&self) -> Traffic {
        std::mem::take(&mut *self.seen.traffic())
    }
}

async fn answer(State(seen): State<Arc<Seen>>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok());
    let Some(operation) = operation(target, &String::from_utf8_lossy(&body)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let nth = {
        let mut traffic = seen.traffic();
        traffic.bodies.push(body);
        let calls = traffic.calls.entry(operation.clone()).or_default();
        *calls += 1;
        *calls - 1
    };
    if let Some(recorded) = seen.answers.to(&operation, nth) {
        let headers =
            [("content-type", recorded.content_type.clone()), ("x-amzn-requestid", "id".to_owned())];
        (headers, recorded.body.clone()).into_response()
    } else {
        seen.traffic().unknown.push(operation);
        StatusCode::BAD_REQUEST.into_response()
    }
}

/// A listener whose connections are TLS. Handshakes do not wait for each other, as those of two hosts of AWS do not.
struct Tls {
    address: SocketAddr,
    connected: mpsc::Receiver<Connection>,
    /// Ends with the listener.
    _accepting: JoinSet<()>,
}

type Connection = (TlsStream<TcpStream>, SocketAddr);

impl Tls {
    fn listen(tcp: TcpListener, address: SocketAddr, acceptor: TlsAcceptor, seen: Arc<Seen>) -> Self {
        let (connections, connected) = mpsc::channel(1);
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            loop {
                let Ok((stream, peer)) = tcp.accept().await else { continue };
                let (acceptor, seen, connections) =
                    (acceptor.clone(), Arc::clone(&seen), connections.clone());
                tokio::spawn(async move {
                    // A program that refuses the certificate is seen by its missing calls.
                    let Ok(()) = stream.set_nodelay(true) else { return };
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    seen.traffic().connections += 1;
                    // If the endpoint has ended, the connection ends too.
                    drop(connections.send((stream, peer)).await);
                });
            }
        });
        Self { address, connected, _accepting: accepting }
    }
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> Connection {
        match self.connected.recv().await {
            Some(connection) => connection,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        Ok(self.address)
    }
}
