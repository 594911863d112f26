//! The shipped workflow takes the path that `workflow_cases.json` says, with mocked tasks. Here the local stack's
//! interpreter runs the cases. `scripts/workflow-elsewhere` runs them in another interpreter.
//!
//! A case has an `input`; the `answers` of each task, one for each attempt; the `path` of states; and the `output`, or
//! the `error` of the execution. It may have what each task is `asked`: the payload of a function, or the arguments of
//! another service. The branches of a Parallel run at the same time. In a path, the states of its first branch follow it,
//! and then those of the second.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use asl::{Definition, ExecutionStatus, Services, TaskFailure, TaskResult};
use local::services::states::RESOURCES;
use serde_json::{Value, json};
use time::macros::datetime;

const DEFINITION: &str = include_str!("../../../step_function/order.asl.json");
const CASES: &str = include_str!("workflow_cases.json");

/// The other interpreter is slow, and people must be able to read the table.
const MOST_CASES: usize = 45;

fn cases() -> Vec<Value> {
    serde_json::from_str(CASES).expect("the table is JSON")
}

/// The definition, with each placeholder in place of its own value, except the partition.
fn definition() -> Definition {
    let names = DEFINITION.split("${").skip(1).map(|rest| rest.split('}').next().unwrap().to_owned());
    let substitutions: BTreeMap<_, _> = names.map(|name| (name.clone(), placeholder(&name))).collect();
    Definition::parse(DEFINITION, &substitutions, &RESOURCES).unwrap_or_else(|faults| panic!("{faults}"))
}

fn placeholder(name: &str) -> String {
    if name == "Partition" { "aws".to_owned() } else { format!("<{name}>") }
}

/// Every state of the definition by name, those of branches too. Each comes with the number of its branch; 0 is outside.
fn states() -> BTreeMap<String, (usize, Value)> {
    let definition: Value = serde_json::from_str(DEFINITION).unwrap();
    let mut states = BTreeMap::new();
    for (name, state) in definition["States"].as_object().unwrap() {
        states.insert(name.clone(), (0, state.clone()));
        for (branch, number) in state["Branches"].as_array().into_iter().flatten().zip(1..) {
            for (name, state) in branch["States"].as_object().unwrap() {
                states.insert(name.clone(), (number, state.clone()));
            }
        }
    }
    states
}

/// A state as the definition has it.
fn state(name: &str) -> Value {
    states().get(name).map(|(_, state)| state.clone()).unwrap_or_default()
}

/// The states in the order of the table's paths: those of each branch together, after their Parallel.
fn path(entered: &[String]) -> Vec<String> {
    let states = states();
    let (mut path, mut branches): (Vec<String>, BTreeMap<usize, Vec<String>>) = Default::default();
    for name in entered {
        match states[name].0 {
            0 => path.push(name.clone()),
            branch => branches.entry(branch).or_default().push(name.clone()),
        }
    }
    if let Some(parallel) = path.iter().position(|name| states[name].1["Type"] == "Parallel") {
        let after = path.split_off(parallel + 1);
        path.extend(branches.into_values().flatten().chain(after));
    }
    path
}

/// The state that makes this call. The fixed texts among its arguments, such as a function's ARN, identify it.
fn caller(resource: &str, arguments: &Value) -> String {
    let states = states();
    let calls = |state: &Value| {
        let fixed = state["Arguments"].as_object().into_iter().flatten().filter_map(|(name, value)| {
            let text = value.as_str().filter(|text| !text.starts_with("{%"))?;
            Some((name, text.replace("${", "<").replace('}', ">")))
        });
        resource_of(state) == resource && fixed.into_iter().all(|(name, text)| arguments[name] == text)
    };
    let callers: Vec<_> =
        states.iter().filter(|(_, (_, state))| calls(state)).map(|(name, _)| name).collect();
    // Some states differ by what they compute only: the texts of their comparisons tell them apart.
    let expected = |name: &&&String| {
        let update = arguments["UpdateExpression"].as_str().unwrap_or_default();
        match name.as_str() {
            "MarkNotified" => update.starts_with("REMOVE "),
            "MarkPart" => update.contains("DELETE "),
            "MailCustomer" => arguments["TopicArn"] != placeholder("OrderTopicArn"),
            _ => true,
        }
    };
    let callers: Vec<_> = callers.iter().filter(expected).collect();
    assert_eq!(callers.len(), 1, "{callers:?} call {resource} with {arguments}");
    (*callers[0]).clone()
}

/// Answers the tasks of a case, attempt by attempt, and keeps their requests.
struct Table {
    answers: Value,
    asked: Mutex<BTreeMap<String, Vec<Value>>>,
}

impl Table {
    fn of(case: &Value) -> Self {
        Self { answers: case["answers"].clone(), asked: Mutex::default() }
    }
}

impl Services for Table {
    fn call<'a>(&'a self, resource: &'a str, arguments: Value) -> TaskResult<'a> {
        let name = caller(resource, &arguments);
        let mut asked = self.asked.lock().unwrap();
        let earlier = asked.entry(name.clone()).or_default();
        let answer = answered(&name, self.answers[&name].get(earlier.len()));
        earlier.push(arguments);
        Box::pin(async move { answer })
    }
}

