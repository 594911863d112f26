//! The resources that a small template describes.

mod faults;
mod subscriptions;
mod user_pools;

use std::{collections::BTreeMap, fs, time::Duration};

use serde_json::json;

use super::{
    Account, Authorizer, Cors, Effect, PasswordPolicy, Route, RoutePath, Standing, Statement, Template,
    UserPool, UserPoolClient,
};

const ACCOUNT: Account = Account { id: "000000000000", region: "us-east-1", stack_name: "orderflow" };

const SHOP: &str = r#"
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Parameters:
  Issuer: { Type: String, AllowedPattern: "https://.+", Default: https://issuer.test }
  Audience: { Type: String, MinLength: 1, MaxLength: 8, Default: shop }
  Level: { Type: String, AllowedValues: [debug, info], Default: info }
  Size: { Type: Number, MinValue: 128, MaxValue: 10240, Default: 256 }
  Origins: { Type: String, Default: "" }
Conditions:
  Loud: !Equals [!Ref Level, debug]
  Quiet: !Not [!Condition Loud]
  QuietHere: !And [!Condition Quiet, !Equals [!Ref AWS::Region, us-east-1]]
Globals:
  Function:
    Runtime: provided.al2023
    MemorySize: !Ref Size
    Environment:
      Variables: { LOG_LEVEL: !Ref Level, SHARED: global }
Resources:
  Orders:
    Type: AWS::DynamoDB::Table
    DeletionPolicy: RetainExceptOnCreate
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions:
        - { AttributeName: order_id, AttributeType: S }
        - { AttributeName: status, AttributeType: S }
      KeySchema: [{ AttributeName: order_id, KeyType: HASH }]
      GlobalSecondaryIndexes:
        - IndexName: by_status
          KeySchema: [{ AttributeName: status, KeyType: HASH }]
          Projection: { ProjectionType: KEYS_ONLY }
  News:
    Type: AWS::SNS::Topic
    Properties: { KmsMasterKeyId: !GetAtt NewsKey.Arn }
  NewsKey:
    Type: AWS::KMS::Key
    Properties: { EnableKeyRotation: true }
  Lost:
    Type: AWS::SQS::Queue
    Properties: { SqsManagedSseEnabled: true }
  DebugNews:
    Type: AWS::SNS::Topic
    Condition: Loud
    Properties: { DisplayName: !GetAtt Orders.Arn }
  Api:
    Type: AWS::Serverless::HttpApi
    Properties:
      Auth:
        Authorizers:
          Jwt: { JwtConfiguration: { issuer: !Ref Issuer, audience: [!Ref Audience] } }
  Place:
    Type: AWS::Serverless::Function
    DependsOn: PlaceLog
    Metadata: { BuildMethod: rust-cargolambda, BuildProperties: { Binary: place_order } }
    Properties:
      CodeUri: ../crates/place_order
      Role: !GetAtt PlaceRole.Arn
      Timeout: 28
      LoggingConfig: { LogGroup: !Ref PlaceLog }
      Tracing: Active
      EventInvokeConfig:
        { MaximumRetryAttempts: 0, DestinationConfig: { OnFailure: { Type: SQS, Destination: !GetAtt Lost.Arn } } }
      Environment:
        Variables:
          SHARED: !Sub "own-${AWS::StackName}-${!Literal}"
          ORDERS_TABLE: !Ref Orders
          MACHINE: !If [QuietHere, !Ref Machine, !Ref DebugNews]
          DEBUG_TOPIC: !If [Loud, !Ref DebugNews, !Ref AWS::NoValue]
          JOINED: !Join [":", [a, !Select [1, !Split ["-", "x-b-y"]], 3]]
          MAPPED: !Sub ["${Short}/${Orders.Arn}", { Short: !GetAtt News.TopicName }]
      Events:
        Place:
          Type: HttpApi
          Properties: { ApiId: !Ref Api, Method: post, Path: /orders, TimeoutInMillis: 29000, Auth: { Authorizer: Jwt } }
        Show:
          Type: HttpApi
          Properties: { ApiId: !Ref Api, Method: GET, Path: "/orders/{order_id}", Auth: { Authorizer: Jwt } }
        Health:
          Type: HttpApi
          Properties: { ApiId: !Ref Api, Method: GET, Path: /health }
        Sweep:
          Type: ScheduleV2
          Properties:
            ScheduleExpression: rate(1 minute)
            RoleArn: !GetAtt SweepRole.Arn
            DeadLetterConfig: { Arn: !GetAtt Lost.Arn }
  SweepRole:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Statement: { Effect: Allow, Principal: { Service: scheduler.amazonaws.com }, Action: sts:AssumeRole }
  PlaceRole:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Statement: { Effect: Allow, Principal: { Service: lambda.amazonaws.com }, Action: sts:AssumeRole }
      Policies:
        - PolicyName: place
          PolicyDocument:
            Statement:
              - Sid: Read
                Effect: Allow
                Action: dynamodb:Query
                Resource: !Sub "${Orders.Arn}/index/*"
              - Effect: Deny
                Action: [dynamodb:Scan, dynamodb:DeleteItem]
                Resource: "*"
  PlaceLog:
    Type: AWS::Logs::LogGroup
    Properties: { RetentionInDays: 30 }
  Machine:
    Type: AWS::Serverless::StateMachine
    Properties:
      Type: EXPRESS
      DefinitionUri: order.asl.json
      DefinitionSubstitutions: { PlaceArn: !GetAtt Place.Arn }
      Role: !GetAtt MachineRole.Arn
      Tracing: { Enabled: true }
  MachineRole:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Statement: [{ Effect: Allow, Principal: { Service: [states.amazonaws.com] }, Action: sts:AssumeRole }]
Outputs:
  Url: { Value: !GetAtt Api.ApiEndpoint }
  Machine: { Value: !Ref Machine }
  Debug: { Condition: Loud, Value: !Ref DebugNews }
"#;

const DEFINITION: &str = r#"{"Arguments": "${PlaceArn}", "Output": "{% '${' & $x %}"}"#;

fn shop(text: &str, overrides: &[(&str, &str)]) -> Result<Template, Vec<String>> {
    let dir = tempfile::tempdir().expect("a temporary folder");
    fs::write(dir.path().join("order.asl.json"), DEFINITION).expect("the definition is written");
    let overrides: BTreeMap<_, _> =
        overrides.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Template::parse(text, dir.path(), ACCOUNT, &overrides)
        .map_err(|faults| faults.faults.iter().map(ToString::to_string).collect())
}

#[test]
fn a_table_becomes_the_request_that_creates_it() {
    let template = shop(SHOP, &[]).expect("a good template");
    let [orders] = template.tables.as_slice() else { panic!("one table: {:?}", template.tables) };
    assert_eq!(orders.logical_id, "Orders");
    assert_eq!(orders.arn, "arn:aws:dynamodb:us-east-1:000000000000:table/orderflow-Orders");
    let expected = json!({
        "TableName": "orderflow-Orders",
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [
            {"AttributeName": "order_id", "AttributeType": "S"},
            {"AttributeName": "status", "AttributeType": "S"},
        ],
        "KeySchema": [{"AttributeName": "order_id", "KeyType": "HASH"}],
        "GlobalSecondaryIndexes": [{
            "IndexName": "by_status",
            "KeySchema": [{"AttributeName": "status", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }],
    });
    assert_eq!(orders.create_table, expected);
}

#[test]
fn a_function_has_its_globals_its_environment_and_its_permissions() {
    let template = shop(SHOP, &[("Size", "512")]).expect("a good template");
    let [place] = template.functions.as_slice() else { panic!("one function: {:?}", template.functions) };
    assert_eq!((place.name.as_str(), place.binary.as_str()), ("orderflow-Place", "place_order"));
    assert_eq!(place.arn, "arn:aws:lambda:us-east-1:000000000000:function:orderflow-Place");
    assert_eq!((place.timeout, place.memory_mb), (Duration::from_secs(28), 512));
    let expected = [
        ("JOINED", "a:b:3"),
        ("LOG_LEVEL", "info"),
        ("MACHINE", "arn:aws:states:us-east-1:000000000000:stateMachine:orderflow-Machine"),
        ("MAPPED", "orderflow-News/arn:aws:dynamodb:us-east-1:000000000000:table/orderflow-Orders"),
        ("ORDERS_TABLE", "orderflow-Orders"),
        ("SHARED", "own-orderflow-${Literal}"),
    ];
    assert_eq!(place.environment.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect::<Vec<_>>(), expected);
    assert_eq!(place.role_logical_id, "PlaceRole");
    let orders = &template.tables[0].arn;
    let denied = ["dynamodb:Scan", "dynamodb:DeleteItem"].map(str::to_owned).to_vec();
    let expected = [
        Statement {
            effect: Effect::Allow,
            actions: vec!["dynamodb:Query".to_owned()],
            resources: vec![format!("{orders}/index/*")],
        },
        Statement { effect: Effect::Deny, actions: denied, resources: vec!["*".to_owned()] },
    ];
    assert_eq!(place.statements, expected);
}

#[test]
fn the_allowed_origins_can_depend_on_a_parameter() {
    let cors = "      CorsConfiguration: !If [Served, { AllowOrigins: !Split [\",\", !Ref Origins], ExposeHeaders: [etag] }, !Ref AWS::NoValue]\n";
    let served = "Conditions:\n  Served: !Not [!Equals [!Ref Origins, \"\"]]\n";
    let text =
        SHOP.replace("      Auth:\n", &format!("{cors}      Auth:\n")).replace("Conditions:\n", served);
    assert_eq!(shop(&text, &[]).expect("a good template").apis[0].cors, None);
    let template = shop(&text, &[("Origins", "https://a.test,https://b.test")]).expect("a good template");
    let expected = Cors {
        allow_origins: vec!["https://a.test".to_owned(), "https://b.test".to_owned()],
        allow_methods: Vec::new(),
        allow_headers: Vec::new(),
        expose_headers: vec!["etag".to_owned()],
        max_age_s: None,
    };
    assert_eq!(template.apis[0].cors, Some(expected));
}

#[test]
fn tracing_dead_letter_queues_and_topic_keys_are_read() {
    let template = shop(SHOP, &[]).expect("a good template");
    let lost = "arn:aws:sqs:us-east-1:000000000000:orderflow-Lost";
    let (place, machine) = (&template.functions[0], &template.state_machines[0]);
    assert_eq!((place.traced, machine.traced), (true, true));
    assert_eq!(place.on_failure.as_deref(), Some(lost));
    assert_eq!(template.schedules[0].dead_letters.as_deref(), Some(lost));
    let key = "arn:aws:kms:us-east-1:000000000000:key/orderflow-NewsKey";
    assert_eq!(template.topics[0].key_id.as_deref(), Some(key));
    let less = SHOP.replace("Tracing: Active", "Tracing: PassThrough");
    let less = less.replace("Tracing: { Enabled: true }", "Tracing: { Enabled: false }");
    let template = shop(&less, &[]).expect("a good template");
    assert_eq!((template.functions[0].traced, template.state_machines[0].traced), (false, false));
}

#[test]
fn what_a_month_is_billed_for_is_counted_if_it_exists() {
    let plain = shop(SHOP, &[]).expect("a good template");
    assert_eq!(plain.standing, Standing { alarm_metrics: 0, dashboards: 0, keys: 1 });
    let watched = r#"
Resources:
  Slow:
    Type: AWS::CloudWatch::Alarm
    Properties: { Namespace: AWS/Lambda, MetricName: Duration }
  Failing:
    Type: AWS::CloudWatch::Alarm
    Properties:
      Metrics:
        - { Id: rate, Expression: errors / requests }
        - { Id: errors, ReturnData: false, MetricStat: { Stat: Sum, Period: 300 } }
        - { Id: requests, ReturnData: false, MetricStat: { Stat: Sum, Period: 300 } }
  Board: { Type: AWS::CloudWatch::Dashboard, Properties: { DashboardBody: "{}" } }
  Debugging: { Type: AWS::CloudWatch::Dashboard, Condition: Loud, Properties: { DashboardBody: "{}" } }
"#;
    let watched = SHOP.replace("\nResources:\n", watched);
    let quiet = shop(&watched, &[]).expect("a good template");
    assert_eq!(quiet.standing, Standing { alarm_metrics: 3, dashboards: 1, keys: 1 });
    let loud = shop(&watched, &[("Level", "debug")]).expect("a good template");
    assert_eq!(loud.standing.dashboards, 2);
}

#[test]
fn a_function_runs_on_the_processor_that_it_names() {
    let on = |text: &str| shop(text, &[]).map(|template| template.functions[0].architecture.clone());
    let named = |architecture: &str| {
        SHOP.replace(
            "      Tracing: Active\n",
            &format!("      Tracing: Active\n      Architectures: [{architecture}]\n"),
        )
    };
    assert_eq!(on(SHOP).as_deref(), Ok("x86_64"));
    assert_eq!(on(&named("arm64")).as_deref(), Ok("arm64"));
    let faults = on(&named("sparc")).unwrap_err();
    assert!(faults[0].contains("Architectures[0]") && faults[0].contains("sparc"), "{faults:?}");
}

#[test]
fn a_route_has_the_authorizer_that_it_names_and_one_that_names_none_is_public() {
    let template = shop(SHOP, &[("Audience", "other")]).expect("a good template");
    let authorizer = Authorizer {
        name: "Jwt".to_owned(),
        issuer: "https://issuer.test".to_owned(),
        audience: vec!["other".to_owned()],
    };
    let route = |method: &str, path: &str, authorizer, timeout_s| Route {
        method: method.to_owned(),
        path: RoutePath::parse(path).expect("a good path"),
        function: "Place".to_owned(),
        authorizer,
        timeout: Duration::from_secs(timeout_s),
    };
    let expected = [
        route("POST", "/orders", Some(authorizer.clone()), 29),
        route("GET", "/orders/{order_id}", Some(authorizer), 30),
        route("GET", "/health", None, 30),
    ];
    assert_eq!(template.apis[0].routes, expected);
}

#[test]
fn a_state_machine_has_its_definition_and_its_substitutions() {
    let template = shop(SHOP, &[]).expect("a good template");
    let machine = &template.state_machines[0];
    assert_eq!((machine.kind.as_str(), machine.definition.as_str()), ("EXPRESS", DEFINITION));
    let place = "arn:aws:lambda:us-east-1:000000000000:function:orderflow-Place";
    assert_eq!(machine.substitutions, BTreeMap::from([("PlaceArn".to_owned(), place.to_owned())]));
}

#[test]
fn a_condition_decides_what_exists() {
    let quiet = shop(SHOP, &[]).expect("a good template");
    let loud = shop(SHOP, &[("Level", "debug")]).expect("a good template");
    let topics =
        |template: &Template| template.topics.iter().map(|t| t.logical_id.clone()).collect::<Vec<_>>();
    assert_eq!(
        (topics(&quiet), topics(&loud)),
        (vec!["News".into()], vec!["News".into(), "DebugNews".into()])
    );
    assert_eq!(quiet.outputs.keys().collect::<Vec<_>>(), ["Machine", "Url"]);
    let debug_news = "arn:aws:sns:us-east-1:000000000000:orderflow-DebugNews";
    assert_eq!(loud.outputs["Debug"], debug_news);
    assert_eq!(loud.functions[0].environment["DEBUG_TOPIC"], debug_news);
    assert_eq!(loud.functions[0].environment["MACHINE"], debug_news);
}

#[test]
fn a_resource_may_have_a_name_of_its_own() {
    let named = SHOP.replace("BillingMode:", "TableName: !Sub \"${Audience}-orders\"\n      BillingMode:");
    let template = shop(&named, &[]).expect("a good template");
    assert_eq!(template.tables[0].name, "shop-orders");
    assert_eq!(template.functions[0].environment["ORDERS_TABLE"], "shop-orders");
}
