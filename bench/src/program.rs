//! Starts a program as Lambda starts it: with its environment, a Runtime API, and an endpoint for its calls. Valgrind counts
//! what it does, or it runs as it is and is timed.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, Command},
};

use crate::{Fault, endpoint::Endpoint, group::Group, memory, runtime_api::RuntimeApi};

/// Far longer than anything here takes, valgrind included.
const PATIENCE: Duration = Duration::from_mins(2);

/// A shell that enters a group of processes, waits for a line, and becomes the program. Its start is in no figure, and what
/// it needs is not taken from the group's share.
const SHELL: &str = r#"echo $$ >"$0" && echo && read -r go && exec "$@" </dev/null >/dev/null"#;

/// A program and everything around it.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The path of the program.
    pub program: PathBuf,
    /// What it is started with.
    pub arguments: Vec<String>,
    /// Its whole environment, but for the addresses of the Runtime API and of the endpoint.
    pub environment: BTreeMap<String, String>,
}

/// A program that runs.
pub(crate) struct Running {
    pub(crate) lambda: RuntimeApi,
    /// When the program began.
    pub(crate) started: Instant,
    child: Child,
}

impl Candidate {
    /// Starts it under valgrind, which writes its counts to `out` at the end.
    pub(crate) async fn start_counted(&self, endpoint: &Endpoint, out: &Path) -> Result<Running, Fault> {
        let mut valgrind = Command::new("valgrind");
        valgrind
            .args(["--tool=cachegrind", "--cache-sim=no", "--quiet"])
            .arg(format!("--cachegrind-out-file={}", out.display()))
            .arg(&self.program)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let (lambda, child) = self.spawn(valgrind, endpoint).await?;
        Ok(Running { lambda, started: Instant::now(), child })
    }

    /// Starts it as it is, in a group of processes.
    pub(crate) async fn start_timed(&self, endpoint: &Endpoint, group: &Group) -> Result<Running, Fault> {
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", SHELL])
            .arg(group.entrance())
            .arg(&self.program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let (lambda, mut child) = self.spawn(shell, endpoint).await?;
        let not_there = || Fault::new("the shell that starts the program did not enter its group");
        let (Some(mut go), Some(entered)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(not_there());
        };
        match BufReader::new(entered).read_line(&mut String::new()).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => return Err(not_there()),
        }
        group.rest().await;
        let started = Instant::now();
        go.write_all(b"\n")
            .await
            .map_err(|error| Fault::new(format!("the program does not start: {error}")))?;
        Ok(Running { lambda, started, child })
    }

    async fn spawn(&self, mut command: Command, endpoint: &Endpoint) -> Result<(RuntimeApi, Child), Fault> {
        let lambda = RuntimeApi::start()
            .await
            .map_err(|error| Fault::new(format!("the Runtime API has no port: {error}")))?;
        command
            .args(&self.arguments)
            .env_clear()
            .envs(&self.environment)
            .env("AWS_LAMBDA_RUNTIME_API", lambda.address.to_string())
            .env("AWS_ENDPOINT_URL", endpoint.url())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let child = command
            .spawn()
            .map_err(|error| Fault::new(format!("{} does not start: {error}", self.program.display())))?;
        Ok((lambda, child))
    }
}

impl Running {
    /// Waits until the program asks for its first event.
    pub(crate) async fn ready(&mut self) -> Result<(), Fault> {
        let ready = tokio::select! {
            ready = tokio::time::timeout(PATIENCE, self.lambda.ready()) => ready.ok(),
            _ended = self.child.wait() => None,
        };
        ready.ok_or_else(|| {
            let report = self.lambda.take_init_error();
            let report = report.map_or_else(String::new, |report| format!(": {report}"));
            Fault::new(format!("the program ended before it was ready{report}"))
        })
    }

    /// Invokes it, and waits for its answer.
    pub(crate) async fn invoke(&self, event: &str) -> Result<Value, Fault> {
        match tokio::time::timeout(PATIENCE, self.lambda.invoke(event)).await {
            Ok(Ok(Ok(answer))) => Ok(answer),
            Ok(Ok(Err(report))) => Err(Fault::new(format!("the program reported a failure: {report}"))),
            Ok(Err(_)) | Err(_) => Err(Fault::new("the program did not answer")),
        }
    }

    /// Ends it with the signal that valgrind lets it end by, so that valgrind writes its counts.
    pub(crate) async fn stop(mut self) -> Result<(), Fault> {
        let child = &mut self.child;
        let not_stopped =
            |error: std::io::Error| Fault::new(format!("the program cannot be stopped: {error}"));
        let Some(id) = child.id() else { return Err(Fault::new("the program ended too early")) };
        let status = Command::new("/bin/kill").arg(id.to_string()).status().await.map_err(not_stopped)?;
        if !status.success() {
            return Err(Fault::new("the program ended too early"));
        }
        child.wait().await.map_err(not_stopped)?;
        Ok(())
    }

    /// The most memory that it held at once, in bytes.
    pub(crate) fn peak_bytes(&self) -> Result<u64, Fault> {
        let id = self.child.id().ok_or_else(|| Fault::new("the program ended too early"))?;
        memory::peak_bytes(id)
    }

    /// Ends it at once.
    pub(crate) async fn kill(mut self) -> Result<(), Fault> {
        let killed = self.child.kill().await;
        killed.map_err(|error| Fault::new(format!("the program cannot be stopped: {error}")))
    }
}
