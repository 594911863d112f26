//! Roles against calls: each role permits every call of a day in the shop, and no other.

use local::aws::RequiredPermission;
use sam_template::{Effect, Statement, Template, permits};

use super::{self as wiring, Complaints, HOUSE, House, assert_blamed, assert_sound, complaints, day};
use crate::world::{Shop, TEMPLATE};

/// Lambda and Step Functions write logs themselves, so no call of ours needs these actions.
const OF_AWS_ITSELF: &str = "logs:";

/// The actions that a traced function needs for X-Ray, and those that a traced state machine needs besides. IAM knows no
/// resource for any of them.
/// <https://docs.aws.amazon.com/step-functions/latest/dg/xray-iam.html>
const TRACES: [&str; 2] = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"];
const SAMPLES: [&str; 2] = ["xray:GetSamplingRules", "xray:GetSamplingTargets"];

/// Actions on a subscription, which is no resource to IAM.
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsns.html>
const OF_SUBSCRIPTIONS: [&str; 2] = ["sns:GetSubscriptionAttributes", "sns:Unsubscribe"];

/// The functions whose heads say that they write nothing.
const WRITE_NOTHING: [&str; 3] = ["check_inventory", "place_order", "query"];

/// Whether IAM knows no resource for an action, so that only `*` permits it.
fn has_no_resource(action: &str) -> bool {
    action.starts_with("xray:") || OF_SUBSCRIPTIONS.contains(&action)
}

/// A role's permissions, and who has them.
struct Granted {
    /// The logical id of the function or the state machine; for a schedule, of the function that it runs.
    to: String,
    role: String,
    statements: Vec<Statement>,
}

fn granted(template: Template) -> Vec<Granted> {
    let functions = template.functions.into_iter().map(|function| Granted {
        to: function.logical_id,
        role: function.role_logical_id,
        statements: function.statements,
    });
    let machines = template.state_machines.into_iter().map(|machine| Granted {
        to: machine.logical_id,
        role: machine.role_logical_id,
        statements: machine.statements,
    });
    let schedules = template.schedules.into_iter().map(|schedule| Granted {
        to: scheduler_of(&schedule.function),
        role: schedule.role_logical_id,
        statements: schedule.statements,
    });
    functions.chain(machines).chain(schedules).collect()
}

fn scheduler_of(function: &str) -> String {
    format!("the schedule of {function}")
}

/// A permission that is needed, and by whom: the name in [`Granted::to`].
type Needed = (String, RequiredPermission);

/// The calls that AWS itself makes under a role of the template: it runs schedules, writes traces and sends dead letters.
fn done_by_aws(template: &Template) -> Vec<Needed> {
    let need = |who: &str, action: &str, resource: &str| {
        (who.to_owned(), RequiredPermission { action: action.to_owned(), resource: resource.to_owned() })
    };
    let mut needs = Vec::new();
    for function in &template.functions {
        let id = &function.logical_id;
        needs.extend(TRACES.iter().filter(|_| function.traced).map(|action| need(id, action, "*")));
        needs.extend(function.on_failure.iter().map(|queue| need(id, "sqs:SendMessage", queue)));
    }
    for machine in template.state_machines.iter().filter(|machine| machine.traced) {
        let id = &machine.logical_id;
        needs.extend(TRACES.iter().chain(&SAMPLES).map(|action| need(id, action, "*")));
    }
    for schedule in &template.schedules {
        let id = &scheduler_of(&schedule.function);
        let function = template.functions.iter().find(|function| function.logical_id == schedule.function);
        needs.extend(function.map(|function| need(id, "lambda:InvokeFunction", &function.arn)));
        needs.extend(schedule.dead_letters.iter().map(|queue| need(id, "sqs:SendMessage", queue)));
    }
    needs
}

/// The permissions that a day in the shop needs, and those that AWS itself needs.
async fn needs() -> Vec<Needed> {
    let shop = Shop::open().await;
    shop.stack.faults().record();
    day::of_a_shop(&shop).await;
    let recorded = shop.stack.faults().recorded();
    let called = recorded.into_iter().flat_map(|recorded| {
        let caller = recorded.call.caller;
        recorded.permissions.into_iter().map(move |need| (caller.clone(), need))
    });
    let mut needs: Vec<Needed> = called.chain(done_by_aws(&TEMPLATE)).collect();
    needs.sort();
    needs.dedup();
    needs
}

