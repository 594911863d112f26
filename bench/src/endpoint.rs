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
use tokio::net::{TcpListener, TcpStream};
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
}

/// What a program did since the last look.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Traffic {
    pub(crate) connections: u64,
    /// Calls by operation. A request that names none only opens a connection, and is not counted.
    pub(crate) calls: BTreeMap<String, usize>,
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
        let listener = Tls { tcp, acceptor, seen: Arc::clone(&seen) };
        let router = Router::new().fallback(answer).with_state(Arc::clone(&seen));
        tokio::spawn(axum::serve(listener, router).into_future());
        Ok(Self { address, seen })
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

/// A listener whose connections are TLS.
struct Tls {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
    seen: Arc<Seen>,
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    // A program opens one connection after the other, so the handshake may delay the next.
    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let Ok((stream, address)) = self.tcp.accept().await else { continue };
            if stream.set_nodelay(true).is_err() {
                continue;
            }
            // A program that refuses the certificate is seen by its missing calls.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                self.seen.traffic().connections += 1;
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}
