//! Counts what an execution of the workflow costs the local stack. The interpreter runs the shipped definition, and each
//! Task gets the result that was recorded from the local stack (`bench/answers/workflow.json`).

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    sync::atomic::{AtomicUsize, Ordering},
};

use asl::{Definition, ExecutionStatus, Services, TaskFailure, TaskResult};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::process::Command;

use crate::{Fault, valgrind};

const DEFINITION: &str = "step_function/order.asl.json";

const INVOKE: &str = "arn:aws:states:::lambda:invoke";
const PUBLISH: &str = "arn:aws:states:::sns:publish";
const UPDATE_ITEM: &str = "arn:aws:states:::dynamodb:updateItem";

/// Executions of the shorter and of the longer counted run. The difference is what the further ones cost.
const SHORT: u64 = 5;
const LONG: u64 = 25;

/// Runs of each length, of which the one with the fewest instructions counts: hashes are random.
const RUNS: usize = 3;

/// An execution that places an order.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Recorded {
    /// Its input.
    pub input: Value,
    /// What the functions answered, in the order of their calls.
    pub payloads: Vec<Value>,
}

/// The file of the recorded execution.
pub fn file(root: &Path) -> PathBuf {
    root.join("bench/answers/workflow.json")
}

/// Counts the instructions of one execution. `bench` is the program of this crate.
pub async fn count(bench: &Path, root: &Path) -> Result<u64, Fault> {
    let (short, long) = (least(bench, root, SHORT).await?, least(bench, root, LONG).await?);
    Ok(long.saturating_sub(short) / (LONG - SHORT))
}

async fn least(bench: &Path, root: &Path, executions: u64) -> Result<u64, Fault> {
    let scratch = tempfile::tempdir().map_err(|error| Fault::new(format!("no folder: {error}")))?;
    let out = scratch.path().join("cachegrind.out");
    let mut least = u64::MAX;
    for _ in 0..RUNS {
        let status = Command::new("valgrind")
            .args(["--tool=cachegrind", "--cache-sim=no", "--quiet", "--log-file=/dev/null"])
            .arg(format!("--cachegrind-out-file={}", out.display()))
            .arg(bench)
            .arg("--root")
            .arg(root)
            .args(["workflow", &executions.to_string()])
            .stdin(Stdio::null())
            .status()
            .await
            .map_err(|error| Fault::new(format!("valgrind does not start: {error}")))?;
        if !status.success() {
            return Err(Fault::new("the workflow did not run to its end"));
        }
        least = least.min(valgrind::total(&out)?);
    }
    Ok(least)
}

/// Runs the workflow so many times. Each execution must come to its end and get all the recorded answers.
pub async fn run(root: &Path, executions: u64) -> Result<(), Fault> {
    let read = |path: PathBuf| {
        fs::read_to_string(&path).map_err(|error| Fault::new(format!("{}: {error}", path.display())))
    };
    let recorded: Recorded = serde_json::from_str(&read(file(root))?)
        .map_err(|error| Fault::new(format!("{} is not as recorded: {error}", file(root).display())))?;
    let definition = read(root.join(DEFINITION))?;
    let definition =
        Definition::parse(&definition, &substitutions(&definition), &[INVOKE, PUBLISH, UPDATE_ITEM])
            .map_err(|error| Fault::new(format!("{DEFINITION}: {error}")))?;
    for _ in 0..executions {
        let services = Canned { payloads: &recorded.payloads, called: AtomicUsize::new(0) };
        let now = || OffsetDateTime::UNIX_EPOCH;
        let execution = asl::run(&definition, &services, &now, "bench", recorded.input.clone()).await;
        let called = services.called.into_inner();
        if !matches!(execution.status, ExecutionStatus::Succeeded { .. }) || called != recorded.payloads.len()
        {
            let problem = format!("an execution ended as {:?} after {called} functions", execution.status);
            return Err(Fault::new(problem));
        }
    }
    Ok(())
}

/// A value for each name that the definition expects.
fn substitutions(definition: &str) -> BTreeMap<String, String> {
    let names = definition.split("${").skip(1).filter_map(|rest| rest.split_once('}'));
    let value = |name: &str| match name {
        "Partition" => "aws".to_owned(),
        name => format!("arn:aws:service:us-east-1:000000000000:{name}"),
    };
    names.map(|(name, _)| (name.to_owned(), value(name))).collect()
}

/// Answers Tasks with what was recorded.
struct Canned<'a> {
    payloads: &'a [Value],
    called: AtomicUsize,
}

impl Services for Canned<'_> {
    fn call<'a>(&'a self, resource: &'a str, _arguments: Value) -> TaskResult<'a> {
        let answer = match resource {
            INVOKE => self
                .payloads
                .get(self.called.fetch_add(1, Ordering::Relaxed))
                .map(|payload| json!({"ExecutedVersion": "$LATEST", "Payload": payload, "StatusCode": 200})),
            PUBLISH => Some(json!({"MessageId": "00000000-0000-4000-8000-000000000000"})),
            _ => Some(json!({})),
        };
        Box::pin(async move { answer.ok_or_else(|| TaskFailure::new("Bench", "no answer was recorded")) })
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_name_in_the_definition_gets_a_value() {
        let names = super::substitutions("${One} and ${Two}, ${One} again");
        assert_eq!(names.keys().collect::<Vec<_>>(), ["One", "Two"]);
    }
}
