//! Faults that tests plant on AWS calls, and the record of calls that tests read. The engine `dynoxide` never reports a
//! conflict, a throttled call or a lost acknowledgement, so these are planted. Nothing here plants a fault by itself.

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
    /// The caller's access key id: the logical id of a function or of the state machine.
    pub caller: String,
    /// `dynamodb`, `sns`, `states`, `lambda` or `cognito-idp`.
    pub service: &'static str,
    /// The operation's name in the service's API reference.
    pub operation: String,
    /// The function, topic, state machine, user pool client or table, named as in the request. Several tables are
    /// separated by commas. Empty if the request names none of these.
    pub target: String,
}

/// The fault of a call: whether the call took effect, and the error that its caller receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The call fails with a server error, and has no effect.
    Before,
    /// The call takes effect, but its acknowledgement is lost: the caller receives a server error.
    After,
    /// The service throttles the call, which has no effect.
    Throttle,
    /// Another transaction holds the rows. The call has no effect.
    Conflict,
    /// The transaction is cancelled, with one reason code for each of its actions. It has no effect.
    Cancel(Vec<&'static str>),
    /// The service refuses the call with this code. The call has no effect.
    Refuse(&'static str),
    /// The call takes effect, and its acknowledgement arrives after this time.
    Delay(Duration),
}

type Plan = Box<dyn FnMut(&Call) -> Option<Fault> + Send>;

/// Plants faults on calls, and records calls.
#[derive(Default)]
pub struct Faults {
    plan: Mutex<Option<Plan>>,
    record: Mutex<Option<Vec<Recorded>>>,
}

/// A recorded call.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// The caller, the service, the operation and the target.
    pub call: Call,
    /// The permissions that the call needs.
    pub permissions: Vec<RequiredPermission>,
    /// Its request and answer in their `Debug` form, for tests that look for leaked data.
    pub text: String,
    /// The capacity that DynamoDB reports for it, one value for each table.
    pub consumed: Vec<Value>,
    /// The code of the error that the service answered; `None` for a success and for a planted fault.
    pub error: Option<String>,
    /// The time that the service took, on tokio's clock. A planted delay comes on top.
    pub took: Duration,
}

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Faults")
    }
}

impl Faults {
    /// From now on asks `plan` for a fault at every call, each retry of the SDK included.
    pub fn plant(&self, plan: impl FnMut(&Call) -> Option<Fault> + Send + 'static) {
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(plan));
    }

    /// Plants no more faults.
    pub fn clear(&self) {
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Starts recording calls.
    pub fn record(&self) {
        *self.record.lock().unwrap_or_else(PoisonError::into_inner) = Some(Vec::new());
    }

    /// Ends recording, and returns the calls since [`record`](Self::record), oldest first.
    pub fn recorded(&self) -> Vec<Recorded> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default()
    }

    /// Records a call, and asks the plan for its fault. Returns the operation to perform, which reports its capacity
    /// while calls are recorded, and the call's place in the record.
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
                error: None,
                took: Duration::ZERO,
            });
        }
        let fault =
            self.plan.lock().unwrap_or_else(PoisonError::into_inner).as_mut().and_then(|plan| plan(call));
        (fault, operation, place)
    }

    /// Adds the answer, its time and the consumed capacity to the call at this place of the record.
    pub(super) fn record_answer(
        &self,
        place: Option<usize>,
        answer: &Result<Value, AwsError>,
        took: Duration,
    ) {
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(recorded) = place.and_then(|place| record.as_mut()?.get_mut(place)) else { return };
        recorded.text = format!("{} {answer:?}", recorded.text);
        recorded.took = took;
        match answer.as_ref().map(|answer| answer.get("ConsumedCapacity")) {
            Ok(Some(Value::Array(tables))) => recorded.consumed.extend(tables.iter().cloned()),
            Ok(Some(one)) => recorded.consumed.push(one.clone()),
            Ok(None) => {}
            Err(error) => recorded.error = Some(error.code.clone()),
        }
    }
}

/// The error that a fault answers instead of the service; `None` if the service performs the call.
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
        // AWS's messages may quote the request, so this one does. Tests check that it is not passed on.
        Fault::Refuse(code) => Some(AwsError::new(400, code, format!("planted: {operation:?}"))),
        Fault::After | Fault::Delay(_) => None,
    }
}

/// The error of a call that failed inside the service.
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
    // The last action meets the conflict. In the shop's transactions the first action is on the order's own row.
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

/// The operation, asking for its consumed capacity too.
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
