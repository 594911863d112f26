//! Runs the branches of a Parallel state at the same time. They run in the execution's own task, which polls them in
//! turn.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
};

use serde_json::Value;

use super::{Runner, TaskFailure};

type BranchResult<'a> = Pin<Box<dyn Future<Output = Result<Value, TaskFailure>> + Send + 'a>>;

/// A branch that is running, or the output of one that has ended.
enum Branch<'a> {
    Running(BranchResult<'a>),
    Ended(Value),
}

impl<'a> Runner<'a> {
    /// The outputs of the branches, in the order of `Branches`. `input` is the input of each.
    ///
    /// "If any branch fails because of an unhandled error or by transitioning to a Fail state, the entire Parallel
    /// state is considered to have failed and all its branches are stopped"
    /// (<https://docs.aws.amazon.com/step-functions/latest/dg/state-parallel.html>). The error keeps its name.
    pub(super) async fn run_branches(
        &self,
        starts: &'a [String],
        input: &Value,
    ) -> Result<Value, TaskFailure> {
        let mut branches: Vec<Branch<'_>> =
            starts.iter().map(|start| Branch::Running(self.branch(start, input.clone()))).collect();
        poll_fn(|context| poll(&mut branches, context)).await.map(Value::Array)
    }

    /// The branch gets a copy of the variables. Its own assignments end with it.
    fn branch(&self, start: &'a str, input: Value) -> BranchResult<'a> {
        let mut branch = BranchRunner(Runner::new(self.shared, self.variables.clone()));
        Box::pin(async move { branch.0.run_states(start, input).await })
    }
}

/// Polls the branches that are still running. The first failure ends them all.
fn poll(branches: &mut [Branch<'_>], context: &mut Context<'_>) -> Poll<Result<Vec<Value>, TaskFailure>> {
    let mut outputs = Vec::new();
    for branch in &mut *branches {
        if let Branch::Running(running) = branch
            && let Poll::Ready(ended) = running.as_mut().poll(context)
        {
            match ended {
                Ok(output) => *branch = Branch::Ended(output),
                Err(failure) => return Poll::Ready(Err(failure)),
            }
        }
        if let Branch::Ended(output) = branch {
            outputs.push(output.clone());
        }
    }
    if outputs.len() == branches.len() { Poll::Ready(Ok(outputs)) } else { Poll::Pending }
}

/// The runner of a branch. Dropped in the middle of a state, it notes that in the state's report.
struct BranchRunner<'a>(Runner<'a>);

impl Drop for BranchRunner<'_> {
    fn drop(&mut self) {
        let now = self.0.now();
        self.0.entry(|entry| {
            if entry.left.is_none() {
                entry.stopped(now);
            }
        });
    }
}
