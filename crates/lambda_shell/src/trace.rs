//! The X-Ray trace of an invocation. A call of the workflow passes it on, so that the execution continues the trace.
//!
//! Nothing here writes a segment: Lambda and Step Functions do.

use std::future::Future;

/// The longest trace header that Step Functions accepts, in characters.
const MAX_HEADER: usize = 256;

tokio::task_local! {
    static HEADER: Option<String>;
}

/// The trace header of the current invocation, in the form that `StartSyncExecution` accepts:
/// `Root=...;Parent=...;Sampled=1`. `None` when the invocation has none, or when Step Functions would refuse it,
/// because tracing must never fail an order.
pub fn trace_header() -> Option<String> {
    HEADER.try_with(Clone::clone).unwrap_or_default()
}

/// Runs an invocation with its trace header, which [`trace_header`] answers until the invocation ends.
pub(crate) fn within<F: Future>(header: Option<&str>, invocation: F) -> impl Future<Output = F::Output> {
    let header = header.filter(|header| header.len() <= MAX_HEADER && header.is_ascii());
    HEADER.scope(header.map(str::to_owned), invocation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_invocation_sees_its_own_trace_header_unless_step_functions_would_refuse_it() {
        assert_eq!(trace_header(), None);
        let seen = async |header: Option<&str>| within(header, async { trace_header() }).await;
        assert_eq!(
            seen(Some("Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700")).await.as_deref(),
            Some("Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700")
        );
        assert_eq!(seen(None).await, None);
        assert_eq!(seen(Some(&"x".repeat(256))).await, Some("x".repeat(256)));
        assert_eq!(seen(Some(&"x".repeat(257))).await, None);
        assert_eq!(seen(Some("Root=é")).await, None);
    }
}
