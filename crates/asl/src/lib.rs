//! An interpreter of Amazon States Language with `JSONata`.
//!
//! It reads and checks a definition, and it runs executions: states, variables, retries, catches, timeouts and the
//! data limit, as the Step Functions developer guide documents them. It never guesses: a field or a state that it does
//! not support is a fault of the definition, so that a definition that runs here is one that AWS takes.
//!
//! It supports `QueryLanguage: JSONata` and the states `Task`, `Choice`, `Pass`, `Succeed`, `Fail`, `Wait` and
//! `Parallel`.
//!
//! Nothing here knows a service that a Task calls: the caller names the `Resource`s and answers them through
//! [`Services`]. Nothing here knows what an order is. Nothing here reads a clock: the caller hands one in as [`Now`].

mod definition;
mod expression;
mod jsonata;
mod parse;
mod run;
mod substitute;
mod timestamp;

pub use definition::{Catcher, Definition, DefinitionError, Jitter, Retrier, State, StateType};
pub use run::{Execution, ExecutionStatus, Now, Services, StateRun, TaskFailure, TaskResult, run};
