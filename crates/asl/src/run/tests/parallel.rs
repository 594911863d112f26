//! Parallel states: branches at the same time, what each of them sees, and what a failure does to the others.

use super::*;

/// A machine of the Parallel `Work` with these branches and more fields, after `A`, which assigns `$outer`.
fn machine_of(branches: &[Value], more: &Value) -> Definition {
    let mut parallel = json!({"Type": "Parallel", "Branches": branches});
    let fields = parallel.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    if !fields.contains_key("Next") {
        fields.insert("End".to_owned(), json!(true));
    }
    let mut states = json!({
        "A": {"Type": "Pass", "Assign": {"outer": "from outside"}, "Next": "Work"},
        "Work": parallel
    });
    if more.get("Next").is_some() || more.get("Catch").is_some() {
        states["Done"] = json!({"Type": "Succeed", "Output": ["{% $states.input %}", "{% $outer %}"]});
    }
    machine(&states)
}

/// A branch of one task, with more fields.
fn task_branch(name: &str, more: &Value) -> Value {
    json!({"StartAt": name, "States": {name: work_state(more, json!({"End": true}))}})
}

/// A branch of one Pass.
fn pass_branch(name: &str, more: &Value) -> Value {
    let mut state = json!({"Type": "Pass", "End": true});
    state.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"StartAt": name, "States": {name: state}})
}

fn reported<'e>(execution: &'e Execution, name: &str) -> &'e StateRun {
    execution.states.iter().find(|state| state.name == name).unwrap_or_else(|| panic!("{name}"))
}

