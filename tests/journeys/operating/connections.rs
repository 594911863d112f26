//! The programs open connections in init, and their first request uses them. So it waits for no TCP and no TLS.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

use super::processes::{Cloud, SAMPLES, function, sample, stock_sencha};
use crate::world::lambda_runtime_api::Running;

/// The services that a function can call, as the SDK names them in the variables of their endpoints.
const SERVICES: [&str; 3] = ["DYNAMODB", "SFN", "SNS"];

/// A host of AWS: it hands every connection on to the stack, and keeps the first bytes of each.
struct Host {
    address: SocketAddr,
    opened: Arc<Mutex<Vec<String>>>,
}

impl Host {
    async fn before(aws: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let opened = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&opened);
        tokio::spawn(async move {
            loop {
                let (mut client, _) = listener.accept().await.expect("a connection");
                let keep = Arc::clone(&keep);
                tokio::spawn(async move {
                    let mut first = vec![0; 4_096];
                    let count = client.read(&mut first).await.unwrap_or_default();
                    first.truncate(count);
                    let text = String::from_utf8_lossy(&first).to_lowercase();
                    keep.lock().unwrap_or_else(PoisonError::into_inner).push(text);
                    let mut stack = TcpStream::connect(aws).await.expect("the stack");
                    stack.write_all(&first).await.expect("the stack reads");
                    // The program is killed at the end, which breaks the connection.
                    copy_bidirectional(&mut client, &mut stack).await.ok();
                });
            }
        });
        Self { address, opened }
    }

    /// The first bytes of each connection, in lower case.
    fn opened(&self) -> Vec<String> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[tokio::test]
async fn every_program_opens_in_init_the_connections_that_its_first_request_uses_and_no_other() {
    let cloud = Cloud::open().await;
    stock_sencha(&cloud.shop).await;
    for (binary, field, expected) in SAMPLES {
        let used: &[&str] = match binary {
            "place_order" => &["SFN"],
            "change_order" => &["DYNAMODB", "SFN"],
            "create_user" => &["DYNAMODB", "SNS"],
            "adjust_inventory" | "query" | "create_order" | "update_order_status" => &["DYNAMODB"],
            // It makes two calls at the same time.
            "check_inventory" => &["DYNAMODB", "DYNAMODB"],
            // A schedule starts it, so nobody waits for its first call.
            "sweep_orders" => continue,
            new => panic!("which hosts does the first request of {new} call?"),
        };
        let mut hosts = BTreeMap::new();
        let mut environment = BTreeMap::new();
        for service in SERVICES {
            let host = Host::before(cloud.aws).await;
            environment
                .insert(format!("AWS_ENDPOINT_URL_{service}"), Some(format!("http://{}", host.address)));
            hosts.insert(service, host);
        }
        let program = Running::start(function(binary), cloud.aws, &environment).await;
        let answer = program.invoke(&sample(binary)).await;
        let answer = answer.unwrap_or_else(|error| panic!("{binary}: {error}"));
        assert_eq!(answer[field].to_string(), expected, "{binary}: {answer}");
        for (service, host) in &hosts {
            let opened = host.opened();
            let expected = used.iter().filter(|used| *used == service).count();
            assert_eq!(opened.len(), expected, "{binary}, {service}: {opened:?}");
            for first in opened {
                assert!(first.starts_with("get / http/1.1\r\n"), "{binary}, {service}: {first}");
                assert!(!first.contains("authorization"), "{binary}, {service}: {first}");
            }
        }
        program.stop().await;
    }
}

/// An endpoint that cannot be reached, or that hangs, is the first request's business.
#[tokio::test]
async fn a_program_starts_although_a_host_cannot_be_reached_or_says_nothing() {
    let cloud = Cloud::open().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let unreachable = closed.local_addr().expect("its address");
    drop(closed);
    for host in [unreachable, silent.local_addr().expect("its address")] {
        let environment = ["DYNAMODB", "SFN"]
            .map(|service| (format!("AWS_ENDPOINT_URL_{service}"), Some(format!("http://{host}"))));
        let environment = BTreeMap::from(environment);
        let program = Running::start(function("change_order"), cloud.aws, &environment).await;
        let answer = program.invoke(&sample("change_order")).await.expect("an answer");
        assert_eq!(answer["statusCode"], 503, "{answer}");
        let ended = program.stop().await;
        assert_eq!(ended.init_error, None);
    }
}
