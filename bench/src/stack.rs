//! Times the local stack: starts `orderflow` in memory, and places orders over HTTP, one after another. Reads how much
//! memory it held.

use std::{
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use axum::{
    body::{Body, to_bytes},
    http::{Request, StatusCode},
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, ChildStdout, Command},
};

use crate::{Fault, memory, times::median};

/// As many as in Microsoft's sample database Northwind, which `scripts/replay` uses.
const PRODUCTS: usize = 77;
const CUSTOMERS: usize = 91;
const ORDERS: usize = 830;

/// How often it is started. The orders are placed after the last start.
const STARTS: usize = 5;

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_mins(1);

/// The largest answer that is read.
const MOST_BYTES: usize = 16 << 20;

/// What the local stack took.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stack {
    /// The orders that were placed.
    pub orders: usize,
    /// From its start until it says that it is ready. The median.
    pub ready: Duration,
    /// From an order's request until its answer. The median.
    pub order: Duration,
    /// The most memory that it held at once until all products and customers were there.
    pub peak_bytes_before: u64,
    /// The most memory that it held at once until all orders were placed.
    pub peak_bytes_after: u64,
}

impl Stack {
    /// Starts the program `orderflow` in a repository's root, whose template it runs, and places the orders.
    pub async fn measure(program: &Path, root: &Path) -> Result<Self, Fault> {
        let cannot = |error: std::io::Error| Fault::new(format!("{}: {error}", program.display()));
        let program = program.canonicalize().map_err(cannot)?;
        let mut ready = Vec::with_capacity(STARTS);
        for _ in 1..STARTS {
            let mut started = start(&program, root).await?;
            ready.push(started.ready);
            started.process.kill().await.map_err(cannot)?;
        }
        let Started { process: mut child, url, ready: last } = start(&program, root).await?;
        ready.push(last);
        let shop = Shop { url, http: Client::builder(TokioExecutor::new()).build_http() };
        let customers = shop.open().await?;
        let peak_bytes_before = peak_bytes(&child)?;
        let mut times = Vec::with_capacity(ORDERS);
        for number in 0..ORDERS {
            let token = customers.get(number % CUSTOMERS).map(String::as_str);
            let (key, body) = (format!("order-{number}"), order(number));
            let asked = Instant::now();
            let answer = shop.call("POST", "/orders", token, Some(&key), &body).await?;
            times.push(asked.elapsed());
            if answer["status"] != "CONFIRMED" {
                return Err(Fault::new(format!("an order was not confirmed: {answer}")));
            }
        }
        let peak_bytes_after = peak_bytes(&child)?;
        shop.all_mailed().await?;
        child.kill().await.map_err(cannot)?;
        Ok(Self {
            orders: ORDERS,
            ready: median(ready)?,
            order: median(times)?,
            peak_bytes_before,
            peak_bytes_after,
        })
    }
}

/// A running stack.
struct Shop {
    url: String,
    http: Client<HttpConnector, Body>,
}

impl Shop {
    /// Stocks all products, and registers all customers with confirmed addresses. Answers with the customers' tokens.
    async fn open(&self) -> Result<Vec<String>, Fault> {
        let admin = self.sign_in("warehouse@example.com", "Warehouse", &["admin"]).await?;
        let admin = Some(admin.as_str());
        for number in 0..PRODUCTS {
            let product = format!("/inventory/{}", sku(number));
            let row = json!({ "name": sku(number), "unit_price": { "amount": 1_000, "currency": "USD" } });
            self.call("PUT", &product, admin, None, &row).await?;
            let stocked = json!({ "delta": 100_000, "reason": "opening stock" });
            self.call("POST", &format!("{product}/adjustments"), admin, Some(&sku(number)), &stocked).await?;
        }
        let mut tokens = Vec::with_capacity(CUSTOMERS);
        for number in 0..CUSTOMERS {
            tokens.push(self.sign_in(&format!("{number}@example.com"), &name(number), &[]).await?);
        }
        // The shop notices a confirmed address when its customer calls again.
        self.register(&tokens).await?;
        self.call("POST", "/local/mailbox/confirm-all", None, None, &Value::Null).await?;
        self.register(&tokens).await?;
        Ok(tokens)
    }

