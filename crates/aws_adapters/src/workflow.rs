//! Runs the order state machine and waits for its outcome.

use aws_sdk_sfn::{Client, types::SyncExecutionStatus};
use domain::{
    Error,
    workflow::{Command, Outcome},
};

use crate::{announcing::count_failures, failure::failed};

/// The error of an execution in which a step failed for good: the code of [`Error::Internal`].
const INTERNAL: &str = "internal";

/// The order state machine, an Express workflow.
#[derive(Clone, Debug)]
pub struct Workflow {
    client: Client,
    state_machine_arn: String,
}

impl Workflow {
    /// Makes a caller of the state machine with this ARN. Calls nothing.
    pub fn new(client: Client, state_machine_arn: String) -> Self {
        Self { client, state_machine_arn }
    }

    /// Runs a command and waits until the execution ends. `trace` is the X-Ray header of the caller's invocation,
    /// whose trace the execution continues. The order's id names the execution, so that traces can be searched for it.
    /// The name does not prevent a second execution, because Express workflows allow several of one name. What the execution
    /// could not announce is counted here, and is no failure of it.
    ///
    /// # Errors
    /// [`Error::Internal`] when a step failed for good, and a repeat would fail again. [`Error::Unavailable`] when the call
    /// or the execution failed otherwise or timed out. Only the table shows how far it came.
    pub async fn run(&self, command: &Command, trace: Option<String>) -> Result<Outcome, Error> {
        const DOING: &str = "running the order workflow";
        let unreadable = |source: serde_json::Error| {
            let place = format!("line {} column {}", source.line(), source.column());
            Error::Internal {
                doing: DOING,
                source: format!("a message is not of the expected form at {place}").into(),
            }
        };
        let answer = self
            .client
            .start_sync_execution()
            .state_machine_arn(&self.state_machine_arn)
            .name(command.order_id().to_string())
            .set_trace_header(trace)
            .input(serde_json::to_string(command).map_err(unreadable)?)
            .send()
            .await
            .map_err(failed(DOING))?;
        if *answer.status() == SyncExecutionStatus::Succeeded {
            let output = answer.output().unwrap_or_default();
            count_failures(command.order_id(), output);
            serde_json::from_str(output).map_err(unreadable)
        } else {
            let error = answer.error().unwrap_or_else(|| answer.status().as_str());
            let source = format!("the execution ended with {error}").into();
            Err(if error == INTERNAL {
                Error::Internal { doing: DOING, source }
            } else {
                Error::Unavailable { doing: DOING, source }
            })
        }
    }
}
