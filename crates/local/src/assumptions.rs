//! The figures that a bill needs and that no local run can measure, each with its reason. Most are times: local time is
//! not AWS's time. Nothing here is a price.

/// A figure that no local run can measure.
#[derive(Clone, Copy, Debug)]
pub struct Assumption {
    /// What it is the figure of.
    pub what: &'static str,
    /// The figure.
    pub value: u64,
    /// Its unit.
    pub unit: &'static str,
    /// Why this figure.
    pub reason: &'static str,
}

/// The time of a read of `DynamoDB`.
pub const READ_TIME: Assumption = Assumption {
    what: "a read of DynamoDB",
    value: 5,
    unit: "ms",
    reason: "AWS promises single-digit milliseconds",
};

/// The time of a write of `DynamoDB`.
pub const WRITE_TIME: Assumption = Assumption {
    what: "a write of DynamoDB",
    value: 8,
    unit: "ms",
    reason: "AWS promises single-digit milliseconds",
};

/// The time of a transaction of `DynamoDB`.
pub const TRANSACTION_TIME: Assumption = Assumption {
    what: "a transaction of DynamoDB",
    value: 16,
    unit: "ms",
    reason: "it writes twice: once to prepare and once to commit",
};

/// The time of a call of SNS.
pub const SNS_TIME: Assumption = Assumption {
    what: "a call of SNS",
    value: 30,
    unit: "ms",
    reason: "a guess; it stores in several zones",
};

/// The units of an action of a transaction that is cancelled.
pub const CANCELLED_UNITS: Assumption = Assumption {
    what: "an action of a transaction that is cancelled",
    value: 2,
    unit: "write units",
    reason: "as if it had succeeded: AWS says so of a write whose condition fails",
};

/// The time of an invocation, besides the function's own.
pub const INVOKE_TIME: Assumption = Assumption {
    what: "an invocation by the workflow, besides the function's time",
    value: 15,
    unit: "ms",
    reason: "a guess for a warm function",
};

/// The time of a start of an execution, besides the execution's own.
pub const START_TIME: Assumption = Assumption {
    what: "a start of the workflow, besides the execution's time",
    value: 15,
    unit: "ms",
    reason: "a guess; it is a call like others, and the door waits for it",
};

/// The time of a function's own work in one invocation.
pub const WORK_TIME: Assumption = Assumption {
    what: "a function's own work in one invocation",
    value: 5,
    unit: "ms",
    reason: "a guess for a warm function; no cold start is counted",
};

/// The memory that an Express execution is billed for.
pub const EXPRESS_MEMORY: Assumption = Assumption {
    what: "the memory of an execution",
    value: 64,
    unit: "MB",
    reason: "the smallest step that is billed; definition and data are a few KB",
};

/// The bytes of the lines that Lambda itself logs for an invocation.
pub const PLATFORM_LINES: Assumption = Assumption {
    what: "Lambda's own log lines for one invocation",
    value: 450,
    unit: "bytes",
    reason: "START, END and REPORT with the ids of request and trace, and 26 for each",
};

/// The bytes of the API's access log for one request.
pub const ACCESS_LINE: Assumption = Assumption {
    what: "the API's access log for one request",
    value: 360,
    unit: "bytes",
    reason: "the template's format with its values, and 26",
};

/// The bytes that a log line takes besides its text.
pub const LINE_OVERHEAD: Assumption = Assumption {
    what: "a log line, besides its local text",
    value: 46,
    unit: "bytes",
    reason: "CloudWatch adds 26, and AWS's request ids are 20 characters longer",
};

/// The requests to KMS for one mail, if customers' topics have a key.
pub const KEY_REQUESTS: Assumption = Assumption {
    what: "requests to KMS for one mail, with CustomerTopicKey",
    value: 2,
    unit: "requests",
    reason: "SNS reuses a topic's data key for five minutes, and a customer rarely gets two mails in that time",
};

/// The days of a month.
pub const MONTH: Assumption =
    Assumption { what: "a month", value: 30, unit: "days", reason: "a round figure" };

/// Every assumption.
pub const ASSUMPTIONS: [&Assumption; 14] = [
    &READ_TIME,
    &WRITE_TIME,
    &TRANSACTION_TIME,
    &CANCELLED_UNITS,
    &SNS_TIME,
    &INVOKE_TIME,
    &START_TIME,
    &WORK_TIME,
    &EXPRESS_MEMORY,
    &PLATFORM_LINES,
    &ACCESS_LINE,
    &LINE_OVERHEAD,
    &KEY_REQUESTS,
    &MONTH,
];
