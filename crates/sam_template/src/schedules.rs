//! `ScheduleV2` events: functions that run at a fixed rate. Nothing here runs one.

use std::time::Duration;

use super::{
    node::Node,
    queues::{self, Queue},
    roles::{self, Role, Statement},
};

/// A function's schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The logical id of the function that runs.
    pub function: String,
    /// The time from one run to the next.
    pub every: Duration,
    /// The logical id of the scheduler's role, which invokes the function.
    pub role_logical_id: String,
    /// The statements of that role's policies.
    pub statements: Vec<Statement>,
    /// The ARN of the queue for runs that could not be started.
    pub dead_letters: Option<String>,
}

/// Properties without an effect that a program can observe.
const AWS_ONLY: &[&str] = &["Description", "Name", "OmitName", "RetryPolicy", "FlexibleTimeWindow"];

pub(super) fn read(function: &str, event: &Node<'_>, roles: &[Role], queues: &[Queue]) -> Option<Schedule> {
    event.expect_keys(&["ScheduleExpression", "RoleArn", "DeadLetterConfig"], AWS_ONLY);
    let dead_letters = event.get("DeadLetterConfig").and_then(|config| {
        // Without an ARN, SAM would create another queue.
        config.expect_keys(&["Arn"], &[]);
        queues::find_arn(queues, &config.required("Arn")?)
    });
    // Without a role, SAM would create one.
    let role = roles::find(roles, event, "RoleArn", "scheduler.amazonaws.com");
    let expression = event.required("ScheduleExpression")?;
    let every = rate(&expression.text()?);
    if every.is_none() {
        expression.report("is not supported by the local stack; supported: rate(<n> minutes|hours|days)");
    }
    let role = role?;
    Some(Schedule {
        function: function.to_owned(),
        every: every?,
        role_logical_id: role.logical_id.clone(),
        statements: role.statements.clone(),
        dead_letters,
    })
}

/// The interval of an expression such as `rate(1 minute)`.
fn rate(expression: &str) -> Option<Duration> {
    let (count, unit) = expression.strip_prefix("rate(")?.strip_suffix(')')?.split_once(' ')?;
    let count: u64 = count.parse().ok().filter(|count| *count > 0)?;
    let minutes = match unit {
        "minute" | "minutes" => 1,
        "hour" | "hours" => 60,
        "day" | "days" => 24 * 60,
        _ => return None,
    };
    Some(Duration::from_mins(count.checked_mul(minutes)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_and_other_schedules_are_not() {
        assert_eq!(rate("rate(1 minute)"), Some(Duration::from_mins(1)));
        assert_eq!(rate("rate(2 hours)"), Some(Duration::from_hours(2)));
        for other in ["rate(0 minutes)", "rate(1 fortnight)", "rate(minute)", "cron(0 12 * * ? *)", ""] {
            assert_eq!(rate(other), None, "{other}");
        }
    }
}
