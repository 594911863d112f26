//! Controls that no linter looks for. `scripts/lint-controls` takes out one control after the other and notes which linter
//! complains. No linter complained about these, so the tests here look for them, and take them out in the same way.

use sam_template::yaml;
use serde_json::{Value, json};

use super::{Complaints, HOUSE, House, TEMPLATE, assert_blamed, assert_sound, complaints};

/// The resources of one type: logical id and properties.
fn of_type<'w>(written: &'w Value, wanted: &'w str) -> impl Iterator<Item = (&'w str, &'w Value)> {
    let resources = written["Resources"].as_object().into_iter().flatten();
    resources
        .filter(move |(_, resource)| resource["Type"] == wanted)
        .map(|(id, resource)| (id.as_str(), &resource["Properties"]))
}

/// Tables are encrypted under the account's key.
fn tables(written: &Value, found: &mut Complaints) {
    for (id, table) in of_type(written, "AWS::DynamoDB::Table") {
        if table["SSESpecification"]["SSEEnabled"] != true {
            found.push(format!("{id} is not encrypted under the account's key: set SSEEnabled"));
        }
    }
}

/// Tables and pool outlive the stack, unless the deployment that creates them fails. With protection at creation,
/// `CloudFormation` could not delete them then, so a parameter turns it on in a later deployment.
fn kept(written: &Value, found: &mut Complaints) {
    for (id, resource) in written["Resources"].as_object().into_iter().flatten() {
        let (property, protection) = match resource["Type"].as_str() {
            Some("AWS::DynamoDB::Table") => {
                ("DeletionProtectionEnabled", json!(["ProtectTheData", true, false]))
            }
            Some("AWS::Cognito::UserPool") => {
                ("DeletionProtection", json!(["ProtectTheData", "ACTIVE", "INACTIVE"]))
            }
            _ => continue,
        };
        if resource["DeletionPolicy"] != "RetainExceptOnCreate" || resource["UpdateReplacePolicy"] != "Retain"
        {
            found.push(format!(
                "{id} is deleted with the stack, or is left behind by a first deployment that fails: set \
                 DeletionPolicy: RetainExceptOnCreate and UpdateReplacePolicy: Retain"
            ));
        }
        if resource["Properties"][property]["Fn::If"] != protection {
            found.push(format!("{id} can be deleted by mistake: let ProtectData turn {property} on"));
        }
    }
    if written["Parameters"]["ProtectData"]["Default"] != "false"
        || written["Conditions"]["ProtectTheData"]
            != json!({ "Fn::Equals": [{ "Ref": "ProtectData" }, "true"] })
    {
        found.push("ProtectData must be off at first, and turn the protection on".to_owned());
    }
    let reminder = &written["Outputs"]["DataProtection"]["Value"]["Fn::If"];
    if reminder[0] != "ProtectTheData"
        || !reminder[2].as_str().is_some_and(|text| text.contains("ProtectData=true"))
    {
        found.push("no output reminds the operator to turn ProtectData on".to_owned());
    }
}

/// A role that another service of AWS assumes names the account for which that service may.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html>
fn deputies(written: &Value, found: &mut Complaints) {
    for (id, role) in of_type(written, "AWS::IAM::Role") {
        for statement in role["AssumeRolePolicyDocument"]["Statement"].as_array().into_iter().flatten() {
            // Lambda assumes a role for a function of the role's own account only.
            let lambda = statement["Principal"]["Service"] == "lambda.amazonaws.com";
            let account = &statement["Condition"]["StringEquals"]["aws:SourceAccount"]["Ref"];
            if !lambda && account != "AWS::AccountId" {
                found
                    .push(format!("{id} may be assumed on behalf of other accounts: name aws:SourceAccount"));
            }
        }
    }
}

/// Queues are encrypted. They and the operators' topic refuse what does not come through TLS.
fn messages(written: &Value, found: &mut Complaints) {
    let mut guarded = Vec::new();
    for (policies, on) in [("AWS::SQS::QueuePolicy", "Queues"), ("AWS::SNS::TopicPolicy", "Topics")] {
        for (_, policy) in of_type(written, policies) {
            let mut statements = policy["PolicyDocument"]["Statement"].as_array().into_iter().flatten();
            let refuses = |statement: &Value| {
                statement["Effect"] == "Deny"
                    && statement["Principal"] == "*"
                    && statement["Condition"]["Bool"]["aws:SecureTransport"] == "false"
            };
            if statements.any(refuses) {
                guarded.extend(
                    policy[on].as_array().into_iter().flatten().filter_map(|one| one["Ref"].as_str()),
                );
            }
        }
    }
    for (id, queue) in of_type(written, "AWS::SQS::Queue") {
        if queue["SqsManagedSseEnabled"] != true {
            found.push(format!("{id} is not encrypted: set SqsManagedSseEnabled"));
        }
        if !guarded.contains(&id) {
            found.push(format!("{id} takes messages without TLS: its policy must deny them"));
        }
    }
    if !guarded.contains(&"OperationsTopic") {
        found.push("OperationsTopic takes messages without TLS: its policy must deny them".to_owned());
    }
}

/// Every route names an authorizer of its API, except the one that returns no data. `scripts/lint-template` checks the same
/// in what SAM makes of the template.
fn callers(written: &Value, found: &mut Complaints) {
    for (function, properties) in of_type(written, "AWS::Serverless::Function") {
        for (id, event) in properties["Events"].as_object().into_iter().flatten() {
            let event = &event["Properties"];
            let Some(api) = event["ApiId"]["Ref"].as_str() else { continue };
            let (path, authorizer) = (&event["Path"], event["Auth"]["Authorizer"].as_str());
            let known = &written["Resources"][api]["Properties"]["Auth"]["Authorizers"];
            if authorizer.is_none() && path != "/health" {
                found.push(format!(
                    "{id} of {function} lets every caller in: {path} has no Auth; only /health may"
                ));
            }
            if let Some(unknown) = authorizer.filter(|name| known.get(name).is_none()) {
                found.push(format!("{id} of {function} names the authorizer {unknown}, which {api} has not"));
            }
        }
    }
}

