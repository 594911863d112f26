//! A shop in memory that counts what each request uses. Time passes only as the assumptions say: every AWS call takes as
//! long as they assume. Nothing here knows a price.

use std::{
    collections::BTreeSet,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::Router;
use local::{
    assumptions::{
        INVOKE_TIME, LINE_OVERHEAD, READ_TIME, SNS_TIME, START_TIME, TRANSACTION_TIME, WORK_TIME, WRITE_TIME,
    },
    aws::{Call, Fault, Recorded},
    ground::{StackClock, tokens::TokenRequest},
    metering,
    services::lambda::Invocation,
    stack::{Options, Stack},
};
use sam_template::{FunctionResource, Schedule, Template};
use serde_json::{Value, json};
use time::macros::datetime;
use tokio::time::Instant;
use tracing_subscriber::fmt::MakeWriter;

use super::usage::Usage;
use crate::{
    BoxError,
    in_process::{Answered, Asked, send},
};

/// The time at which the shop opens. Every run has the same times, so that it has the same log lines.
const OPENS: time::OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

/// The log lines so far.
#[derive(Clone, Debug, Default)]
pub(super) struct LogVolume(Arc<Mutex<Vec<u8>>>);

impl LogVolume {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// The bytes that they take in `CloudWatch`.
    fn bytes(&self) -> u64 {
        let text = self.text();
        text.len() as u64 + text.lines().count() as u64 * LINE_OVERHEAD.value
    }

    /// The names of the metrics that were counted.
    pub(super) fn metrics(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for line in self.text().lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            let counted = line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array();
            let counted = counted.into_iter().flatten().filter_map(|metric| metric["Name"].as_str());
            names.extend(counted.map(str::to_owned));
        }
        names
    }
}

impl io::Write for LogVolume {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for LogVolume {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// A request of someone who is signed in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gesture<'a> {
    /// The route as the template has it, such as `POST /orders/{order_id}/cancel`.
    pub(super) route: &'a str,
    /// The value of the path's variable.
    pub(super) of: &'a str,
    pub(super) token: &'a str,
    pub(super) headers: &'a [(&'a str, &'a str)],
    pub(super) body: Option<&'a Value>,
    /// The status that the answer must have.
    pub(super) status: u16,
}

/// A shop in memory.
pub(super) struct TrialShop<'t> {
    template: &'t Template,
    stack: Stack,
    api: Router,
    volume: LogVolume,
}

/// What was counted before a measurement.
struct Marks {
    mails: usize,
    executions: usize,
    line_bytes: u64,
    started: Instant,
}

impl<'t> TrialShop<'t> {
    /// Opens it. `volume` must be where this thread's log lines go.
    pub(super) async fn open(template: &'t Template, volume: LogVolume) -> Result<Self, BoxError> {
        let options = Options { file: None, clock: StackClock::held(OPENS), seed: None };
        let stack = Stack::start(template, options).await?;
        stack.faults().plant(|call| Some(Fault::Delay(ms(delay_ms(call)))));
        Ok(Self { template, api: stack.router(), stack, volume })
    }

    /// The token of the person with this address.
    pub(super) fn token(&self, email: &str, groups: &[&str]) -> Result<String, BoxError> {
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        let request = TokenRequest { groups, ..TokenRequest::new(email) };
        Ok(self.stack.tokens().issue(&request)?.id_token)
    }

    /// Confirms every address that waits for it.
    pub(super) fn confirm_mails(&self) -> Result<(), BoxError> {
        self.stack.sns().confirm_all()?;
        Ok(())
    }

    /// Sends a request, and counts what it uses.
    pub(super) async fn request(&self, gesture: Gesture<'_>) -> Result<(Value, Usage), BoxError> {
        let door = self.door(gesture.route)?;
        let (method, path) = gesture.route.split_once(' ').unwrap_or_default();
        let path = match (path.find('{'), path.find('}')) {
            (Some(from), Some(to)) => format!("{}{}{}", &path[..from], gesture.of, &path[to + 1..]),
            _ => path.to_owned(),
        };
        let body = gesture.body.map(Value::to_string);
        let asked = Asked {
            method,
            path: &path,
            token: Some(gesture.token),
            headers: gesture.headers,
            body: body.as_deref(),
        };
        let before = self.before();
        let answer = send(&self.api, asked).await?;
        let used = self.used(&before, door);
        let Answered { status, bytes, body } = answer;
        if status.as_u16() != gesture.status {
            return Err(format!("{method} {path} answered {status}, not {}: {body}", gesture.status).into());
        }
        let of_api = Usage { requests: 1, answer_bytes: bytes as u64, ..Usage::default() };
        Ok((serde_json::from_str(&body)?, used + of_api))
    }

