//! The faults that are reported for a template with one mistake.

use std::{collections::BTreeMap, path::Path};

use super::{SHOP, Template, shop};

/// Reads the shop's template with one change. Each fault must begin as expected, and no other fault may occur.
#[track_caller]
fn check(from: &str, to: &str, expected: &[&str]) {
    assert_eq!(SHOP.matches(from).count(), 1, "`{from}` must be in the template once");
    let faults = shop(&SHOP.replace(from, to), &[]).expect_err(&format!("`{to}` must be a fault"));
    let as_expected = faults.iter().zip(expected).all(|(fault, expected)| fault.starts_with(expected));
    assert!(as_expected && faults.len() == expected.len(), "`{to}` gave {faults:#?}\nexpected {expected:#?}");
}

#[test]
fn a_name_must_not_depend_on_other_resources() {
    check(
        "BillingMode:",
        "TableName: !Ref News\n      BillingMode:",
        &["Resources.Orders.Properties.TableName: a name may be made of text and parameters only"],
    );
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let faults = Template::read(Path::new("no/such/template.yaml"), super::ACCOUNT, &BTreeMap::new())
        .expect_err("no such file");
    assert!(
        faults
            .to_string()
            .starts_with("no/such/template.yaml cannot be run locally:\n  file: cannot be read")
    );
}

#[test]
fn broken_yaml_is_named_with_its_line() {
    let faults = shop("Transform: x\nResources: {a: [", &[]).expect_err("broken YAML");
    assert!(faults[0].starts_with("YAML: line 2") || faults[0].starts_with("YAML: line 3"), "{faults:?}");
}

#[test]
fn every_fault_is_reported_at_once() {
    let text = SHOP
        .replace("Timeout: 28", "Timeout: soon")
        .replace("/health", "health")
        .replace("!Ref Issuer", "!Ref Isuer");
    assert_eq!(
        shop(&text, &[]).expect_err("three faults").iter().map(|f| f.split(": ").next()).collect::<Vec<_>>(),
        [
            Some("Resources.Api.Properties.Auth.Authorizers.Jwt.JwtConfiguration.issuer"),
            Some("Resources.Place.Properties.Timeout"),
            Some("Resources.Place.Properties.Events.Health.Properties.Path"),
        ]
    );
}

#[test]
fn a_parameter_needs_a_value_that_is_allowed() {
    let one = |overrides: &[_]| shop(SHOP, overrides).expect_err("a fault").join("\n");
    assert_eq!(
        one(&[("Issuer", "http://x")]),
        "Parameters.Issuer: the value `http://x` does not match AllowedPattern https://.+"
    );
    assert_eq!(
        one(&[("Level", "loud")]),
        "Parameters.Level: the value `loud` is not one of AllowedValues: debug, info"
    );
    assert_eq!(one(&[("Audience", "")]), "Parameters.Audience: the value `` is shorter than MinLength 1");
    assert_eq!(
        one(&[("Audience", "far too long")]),
        "Parameters.Audience: the value `far too long` is longer than MaxLength 8"
    );
    assert_eq!(one(&[("Size", "big")]), "Parameters.Size: the value `big` is not a number");
    assert_eq!(one(&[("Size", "127")]), "Parameters.Size: the value `127` is less than MinValue 128");
    assert_eq!(one(&[("Size", "10241")]), "Parameters.Size: the value `10241` is more than MaxValue 10240");
    assert!(
        one(&[("Colour", "red")])
            .starts_with("Parameters.Colour: the template has no such parameter; it has: Issuer, ")
    );
    check(", Default: shop }", " }", &["Parameters.Audience: has no default and no value: give it one"]);
    check(
        "Type: Number",
        "Type: CommaDelimitedList",
        &["Parameters.Size.Type: `CommaDelimitedList` is not supported"],
    );
    check("\"https://.+\"", "\"(\"", &["Parameters.Issuer.AllowedPattern: is not a regular expression"]);
}

#[test]
fn a_reference_must_name_a_parameter_or_a_resource() {
    let variable = "Resources.Place.Properties.Environment.Variables";
    let no_such = "is neither a parameter nor a resource of this template";
    check("!Ref Orders\n", "!Ref Order\n", &[&format!("{variable}.ORDERS_TABLE: `Order` {no_such}")]);
    check(
        "${AWS::StackName}",
        "${AWS::Stack}-${Unknown}",
        &[
            &format!("{variable}.SHARED: `AWS::Stack` {no_such}"),
            &format!("{variable}.SHARED: `Unknown` {no_such}"),
        ],
    );
    check("-${!Literal}", "-${!Literal", &[&format!("{variable}.SHARED: `${{` has no closing `}}`")]);
    check(
        "!GetAtt News.TopicName",
        "!GetAtt News.Name",
        &[&format!(
            "{variable}.MAPPED: News has no attribute `Name` in the local stack; it has: Arn, TopicArn, TopicName"
        )],
    );
}

