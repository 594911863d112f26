mod parallel;

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use serde_json::json;
use time::macros::datetime;
use tokio::time::Instant;

use super::*;

const RESOURCES: [&str; 1] = ["arn:aws:states:::checker:check"];

type Script = Box<dyn Fn(usize) -> (u64, Result<Value, TaskFailure>) + Send + Sync>;

/// Services whose script gives call number n a delay in milliseconds and a result.
struct Scripted {
    script: Script,
    calls: Mutex<Vec<(String, Value)>>,
}

impl Scripted {
    fn new(script: impl Fn(usize) -> (u64, Result<Value, TaskFailure>) + Send + Sync + 'static) -> Self {
        Self { script: Box::new(script), calls: Mutex::new(Vec::new()) }
    }

    /// Fails with each error in turn, then succeeds with `true`.
    fn failing(errors: &'static [&'static str]) -> Self {
        Self::new(|call| match errors.get(call) {
            Some(error) => (0, Err(TaskFailure::new(*error, format!("call {call}")))),
            None => (0, Ok(json!(true))),
        })
    }

    fn calls(&self) -> Vec<(String, Value)> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Services for Scripted {
    fn call<'a>(&'a self, resource: &'a str, arguments: Value) -> TaskResult<'a> {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let (after, answer) = (self.script)(calls.len());
        calls.push((resource.to_owned(), arguments));
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(after)).await;
            answer
        })
    }
}

fn machine(states: &Value) -> Definition {
    machine_within(60, states)
}

fn machine_within(seconds: u64, states: &Value) -> Definition {
    let first = ["A", "Work"].into_iter().find(|name| states.get(name).is_some()).unwrap();
    let text = json!({
        "QueryLanguage": "JSONata", "StartAt": first, "TimeoutSeconds": seconds, "States": states
    });
    Definition::parse(&text.to_string(), &BTreeMap::new(), &RESOURCES)
        .unwrap_or_else(|faults| panic!("{faults}"))
}

/// A machine with one Task, which has these extra fields.
fn work(more: &Value) -> Definition {
    machine(&json!({"Work": work_state(more, json!({"End": true}))}))
}

fn work_state(more: &Value, onward: Value) -> Value {
    let mut state = json!({"Type": "Task", "Resource": "arn:aws:states:::checker:check"});
    for fields in [more.clone(), onward] {
        let Value::Object(fields) = fields else { panic!("{fields}") };
        state.as_object_mut().unwrap().extend(fields);
    }
    state
}

async fn execute(definition: &Definition, services: &Scripted, input: Value) -> Execution {
    let (start, started) = (datetime!(2026-03-01 12:00 UTC), Instant::now());
    let now = || start + started.elapsed();
    run(definition, services, &now, "run-1", input).await
}

async fn execute_alone(states: Value, input: Value) -> Execution {
    execute(&machine(&states), &Scripted::failing(&[]), input).await
}

fn output(execution: &Execution) -> Value {
    execution.status.output().unwrap_or_else(|| panic!("{:?}", execution.status)).clone()
}

fn error(execution: &Execution) -> &str {
    execution.status.error().unwrap_or_else(|| panic!("{:?}", execution.status))
}

// Retries

/// Runs one Task under `retry`. Returns the execution, the number of calls and the milliseconds that it took.
async fn retried(retry: Value, errors: &'static [&'static str]) -> (Execution, usize, u128) {
    let services = Scripted::failing(errors);
    let start = Instant::now();
    let execution = execute(&work(&json!({"Retry": retry})), &services, json!({})).await;
    (execution, services.calls().len(), start.elapsed().as_millis())
}

