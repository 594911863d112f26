//! A small interpreter of Amazon States Language with `JSONata`: what the local stack runs the state machine
//! on.
//!
//! It owns the reading and checking of a definition and the running of an execution: states, variables,
//! retries, catches, timeouts and the data limit, as Step Functions documents them. It knows no service: what
//! a Task calls is behind [`Services`]. It never guesses: whatever it does not support is a fault when the
//! definition is parsed, so that a definition that runs here is one that AWS takes.
//!
//! Only `QueryLanguage: JSONata` is spoken, and only the states `Task`, `Choice`, `Pass`, `Succeed`, `Fail`
//! and `Wait`.

mod definition;
mod expression;
mod jsonata;
mod parse;
mod run;
mod substitute;

pub use definition::{Catcher, Definition, DefinitionFaults, Jitter, Retrier, State, StateType};
pub use run::{Answer, Execution, Services, StateRun, Status, TaskFailure, run};

/// The `Resource`s that a Task may name.
pub const SUPPORTED_RESOURCES: [&str; 3] = [
    "arn:aws:states:::lambda:invoke",
    "arn:aws:states:::sns:publish",
    "arn:aws:states:::dynamodb:updateItem",
];