#[test]
fn a_broken_reference_is_reported_in_properties_that_only_aws_uses() {
    let no_such = "is neither a parameter nor a resource of this template";
    check(
        "RetentionInDays: 30",
        "RetentionInDays: !Ref Days",
        &[&format!("Resources.PlaceLog.Properties.RetentionInDays: `Days` {no_such}")],
    );
    check("DependsOn: PlaceLog", "DependsOn: PlaceLogs", &["Resources.Place.DependsOn: is not a resource"]);
}

#[test]
fn a_value_that_a_condition_leaves_out_is_checked_but_may_name_a_missing_resource() {
    let variable = "Resources.Place.Properties.Environment.Variables";
    check(
        "[Loud, !Ref DebugNews,",
        "[Loud, !Ref DebugNew,",
        &[&format!("{variable}.DEBUG_TOPIC: `DebugNew` is neither")],
    );
    check(
        "[Loud, !Ref DebugNews,",
        "[Quiet, !Ref DebugNews,",
        &[&format!("{variable}.DEBUG_TOPIC: `DebugNews` does not exist: its condition is false")],
    );
    check(
        "!GetAtt Orders.Arn }",
        "!GetAtt Order.Arn }",
        &["Resources.DebugNews.Properties.DisplayName: `Order` is"],
    );
}

#[test]
fn a_condition_must_exist_and_be_supported() {
    check(
        "[QuietHere, !Ref",
        "[Here, !Ref",
        &[
            "Resources.Place.Properties.Environment.Variables.MACHINE: `Here` is not a condition of this template",
        ],
    );
    check(
        "Condition: Loud\n",
        "Condition: Noisy\n",
        &["Resources.DebugNews: the condition \"Noisy\" is not one"],
    );
    check(
        "!Not [!Condition Loud]",
        "!Not [!Condition Quiet]",
        &["Conditions.Quiet: `Quiet` depends on itself"],
    );
    check(
        "!Not [!Condition Loud]",
        "!Not [!Condition Lout]",
        &["Conditions.Quiet: `Lout` is not a condition"],
    );
    check(
        "!Not [!Condition Loud]",
        "!Contains [!Condition Loud]",
        &["Conditions.Quiet: is not a condition that is"],
    );
}

#[test]
fn an_unknown_function_is_reported() {
    let variable = "Resources.Place.Properties.Environment.Variables";
    check(
        "!Sub \"own-",
        "!Base64 \"own-",
        &[&format!(
            "{variable}.SHARED: Fn::Base64 is not supported by the local stack; supported: Ref, Fn::GetAtt, Fn::If"
        )],
    );
    check("!Join [\":\",", "!Join [1,", &[&format!("{variable}.JOINED: Fn::Join takes")]);
    check(
        "!Select [1,",
        "!Select [7,",
        &[&format!("{variable}.JOINED[1]: there is no item 7 in a list of 3")],
    );
    check("!Ref Orders\n", "\n", &[&format!("{variable}.ORDERS_TABLE: is empty")]);
    check(
        "!Ref Orders\n",
        "'{{resolve:ssm:/orders}}'\n",
        &[&format!("{variable}.ORDERS_TABLE: dynamic references")],
    );
    check(
        "!Ref Orders\n",
        "{ \"Fn::Sub\": x, \"Fn::Join\": y }\n",
        &[
            &format!("{variable}.ORDERS_TABLE: Fn::Sub must be the only key"),
            &format!("{variable}.ORDERS_TABLE: Fn::Join must be the only key"),
            &format!("{variable}.ORDERS_TABLE: expected text, found a map"),
        ],
    );
}

#[test]
fn an_unsupported_type_or_key_is_reported_with_the_supported_ones() {
    check(
        "AWS::Logs::LogGroup",
        "AWS::S3::Bucket",
        &[
            "Resources.PlaceLog: the type AWS::S3::Bucket is not supported by the local stack; supported: AWS::DynamoDB",
        ],
    );
    check("Outputs:", "Mappings: {}\nOutputs:", &["template.Mappings: is not supported"]);
    check(
        "AWS::Serverless-2016-10-31",
        "AWS::LanguageExtensions",
        &["template.Transform: `AWS::LanguageExtensions`"],
    );
    check("  Function:\n", "  Api: {}\n  Function:\n", &["template.Globals.Api: is not supported"]);
    check("DependsOn: PlaceLog", "UpdatePolicy: {}", &["Resources.Place.UpdatePolicy: is not supported"]);
}

