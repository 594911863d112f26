//! An interpreter of Amazon States Language with `JSONata`.
//!
//! It reads and checks a definition, and it runs executions: states, variables, retries, catches, timeouts and the
//! data limit. The Step Functions developer guide says how each of them behaves.
//!
//! It supports `QueryLanguage: JSONata` and the states `Task`, `Choice`, `Pass`, `Succeed`, `Fail`, `Wait` and
//! `Parallel`. It refuses every field and state that it does not support, so that AWS accepts each definition that runs
//! here.
//!
//! Nothing here knows a service that a Task calls: the caller names the `Resource`s and answers them through
//! [`Services`]. Nothing here knows what an order is. Nothing here reads the system's clock: the caller hands one in as
//! [`Now`].

mod definition;
mod expression;
mod jsonata;
mod parse;
mod run;
mod substitute;
mod timestamp;

pub use definition::{Catcher, Definition, DefinitionError, Jitter, Retrier, State, StateType};
pub use run::{Execution, ExecutionStatus, Now, Services, StateRun, TaskFailure, TaskResult, run};