#[tokio::test(start_paused = true)]
async fn a_retrier_waits_longer_each_time_and_stops_after_its_attempts() {
    let boom = &["Boom", "Boom", "Boom", "Boom", "Boom", "Boom"];
    let cases = [
        // By default 1, 2 and 4 seconds.
        (json!([{"ErrorEquals": ["Boom"]}]), 4, 7_000),
        (json!([{"ErrorEquals": ["Boom"], "MaxAttempts": 0}]), 1, 0),
        (
            json!([{"ErrorEquals": ["Boom"], "IntervalSeconds": 2, "BackoffRate": 1.5, "MaxAttempts": 2}]),
            3,
            5_000,
        ),
        (json!([{"ErrorEquals": ["Boom"], "MaxDelaySeconds": 3, "MaxAttempts": 4}]), 5, 9_000),
        (json!([{"ErrorEquals": ["Other"]}]), 1, 0),
        (json!([{"ErrorEquals": ["Boom"], "MaxAttempts": 1}, {"ErrorEquals": ["States.ALL"]}]), 2, 1_000),
    ];
    for (retry, calls, millis) in cases {
        let (execution, counted, elapsed) = retried(retry.clone(), boom).await;
        assert_eq!((counted, elapsed), (calls, millis), "{retry}");
        assert_eq!(error(&execution), "Boom", "{retry}");
        assert_eq!(execution.states[0].attempts, u32::try_from(calls).unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn each_retrier_counts_for_itself() {
    let retry = json!([
        {"ErrorEquals": ["One"], "MaxAttempts": 1, "IntervalSeconds": 10},
        {"ErrorEquals": ["Two"], "MaxAttempts": 2, "BackoffRate": 3}
    ]);
    let (execution, calls, elapsed) = retried(retry, &["Two", "One", "Two"]).await;
    assert_eq!(output(&execution), json!(true));
    assert_eq!((calls, elapsed), (4, 1_000 + 10_000 + 3_000));
    assert_eq!(execution.states[0].error, None);
}

#[tokio::test(start_paused = true)]
async fn full_jitter_stays_within_the_delay_and_a_seed_replays_it() {
    let retry = json!([{"ErrorEquals": ["Boom"], "JitterStrategy": "FULL", "MaxAttempts": 3}]);
    let mut seen = Vec::new();
    for seed in [1, 2, 3, 1, 2, 3] {
        fastrand::seed(seed);
        let (_, calls, elapsed) = retried(retry.clone(), &["Boom", "Boom", "Boom"]).await;
        assert_eq!(calls, 4);
        assert!(elapsed < 7_000, "{elapsed}");
        seen.push(elapsed);
    }
    assert_eq!(seen[..3], seen[3..]);
    assert!(seen[0] != seen[1] || seen[1] != seen[2], "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn error_names_match_as_on_aws() {
    // The name in ErrorEquals, the error that was raised, and whether the name handles it.
    let cases = [
        ("States.ALL", "Boom", true),
        ("States.ALL", "States.Timeout", true),
        ("States.ALL", "States.QueryEvaluationError", true),
        ("States.ALL", "States.DataLimitExceeded", false),
        ("States.ALL", "States.Runtime", false),
        ("States.TaskFailed", "Boom", true),
        ("States.TaskFailed", "States.TaskFailed", true),
        ("States.TaskFailed", "States.Timeout", false),
        ("States.TaskFailed", "States.DataLimitExceeded", false),
        ("States.Timeout", "States.Timeout", true),
        ("States.Timeout", "Boom", false),
        ("States.DataLimitExceeded", "States.DataLimitExceeded", true),
        ("States.Runtime", "States.Runtime", false),
        ("Boom", "Boom", true),
        ("Boom", "boom", false),
        ("Boom", "Boom.Inner", false),
    ];
    for (named, failed, taken) in cases {
        let failure = TaskFailure::new(failed, "");
        assert_eq!(handles(&[named.to_owned()], &failure), taken, "{named} and {failed}");
    }
}

// Catches

#[tokio::test(start_paused = true)]
async fn the_first_catcher_that_matches_decides_after_the_retries() {
    let task = json!({
        "Retry": [{"ErrorEquals": ["Boom"], "MaxAttempts": 1}],
        "Catch": [
            {"ErrorEquals": ["Other"], "Next": "Other"},
            {"ErrorEquals": ["Boom"], "Next": "Boom", "Assign": {"cause": "{% $states.errorOutput.Cause %}"},
             "Output": {"error": "{% $states.errorOutput.Error %}", "input": "{% $states.input %}"}},
            {"ErrorEquals": ["States.ALL"], "Next": "Rest"}
        ]
    });
    let definition = machine(&json!({
        "Work": work_state(&task, json!({"End": true})),
        "Other": {"Type": "Succeed", "Output": "other"},
        "Boom": {"Type": "Succeed", "Output": "{% $merge([$states.input, {'cause': $cause}]) %}"},
        "Rest": {"Type": "Succeed"}
    }));
    let execution = execute(&definition, &Scripted::failing(&["Boom", "Boom"]), json!(7)).await;
    assert_eq!(output(&execution), json!({"error": "Boom", "input": 7, "cause": "call 1"}));
    let work = &execution.states[0];
    assert_eq!(
        (work.attempts, work.error.as_deref(), work.cause.as_deref()),
        (2, Some("Boom"), Some("call 1"))
    );
    assert_eq!(work.output.as_ref().map(|output| output.get()), Some(r#"{"error":"Boom","input":7}"#));

    let execution = execute(&definition, &Scripted::failing(&["Else"]), json!(7)).await;
    assert_eq!(output(&execution), json!({"Error": "Else", "Cause": "call 0"}));
}

#[tokio::test(start_paused = true)]
async fn an_error_without_a_catcher_fails_the_execution() {
    let catch = json!([{"ErrorEquals": ["Other"], "Next": "Work"}]);
    let definition = work(&json!({"Catch": catch}));
    let execution = execute(&definition, &Scripted::failing(&["Boom"]), json!({})).await;
    assert_eq!(execution.status, ExecutionStatus::Failed { error: "Boom".into(), cause: "call 0".into() });
    assert_eq!(execution.states[0].error.as_deref(), Some("Boom"));
    assert!(execution.states[0].output.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_task_catches_its_own_query_evaluation_errors() {
    for field in ["Arguments", "Output", "Assign"] {
        let mut task = json!({"Catch": [{"ErrorEquals": ["States.QueryEvaluationError"], "Next": "Caught"}]});
        task[field] = json!({"there": 1, "absent": "{% $states.input.absent %}"});
        let definition = machine(&json!({
            "Work": work_state(&task, json!({"End": true})),
            "Caught": {"Type": "Pass", "Output": "{% $states.input.Cause %}", "End": true}
        }));
        let execution = execute(&definition, &Scripted::failing(&[]), json!({})).await;
        let cause = format!(
            "An error occurred while executing the state 'Work'. The JSONata expression '$states.input.absent' \
             specified for the field '{field}/absent' returned nothing (undefined)."
        );
        assert_eq!(output(&execution), json!(cause));
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_inside_a_catcher_fails_the_execution() {
    let task = json!({"Catch": [
        {"ErrorEquals": ["Boom"], "Next": "Done", "Output": "{% $states.input.absent %}"},
        {"ErrorEquals": ["States.ALL"], "Next": "Done"}
    ]});
    let definition =
        machine(&json!({"Work": work_state(&task, json!({"End": true})), "Done": {"Type": "Succeed"}}));
    let execution = execute(&definition, &Scripted::failing(&["Boom"]), json!({})).await;
    assert_eq!(error(&execution), "States.QueryEvaluationError");
    assert!(execution.status.cause().unwrap().contains("'Catch[0]/Output'"));
}

// Timeouts

#[tokio::test(start_paused = true)]
async fn a_task_that_takes_too_long_times_out_and_may_be_retried() {
    let services = Scripted::new(|call| (if call == 0 { 5_001 } else { 4_999 }, Ok(json!(call))));
    let retry = json!([{"ErrorEquals": ["States.Timeout"], "IntervalSeconds": 1}]);
    let definition = work(&json!({"TimeoutSeconds": 5, "Retry": retry}));
    let start = Instant::now();
    let execution = execute(&definition, &services, json!({})).await;
    assert_eq!(output(&execution), json!(1));
    assert_eq!(start.elapsed().as_millis(), 5_000 + 1_000 + 4_999);

    let execution = execute(&work(&json!({"TimeoutSeconds": 4})), &services, json!({})).await;
    assert_eq!(error(&execution), "States.Timeout");
    assert_eq!(execution.status.name(), "FAILED");
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_takes_too_long_times_out_in_spite_of_its_catchers() {
    let services = Scripted::new(|_| (60_000, Ok(json!(true))));
    let task = json!({"Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Done"}]});
    let definition = machine_within(
        20,
        &json!({"Work": work_state(&task, json!({"End": true})), "Done": {"Type": "Succeed"}}),
    );
    let start = Instant::now();
    let execution = execute(&definition, &services, json!({"a": 1})).await;
    assert_eq!(start.elapsed().as_secs(), 20);
    assert_eq!(execution.status, ExecutionStatus::TimedOut);
    assert_eq!((execution.status.name(), execution.status.error()), ("TIMED_OUT", Some("States.Timeout")));
    let work = &execution.states[0];
    assert_eq!(
        (work.output.is_some(), work.left, work.error.as_deref()),
        (false, None, Some("States.Timeout"))
    );
    assert_eq!((execution.stopped - execution.started).whole_seconds(), 20);
}

#[tokio::test(start_paused = true)]
async fn an_express_execution_ends_after_five_minutes() {
    let definition = machine_within(1_000, &json!({"A": {"Type": "Wait", "Seconds": 999, "End": true}}));
    let start = Instant::now();
    let execution = execute(&definition, &Scripted::failing(&[]), json!({})).await;
    assert_eq!((execution.status, start.elapsed().as_secs()), (ExecutionStatus::TimedOut, 300));
}

#[tokio::test(start_paused = true)]
async fn an_endless_loop_is_ended() {
    let states = json!({
        "A": {"Type": "Choice", "Choices": [{"Condition": "{% false %}", "Next": "Done"}], "Default": "A"},
        "Done": {"Type": "Succeed"}
    });
    let execution = execute_alone(states, json!({})).await;
    assert_eq!(error(&execution), "States.Runtime");
    assert_eq!(execution.states.len(), MAX_STATES);
}

// Data

#[tokio::test(start_paused = true)]
async fn a_task_is_called_with_its_arguments_and_gives_its_result() {
    let services = Scripted::new(|_| (0, Ok(json!({"Payload": {"total": 1300}}))));
    let arguments =
        json!({"FunctionName": "f", "Payload": ["{% $states.input.lines.sku %}", {"n": "{% 1 + 1 %}"}]});
    let definition = work(&json!({"Arguments": arguments}));
    let execution = execute(&definition, &services, json!({"lines": [{"sku": "TEA-1"}]})).await;
    let called = json!({"FunctionName": "f", "Payload": ["TEA-1", {"n": 2}]});
    assert_eq!(services.calls(), [("arn:aws:states:::checker:check".to_owned(), called)]);
    assert_eq!(output(&execution), json!({"Payload": {"total": 1300}}));

    let services = Scripted::new(|_| (0, Ok(json!({"Payload": {"total": 1300}}))));
    let more =
        json!({"Output": {"total": "{% $states.result.Payload.total %}", "was": "{% $states.input %}"}});
    let execution = execute(&work(&more), &services, json!("in")).await;
    assert_eq!(services.calls()[0].1, json!("in"), "without Arguments the task receives the input");
    assert_eq!(output(&execution).to_string(), r#"{"total":1300,"was":"in"}"#);
}

#[tokio::test(start_paused = true)]
async fn assign_and_output_see_the_values_from_before() {
    let states = json!({
        "A": {"Type": "Pass", "Assign": {"x": 1, "y": 2}, "Next": "B"},
        "B": {
            "Type": "Pass",
            "Assign": {"x": "{% $y %}", "y": "{% $x %}"},
            "Output": {"x": "{% $x %}", "y": "{% $y %}"},
            "Next": "C"
        },
        "C": {"Type": "Succeed", "Output": {"before": "{% $states.input %}", "x": "{% $x %}", "y": "{% $y %}"}}
    });
    let execution = execute_alone(states, json!({})).await;
    assert_eq!(output(&execution), json!({"before": {"x": 1, "y": 2}, "x": 2, "y": 1}));
}

#[tokio::test(start_paused = true)]
async fn a_failed_attempt_assigns_nothing() {
    let task = json!({
        "Assign": {"x": "{% $states.result %}"}, "Output": "{% $states.result.absent %}",
        "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Done"}]
    });
    let definition = machine(&json!({
        "A": {"Type": "Pass", "Assign": {"x": "old"}, "Next": "Work"},
        "Work": work_state(&task, json!({"End": true})),
        "Done": {"Type": "Succeed", "Output": "{% $x %}"}
    }));
    let execution = execute(&definition, &Scripted::failing(&[]), json!({})).await;
    assert_eq!(output(&execution), json!("old"));
}

#[tokio::test(start_paused = true)]
async fn null_passes_and_undefined_fails() {
    let pass = |output: &str| json!({"A": {"Type": "Pass", "Output": {"v": output}, "End": true}});
    let execution = execute_alone(pass("{% $states.input.reference %}"), json!({"reference": null})).await;
    assert_eq!(output(&execution), json!({"v": null}));
    let execution = execute_alone(pass("{% $states.input.reference %}"), json!({})).await;
    assert_eq!(error(&execution), "States.QueryEvaluationError");
    let cause = execution.status.cause().unwrap();
    assert!(cause.contains("'$states.input.reference' specified for the field 'Output/v'"), "{cause}");
}

#[tokio::test(start_paused = true)]
async fn a_null_output_is_an_output() {
    let execution =
        execute_alone(json!({"A": {"Type": "Pass", "Output": null, "End": true}}), json!(1)).await;
    assert_eq!(output(&execution), Value::Null);
}

#[tokio::test(start_paused = true)]
async fn expressions_see_the_context_object() {
    let task = json!({
        "Retry": [{"ErrorEquals": ["Boom"]}],
        "Output": "{% $states.context %}"
    });
    let definition = work(&task).with_arn("arn:aws:states:eu-west-1:123456789012:stateMachine:Orders");
    let execution = execute(&definition, &Scripted::failing(&["Boom"]), json!({"in": 1})).await;
    let arn = "arn:aws:states:eu-west-1:123456789012:stateMachine:Orders";
    let id = "arn:aws:states:eu-west-1:123456789012:express:Orders:run-1:";
    assert!(execution.arn.starts_with(id), "{}", execution.arn);
    assert_eq!(
        output(&execution),
        json!({
            "Execution": {
                "Id": execution.arn, "Name": "run-1", "Input": {"in": 1}, "StartTime": "2026-03-01T12:00:00.000Z"
            },
            "State": {"Name": "Work", "EnteredTime": "2026-03-01T12:00:00.000Z", "RetryCount": 1},
            "StateMachine": {"Id": arn, "Name": "Orders"}
        })
    );
}

#[tokio::test(start_paused = true)]
async fn data_beyond_the_limit_fails_and_no_wildcard_catches_it() {
    let wildcard = json!([{"ErrorEquals": ["States.ALL"], "Next": "Done"}]);
    // A JSON string has two quotes.
    for (characters, failed) in [(DATA_LIMIT_BYTES - 2, false), (DATA_LIMIT_BYTES - 1, true)] {
        let big = move |_| (0, Ok(json!("x".repeat(characters))));
        let definition = machine(&json!({
            "Work": work_state(&json!({"Catch": wildcard, "Output": 1}), json!({"Next": "Done"})),
            "Done": {"Type": "Succeed"}
        }));
        let execution = execute(&definition, &Scripted::new(big), json!({})).await;
        assert_eq!(execution.status.error(), failed.then_some("States.DataLimitExceeded"), "{characters}");

        let input = json!("é".repeat(characters / 2));
        let pass = json!({"A": {"Type": "Pass", "Output": ["{% $states.input & 'xx' %}"], "End": true}});
        let execution = execute_alone(pass, input).await;
        assert_eq!(error(&execution), "States.DataLimitExceeded", "{characters} with brackets");
    }
    let execution =
        execute_alone(json!({"A": {"Type": "Succeed"}}), json!("x".repeat(DATA_LIMIT_BYTES))).await;
    assert_eq!(error(&execution), "States.DataLimitExceeded");
    assert!(execution.states.is_empty());
}

// The other states

#[tokio::test(start_paused = true)]
async fn a_choice_takes_the_first_rule_that_is_true() {
    let states = json!({
        "A": {
            "Type": "Choice",
            "Choices": [
                {"Condition": "{% $states.input.n > 10 %}", "Next": "End", "Output": "many",
                 "Assign": {"rule": "{% $states.input.n %}"}},
                {"Condition": "{% $states.input.n > 5 %}", "Next": "End", "Assign": {"rule": 1}}
            ],
            "Default": "End", "Output": "few", "Assign": {"rule": "default"}
        },
        "End": {"Type": "Succeed", "Output": ["{% $states.input %}", "{% $rule %}"]}
    });
    for (n, expected) in
        [(11, json!(["many", 11])), (6, json!([{"n": 6}, 1])), (1, json!(["few", "default"]))]
    {
        let execution = execute_alone(states.clone(), json!({"n": n})).await;
        assert_eq!(output(&execution), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_choice_fails_on_no_match_and_on_a_non_boolean() {
    let choice = |condition: &str| {
        json!({
            "A": {"Type": "Choice", "Choices": [{"Condition": condition, "Next": "End"}]},
            "End": {"Type": "Succeed"}
        })
    };
    for (condition, expected) in [
        ("{% false %}", "States.NoChoiceMatched"),
        ("{% 1 %}", "States.QueryEvaluationError"),
        ("{% 'true' %}", "States.QueryEvaluationError"),
        ("{% null %}", "States.QueryEvaluationError"),
        ("{% $states.input.absent %}", "States.QueryEvaluationError"),
        ("{% [] %}", "States.QueryEvaluationError"),
    ] {
        let execution = execute_alone(choice(condition), json!({})).await;
        assert_eq!(error(&execution), expected, "{condition}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fail_state_fails_with_its_error_and_cause() {
    let fail = |more: Value| {
        let mut state = json!({"Type": "Fail"});
        state.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"A": state})
    };
    let execution =
        execute_alone(fail(json!({"Error": "Broken", "Cause": "{% 'at ' & $states.input %}"})), json!("x"))
            .await;
    assert_eq!(execution.status, ExecutionStatus::Failed { error: "Broken".into(), cause: "at x".into() });
    let execution = execute_alone(fail(json!({})), json!("x")).await;
    assert_eq!((execution.status.name(), execution.status.error()), ("FAILED", None));
    let execution = execute_alone(fail(json!({"Error": "{% 5 %}"})), json!("x")).await;
    assert_eq!(error(&execution), "States.QueryEvaluationError");
}

#[tokio::test(start_paused = true)]
async fn a_wait_state_waits() {
    for (seconds, millis) in [(json!(3), 3_000), (json!("{% $states.input.s %}"), 2_000), (json!(0), 0)] {
        let start = Instant::now();
        let states = json!({"A": {"Type": "Wait", "Seconds": seconds, "End": true}});
        let execution = execute_alone(states, json!({"s": 2})).await;
        assert_eq!((output(&execution), start.elapsed().as_millis()), (json!({"s": 2}), millis));
    }
    for seconds in ["{% -1 %}", "{% 1.5 %}", "{% '2' %}"] {
        let states = json!({"A": {"Type": "Wait", "Seconds": seconds, "End": true}});
        assert_eq!(error(&execute_alone(states, json!({})).await), "States.QueryEvaluationError");
    }
}

#[tokio::test(start_paused = true)]
async fn an_execution_is_reported_state_by_state() {
    let definition = machine(&json!({
        "Work": work_state(
            &json!({"Retry": [{"ErrorEquals": ["Boom"]}], "Output": {"n": "{% 1300 %}"}}),
            json!({"Next": "Bad"})
        ),
        "Bad": {"Type": "Fail", "Error": "Broken", "Cause": "on purpose"}
    }));
    let execution = execute(&definition, &Scripted::failing(&["Boom"]), json!({"in": 1})).await;
    let report = serde_json::to_value(&execution).unwrap();
    assert_eq!(
        report,
        json!({
            "arn": execution.arn, "name": "run-1", "status": "FAILED", "input": {"in": 1},
            "started": "2026-03-01T12:00:00.000Z", "stopped": "2026-03-01T12:00:01.000Z",
            "error": "Broken", "cause": "on purpose",
            "states": [
                {
                    "name": "Work", "type": "Task", "input": {"in": 1}, "output": {"n": 1300}, "attempts": 2,
                    "entered": "2026-03-01T12:00:00.000Z", "left": "2026-03-01T12:00:01.000Z"
                },
                {
                    "name": "Bad", "type": "Fail", "input": {"n": 1300}, "attempts": 0,
                    "error": "Broken", "cause": "on purpose",
                    "entered": "2026-03-01T12:00:01.000Z", "left": "2026-03-01T12:00:01.000Z"
                }
            ]
        })
    );
}

#[test]
fn an_execution_may_move_between_threads() {
    fn crosses<T: Send>(value: T) -> T {
        value
    }
    let (definition, services) = (work(&json!({})), Scripted::failing(&[]));
    let now = || datetime!(2026-03-01 12:00 UTC);
    drop(crosses(run(&definition, &services, &now, "run-1", json!({}))));
}