fn answered(name: &str, answer: Option<&Value>) -> Result<Value, TaskFailure> {
    let Some(answer) = answer else { return Err(TaskFailure::new("NotInTheTable", name)) };
    if let Some(thrown) = answer.get("Throw") {
        let text = |field: &str| thrown[field].as_str().unwrap();
        return Err(TaskFailure::new(text("Error"), text("Cause")));
    }
    let returned = answer["Return"].clone();
    Ok(if is_function(name) { json!({ "StatusCode": 200, "Payload": returned }) } else { returned })
}

fn is_function(name: &str) -> bool {
    resource_of(&state(name)) == "arn:aws:states:::lambda:invoke"
}

/// A state's resource, with the partition in it; empty if it has none.
fn resource_of(state: &Value) -> String {
    let resource = state["Resource"].as_str().unwrap_or_default();
    resource.replace("${Partition}", &placeholder("Partition"))
}

fn strings(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect()
}

/// The course that a case took, in the table's form.
async fn run(case: &Value) -> Value {
    let table = Table::of(case);
    let now = || datetime!(2026-03-01 12:00 UTC);
    let execution = asl::run(&definition(), &table, &now, "a-case", case["input"].clone()).await;
    let tries: BTreeMap<_, _> = execution
        .states
        .iter()
        .filter(|run| run.attempts > 0 && state(&run.name)["Type"] == "Task")
        .map(|state| (&state.name, state.attempts))
        .collect();
    let mut asked = json!({});
    for (name, arguments) in table.asked.lock().unwrap().iter() {
        if case["asked"].get(name).is_some() {
            let first = &arguments[0];
            asked[name] = if is_function(name) { &first["Payload"] } else { first }.clone();
        }
    }
    let entered: Vec<_> = execution.states.iter().map(|state| state.name.clone()).collect();
    let mut went = json!({ "path": path(&entered), "tries": tries, "asked": asked });
    match execution.status {
        ExecutionStatus::Succeeded { output } => went["output"] = output,
        ExecutionStatus::Failed { .. } | ExecutionStatus::TimedOut => {
            went["error"] = json!(execution.status.error());
        }
    }
    went
}

/// The course that a case should take.
fn wanted(case: &Value) -> Value {
    let answers = case["answers"].as_object().unwrap();
    let tries: BTreeMap<_, _> =
        answers.iter().map(|(name, answers)| (name, answers.as_array().unwrap().len())).collect();
    let asked = case.get("asked").cloned().unwrap_or_else(|| json!({}));
    let mut wanted = json!({ "path": case["path"], "tries": tries, "asked": asked });
    for end in ["output", "error"] {
        if let Some(value) = case.get(end) {
            wanted[end] = value.clone();
        }
    }
    wanted
}

#[tokio::test(start_paused = true)]
async fn every_case_takes_the_course_that_the_table_says() {
    for case in cases() {
        assert_eq!(run(&case).await, wanted(&case), "{}", case["name"]);
    }
}

/// The comparison can fail: when a successful task fails instead, the case takes another course.
#[tokio::test(start_paused = true)]
async fn a_case_with_another_answer_takes_another_course() {
    let mut shown = 0;
    for case in cases().into_iter().filter(|case| case.get("output").is_some()) {
        for (name, answers) in case["answers"].as_object().unwrap() {
            let last = answers.as_array().unwrap().len() - 1;
            if answers[last].get("Throw").is_some() {
                continue;
            }
            let mut changed = case.clone();
            changed["answers"][name][last] = json!({ "Throw": { "Error": "Changed", "Cause": "" } });
            assert_ne!(run(&changed).await, wanted(&case), "{}: {name}", case["name"]);
            shown += 1;
        }
    }
    assert!(shown > 0, "no answer was changed");
}

#[test]
fn every_state_is_in_the_table_and_every_case_has_a_unique_name() {
    let cases = cases();
    assert!(cases.len() <= MOST_CASES, "{} cases", cases.len());
    let names: BTreeSet<_> = cases.iter().map(|case| case["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), cases.len(), "two cases have one name");
    let states: BTreeSet<_> = states().into_keys().collect();
    let entered: BTreeSet<_> = cases.iter().flat_map(|case| strings(&case["path"])).collect();
    assert_eq!(states, entered, "a state is on no path, or a path has a state that is not there");
}

/// Some case throws every error name of a retrier.
#[test]
fn every_error_that_is_retried_is_thrown_by_a_case() {
    let cases = cases();
    let thrown: BTreeSet<_> = cases
        .iter()
        .flat_map(|case| case["answers"].as_object().unwrap().values())
        .flat_map(|answers| answers.as_array().unwrap())
        .filter_map(|answer| answer["Throw"]["Error"].as_str())
        .collect();
    for (name, (_, state)) in states() {
        let retriers = state["Retry"].as_array().into_iter().flatten();
        for error in retriers.flat_map(|retrier| strings(&retrier["ErrorEquals"])) {
            assert!(
                error == "States.TaskFailed" || thrown.contains(error.as_str()),
                "{name} retries {error}, which no case throws"
            );
        }
    }
}