/// Every permission that is needed is granted.
fn permitted(house: &House, needs: &[Needed]) -> Result<Complaints, String> {
    let granted = granted(house.template()?);
    let mut found = Vec::new();
    for (who, RequiredPermission { action, resource }) in needs {
        match granted.iter().find(|grant| grant.to == *who) {
            None => found.push(format!("{who} calls {action} and has no role in the template")),
            Some(grant) if permits(&grant.statements, action, resource) => {}
            Some(grant) => found.push(format!("{} must permit {who} {action} on {resource}", grant.role)),
        }
    }
    Ok(found)
}

/// Every permission that is granted is needed, and names its actions and resources.
fn needed(house: &House, needs: &[Needed]) -> Result<Complaints, String> {
    let mut found = Vec::new();
    for grant in granted(house.template()?) {
        for (action, resource) in single(&grant.statements) {
            if action.starts_with(OF_AWS_ITSELF) {
                continue;
            }
            if action.contains(['*', '?']) || (resource == "*" && !has_no_resource(&action)) {
                found.push(format!(
                    "{} permits {action} on {resource}: name each action and resource",
                    grant.role
                ));
            }
            let one = [Statement {
                effect: Effect::Allow,
                actions: vec![action.clone()],
                resources: vec![resource.clone()],
            }];
            let used = |(who, need): &Needed| *who == grant.to && permits(&one, &need.action, &need.resource);
            if !needs.iter().any(used) {
                found.push(format!(
                    "{} permits {action} on {resource}, which no call of day.rs needs: remove it, or add the call",
                    grant.role
                ));
            }
        }
    }
    Ok(found)
}

/// The functions whose heads say that they write nothing may do nothing but read, run the workflow, and leave logs and
/// traces.
fn read_only(house: &House) -> Result<Complaints, String> {
    let harmless = [
        "dynamodb:GetItem",
        "dynamodb:BatchGetItem",
        "dynamodb:Query",
        "sns:GetSubscriptionAttributes",
        "states:StartSyncExecution",
    ];
    let mut found = Vec::new();
    for function in house.template()?.functions {
        if !WRITE_NOTHING.contains(&function.binary.as_str()) {
            continue;
        }
        for (action, _) in single(&function.statements) {
            let leaves = TRACES.contains(&action.as_str()) || action.starts_with(OF_AWS_ITSELF);
            if !leaves && !harmless.contains(&action.as_str()) {
                found.push(format!(
                    "{} permits {action}; the head of crates/{} says that it writes nothing",
                    function.role_logical_id, function.binary
                ));
            }
        }
    }
    Ok(found)
}

/// Each action with each resource that it is permitted on.
fn single(statements: &[Statement]) -> Vec<(String, String)> {
    let permitted = statements.iter().filter(|statement| statement.effect == Effect::Allow);
    let pairs = permitted.flat_map(|statement| {
        statement.actions.iter().flat_map(|action| {
            statement.resources.iter().map(move |resource| (action.clone(), resource.clone()))
        })
    });
    pairs.collect()
}

#[tokio::test(start_paused = true)]
async fn every_role_permits_what_its_owner_calls_and_no_more() {
    let needs = needs().await;
    assert_sound(&complaints(permitted(&HOUSE, &needs)));
    assert_sound(&complaints(needed(&HOUSE, &needs)));
}

