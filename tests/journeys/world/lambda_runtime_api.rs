//! A program that runs behind the Lambda Runtime API.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    process::{ExitStatus, Stdio},
    time::Duration,
};

pub(crate) use bench::runtime_api::{FunctionAnswer, TRACE};
use bench::runtime_api::{RuntimeApi, environment};
use sam_template::FunctionResource;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::{Child, Command},
    task::JoinHandle,
};

use super::programs::program;

/// Far longer than any answer takes. Without a limit a program that never answers would hang the test.
const PATIENCE: Duration = Duration::from_mins(1);

/// A function's program, waiting for events.
pub(crate) struct Running {
    lambda: RuntimeApi,
    child: Child,
    out: JoinHandle<String>,
    err: JoinHandle<String>,
}

/// A program that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) out: String,
    pub(crate) err: String,
    /// Its report to `/runtime/init/error`, if it made one.
    pub(crate) init_error: Option<Value>,
}

impl Running {
    /// Starts the program of a function, with the environment that the template gives it and `changed` (`None`
    /// removes a variable). Its AWS calls go to `aws`.
    pub(crate) async fn start(
        function: &FunctionResource,
        aws: SocketAddr,
        changed: &BTreeMap<String, Option<String>>,
    ) -> Self {
        let lambda = RuntimeApi::start().await.expect("a port");
        let mut command = Command::new(program(&function.binary));
        command
            .env_clear()
            .envs(environment(function, local::ground::ACCOUNT.region))
            .env("AWS_LAMBDA_RUNTIME_API", lambda.address.to_string())
            .env("AWS_ACCESS_KEY_ID", &function.logical_id)
            .env("AWS_SECRET_ACCESS_KEY", "local")
            .env("AWS_ENDPOINT_URL", format!("http://{aws}"));
        for (name, value) in changed {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("the function starts");
        let out = gather(child.stdout.take().expect("its output"));
        let err = gather(child.stderr.take().expect("its errors"));
        Self { lambda, child, out, err }
    }

    /// Invokes it with one event. The invocation's id is `invocation-<n>`, counted from 1.
    pub(crate) async fn invoke(&self, event: &str) -> FunctionAnswer {
        let answered = tokio::time::timeout(PATIENCE, self.lambda.invoke(event)).await;
        answered.expect("the function answers").expect("Lambda is there")
    }

    /// Kills it, as Lambda does with a sandbox.
    pub(crate) async fn stop(mut self) -> Ended {
        self.child.start_kill().expect("it can be killed");
        self.end().await
    }

    /// Waits until it ends.
    pub(crate) async fn end(mut self) -> Ended {
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let status = status.expect("the function ends").expect("it can be waited for");
        let (out, err) = (self.out.await.expect("its output"), self.err.await.expect("its errors"));
        let init_error = self.lambda.take_init_error();
        Ended { status, out, err, init_error }
    }
}

fn gather(mut pipe: impl AsyncRead + Unpin + Send + 'static) -> JoinHandle<String> {
    tokio::spawn(async move {
        let mut text = String::new();
        pipe.read_to_string(&mut text).await.expect("text");
        text
    })
}
