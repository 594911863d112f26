//! DynamoDB: dispatches each operation to the engine `dynoxide`, whose own dispatcher is private to its HTTP server.
//! Nothing here knows a table.

use dynoxide::{Database, DynoxideError};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::ground::AwsError;

/// Runs one operation.
pub(crate) fn call(database: &Database, operation: &str, body: &str) -> Result<Value, AwsError> {
    match operation {
        "GetItem" => run(body, |request| database.get_item(request)),
        "PutItem" => run(body, |request| database.put_item(request)),
        "UpdateItem" => run(body, |request| database.update_item(request)),
        "DeleteItem" => run(body, |request| database.delete_item(request)),
        "BatchGetItem" => run(body, |request| database.batch_get_item(request)),
        "TransactWriteItems" => run(body, |request| database.transact_write_items(request)),
        "Query" => run(body, |request| database.query(request)),
        "Scan" => run(body, |request| database.scan(request)),
        "DescribeTable" => run(body, |request| database.describe_table(request)),
        "ListTables" => run(body, |request| database.list_tables(request)),
        _ => Err(AwsError::new(
            400,
            "UnknownOperationException",
            format!("the local stack does not support DynamoDB's {operation}"),
        )),
    }
}

fn run<Q, A>(body: &str, operation: impl FnOnce(Q) -> Result<A, DynoxideError>) -> Result<Value, AwsError>
where
    Q: DeserializeOwned,
    A: Serialize,
{
    let malformed =
        |error: serde_json::Error| AwsError::new(400, "SerializationException", error.to_string());
    let request = serde_json::from_str(body).map_err(malformed)?;
    match operation(request) {
        Ok(answer) => serde_json::to_value(answer).map_err(malformed),
        Err(error) => {
            let body: Value = serde_json::from_str(&error.to_json()).map_err(malformed)?;
            let code =
                body["__type"].as_str().unwrap_or_default().rsplit('#').next().unwrap_or_default().to_owned();
            Err(AwsError {
                status: error.status_code(),
                code,
                message: error.to_string(),
                body: Some(Box::new(body)),
            })
        }
    }
}
