//! Time budgets nest: every timeout exceeds the worst case of what it waits for, retries included. Otherwise a caller
//! gives up before the answer comes, and a client hears of a failure that did not happen.

use std::time::Duration;

use asl::{Definition, State, StateType};
use aws_adapters::Timeouts;
use sam_template::{FunctionResource, Template, permits};

use super::{Complaints, DEFINITION, HOUSE, House, TEMPLATE, assert_blamed, assert_sound, complaints};

/// The longest that an HTTP API waits for a function.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html>
const MOST_GATEWAY: Duration = Duration::from_secs(30);

/// The timeouts that the code sets itself.
#[derive(Clone, Copy)]
struct Waits {
    attempt: Duration,
    operation: Duration,
    contention: Duration,
    workflow: Duration,
    claiming: Duration,
    finishing: Duration,
}

const WAITS: Waits = Waits {
    attempt: Timeouts::ATTEMPT,
    operation: Timeouts::OPERATION,
    contention: Timeouts::CONTENTION,
    workflow: Timeouts::WORKFLOW,
    claiming: Timeouts::CLAIMING,
    finishing: Timeouts::FINISHING,
};

/// A timeout, or what a timeout must exceed: a name for the complaint, and the time.
struct Budget {
    of: String,
    at_most: Duration,
}

impl Budget {
    fn new(of: impl Into<String>, at_most: Duration) -> Self {
        Self { of: of.into(), at_most }
    }

    fn of(function: &FunctionResource) -> Self {
        Self::new(format!("the Timeout of {}", function.logical_id), function.timeout)
    }
}

/// Complains unless `outer` is longer than `inner`.
fn longer(found: &mut Complaints, outer: &Budget, inner: &Budget) {
    let (Budget { of: waits, at_most: outer }, Budget { of: awaited, at_most: inner }) = (outer, inner);
    if outer <= inner {
        found.push(format!(
            "{waits} ({outer:?}) must be longer than {awaited} ({inner:?}): raise the one or lower the other"
        ));
    }
}

fn budgets(house: &House, waits: Waits) -> Result<Complaints, String> {
    let template = house.template()?;
    let (machine, definition) = house.workflow()?;
    let mut found = Vec::new();
    // The longest write: it meets a transaction on its row until its last try, which times out.
    let contended = Budget::new("Timeouts::OPERATION + CONTENTION", waits.operation + waits.contention);
    let operation = Budget::new("Timeouts::OPERATION", waits.operation);
    longer(&mut found, &operation, &Budget::new("Timeouts::ATTEMPT", waits.attempt));
    for function in &template.functions {
        longer(&mut found, &Budget::of(function), &contended);
        if permits(&function.statements, "states:StartSyncExecution", &machine.arn) {
            // It reads the order before the run, and after a run whose outcome it does not know.
            let all = Budget::new("Timeouts::WORKFLOW + 2 OPERATION", waits.workflow + 2 * waits.operation);
            longer(&mut found, &Budget::of(function), &all);
        }
    }
    for schedule in &template.schedules {
        // The sweeper's last claim may be made just before it stops claiming.
        let whole = waits.claiming + waits.contention + waits.operation + waits.workflow;
        let run = Budget::new("Timeouts::CLAIMING + CONTENTION + OPERATION + WORKFLOW", whole);
        let accounts = Budget::new("Timeouts::CLAIMING + FINISHING", waits.claiming + waits.finishing);
        for function in template.functions.iter().filter(|function| function.logical_id == schedule.function)
        {
            longer(&mut found, &Budget::of(function), &run);
            longer(&mut found, &Budget::of(function), &accounts);
        }
    }
    gateway(&mut found, &template);
    match definition.timeout() {
        Some(whole) => {
            let whole = Budget::new(format!("TimeoutSeconds of {DEFINITION}"), whole);
            longer(&mut found, &Budget::new("Timeouts::WORKFLOW", waits.workflow), &whole);
            tasks(&mut found, &definition, &template, &whole);
            announcing(&mut found, &definition, &whole);
        }
        None => found.push(format!("{DEFINITION} has no TimeoutSeconds")),
    }
    Ok(found)
}

fn gateway(found: &mut Complaints, template: &Template) {
    for route in template.apis.iter().flat_map(|api| &api.routes) {
        let wait = Budget::new(format!("TimeoutInMillis of {} {}", route.method, route.path), route.timeout);
        if wait.at_most > MOST_GATEWAY {
            found.push(format!("{} is more than AWS takes, {MOST_GATEWAY:?}", wait.of));
        }
        for function in template.functions.iter().filter(|function| function.logical_id == route.function) {
            longer(found, &wait, &Budget::of(function));
        }
    }
}

fn tasks(found: &mut Complaints, definition: &Definition, template: &Template, whole: &Budget) {
    for task in definition.states().iter().filter(|state| state.state_type() == StateType::Task) {
        let Some(attempt) = task.timeout() else {
            found.push(format!("state {} has no TimeoutSeconds", task.name()));
            continue;
        };
        let all =
            Budget::new(format!("state {} with all its retries", task.name()), worst_case(task, attempt));
        longer(found, whole, &all);
        let called = task.arguments().and_then(|arguments| arguments["FunctionName"].as_str());
        for function in template.functions.iter().filter(|function| Some(function.arn.as_str()) == called) {
            let wait = Budget::new(format!("TimeoutSeconds of state {}", task.name()), attempt);
            longer(found, &wait, &Budget::of(function));
        }
    }
}

/// The state after the Parallel. In the definition's order it follows the states of the branches.
const AFTER_PARALLEL: &str = "ReadResults";

