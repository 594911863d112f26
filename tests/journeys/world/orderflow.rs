//! `orderflow` as a process of its own, and a small HTTP client for it.

use std::{
    ffi::OsStr,
    io::{self, BufRead as _, BufReader, Read as _},
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
};

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{
    people::Customer,
    programs::{program, root},
    requests::Reply,
};

/// A running `orderflow`. Dropping it kills the process, as `kill -9` does.
pub(crate) struct Orderflow {
    child: Child,
    /// The address of its API.
    pub(crate) api: SocketAddr,
    /// Its first output, to the line that says it is ready.
    pub(crate) welcome: String,
}

impl Orderflow {
    /// Starts it with these flags on a free port, and waits until it is ready.
    pub(crate) fn start<S: AsRef<OsStr>>(flags: impl IntoIterator<Item = S>) -> Self {
        let mut child = command()
            .args(["--port", "0"])
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("orderflow starts");
        let mut out = BufReader::new(child.stdout.take().expect("its output"));
        let mut welcome = String::new();
        while !welcome.ends_with("Stop with Ctrl-C.\n") {
            if out.read_line(&mut welcome).expect("its output is text") == 0 {
                let mut fault = String::new();
                child.stderr.take().expect("its errors").read_to_string(&mut fault).expect("text");
                panic!("orderflow ended: {welcome}{fault}");
            }
        }
        let api = welcome.lines().find_map(|line| line.trim().strip_prefix("API ")).expect("its address");
        let api = api.trim().strip_prefix("http://").expect("a URL").parse().expect("an address");
        Self { child, api, welcome }
    }

    /// Kills it as `kill -9` does. When this returns the process is gone.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    /// Makes one call with a JSON body. Without a whole answer it is an error.
    pub(crate) async fn call(
        &self,
        call: &str,
        token: Option<&str>,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> io::Result<Reply> {
        send(self.api, call, token, key, body).await
    }

    /// A person with a token, by the short way that only the local stack has.
    pub(crate) async fn signed_in(&self, email: &str, groups: &[&str]) -> Customer {
        let wish = json!({ "email": email, "groups": groups });
        let issued = self.call("POST /local/token", None, None, Some(&wish)).await.expect("an answer");
        let text = |name: &str| issued.body[name].as_str().expect("a text").to_owned();
        Customer { token: text("id_token"), user_id: text("user_id"), email: email.to_owned() }
    }
}

impl Drop for Orderflow {
    fn drop(&mut self) {
        // It may have been killed already.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// The command that runs `orderflow` at the repository's root, without flags.
pub(crate) fn command() -> Command {
    let mut command = Command::new(program("orderflow"));
    command.current_dir(root()).stdin(Stdio::null());
    command
}

/// A path as a flag takes it.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("a path of plain characters")
}

/// A port that is free just now.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// Makes one call, such as `GET /orders`, over a new connection.
pub(crate) async fn send(
    to: SocketAddr,
    call: &str,
    token: Option<&str>,
    key: Option<&str>,
    body: Option<&Value>,
) -> io::Result<Reply> {
    let body = body.map(Value::to_string).unwrap_or_default();
    let bearer = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
    let key = key.map(|key| format!("idempotency-key: {key}\r\n")).unwrap_or_default();
    let length = body.len();
    let request = format!(
        "{call} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\n{bearer}{key}content-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    );
    let mut connection = TcpStream::connect(to).await?;
    connection.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).await?;
    read(&answer).ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "half an answer"))
}

/// Parses a whole answer; `None` when it is cut off.
fn read(answer: &[u8]) -> Option<Reply> {
    let text = std::str::from_utf8(answer).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(": ")?;
        headers.insert(name.parse::<HeaderName>().ok()?, HeaderValue::from_str(value).ok()?);
    }
    let length: usize = headers.get("content-length")?.to_str().ok()?.parse().ok()?;
    if body.len() != length {
        return None;
    }
    let body = if body.is_empty() { Value::Null } else { serde_json::from_str(body).ok()? };
    Some(Reply { status, headers, body })
}