    /// Fails unless each order was mailed: without mail, an order takes less time.
    async fn all_mailed(&self) -> Result<(), Fault> {
        let answer = self.call("GET", "/local/mailbox?kind=order_status", None, None, &Value::Null).await?;
        match answer["items"].as_array().map(Vec::len) {
            Some(ORDERS) => Ok(()),
            mails => Err(Fault::new(format!("{ORDERS} orders were placed, and {mails:?} mails sent"))),
        }
    }

    async fn register(&self, tokens: &[String]) -> Result<(), Fault> {
        for (number, token) in tokens.iter().enumerate() {
            self.call("POST", "/users", Some(token), None, &json!({ "name": name(number) })).await?;
        }
        Ok(())
    }

    async fn sign_in(&self, email: &str, name: &str, groups: &[&str]) -> Result<String, Fault> {
        let who = json!({ "email": email, "name": name, "groups": groups });
        let answer = self.call("POST", "/local/token", None, None, &who).await?;
        let token = answer["id_token"].as_str();
        token.map(str::to_owned).ok_or_else(|| Fault::new(format!("there is no token in {answer}")))
    }

    /// Sends a request, and reads the whole answer. An answer other than 200 or 201 is a fault.
    async fn call(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        key: Option<&str>,
        body: &Value,
    ) -> Result<Value, Fault> {
        let cannot = |problem: String| Fault::new(format!("{method} {path}: {problem}"));
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let body = if body.is_null() {
            Body::empty()
        } else {
            request = request.header("content-type", "application/json");
            Body::from(body.to_string())
        };
        let request = request.body(body).map_err(|error| cannot(error.to_string()))?;
        let answer = self.http.request(request).await.map_err(|error| cannot(error.to_string()))?;
        let status = answer.status();
        let read = to_bytes(Body::new(answer.into_body()), MOST_BYTES).await;
        let read = read.map_err(|error| cannot(error.to_string()))?;
        if !matches!(status, StatusCode::OK | StatusCode::CREATED) {
            return Err(cannot(format!("the answer is {status}: {}", String::from_utf8_lossy(&read))));
        }
        if read.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&read).map_err(|error| cannot(error.to_string()))
    }
}

/// An `orderflow` that is ready.
struct Started {
    process: Child,
    /// Where its API is.
    url: String,
    /// The time that it needed.
    ready: Duration,
}

async fn start(program: &Path, root: &Path) -> Result<Started, Fault> {
    let started = Instant::now();
    let mut process = Command::new(program)
        .args(["--ephemeral", "--no-demo", "--port", "0", "--aws-port", "0"])
        .current_dir(root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| Fault::new(format!("{} does not start: {error}", program.display())))?;
    let printed = process.stdout.take().ok_or_else(|| Fault::new("orderflow prints nothing"))?;
    let url = tokio::time::timeout(PATIENCE, address(printed)).await;
    let url = url.ok().flatten().ok_or_else(|| Fault::new("orderflow did not say that it is ready"))?;
    Ok(Started { process, url, ready: started.elapsed() })
}

/// Reads what `orderflow` prints until it is ready, and finds the address of its API. `None` if it ended before.
async fn address(printed: ChildStdout) -> Option<String> {
    let mut lines = BufReader::new(printed).lines();
    let mut address = None;
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(url) = line.trim().strip_prefix("API ") {
            address = Some(url.trim().to_owned());
        }
        if line.starts_with("Stop with") {
            return address;
        }
    }
    None
}

fn peak_bytes(child: &Child) -> Result<u64, Fault> {
    memory::peak_bytes(child.id().ok_or_else(|| Fault::new("orderflow ended too early"))?)
}

/// One to four products, each once or several times.
fn order(number: usize) -> Value {
    let line =
        |at: usize| json!({ "sku": sku((number + at * 20) % PRODUCTS), "quantity": 1 + (number + at) % 9 });
    let lines: Vec<Value> = (0..=number % 4).map(line).collect();
    json!({ "lines": lines })
}

fn sku(number: usize) -> String {
    format!("SKU-{number:03}")
}

fn name(number: usize) -> String {
    format!("Customer {number}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{ORDERS, order};

    #[test]
    fn no_order_names_a_product_twice() {
        for number in 0..ORDERS {
            let order = order(number);
            let lines = order["lines"].as_array().expect("lines");
            let skus: BTreeSet<&str> = lines.iter().filter_map(|line| line["sku"].as_str()).collect();
            assert_eq!(skus.len(), lines.len(), "{order}");
        }
    }
}