#[tokio::test(start_paused = true)]
async fn branches_run_at_the_same_time_and_their_outputs_keep_their_order() {
    let services = Scripted::new(|call| (if call == 0 { 3_000 } else { 1_000 }, Ok(json!(call))));
    let definition = machine_of(
        &[task_branch("Slow", &json!({})), task_branch("Quick", &json!({})), pass_branch("Now", &json!({}))],
        &json!({"Output": {"all": "{% $states.result %}", "was": "{% $states.input %}"}}),
    );
    let start = Instant::now();
    let execution = execute(&definition, &services, json!("in")).await;
    assert_eq!(output(&execution), json!({"all": [0, 1, "in"], "was": "in"}));
    assert_eq!(start.elapsed().as_millis(), 3_000);
    let names: Vec<&str> = execution.states.iter().map(|state| state.name.as_str()).collect();
    assert_eq!(names, ["A", "Work", "Slow", "Quick", "Now"]);
    for (name, seconds) in [("Slow", 3), ("Quick", 1), ("Now", 0), ("Work", 3)] {
        let state = reported(&execution, name);
        assert_eq!((state.left.unwrap() - execution.started).whole_seconds(), seconds, "{name}");
    }
    assert_eq!((reported(&execution, "Work").attempts, reported(&execution, "Now").attempts), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_branch_reads_the_variables_around_it_and_keeps_its_own() {
    let counting = |name: &str, mine: u8, millis: u64| {
        let (wait, tell) = (format!("{name}Wait"), format!("{name}Tell"));
        json!({"StartAt": name, "States": {
            name: {"Type": "Pass", "Assign": {"mine": [mine, "{% $outer %}"]}, "Next": wait},
            wait.as_str(): {"Type": "Wait", "Seconds": millis, "Next": tell},
            tell.as_str(): {"Type": "Pass", "Output": "{% $mine %}", "End": true}
        }})
    };
    let definition = machine_of(
        &[counting("One", 1, 2), counting("Two", 2, 1)],
        &json!({"Assign": {"outer": "{% $states.result[1][0] %}"}, "Next": "Done"}),
    );
    let execution = execute(&definition, &Scripted::failing(&[]), json!({})).await;
    assert_eq!(output(&execution), json!([[[1, "from outside"], [2, "from outside"]], 2]));
}

#[tokio::test(start_paused = true)]
async fn arguments_are_the_input_of_every_branch() {
    let branches = [
        pass_branch("One", &json!({"Output": "{% $states.input.for %}"})),
        pass_branch(
            "Two",
            &json!({"Output": "{% $states.context.State.Name & $states.context.Execution.Input %}"}),
        ),
    ];
    let definition = machine_of(&branches, &json!({"Arguments": {"for": "{% $states.input & ' both' %}"}}));
    let execution = execute(&definition, &Scripted::failing(&[]), json!("in")).await;
    assert_eq!(output(&execution), json!(["in both", "Twoin"]));
    assert_eq!(reported(&execution, "Two").input.get(), r#"{"for":"in both"}"#);
}

#[tokio::test(start_paused = true)]
async fn a_branch_that_fails_stops_the_others_and_fails_the_state_under_its_own_error() {
    let chain = json!({"StartAt": "First", "States": {
        "First": work_state(&json!({}), json!({"Next": "Second"})),
        "Second": work_state(&json!({}), json!({"End": true}))
    }});
    let services = || {
        Scripted::new(|call| match call {
            0 => (1_000, Err(TaskFailure::new("Boom", "on purpose"))),
            call => (5_000, Ok(json!(call))),
        })
    };
    let branches = [task_branch("Failing", &json!({})), chain];
    let (calls, start) = (services(), Instant::now());
    let execution = execute(&machine_of(&branches, &json!({})), &calls, json!({})).await;
    assert_eq!(
        execution.status,
        ExecutionStatus::Failed { error: "Boom".into(), cause: "on purpose".into() }
    );
    assert_eq!((start.elapsed().as_millis(), calls.calls().len()), (1_000, 2));
    let stopped = reported(&execution, "First");
    assert_eq!((stopped.output.is_some(), stopped.error.as_ref()), (false, None));
    assert_eq!(stopped.cause.as_deref(), Some("its Parallel state was stopped"));
    assert_eq!((stopped.left.unwrap() - execution.started).whole_seconds(), 1);
    assert_eq!(reported(&execution, "Work").error.as_deref(), Some("Boom"));

    for (named, caught) in
        [("Boom", true), ("States.ALL", true), ("States.TaskFailed", true), ("Other", false)]
    {
        let catch = json!({"Catch": [{"ErrorEquals": [named], "Next": "Done", "Output": "{% $states.errorOutput %}"}]});
        let execution = execute(&machine_of(&branches, &catch), &services(), json!({})).await;
        let errors = json!([{"Error": "Boom", "Cause": "on purpose"}, "from outside"]);
        assert_eq!(execution.status.output(), caught.then_some(&errors), "{named}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fail_state_in_a_branch_fails_the_state() {
    let fail =
        json!({"StartAt": "No", "States": {"No": {"Type": "Fail", "Error": "Refused", "Cause": "why"}}});
    let definition = machine_of(&[pass_branch("Yes", &json!({})), fail], &json!({}));
    let execution = execute(&definition, &Scripted::failing(&[]), json!({})).await;
    assert_eq!(error(&execution), "Refused");
}

#[tokio::test(start_paused = true)]
async fn a_retry_runs_every_branch_again() {
    let services = Scripted::new(|call| match call {
        0 => (100, Err(TaskFailure::new("Boom", "on purpose"))),
        _ => (200, Ok(json!(true))),
    });
    let definition = machine_of(
        &[task_branch("One", &json!({})), task_branch("Two", &json!({}))],
        &json!({"Retry": [{"ErrorEquals": ["Boom"], "IntervalSeconds": 2}]}),
    );
    let start = Instant::now();
    let execution = execute(&definition, &services, json!({})).await;
    assert_eq!(output(&execution), json!([true, true]));
    assert_eq!((services.calls().len(), start.elapsed().as_millis()), (4, 100 + 2_000 + 200));
    assert_eq!(reported(&execution, "Work").attempts, 2);
    assert_eq!(execution.states.iter().filter(|state| state.name == "One").count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_catch_inside_a_branch_leaves_the_other_branches_alone() {
    let caught = json!({"StartAt": "One", "States": {
        "One": work_state(
            &json!({"TimeoutSeconds": 3, "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Failed"}]}),
            json!({"End": true})
        ),
        "Failed": {"Type": "Pass", "Output": "{% 'failed: ' & $states.input.Error %}", "End": true}
    }});
    let services = Scripted::new(|call| (if call == 0 { 60_000 } else { 2_000 }, Ok(json!("sent"))));
    let start = Instant::now();
    let execution =
        execute(&machine_of(&[caught, task_branch("Two", &json!({}))], &json!({})), &services, json!({}))
            .await;
    assert_eq!(output(&execution), json!(["failed: States.Timeout", "sent"]));
    assert_eq!(start.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_times_out_in_a_branch_fails_the_state() {
    let services = Scripted::new(|_| (60_000, Ok(json!(true))));
    let branches = [
        task_branch("One", &json!({"TimeoutSeconds": 4})),
        task_branch("Two", &json!({"TimeoutSeconds": 3})),
    ];
    let start = Instant::now();
    let execution = execute(&machine_of(&branches, &json!({})), &services, json!({})).await;
    assert_eq!((error(&execution), start.elapsed().as_secs()), ("States.Timeout", 3));
    assert!(execution.status.cause().unwrap().contains("\"Two\""), "{:?}", execution.status);
}

#[tokio::test(start_paused = true)]
async fn the_machines_timeout_ends_every_branch() {
    let services = Scripted::new(|_| (100_000, Ok(json!(true))));
    let branches = [task_branch("One", &json!({})), task_branch("Two", &json!({}))];
    let definition =
        machine_of(&branches, &json!({"Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Done"}]}));
    let start = Instant::now();
    let execution = execute(&definition, &services, json!({})).await;
    assert_eq!((&execution.status, start.elapsed().as_secs()), (&ExecutionStatus::TimedOut, 60));
    let work = reported(&execution, "Work");
    assert_eq!((work.left, work.error.as_deref()), (None, Some("States.Timeout")));
    for name in ["One", "Two"] {
        let state = reported(&execution, name);
        assert_eq!(
            (state.output.is_some(), state.error.as_ref(), state.cause.is_some()),
            (false, None, true),
            "{name}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_parallel_may_stand_in_a_branch_of_another() {
    let inner = json!({"Type": "Parallel", "End": true, "Branches": [
        pass_branch("Deep", &json!({"Output": "{% $outer & ', ' & $between %}"})),
        task_branch("Beside", &json!({}))
    ]});
    let outer = json!({"StartAt": "Set", "States": {
        "Set": {"Type": "Pass", "Assign": {"between": "from between"}, "Next": "Inner"},
        "Inner": inner
    }});
    let execution = execute(&machine_of(&[outer], &json!({})), &Scripted::failing(&[]), json!({})).await;
    assert_eq!(output(&execution), json!([["from outside, from between", true]]));
}

#[tokio::test(start_paused = true)]
async fn limits_count_over_all_branches() {
    let circle = json!({"StartAt": "Turn", "States": {
        "Turn": {"Type": "Choice", "Choices": [{"Condition": "{% false %}", "Next": "Out"}], "Default": "Turn"},
        "Out": {"Type": "Succeed"}
    }});
    let wildcard = json!({"Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Done"}]});
    let definition = machine_of(&[pass_branch("Other", &json!({})), circle], &wildcard);
    let execution = execute(&definition, &Scripted::failing(&[]), json!({})).await;
    assert_eq!((error(&execution), execution.states.len()), ("States.Runtime", MAX_STATES));

    let half = || json!("x".repeat(DATA_LIMIT_BYTES / 2));
    let services = Scripted::new(move |_| (0, Ok(half())));
    let both = [task_branch("One", &json!({})), task_branch("Two", &json!({}))];
    let execution = execute(&machine_of(&both, &json!({"Output": 1})), &services, json!({})).await;
    assert_eq!(error(&execution), "States.DataLimitExceeded");
}
