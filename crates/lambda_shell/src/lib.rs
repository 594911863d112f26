//! The part that every function shares: start-up, environment, logs, the caller from JWT claims, and the answer to an
//! error, as an HTTP problem or as a task error.
//!
//! Nothing here depends on a function. Only this crate gives an error its HTTP status. Only this crate logs that an
//! invocation failed, once, at the boundary. No log line, no task error and no panic report holds a body, an e-mail
//! address, a name or a token.

mod caller;
mod clock;
mod env;
mod function;
mod groups;
mod logs;
mod metrics;
mod problem;
mod request;
mod response;
mod serve;
mod trace;

pub use caller::{AdminRule, Caller};
pub use clock::Clock;
pub use env::{Env, SetupFault};
pub use function::{Door, Function, Step, TaskError};
pub use logs::{concerning, filter as log_filter, hush_panics, lines as log_lines};
pub use metrics::{Count, count, metric_lines, time};
pub use request::Request;
pub use response::Response;
pub use serve::{Settings, serve_http, serve_step};
pub use trace::trace_header;

pub use aws_config::SdkConfig;

/// The error of a function that cannot start or can no longer be served.
pub type Error = lambda_runtime::Error;