#[tokio::test(start_paused = true)]
async fn a_permission_that_is_missing_or_superfluous_is_named_with_its_role() {
    let needs = needs().await;
    for (anchor, from, to, culprits) in [
        (
            "  UpdateOrderStatusRole:",
            "dynamodb:UpdateItem",
            "dynamodb:PutItem",
            ["UpdateOrderStatusRole", "dynamodb:UpdateItem"],
        ),
        ("  QueryRole:", "index/listing", "index/other", ["QueryRole", "index/listing"]),
        (
            "  SweepScheduleRole:",
            "SweepOrdersFunction",
            "QueryFunction",
            ["SweepScheduleRole", "lambda:InvokeFunction"],
        ),
        (
            "  CreateOrderRole:",
            "!GetAtt InventoryTable",
            "!GetAtt UsersTable",
            ["CreateOrderRole", "InventoryTable"],
        ),
        ("  CreateUserRole:", "sns:Subscribe", "sns:Publish", ["CreateUserRole", "sns:Subscribe"]),
        // On its topic's ARN it would be permitted nothing.
        ("  QueryRole:", "Resource: \"*\"", "Resource: !Ref OrderTopic", ["QueryRole", "sns:GetSub"]),
        ("  CreateUserRole:", "sns:TagResource", "sns:Publish", ["CreateUserRole", "sns:TagResource"]),
        (
            "  PlaceOrderRole:",
            "!Ref OrderStateMachine",
            "!GetAtt OrdersTable.Arn",
            ["PlaceOrderRole", "states:"],
        ),
        (
            "  OrderWorkflowRole:",
            "                  - !GetAtt CreateOrderFunction.Arn\n",
            "",
            ["OrderWorkflowRole", "lambda:"],
        ),
        ("  OrderWorkflowRole:", "sns:Publish", "sns:Subscribe", ["OrderWorkflowRole", "sns:Publish"]),
        ("  QueryRole:", "xray:PutTraceSegments, ", "", ["QueryRole", "xray:PutTraceSegments"]),
        (
            "  OrderWorkflowRole:",
            "                  - xray:GetSamplingTargets\n",
            "",
            ["OrderWorkflowRole", "xray:GetSamplingTargets"],
        ),
        (
            "  SweepOrdersRole:",
            "!GetAtt DeadLetters.Arn",
            "!GetAtt OrdersTable.Arn",
            ["SweepOrdersRole", "sqs:SendMessage"],
        ),
        ("  SweepScheduleRole:", "sqs:SendMessage", "sqs:GetQueueUrl", ["SweepScheduleRole", "DeadLetters"]),
        (
            "  OrderWorkflowRole:",
            "${OrderTopic}-customer-*",
            "${OrderTopic}-x",
            ["OrderWorkflowRole", "OrderTopic-customer-"],
        ),
    ] {
        let house = HOUSE.broken_after(wiring::TEMPLATE, anchor, from, to);
        assert_blamed(&complaints(permitted(&house, &needs)), &culprits);
    }
    for (anchor, from, to, culprits) in [
        (
            "  QueryRole:",
            "dynamodb:GetItem",
            "[dynamodb:GetItem, dynamodb:DeleteItem]",
            ["QueryRole", "DeleteItem"],
        ),
        ("  PlaceOrderRole:", "dynamodb:GetItem", "dynamodb:*", ["PlaceOrderRole", "dynamodb:*"]),
        ("  PlaceOrderRole:", "!GetAtt OrdersTable.Arn", "\"*\"", ["PlaceOrderRole", "on *"]),
        (
            "  CreateUserRole:",
            "!GetAtt UsersTable.Arn",
            "[!GetAtt UsersTable.Arn, !GetAtt OrdersTable.Arn]",
            ["CreateUserRole", "OrdersTable"],
        ),
        (
            "  PlaceOrderRole:",
            "xray:PutTelemetryRecords",
            "xray:PutTelemetryRecords, xray:GetGroups",
            ["PlaceOrderRole", "xray:GetGroups"],
        ),
        (
            "  PlaceOrderRole:",
            "Action: dynamodb:GetItem",
            "Action: [dynamodb:GetItem, sqs:SendMessage]",
            ["PlaceOrderRole", "sqs:SendMessage"],
        ),
    ] {
        let house = HOUSE.broken_after(wiring::TEMPLATE, anchor, from, to);
        assert_blamed(&complaints(needed(&house, &needs)), &culprits);
    }
}

#[test]
fn a_function_that_writes_nothing_may_not_write() {
    assert_sound(&complaints(read_only(&HOUSE)));
    for (name, role) in
        [("check_inventory", "CheckInventoryRole"), ("place_order", "PlaceOrderRole"), ("query", "QueryRole")]
    {
        let from = if name == "check_inventory" { "dynamodb:BatchGetItem" } else { "dynamodb:GetItem" };
        let writes = HOUSE.broken_after(wiring::TEMPLATE, &format!("  {role}:"), from, "dynamodb:UpdateItem");
        assert_blamed(&complaints(read_only(&writes)), &[role, "dynamodb:UpdateItem", name]);
    }
}
