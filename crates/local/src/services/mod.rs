//! The services that Orderflow calls, each in a file or folder of its own.
//!
//! No service imports another: a Task of the state machine calls the others through `states::TaskCalls`, and mails of
//! both SNS and Cognito go to the mailbox of [`ground`](crate::ground).

pub mod cognito;
pub(crate) mod dynamodb;
pub mod lambda;
pub mod sns;
pub mod states;
