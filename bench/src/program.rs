//! Starts a program as Lambda starts it: with the environment that the template gives it, a Runtime API, and an endpoint
//! for its calls. Valgrind counts what it does.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::process::{Child, Command};

use crate::{Fault, endpoint::Endpoint, runtime_api::RuntimeApi};

/// Far longer than anything here takes, valgrind included.
const PATIENCE: Duration = Duration::from_mins(2);

/// A program and everything around it.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) program: PathBuf,
    pub(crate) environment: BTreeMap<String, String>,
}

/// A program that runs.
pub(crate) struct Running {
    pub(crate) lambda: RuntimeApi,
    child: Child,
}

impl Candidate {
    /// Starts it under valgrind, which writes its counts to `out` at the end.
    pub(crate) async fn start(&self, endpoint: &Endpoint, out: &Path) -> Result<Running, Fault> {
        let lambda = RuntimeApi::start()
            .await
            .map_err(|error| Fault::new(format!("the Runtime API has no port: {error}")))?;
        let mut command = Command::new("valgrind");
        command
            .args(["--tool=cachegrind", "--cache-sim=no", "--quiet"])
            .arg(format!("--cachegrind-out-file={}", out.display()))
            .arg(&self.program);
        command
            .env_clear()
            .envs(&self.environment)
            .env("AWS_LAMBDA_RUNTIME_API", lambda.address.to_string())
            .env("AWS_ENDPOINT_URL", endpoint.url())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let child = command
            .spawn()
            .map_err(|error| Fault::new(format!("{} does not start: {error}", self.program.display())))?;
        Ok(Running { lambda, child })
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
    pub(crate) async fn invoke(&self, event: &str) -> Result<(), Fault> {
        match tokio::time::timeout(PATIENCE, self.lambda.invoke(event)).await {
            Ok(Ok(Ok(_answer))) => Ok(()),
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
}
