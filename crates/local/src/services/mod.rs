//! The AWS services that Orderflow calls, each in a file or folder of its own.
//!
//! No service imports another. A Task of the state machine calls the others through `states::TaskCalls`. SNS and Cognito
//! both deliver mails to the mailbox in [`ground`](crate::ground).

pub mod cognito;
pub(crate) mod dynamodb;
pub mod lambda;
pub mod sns;
pub mod states;
