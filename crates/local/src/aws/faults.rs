//! Faults that tests plant on AWS calls, and the record of calls that they read. `dynoxide` itself never reports a
//! conflict, a throttling or a lost acknowledgement.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};

use super::{RequiredPermission, wire::Operation};
use crate::ground::AwsError;

/// One AWS call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Who makes it: the logical id of a function or of the state machine, which is the access key id it uses.
    pub caller: String,
    /// `dynamodb`, `sns`, `states`, `lambda` or `cognito-idp`.
    pub service: &'static str,
    /// The operation's name in the service's API reference.
    pub operation: String,
    /// What it is made on, named as in the request: a function, a topic, a state machine, a table or, with commas,
    /// several tables. Empty where the request names none of these.
    pub target: String,
}

/// What goes wrong with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails, and nothing happened.
    Before,
    /// It happens, and its acknowledgement is lost: the caller sees a failure.
    After,
    /// The service takes no more calls just now. Nothing happened.
    Throttle,
    /// Another transaction holds the rows. Nothing happened.
    Conflict,
    /// The transaction is cancelled, with these reasons' codes, one for each action. Nothing happened.
    Cancel(Vec<&'static str>),
    /// The service refuses with this code. Nothing happened.
    Refuse(&'static str),
    /// It happens, and its acknowledgement takes this long.
    Delay(Duration),
}

type Plan = Box<dyn FnMut(&Call) -> Option<Fault> + Send>;

/// Where faults are planted and calls recorded.
#[derive(Default)]
pub struct Faults {
    plan: Mutex<Option<Plan>>,
    record: Mutex<Option<Vec<Recorded>>>,
}

/// A call that was recorded, with the capacity units that it consumed.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// The call.
    pub call: Call,
    /// What its caller must be permitted.
    pub permissions: Vec<RequiredPermission>,
    /// Its request and answer as JSON, for tests that look for what must not be there.
    pub text: String,
    /// What DynamoDB says it consumed, table by table.
    pub consumed: Vec<Value>,
}

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Faults")
    }
}

impl Faults {
    /// Asks `plan` about every call from now on, attempts of the SDK's own included.
    pub fn plant(&self, plan: impl FnMut(&Call) -> Option<Fault> + Send + 'static) {
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(plan));
    }

    /// Lets every call succeed again.
    pub fn clear(&self) {
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Starts recording calls.
    pub fn record(&self) {
        *self.record.lock().unwrap_or_else(PoisonError::into_inner) = Some(Vec::new());
    }

    /// What was recorded since [`record`](Self::record), oldest first; recording ends.
    pub fn recorded(&self) -> Vec<Recorded> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default()
    }

    /// Records a call and asks the plan about it.
    pub(super) fn start_call(
        &self,
        call: &Call,
        operation: Operation,
    ) -> (Option<Fault>, Operation, Option<usize>) {
        let mut operation = operation;
        let mut place = None;
        if let Some(record) = self.record.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            operation = with_capacity(operation);
            place = Some(record.len());
            record.push(Recorded {
                call: call.clone(),
                permissions: operation.required_permissions(),
                text: format!("{operation:?}"),
                consumed: Vec::new(),
            });
        }
        let fault =
            self.plan.lock().unwrap_or_else(PoisonError::into_inner).as_mut().and_then(|plan| plan(call));
        (fault, operation, place)
    }

    /// Records what the call at this place of the record was answered and what it consumed.
    pub(super) fn record_answer(&self, place: Option<usize>, answer: &Result<Value, AwsError>) {
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(recorded) = place.and_then(|place| record.as_mut()?.get_mut(place)) else { return };
        recorded.text = format!("{} {answer:?}", recorded.text);
        if let Ok(answer) = answer {
            match answer.get("ConsumedCapacity") {
                Some(Value::Array(tables)) => recorded.consumed.extend(tables.iter().cloned()),
                Some(one) => recorded.consumed.push(one.clone()),
                None => {}
            }
        }
    }
}

/// What a fault answers in place of the service; `None` when the service is to act.
pub(super) fn planted_error(fault: &Fault, operation: &Operation) -> Option<AwsError> {
    let service = operation.service();
    match fault {
        Fault::Before => Some(server_error(service)),
        Fault::Throttle => Some(match service {
            "lambda" => AwsError::new(429, "TooManyRequestsException", "Rate Exceeded."),
            "sns" => AwsError::new(429, "Throttled", "Rate exceeded"),
            _ => AwsError::new(400, "ThrottlingException", "Rate exceeded"),
        }),
        Fault::Conflict => Some(conflict(operation)),
        Fault::Cancel(codes) => Some(cancelled(codes)),
        // A message of AWS's may repeat what was asked, and then must not be passed on.
        Fault::Refuse(code) => Some(AwsError::new(400, code, format!("planted: {operation:?}"))),
        Fault::After | Fault::Delay(_) => None,
    }
}

/// What a caller sees whose call failed on the service's side.
pub(super) fn server_error(service: &str) -> AwsError {
    match service {
        "lambda" => AwsError::new(500, "ServiceException", "planted"),
        "sns" => AwsError::new(500, "InternalError", "planted"),
        _ => AwsError::new(500, "InternalServerError", "planted"),
    }
}

fn conflict(operation: &Operation) -> AwsError {
    let actions = match operation {
        Operation::DynamoDb { body, .. } => serde_json::from_str::<Value>(body)
            .ok()
            .and_then(|body| body.get("TransactItems").and_then(Value::as_array).map(Vec::len)),
        Operation::Sns { .. }
        | Operation::Cognito { .. }
        | Operation::StartSyncExecution { .. }
        | Operation::Invoke { .. } => None,
    };
    let Some(actions) = actions else {
        return AwsError::new(400, "TransactionConflictException", "Transaction is ongoing for the item");
    };
    // The last row is the contended one: the first is the order's own.
    let code = |index| if index + 1 == actions { "TransactionConflict" } else { "None" };
    cancelled(&(0..actions).map(code).collect::<Vec<_>>())
}

fn cancelled(codes: &[&str]) -> AwsError {
    let reasons: Vec<Value> = codes.iter().map(|code| json!({ "Code": code })).collect();
    let message = "Transaction cancelled, please refer cancellation reasons for specific reasons";
    let code = "TransactionCanceledException";
    let body = json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "Message": message, "CancellationReasons": reasons });
    AwsError { body: Some(Box::new(body)), ..AwsError::new(400, code, message) }
}

/// The same operation, which also tells what it consumed.
fn with_capacity(operation: Operation) -> Operation {
    let Operation::DynamoDb { operation, body } = operation else { return operation };
    match serde_json::from_str::<Value>(&body) {
        Ok(Value::Object(mut request)) => {
            request.insert("ReturnConsumedCapacity".to_owned(), json!("INDEXES"));
            Operation::DynamoDb { operation, body: Value::Object(request).to_string() }
        }
        Ok(_) | Err(_) => Operation::DynamoDb { operation, body },
    }
}