    /// Runs a schedule once, and counts what the run uses.
    pub(super) async fn scheduled(&self, schedule: &Schedule) -> Result<Usage, BoxError> {
        let function = self.function(&schedule.function)?;
        let before = self.before();
        match self.stack.run_schedule(schedule).await {
            Some(Invocation::Answered(_)) => {}
            Some(Invocation::Failed { error_type, .. }) => {
                return Err(format!("the scheduled {} failed: {error_type}", schedule.function).into());
            }
            None => return Err(format!("there is no function {}", schedule.function).into()),
        }
        Ok(self.used(&before, function) + Usage { scheduled: 1, ..Usage::default() })
    }

    fn before(&self) -> Marks {
        self.stack.faults().record();
        Marks {
            mails: self.stack.mailbox().mails(None, None).len(),
            executions: self.stack.aws().executions().len(),
            line_bytes: self.volume.bytes(),
            started: Instant::now(),
        }
    }

    /// What was used since `before`. `first` is the function that was invoked from outside.
    fn used(&self, before: &Marks, first: &FunctionResource) -> Usage {
        let took = before.started.elapsed();
        let recorded = self.stack.faults().recorded();
        let executions = self.stack.aws().executions();
        let new = executions.len() - before.executions;
        let states = executions.iter().take(new).flat_map(|execution| &execution.states);
        let mut usage = invocation(first, took)
            + Usage {
                transitions: states.map(|state| u64::from(state.attempts.max(1))).sum(),
                units: metering::units(&recorded),
                mails: (self.stack.mailbox().mails(None, None).len() - before.mails) as u64,
                traces: u64::from(first.traced),
                line_bytes: self.volume.bytes() - before.line_bytes,
                ..Usage::default()
            };
        for made in &recorded {
            usage = usage + self.used_by(made);
        }
        usage
    }

    /// What a call uses, besides capacity units.
    fn used_by(&self, made: &Recorded) -> Usage {
        match (made.call.service, made.call.operation.as_str()) {
            ("sns", _) => Usage { sns_calls: 1, ..Usage::default() },
            ("states", _) => Usage {
                executions: 1,
                // Executions are billed in steps of 100 ms.
                execution_ms: whole_ms(made.took).next_multiple_of(100),
                ..Usage::default()
            },
            ("lambda", _) => {
                let invoked = |function: &&FunctionResource| {
                    [&function.arn, &function.name, &function.logical_id].contains(&&made.call.target)
                };
                let function = self.template.functions.iter().find(invoked);
                function.map_or_else(Usage::default, |function| invocation(function, made.took))
            }
            _ => Usage::default(),
        }
    }

    /// The function that answers a route.
    fn door(&self, wanted: &str) -> Result<&'t FunctionResource, BoxError> {
        let mut routes = self.template.apis.iter().flat_map(|api| &api.routes);
        let route = routes.find(|route| format!("{} {}", route.method, route.path) == wanted);
        let route = route.ok_or_else(|| format!("the template has no route {wanted}"))?;
        self.function(&route.function)
    }

    fn function(&self, logical_id: &str) -> Result<&'t FunctionResource, BoxError> {
        let function = self.template.functions.iter().find(|function| function.logical_id == logical_id);
        Ok(function.ok_or_else(|| format!("the template has no function {logical_id}"))?)
    }
}

/// One invocation that waited this long for AWS.
fn invocation(function: &FunctionResource, waited: Duration) -> Usage {
    let billed_ms = whole_ms(waited) + WORK_TIME.value;
    let mb_ms = billed_ms * function.memory_mb;
    let (arm_mb_ms, x86_mb_ms) = if function.architecture == "arm64" { (mb_ms, 0) } else { (0, mb_ms) };
    Usage { invocations: 1, function_ms: billed_ms, arm_mb_ms, x86_mb_ms, ..Usage::default() }
}

/// The assumed time of a call, besides the time of what it waits for. An invocation's holds the function's own work, which
/// takes no time in memory.
fn delay_ms(call: &Call) -> u64 {
    match (call.service, call.operation.as_str()) {
        ("dynamodb", "TransactWriteItems") => TRANSACTION_TIME.value,
        ("dynamodb", "BatchGetItem" | "GetItem" | "Query") => READ_TIME.value,
        ("dynamodb", _) => WRITE_TIME.value,
        ("lambda", _) => INVOKE_TIME.value + WORK_TIME.value,
        ("states", _) => START_TIME.value,
        _ => SNS_TIME.value,
    }
}

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX)
}

/// The body of an order of one unit of each of these SKUs.
pub(super) fn order_of(skus: &[String]) -> Value {
    let lines: Vec<Value> = skus.iter().map(|sku| json!({ "sku": sku, "quantity": 1 })).collect();
    json!({ "lines": lines })
}