#[test]
fn a_table_that_dynamodb_would_refuse_is_reported() {
    let orders = "Resources.Orders.Properties";
    check(
        "PAY_PER_REQUEST",
        "PROVISIONED",
        &[&format!("{orders}.BillingMode: `PROVISIONED` is not supported")],
    );
    check("      BillingMode: PAY_PER_REQUEST\n", "", &[&format!("{orders}: `BillingMode` is missing")]);
    check(
        "BillingMode:",
        "TimeToLiveSpecification: {}\n      BillingMode:",
        &[&format!("{orders}.TimeToLiveSpecification: is not supported by the local stack")],
    );
    check(
        "{ AttributeName: status, AttributeType: S }",
        "{ AttributeName: state, AttributeType: S }",
        &[
            &format!(
                "{orders}.GlobalSecondaryIndexes[0].KeySchema[0]: `status` is not in AttributeDefinitions"
            ),
            &format!("{orders}: AttributeDefinitions has `state`, which no key uses"),
        ],
    );
    check(
        "{ AttributeName: status, KeyType: HASH }",
        "{ AttributeName: status, KeyType: RANGE }",
        &[&format!("{orders}.GlobalSecondaryIndexes[0].KeySchema[0].KeyType: `RANGE` is not supported")],
    );
}

#[test]
fn a_function_that_would_run_differently_is_reported() {
    let place = "Resources.Place.Properties";
    check("      Role: !GetAtt PlaceRole.Arn\n", "", &[&format!("{place}: `Role` is missing")]);
    check("!GetAtt PlaceRole.Arn", "!GetAtt Orders.Arn", &[&format!("{place}.Role: `arn:aws:dynamodb")]);
    check(
        "!GetAtt PlaceRole.Arn",
        "!GetAtt MachineRole.Arn",
        &[&format!("{place}.Role: MachineRole may not be assumed by lambda.amazonaws.com")],
    );
    check("Timeout: 28", "Layers: [x]", &[&format!("{place}.Layers: is not supported by the local stack")]);
    check("Timeout: 28", "Timeout: 901", &[&format!("{place}.Timeout: expected 1 to 900")]);
    check("provided.al2023", "python3.13", &[&format!("{place}.Runtime: `python3.13` is not supported")]);
    check(
        "Binary: place_order }",
        "Binary: create_order }",
        &["Resources.Place.Metadata.BuildProperties.Binary: expected the name of the crate's folder"],
    );
    check("BuildMethod: rust-cargolambda, ", "", &["Resources.Place.Metadata: `BuildMethod` is missing"]);
}

#[test]
fn a_dead_letter_queue_must_be_one_of_the_template() {
    let place = "Resources.Place.Properties";
    let config = format!("{place}.EventInvokeConfig");
    check(
        "MaximumRetryAttempts: 0",
        "MaximumRetryAttempts: 2",
        &[&format!("{config}.MaximumRetryAttempts: `2` is not supported by the local stack; supported: 0")],
    );
    check("MaximumRetryAttempts: 0, ", "", &[&format!("{config}: `MaximumRetryAttempts` is missing")]);
    check("Type: SQS", "Type: SNS", &[&format!("{config}.DestinationConfig.OnFailure.Type: `SNS`")]);
    check(
        "Destination: !GetAtt Lost.Arn",
        "Destination: !GetAtt Orders.Arn",
        &[&format!("{config}.DestinationConfig.OnFailure.Destination: `arn:aws:dynamodb")],
    );
    check(
        "DeadLetterConfig: { Arn: !GetAtt Lost.Arn }",
        "DeadLetterConfig: { Arn: !Ref Lost }",
        &[&format!(
            "{place}.Events.Sweep.Properties.DeadLetterConfig.Arn: `https://sqs.us-east-1.amazonaws.com/"
        )],
    );
    check(
        "DeadLetterConfig: { Arn: !GetAtt Lost.Arn }",
        "DeadLetterConfig: { Type: SQS }",
        &[
            &format!("{place}.Events.Sweep.Properties.DeadLetterConfig.Type: is not supported"),
            &format!("{place}.Events.Sweep.Properties.DeadLetterConfig: `Arn` is missing"),
        ],
    );
    check(
        "SqsManagedSseEnabled: true",
        "FifoQueue: true",
        &["Resources.Lost.Properties.FifoQueue: is not supported by the local stack"],
    );
    check("Tracing: Active", "Tracing: true", &[&format!("{place}.Tracing: `true` is not supported")]);
}