/// A mail that hangs must not keep its mark from being made: both publishes may use up all their tries, while the step
/// before and the mark after them take one attempt each.
fn announcing(found: &mut Complaints, definition: &Definition, whole: &Budget) {
    let one_attempt = |name: &str| definition.state(name).and_then(State::timeout).unwrap_or(Duration::MAX);
    for parallel in definition.states().iter().filter(|state| state.state_type() == StateType::Parallel) {
        // The states of the branches follow their Parallel, and each branch has one task.
        let at =
            definition.states().iter().position(|state| state.name() == parallel.name()).unwrap_or_default();
        let nested = definition.states()[at + 1..].iter().take_while(|state| state.name() != AFTER_PARALLEL);
        let tasks = nested.filter_map(|state| Some(worst_case(state, state.timeout()?)));
        let slowest = tasks.max().unwrap_or_default();
        let course =
            one_attempt("UpdateStatus").saturating_add(slowest).saturating_add(one_attempt("MarkNotified"));
        let of = format!("UpdateStatus, {} with all its retries, and MarkNotified", parallel.name());
        longer(found, whole, &Budget::new(of, course));
    }
}

/// How long a task takes when every attempt times out and every retry is used.
fn worst_case(task: &State, attempt: Duration) -> Duration {
    let retriers = task.retriers().iter();
    let again = retriers.flat_map(|retrier| (0..retrier.max_attempts).map(|retry| retrier.delay(retry)));
    again.fold(attempt, |so_far, delay| so_far + delay + attempt)
}

#[test]
fn every_timeout_exceeds_the_worst_case_of_what_it_waits_for() {
    assert_sound(&complaints(budgets(&HOUSE, WAITS)));
}

#[test]
fn a_timeout_that_is_too_short_is_named_with_what_it_waits_for() {
    let in_template = |anchor, from, to| HOUSE.broken_after(TEMPLATE, anchor, from, to);
    let of_state =
        |state: &str, from, to| HOUSE.broken_after(DEFINITION, &format!("\"{state}\": {{"), from, to);
    for (house, culprits) in [
        (
            in_template("  PlaceOrderFunction:", "Timeout: 28", "Timeout: 30"),
            ["TimeoutInMillis of POST /orders", "PlaceOrderFunction"],
        ),
        (
            in_template("  PlaceOrderFunction:", "TimeoutInMillis: 30000", "TimeoutInMillis: 28000"),
            ["TimeoutInMillis of POST /orders", "PlaceOrderFunction"],
        ),
        (
            in_template("  PlaceOrderFunction:", "Timeout: 28", "Timeout: 27"),
            ["PlaceOrderFunction", "WORKFLOW + 2 OPERATION"],
        ),
        (
            HOUSE.broken(DEFINITION, "\"TimeoutSeconds\": 20", "\"TimeoutSeconds\": 24"),
            ["Timeouts::WORKFLOW", DEFINITION],
        ),
        (HOUSE.broken(DEFINITION, "\"TimeoutSeconds\": 20,", ""), [DEFINITION, "no TimeoutSeconds"]),
        (of_state("CreateOrder", "\"MaxAttempts\": 2", "\"MaxAttempts\": 3"), ["CreateOrder", DEFINITION]),
        (
            of_state("UpdateStatus", "\"TimeoutSeconds\": 5", "\"TimeoutSeconds\": 6"),
            ["UpdateStatus", DEFINITION],
        ),
        (of_state("MailCustomer", "\"MaxAttempts\": 1", "\"MaxAttempts\": 3"), ["TriggerEmail", DEFINITION]),
        (
            of_state("TellShop", "\"TimeoutSeconds\": 3", "\"TimeoutSeconds\": 5"),
            ["TriggerEmail", DEFINITION],
        ),
        (
            of_state("TellShop", "\"IntervalSeconds\": 1,", "\"IntervalSeconds\": 30,").broken_after(
                DEFINITION,
                "\"TellShop\": {",
                "\"MaxDelaySeconds\": 1,",
                "\"MaxDelaySeconds\": 30,",
            ),
            ["TriggerEmail", DEFINITION],
        ),
        (
            of_state("CheckInventory", "\"TimeoutSeconds\": 5", "\"TimeoutSeconds\": 4"),
            ["state CheckInventory", "CheckInventoryFunction"],
        ),
        (
            in_template("  CreateOrderFunction:", "Timeout: 4", "Timeout: 3"),
            ["CreateOrderFunction", "OPERATION + CONTENTION"],
        ),
        (in_template("  QueryFunction:", "Timeout: 10", "Timeout: 3"), ["QueryFunction", "OPERATION"]),
    ] {
        assert_blamed(&complaints(budgets(&house, WAITS)), &culprits);
    }
    for (waits, culprits) in [
        (Waits { workflow: Duration::from_secs(20), ..WAITS }, ["Timeouts::WORKFLOW", DEFINITION]),
        (
            Waits { workflow: Duration::from_secs(22), ..WAITS },
            ["ChangeOrderFunction", "Timeouts::WORKFLOW + 2 OPERATION"],
        ),
        (Waits { claiming: Duration::from_secs(31), ..WAITS }, ["SweepOrdersFunction", "CLAIMING"]),
        (Waits { finishing: Duration::from_secs(26), ..WAITS }, ["SweepOrdersFunction", "FINISHING"]),
        (Waits { attempt: Duration::from_secs(3), ..WAITS }, ["Timeouts::OPERATION", "Timeouts::ATTEMPT"]),
        (Waits { contention: Duration::from_secs(1), ..WAITS }, ["CreateOrderFunction", "CONTENTION"]),
    ] {
        assert_blamed(&complaints(budgets(&HOUSE, waits)), &culprits);
    }
}