/// The workflow logs its errors, and no execution data: that is what customers order.
fn logs(written: &Value, found: &mut Complaints) {
    for (id, machine) in of_type(written, "AWS::Serverless::StateMachine") {
        let logging = &machine["Logging"];
        if logging["Level"] != "ERROR" || logging["Destinations"].as_array().is_none_or(Vec::is_empty) {
            found.push(format!("{id} does not log its errors"));
        }
        if logging["IncludeExecutionData"] != false {
            found.push(format!("{id} logs what customers order"));
        }
    }
}

/// Orders have a cap at the door, by a parameter. A linter asks every function for one, and accepts none from the others.
fn cap(written: &Value, found: &mut Complaints) {
    let mut functions = of_type(written, "AWS::Serverless::Function");
    let door = functions.find(|(id, _)| *id == "PlaceOrderFunction").map(|(_, properties)| properties);
    if door.is_none_or(|door| door.get("ReservedConcurrentExecutions").is_none()) {
        found.push(
            "PlaceOrderFunction has no ReservedConcurrentExecutions: OrderConcurrency caps nothing"
                .to_owned(),
        );
    }
}

fn controls(house: &House) -> Result<Complaints, String> {
    let written = yaml::read(house.text(TEMPLATE))?;
    let mut found = Complaints::new();
    for look in [tables, kept, deputies, messages, callers, cap, logs] {
        look(&written, &mut found);
    }
    Ok(found)
}

#[test]
fn every_control_is_there() {
    assert_sound(&complaints(controls(&HOUSE)));
}

#[test]
fn a_control_that_is_taken_out_is_named() {
    let without =
        |anchor: &str, from: &str| complaints(controls(&HOUSE.broken_after(TEMPLATE, anchor, from, "")));
    let encrypted = "      SSESpecification:\n        SSEEnabled: true\n";
    for table in ["UsersTable", "OrdersTable", "InventoryTable"] {
        let anchor = format!("\n  {table}:\n");
        assert_blamed(&without(&anchor, encrypted), &[table, "encrypted"]);
        let protection = "      DeletionProtectionEnabled: !If [ProtectTheData, true, false]\n";
        assert_blamed(&without(&anchor, protection), &[table, "by mistake"]);
        let kept = "    DeletionPolicy: RetainExceptOnCreate\n";
        assert_blamed(&without(&anchor, kept), &[table, "deleted with the stack"]);
    }
    for (anchor, from, to, culprit) in [
        (
            "\n  UserPool:",
            "[ProtectTheData, ACTIVE, INACTIVE]",
            "[ProtectTheData, ACTIVE, ACTIVE]",
            "UserPool",
        ),
        ("\n  UserPool:", "RetainExceptOnCreate", "Retain", "UserPool"),
        ("\n  UserPool:", "UpdateReplacePolicy: Retain", "UpdateReplacePolicy: Delete", "UserPool"),
        ("  ProtectData:", "Default: \"false\"", "Default: \"true\"", "off at first"),
        ("  DataProtection:", "ProtectData=true", "care", "no output reminds"),
        ("SweepScheduleRole:", "\"aws:SourceAccount\"", "\"aws:SourceArn\"", "SweepScheduleRole"),
    ] {
        let broken = HOUSE.broken_after(TEMPLATE, anchor, from, to);
        assert_blamed(&complaints(controls(&broken)), &[culprit]);
    }
    assert_blamed(
        &without("DeadLetters:", "      SqsManagedSseEnabled: true\n"),
        &["DeadLetters", "encrypted"],
    );
    let tls = "aws:SecureTransport";
    assert_blamed(&without("DeadLettersPolicy:", tls), &["DeadLetters", "without TLS"]);
    assert_blamed(&without("OperationsTopicPolicy:", tls), &["OperationsTopic", "without TLS"]);
    let denied =
        |id| complaints(controls(&HOUSE.broken_after(TEMPLATE, id, "Effect: Deny", "Effect: Allow")));
    assert_blamed(&denied("DeadLettersPolicy:"), &["DeadLetters", "without TLS"]);
    assert_blamed(&denied("OperationsTopicPolicy:"), &["OperationsTopic", "without TLS"]);
    let auth = "            Auth: { Authorizer: Jwt }\n";
    assert_blamed(
        &without("        ListInventory:", auth),
        &["ListInventory of QueryFunction", "every caller"],
    );
    let none = HOUSE.broken_after(TEMPLATE, "        ListInventory:", "Authorizer: Jwt", "Authorizer: NONE");
    assert_blamed(&complaints(controls(&none)), &["ListInventory of QueryFunction", "NONE"]);
    assert_blamed(
        &without("      Logging:", "        Level: ERROR\n"),
        &["OrderStateMachine", "log its errors"],
    );
    assert_blamed(
        &without(
            "  PlaceOrderFunction:",
            "      ReservedConcurrentExecutions: !If [CapOrders, !Ref OrderConcurrency, !Ref AWS::NoValue]\n",
        ),
        &["PlaceOrderFunction", "OrderConcurrency caps nothing"],
    );
    let told = HOUSE.broken(TEMPLATE, "IncludeExecutionData: false", "IncludeExecutionData: true");
    assert_blamed(&complaints(controls(&told)), &["OrderStateMachine", "what customers order"]);
}