#[test]
fn a_policy_that_cannot_be_evaluated_is_reported() {
    let statement = "Resources.PlaceRole.Properties.Policies[0].PolicyDocument.Statement[0]";
    check("Sid: Read", "Condition: {}", &[&format!("{statement}.Condition: is not supported")]);
    check("                Action: dynamodb:Query\n", "", &[&format!("{statement}: `Action` is missing")]);
    check(
        "      Policies:",
        "      ManagedPolicyArns: [x]\n      Policies:",
        &["Resources.PlaceRole.Properties.ManagedPolicyArns: is not supported"],
    );
}

#[test]
fn a_route_that_the_gateway_cannot_serve_is_reported() {
    let events = "Resources.Place.Properties.Events";
    check(
        "Method: GET, Path: /health",
        "Method: POST, Path: /orders",
        &[&format!("{events}.Health.Properties: POST /orders is already a route of Place")],
    );
    check(
        "Path: /health",
        "Path: \"/orders/{id}\"",
        &[&format!(
            "{events}.Health.Properties: GET /orders/{{id}} is already a route of Place (as GET /orders/{{order_id}})"
        )],
    );
    check(
        "Path: /health",
        "Path: \"/{proxy+}\"",
        &[&format!("{events}.Health.Properties.Path: `/{{proxy+}}` is not")],
    );
    check(
        "Method: GET, Path: /health",
        "Method: ANY, Path: /health",
        &[&format!("{events}.Health.Properties.Method")],
    );
    // SAM knows the authorizer NONE, and writes it into the API's definition as a security scheme, which does not exist.
    for unknown in ["Cookie", "NONE"] {
        check(
            "TimeoutInMillis: 29000, Auth: { Authorizer: Jwt }",
            &format!("TimeoutInMillis: 29000, Auth: {{ Authorizer: {unknown} }}"),
            &[&format!(
                "{events}.Place.Properties.Auth.Authorizer: `{unknown}` is not one of the API's authorizers: Jwt"
            )],
        );
    }
    check(
        "        Authorizers:\n",
        "        DefaultAuthorizer: Jwt\n        Authorizers:\n",
        &["Resources.Api.Properties.Auth.DefaultAuthorizer: is not supported"],
    );
    check("29000", "31000", &[&format!("{events}.Place.Properties.TimeoutInMillis: expected 50 to 30000")]);
    check(
        "ApiId: !Ref Api, Method: post",
        "ApiId: !Ref News, Method: post",
        &[&format!("{events}.Place.Properties.ApiId: is not an API of this template")],
    );
    check(
        "ApiId: !Ref Api, Method: post",
        "Method: post",
        &[&format!("{events}.Place.Properties: `ApiId` is missing")],
    );
    check(
        "        Health:\n          Type: HttpApi",
        "        Health:\n          Type: Api",
        &[&format!("{events}.Health.Type: `Api` is not supported by the local stack; supported: HttpApi")],
    );
}

#[test]
fn a_cors_configuration_that_the_gateway_cannot_serve_is_reported() {
    let cors = "Resources.Api.Properties.CorsConfiguration";
    let with = |cors: &str| format!("      CorsConfiguration: {cors}\n      Auth:\n");
    check("      Auth:\n", &with("true"), &[&format!("{cors}: expected a map, found `true`")]);
    check("      Auth:\n", &with("{ MaxAge: 5 }"), &[&format!("{cors}: `AllowOrigins` is missing")]);
    check(
        "      Auth:\n",
        &with("{ AllowOrigins: [a], AllowCredentials: true }"),
        &[&format!("{cors}.AllowCredentials: is not supported by the local stack")],
    );
    check(
        "      Auth:\n",
        &with("{ AllowOrigins: !Split [\",\", !Ref Origins], MaxAge: soon }"),
        &[
            &format!("{cors}.AllowOrigins[0]: an origin must not be empty"),
            &format!("{cors}.MaxAge: expected a whole number"),
        ],
    );
    check(
        "      Auth:\n",
        &with("{ AllowOrigins: https://a.test }"),
        &[&format!("{cors}.AllowOrigins: expected a list, found `https://a.test`")],
    );
}

#[test]
fn a_state_machine_needs_its_definition_file_and_every_substitution() {
    let machine = "Resources.Machine.Properties";
    check("DefinitionUri: order", "DefinitionUri: gone", &[&format!("{machine}.DefinitionUri: ")]);
    check("Type: EXPRESS", "Type: STANDARD", &[&format!("{machine}.Type: `STANDARD` is not supported")]);
    check(
        "{ PlaceArn:",
        "{ PlacesArn:",
        &[
            &format!("{machine}: the definition uses ${{PlaceArn}}, which DefinitionSubstitutions lacks"),
            &format!(
                "{machine}.DefinitionSubstitutions.PlacesArn: is not used: the definition has no ${{PlacesArn}}"
            ),
        ],
    );
}
