//! What the state machine's tasks call: Step Functions' optimised integrations, each as one AWS call.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Aws, Refusal, wire::Operation};
use crate::asl::{Answer, Services, TaskFailure};

/// The services as one state machine's executions call them.
pub(super) struct Integrations {
    aws: Arc<Aws>,
    caller: String,
}

impl Integrations {
    pub(super) fn new(aws: Arc<Aws>, caller: String) -> Self {
        Self { aws, caller }
    }

    async fn lambda(&self, arguments: &Value) -> Result<Value, TaskFailure> {
        let function = arguments["FunctionName"].as_str().unwrap_or_default().to_owned();
        let payload = arguments.get("Payload").cloned().unwrap_or(Value::Null).to_string();
        let invoked = self
            .aws
            .execute(&self.caller, Operation::Invoke { function, payload })
            .await
            .map_err(|refusal| failure("Lambda", &refusal))?;
        let payload: Value = serde_json::from_str(invoked["payload"].as_str().unwrap_or_default())
            .map_err(|_unreadable| TaskFailure::new("Lambda.Unknown", "the function's answer is no JSON"))?;
        if invoked["failed"] == true {
            let name = payload["errorType"].as_str().unwrap_or("Lambda.Unknown");
            return Err(TaskFailure::new(name, payload.to_string()));
        }
        Ok(json!({ "ExecutedVersion": "$LATEST", "StatusCode": 200, "Payload": payload }))
    }
}

impl Services for Integrations {
    fn call<'a>(&'a self, resource: &'a str, arguments: Value) -> Answer<'a> {
        Box::pin(async move {
            let (prefix, operation) = match resource {
                "arn:aws:states:::lambda:invoke" => return self.lambda(&arguments).await,
                "arn:aws:states:::sns:publish" => {
                    ("SNS", Operation::Sns { action: "Publish".to_owned(), parameters: arguments })
                }
                "arn:aws:states:::dynamodb:updateItem" => {
                    let (operation, body) = ("UpdateItem".to_owned(), arguments.to_string());
                    ("DynamoDB", Operation::DynamoDb { operation, body })
                }
                other => return Err(TaskFailure::new("States.Runtime", format!("{other} is not supported"))),
            };
            self.aws.execute(&self.caller, operation).await.map_err(|refusal| failure(prefix, &refusal))
        })
    }
}

/// An error as Step Functions names it: the service, a dot, the exception.
fn failure(prefix: &str, refusal: &Refusal) -> TaskFailure {
    let suffix = if refusal.code.ends_with("Exception") { "" } else { "Exception" };
    TaskFailure::new(format!("{prefix}.{}{suffix}", refusal.code), refusal.message.clone())
}
