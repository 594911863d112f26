//! Alarms, dashboard and runbook against each other, and against the metrics that the code counts. An alarm without
//! instructions and a curve that always stays flat show here, not at night. The runbook's queries are in `queries.rs`.

use std::collections::{BTreeMap, BTreeSet};

use sam_template::yaml;
use serde_json::Value;

use super::{Complaints, HOUSE, House, TEMPLATE, assert_blamed, assert_sound, complaints};

pub(super) const RUNBOOK: &str = "docs/runbook.md";
const COUNTS: &str = "crates/lambda_shell/src/metrics.rs";

/// The namespace of the functions' own metrics.
const OURS: &str = "${AWS::StackName}";

const ALARM: &str = "AWS::CloudWatch::Alarm";
const DASHBOARD: &str = "AWS::CloudWatch::Dashboard";
const FUNCTION: &str = "AWS::Serverless::Function";
const TABLE: &str = "AWS::DynamoDB::Table";

/// The questions that the runbook's section on an alarm answers.
const ANSWERS: [&str; 4] = ["**Means:**", "**Look:**", "**Mend:**", "**Harmless:**"];

/// The most metrics that one alarm's expression may add up: "a hard limit that cannot be increased".
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-limits.html>
const MOST_METRICS: usize = 10;

/// Metrics of one namespace: their names, and the sets of dimensions that each of them comes with.
type Measured = (&'static str, &'static [&'static str], &'static [&'static [&'static str]]);

/// The metrics that AWS measures of resources such as the template's: namespace, names, and the sets of dimensions that they
/// come with. Sources: the pages on `CloudWatch` metrics in the guides of API Gateway ("Monitor `CloudWatch` metrics for
/// HTTP APIs"), Step Functions, Lambda, `DynamoDB`, SNS and SQS. Of Step Functions, these are the metrics that an Express
/// workflow has: its transitions are not throttled (`ExecutionThrottled`), its starts have no quota (`ThrottledEvents`), and
/// it cannot be stopped (`ExecutionsAborted`).
/// <https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html>
/// <https://docs.aws.amazon.com/step-functions/latest/apireference/API_StopExecution.html>
const OF_AWS: &[Measured] = &[
    ("AWS/ApiGateway", &["Count", "4xx", "5xx", "Latency"], &[&["ApiId"]]),
    (
        "AWS/States",
        &[
            "ExecutionsStarted",
            "ExecutionsFailed",
            "ExecutionsTimedOut",
            "ExecutionTime",
            "ExpressExecutionBilledDuration",
        ],
        &[&["StateMachineArn"]],
    ),
    ("AWS/Lambda", &["Invocations", "Errors", "Throttles", "Duration"], &[&["FunctionName"]]),
    // Without a dimension: every function of the account in the region.
    ("AWS/Lambda", &["Throttles"], &[&[]]),
    (
        "AWS/DynamoDB",
        &[
            "ReadThrottleEvents",
            "WriteThrottleEvents",
            "ConsumedReadCapacityUnits",
            "ConsumedWriteCapacityUnits",
        ],
        &[&["TableName"], &["TableName", "GlobalSecondaryIndexName"]],
    ),
    ("AWS/DynamoDB", &["TransactionConflict"], &[&["TableName"]]),
    (
        "AWS/SNS",
        &["NumberOfMessagesPublished", "NumberOfNotificationsDelivered", "NumberOfNotificationsFailed"],
        &[&["TopicName"]],
    ),
    ("AWS/SQS", &["ApproximateNumberOfMessagesVisible"], &[&["QueueName"]]),
];

/// The resource that a dimension names: the dimension, the types of the resource, and how it is referred to. A name that
/// fits no resource of that kind makes an alarm that never fires.
const OF_RESOURCES: &[(&str, &str, &str)] = &[
    ("ApiId", "AWS::Serverless::HttpApi", "${}"),
    ("StateMachineArn", "AWS::Serverless::StateMachine", "${}"),
    ("FunctionName", FUNCTION, "${}"),
    ("TableName", TABLE, "${}"),
    ("TopicName", "AWS::SNS::Topic", "${.TopicName}"),
    ("QueueName", "AWS::SQS::Queue", "${.QueueName}"),
];

/// A metric that an alarm or a widget watches.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Metric {
    /// The alarm, or the widget's title.
    by: String,
    namespace: String,
    name: String,
    /// Names and values; a reference as `Fn::Sub` has it.
    dimensions: Vec<(String, String)>,
}

impl Metric {
    fn keys(&self) -> Vec<&str> {
        self.dimensions.iter().map(|(key, _)| key.as_str()).collect()
    }

    fn is_about(&self, value: &str) -> bool {
        self.dimensions.iter().any(|(_, of)| of == value)
    }
}

/// The template with its references unresolved.
pub(super) struct Written(Value);

impl Written {
    pub(super) fn of(house: &House) -> Result<Self, String> {
        yaml::read(house.text(TEMPLATE)).map(Self)
    }

    /// The resources of one type: logical id and properties.
    pub(super) fn of_type<'w>(&'w self, wanted: &'w str) -> impl Iterator<Item = (&'w str, &'w Value)> {
        let resources = self.0["Resources"].as_object().into_iter().flatten();
        resources
            .filter(move |(_, resource)| resource["Type"] == wanted)
            .map(|(id, resource)| (id.as_str(), &resource["Properties"]))
    }

    fn has(&self, logical_id: &str) -> bool {
        self.0["Resources"].get(logical_id).is_some()
    }

    /// The dashboard's body with references as they are written.
    fn widgets(&self) -> Result<Vec<Value>, String> {
        let (id, properties) = self.of_type(DASHBOARD).next().ok_or("there is no dashboard")?;
        let body = properties["DashboardBody"]["Fn::Sub"].as_str();
        let body = body.ok_or_else(|| format!("{id}: the body is no !Sub of a text"))?;
        let body: Value = serde_json::from_str(body).map_err(|fault| format!("{id}: {fault}"))?;
        Ok(body["widgets"].as_array().cloned().unwrap_or_default())
    }
}

/// A value in the notation of `Fn::Sub`.
pub(super) fn as_sub(value: &Value) -> String {
    if let Some(text) = value.as_str() {
        return text.to_owned();
    }
    if let Some(name) = value["Ref"].as_str() {
        return format!("${{{name}}}");
    }
    match value["Fn::GetAtt"].as_array().map(Vec::as_slice) {
        Some([Value::String(resource), Value::String(attribute)]) => format!("${{{resource}.{attribute}}}"),
        _ => value.to_string(),
    }
}

fn alarm_metrics(written: &Written) -> Vec<Metric> {
    let mut found = Vec::new();
    for (id, properties) in written.of_type(ALARM) {
        let queried = properties["Metrics"].as_array().into_iter().flatten();
        let queried = queried.map(|query| &query["MetricStat"]["Metric"]).filter(|metric| !metric.is_null());
        for metric in queried.chain(properties.get("MetricName").map(|_| properties)) {
            let dimensions = metric["Dimensions"].as_array().into_iter().flatten();
            found.push(Metric {
                by: id.to_owned(),
                namespace: as_sub(&metric["Namespace"]),
                name: as_sub(&metric["MetricName"]),
                dimensions: dimensions.map(|one| (as_sub(&one["Name"]), as_sub(&one["Value"]))).collect(),
            });
        }
    }
    found
}

fn dashboard_metrics(written: &Written) -> Result<Vec<Metric>, String> {
    let mut found = Vec::new();
    for widget in written.widgets()? {
        let title = as_sub(&widget["properties"]["title"]);
        for line in widget["properties"]["metrics"].as_array().into_iter().flatten() {
            let words: Vec<&str> = line.as_array().into_iter().flatten().map_while(Value::as_str).collect();
            found.push(match words.as_slice() {
                [namespace, name, dimensions @ ..] => Metric {
                    by: title.clone(),
                    namespace: (*namespace).to_owned(),
                    name: (*name).to_owned(),
                    dimensions: dimensions
                        .chunks(2)
                        .map(|pair| (pair[0].to_owned(), pair.get(1).copied().unwrap_or_default().to_owned()))
                        .collect(),
                },
                _ => return Err(format!("the widget {title:?} has a curve that is not understood: {line}")),
            });
        }
    }
    Ok(found)
}

fn watched(written: &Written) -> Result<Vec<Metric>, String> {
    Ok([alarm_metrics(written), dashboard_metrics(written)?].concat())
}

/// The names of the metrics that filters make of log lines, in the stack's own namespace.
fn filtered(written: &Written) -> BTreeSet<String> {
    let filters = written.of_type("AWS::Logs::MetricFilter");
    let made = filters.filter_map(|(_, properties)| properties["MetricTransformations"].as_array()).flatten();
    made.filter(|metric| as_sub(&metric["MetricNamespace"]) == OURS)
        .map(|metric| as_sub(&metric["MetricName"]))
        .collect()
}

/// The names of the metrics that the code counts.
fn counted(house: &House) -> BTreeSet<String> {
    let text = house.text(COUNTS);
    let variants = text.split_once("pub enum Count {").map_or("", |(_, after)| after);
    let variants = variants.split_once('}').map_or("", |(variants, _)| variants);
    let variants = variants.lines().filter_map(|line| line.trim().strip_suffix(','));
    let mut names: BTreeSet<String> = variants.map(str::to_owned).collect();
    for (_, text) in house.sources("crates/") {
        let spelled = text.split("metric = \"").skip(1).filter_map(|after| after.split_once('"'));
        names.extend(spelled.map(|(name, _)| name.to_owned()));
    }
    names
}

/// Every metric of ours that is counted is on the dashboard. Every one that is watched or declared is counted.
fn metrics(house: &House) -> Result<Complaints, String> {
    let written = Written::of(house)?;
    let (counted, filtered) = (counted(house), filtered(&written));
    let mut found = Vec::new();
    for name in counted.union(&filtered) {
        let shown = dashboard_metrics(&written)?;
        if !shown.iter().any(|metric| metric.namespace == OURS && metric.name == *name) {
            found.push(format!(
                "{TEMPLATE}: {name} is counted and not on the dashboard: add a curve to OrderDashboard"
            ));
        }
        let variant = format!("Count::{name}");
        let spelled = format!("metric = \"{name}\"");
        let by = |(path, text): (&str, &str)| {
            (path != COUNTS && text.contains(&variant)) || text.contains(&spelled)
        };
        if !filtered.contains(name) && !house.sources("crates/").any(by) {
            found.push(format!("{COUNTS}: {name} is declared and nothing counts it: count it, or remove it"));
        }
    }
    for metric in watched(&written)?.iter().filter(|metric| metric.namespace == OURS) {
        if !counted.contains(&metric.name) && !filtered.contains(&metric.name) {
            found.push(format!("{TEMPLATE}: {} watches {}, which nothing counts", metric.by, metric.name));
        }
        // Our metrics have no dimension: with one, it would be another metric.
        if !metric.dimensions.is_empty() {
            found.push(format!("{TEMPLATE}: {} gives {} dimensions: remove them", metric.by, metric.name));
        }
    }
    for function in house.template()?.functions {
        let namespace = function.environment.get("METRICS_NAMESPACE").map(String::as_str);
        if namespace != Some(local::ground::ACCOUNT.stack_name) {
            let id = function.logical_id;
            found.push(format!("{TEMPLATE}: {id} counts in the namespace {namespace:?}, not in the stack's"));
        }
    }
    Ok(found)
}

/// Every metric of AWS that is watched exists, with these dimensions.
fn metrics_of_aws(house: &House) -> Result<Complaints, String> {
    let written = Written::of(house)?;
    let known = |metric: &Metric| {
        OF_AWS.iter().any(|(namespace, names, dimensions)| {
            *namespace == metric.namespace
                && names.contains(&metric.name.as_str())
                && dimensions.contains(&metric.keys().as_slice())
        })
    };
    let watched = watched(&written)?;
    let unknown = watched.iter().filter(|metric| metric.namespace != OURS && !known(metric));
    let mut found: Complaints = unknown
        .map(|metric| {
            format!(
                "{TEMPLATE}: {} watches {} {} by {:?}, which AWS does not measure",
                metric.by,
                metric.namespace,
                metric.name,
                metric.keys()
            )
        })
        .collect();
    for metric in &watched {
        for (key, value) in &metric.dimensions {
            let Some((_, of_type, form)) = OF_RESOURCES.iter().find(|(name, ..)| name == key) else {
                continue;
            };
            let (before, after) = form.split_at("${".len());
            if !written.of_type(of_type).any(|(id, _)| *value == format!("{before}{id}{after}")) {
                found.push(format!(
                    "{TEMPLATE}: {} gives {} the {key} {value}: no {of_type} is called so",
                    metric.by, metric.name
                ));
            }
        }
    }
    for (id, properties) in written.of_type("AWS::Serverless::StateMachine") {
        if properties["Type"] != "EXPRESS" {
            found.push(format!("{TEMPLATE}: {id} is no Express workflow: its alarms must watch the throttling of its transitions"));
        }
    }
    Ok(found)
}

/// Every alarm tells the operators, names its section of the runbook, and can be evaluated.
fn alarms(house: &House) -> Result<Complaints, String> {
    let written = Written::of(house)?;
    let mut found = Vec::new();
    let topic = "${OperationsTopic}";
    for (id, properties) in written.of_type(ALARM) {
        let description = as_sub(&properties["AlarmDescription"]);
        if !description.ends_with(&format!(" {RUNBOOK}, {id}.")) {
            found
                .push(format!("{TEMPLATE}: the AlarmDescription of {id} must end with \"{RUNBOOK}, {id}.\""));
        }
        for actions in ["AlarmActions", "OKActions"] {
            let told = properties[actions].as_array().into_iter().flatten().map(as_sub);
            if told.collect::<Vec<_>>() != [topic] {
                found.push(format!("{TEMPLATE}: the {actions} of {id} do not tell OperationsTopic"));
            }
        }
        if properties["TreatMissingData"].is_null() {
            found.push(format!("{TEMPLATE}: {id} does not say what silence means: set TreatMissingData"));
        }
        let queries = properties["Metrics"].as_array().map_or(0, |queries| queries.len().saturating_sub(1));
        if queries > MOST_METRICS {
            found.push(format!(
                "{TEMPLATE}: {id} adds up {queries} metrics, and CloudWatch takes {MOST_METRICS} in one alarm: move \
                 some to a second alarm"
            ));
        }
    }
    Ok(found)
}

/// The runbook's sections, by their headings.
fn sections(house: &House) -> BTreeMap<&str, &str> {
    let sections = house.text(RUNBOOK).split("\n## ").skip(1);
    sections.filter_map(|section| section.split_once('\n')).collect()
}

/// Each alarm has a section that answers every question, and each section is about an alarm that exists.
fn runbook(house: &House) -> Result<Complaints, String> {
    let written = Written::of(house)?;
    let sections = sections(house);
    let mut found = Vec::new();
    for (id, _) in written.of_type(ALARM) {
        let Some(section) = sections.get(id) else {
            found.push(format!("{RUNBOOK} has no section on {id}: write ## {id}"));
            continue;
        };
        let missing = ANSWERS.iter().filter(|answer| !section.contains(*answer));
        found.extend(missing.map(|answer| format!("{RUNBOOK}: the section {id} has no {answer}")));
    }
    for heading in sections.keys().filter(|heading| heading.ends_with("Alarm")) {
        if !written.of_type(ALARM).any(|(id, _)| id == *heading) {
            found.push(format!("{RUNBOOK}: there is no alarm {heading}: remove its section"));
        }
    }
    // The resources that commands and sentences name exist.
    let text = house.text(RUNBOOK);
    let in_commands = text.split("$(name ").skip(1).filter_map(|after| after.split_once(')'));
    let in_sentences = text.split('`').skip(1).step_by(2);
    let resource = |word: &&str| {
        ["Log", "Alarm", "Function", "Role", "Table", "Topic"].iter().any(|end| word.ends_with(end))
            && word.starts_with(char::is_uppercase)
            && word.chars().all(char::is_alphanumeric)
    };
    let named = in_commands.map(|(name, _)| name).chain(in_sentences.filter(resource));
    for name in named.filter(|name| !written.has(name)).collect::<BTreeSet<_>>() {
        found.push(format!("{RUNBOOK} names {name}, which is no resource of {TEMPLATE}"));
    }
    Ok(found)
}

/// The resources that the dashboard names exist. Every alarm, function, table and index is on it, and an alarm watches
/// whether functions, tables and indexes are throttled.
fn dashboard(house: &House) -> Result<Complaints, String> {
    let written = Written::of(house)?;
    let widgets = written.widgets()?;
    let mut found = Vec::new();
    let text = Value::from(widgets.clone()).to_string();
    for after in text.split("${").skip(1) {
        let name = after.split(['}', '.']).next().unwrap_or_default();
        if !name.starts_with("AWS::") && !written.has(name) {
            found.push(format!("{TEMPLATE}: the dashboard names {name}, which is no resource"));
        }
    }
    let of_alarms = widgets.iter().find(|widget| widget["type"] == "alarm");
    let shown = of_alarms.map(|widget| widget["properties"]["alarms"].to_string()).unwrap_or_default();
    for (id, _) in written.of_type(ALARM) {
        if !shown.contains(&format!("${{{id}.Arn}}")) {
            found.push(format!("{TEMPLATE}: {id} is not on the dashboard: add it to the widget of alarms"));
        }
    }
    let global = &written.0["Globals"]["Function"]["MemorySize"];
    for (id, properties) in written.of_type(FUNCTION) {
        let memory = properties.get("MemorySize").unwrap_or(global);
        if !text.contains(&format!("for {memory} MB")) {
            found.push(format!(
                "{TEMPLATE}: {id} has {memory} MB; OrderDashboard must state their price, \"for {memory} MB\""
            ));
        }
    }
    let (on_dashboard, in_alarms) = (dashboard_metrics(&written)?, alarm_metrics(&written));
    let watches = |metrics: &[Metric], name: &str, values: &[String]| {
        let about = |metric: &&Metric| metric.name == name && metric.dimensions.len() == values.len();
        metrics.iter().filter(about).any(|metric| values.iter().all(|value| metric.is_about(value)))
    };
    for (id, _) in written.of_type(FUNCTION) {
        let function = [format!("${{{id}}}")];
        for name in ["Duration", "Errors", "Throttles", "Invocations"] {
            if !watches(&on_dashboard, name, &function) {
                found.push(format!(
                    "{TEMPLATE}: the dashboard does not show {name} of {id}: add a curve to OrderDashboard"
                ));
            }
        }
    }
    if !in_alarms.iter().any(|metric| {
        metric.namespace == "AWS/Lambda" && metric.name == "Throttles" && metric.dimensions.is_empty()
    }) {
        found.push(format!(
            "{TEMPLATE}: no alarm watches whether every function is throttled: one must watch Throttles of AWS/Lambda \
             without a dimension"
        ));
    }
    for (id, properties) in written.of_type(TABLE) {
        let indexes = properties["GlobalSecondaryIndexes"].as_array().into_iter().flatten();
        let indexes = indexes.map(|index| vec![format!("${{{id}}}"), as_sub(&index["IndexName"])]);
        for of in indexes.chain([vec![format!("${{{id}}}")]]) {
            for name in [
                "ReadThrottleEvents",
                "WriteThrottleEvents",
                "ConsumedReadCapacityUnits",
                "ConsumedWriteCapacityUnits",
            ] {
                if !watches(&on_dashboard, name, &of) {
                    found.push(format!("{TEMPLATE}: the dashboard does not show {name} of {of:?}: add a curve to OrderDashboard"));
                }
                if name.contains("Throttle") && !watches(&in_alarms, name, &of) {
                    found.push(format!("{TEMPLATE}: no alarm watches {name} of {of:?}"));
                }
            }
        }
    }
    Ok(found)
}

#[test]
fn every_metric_that_is_counted_is_shown_and_every_one_that_is_watched_is_counted() {
    assert_sound(&complaints(metrics(&HOUSE)));
    assert_sound(&complaints(metrics_of_aws(&HOUSE)));
}

#[test]
fn a_metric_that_is_not_shown_or_not_counted_is_named() {
    let house = |from, to| HOUSE.broken(TEMPLATE, from, to);
    let unshown =
        house(r#"["${AWS::StackName}", "OrdersSwept", {"label": "orders resumed by the sweeper"}],"#, "");
    assert_blamed(&complaints(metrics(&unshown)), &["OrdersSwept", "not on the dashboard"]);
    let unspelled = house(r#""ContentionRetries""#, r#""ContentionRetrys""#);
    assert_blamed(&complaints(metrics(&unspelled)), &["ContentionRetries", "not on the dashboard"]);
    assert_blamed(&complaints(metrics(&unspelled)), &["Tried again", "ContentionRetrys", "nothing counts"]);
    let misheard = house("MetricName: OrdersGivenUp", "MetricName: OrdersLost");
    assert_blamed(&complaints(metrics(&misheard)), &["OrdersGivenUpAlarm", "OrdersLost"]);
    let sized = house(
        "MetricName: EmailsUnavailable",
        "MetricName: EmailsUnavailable\n      Dimensions: [{ Name: Shop, Value: one }]",
    );
    assert_blamed(&complaints(metrics(&sized)), &["EmailsUnavailableAlarm", "dimensions"]);
    let elsewhere = house("METRICS_NAMESPACE: !Ref AWS::StackName", "METRICS_NAMESPACE: orders");
    assert_blamed(&complaints(metrics(&elsewhere)), &["CreateUserFunction", "orders"]);
    let unfiltered = house("MetricName: RequestsThrottled", "MetricName: RequestsRefused");
    assert_blamed(
        &complaints(metrics(&unfiltered)),
        &["Requests watches RequestsThrottled", "nothing counts"],
    );
    assert_blamed(&complaints(metrics(&unfiltered)), &["RequestsRefused", "not on the dashboard"]);
    let declared = HOUSE.broken(COUNTS, "    OrdersPlaced,\n", "    OrdersPlaced,\n    OrdersPaid,\n");
    assert_blamed(&complaints(metrics(&declared)), &["OrdersPaid", "not on the dashboard"]);
    assert_blamed(&complaints(metrics(&declared)), &["OrdersPaid", "nothing counts"]);
    let new =
        HOUSE.with("crates/query/src/new.rs", r#"tracing::info!(metric = "Questions", value = 1_u64);"#);
    assert_blamed(&complaints(metrics(&new)), &["Questions", "not on the dashboard"]);
}

#[test]
fn a_metric_that_aws_does_not_measure_is_named() {
    let house = |from, to| HOUSE.broken(TEMPLATE, from, to);
    let rest = house("MetricName: 5xx", "MetricName: 5XXError");
    assert_blamed(&complaints(metrics_of_aws(&rest)), &["ServerErrorsAlarm", "5XXError"]);
    let named = house("Dimensions: [{ Name: ApiId, Value", "Dimensions: [{ Name: ApiName, Value");
    assert_blamed(&complaints(metrics_of_aws(&named)), &["ServerErrorsAlarm", "ApiName"]);
    let widget = house(r#""AWS/States", "ExecutionTime""#, r#""AWS/StepFunctions", "ExecutionTime""#);
    assert_blamed(&complaints(metrics_of_aws(&widget)), &["Execution time in ms", "AWS/StepFunctions"]);
    let searched = house("NumberOfNotificationsFailed", "NumberOfMessagesFailed");
    assert_blamed(
        &complaints(metrics_of_aws(&searched)),
        &["Messages to the shop", "NumberOfMessagesFailed"],
    );
    // An Express workflow has no such metrics.
    for gone in ["ExecutionThrottled", "ExecutionsAborted"] {
        let renamed = format!("MetricName: {gone}");
        let express = HOUSE.broken(TEMPLATE, "MetricName: ExecutionsTimedOut", &renamed);
        assert_blamed(&complaints(metrics_of_aws(&express)), &["FailedExecutionsAlarm", gone]);
    }
    let standard = house("      Type: EXPRESS", "      Type: STANDARD");
    assert_blamed(&complaints(metrics_of_aws(&standard)), &["OrderStateMachine", "no Express workflow"]);
    let of_another =
        HOUSE.broken_after(TEMPLATE, "SweepStoppedAlarm:", "!Ref SweepOrdersFunction", "!Ref OrdersTable");
    assert_blamed(
        &complaints(metrics_of_aws(&of_another)),
        &["SweepStoppedAlarm", "FunctionName", "OrdersTable"],
    );
    let unread = house(r#"["${AWS::StackName}", "EmailsWaiting","#, r#"["EmailsWaiting"], ["#);
    assert_blamed(&complaints(metrics_of_aws(&unread)), &["Mails to customers", "not understood"]);
}

#[test]
fn every_alarm_tells_the_operators_and_has_a_section_in_the_runbook() {
    assert_sound(&complaints(alarms(&HOUSE)));
    assert_sound(&complaints(runbook(&HOUSE)));
}

#[test]
fn an_alarm_that_tells_no_operator_or_has_no_instructions_is_named() {
    let after = |id, from, to| HOUSE.broken_after(TEMPLATE, id, from, to);
    let deaf =
        after("LatencyAlarm:", "AlarmActions: [!Ref OperationsTopic]", "AlarmActions: [!Ref OrderTopic]");
    assert_blamed(&complaints(alarms(&deaf)), &["AlarmActions", "LatencyAlarm"]);
    let endless = after("SweepStoppedAlarm:", "      OKActions: [!Ref OperationsTopic]\n", "");
    assert_blamed(&complaints(alarms(&endless)), &["OKActions", "SweepStoppedAlarm"]);
    let unsaid = after("DeadLettersAlarm:", "      TreatMissingData: notBreaching\n", "");
    assert_blamed(&complaints(alarms(&unsaid)), &["DeadLettersAlarm", "silence"]);
    let lost = after("StockThrottledAlarm:", "docs/runbook.md, StockThrottledAlarm.", "Good luck.");
    assert_blamed(&complaints(alarms(&lost)), &["StockThrottledAlarm", RUNBOOK]);
    let eleventh = after(
        "OrdersThrottledAlarm:",
        "        - Id: orders_reads\n",
        "        - Id: ninth\n        - Id: tenth\n        - Id: eleventh\n        - Id: orders_reads\n",
    );
    assert_blamed(&complaints(alarms(&eleventh)), &["OrdersThrottledAlarm", "11 metrics", "a second alarm"]);
    let text = |from, to| HOUSE.broken(RUNBOOK, from, to);
    assert_blamed(
        &complaints(runbook(&text("## LatencyAlarm", "## SlowAlarm"))),
        &["no section on LatencyAlarm"],
    );
    assert_blamed(&complaints(runbook(&text("## LatencyAlarm", "## SlowAlarm"))), &["no alarm SlowAlarm"]);
    let mute = HOUSE.broken_after(RUNBOOK, "## DeadLettersAlarm", "**Mend:**", "**And:**");
    assert_blamed(&complaints(runbook(&mute)), &["DeadLettersAlarm", "**Mend:**"]);
    assert_blamed(&complaints(runbook(&text("$(name DeadLetters)", "$(name Letters)"))), &["names Letters"]);
    assert_blamed(&complaints(runbook(&text("`SweepOrdersLog`", "`SweeperLog`"))), &["names SweeperLog"]);
}

#[test]
fn the_dashboard_shows_every_part() {
    assert_sound(&complaints(dashboard(&HOUSE)));
}

#[test]
fn a_part_that_the_dashboard_lacks_or_that_does_not_exist_is_named() {
    let after = |anchor, from, to| HOUSE.broken_after(TEMPLATE, anchor, from, to);
    let made_up = after("OrderDashboard:", "${DeadLetters.QueueName}", "${Letters.QueueName}");
    assert_blamed(&complaints(dashboard(&made_up)), &["dashboard names Letters"]);
    assert_blamed(&complaints(metrics(&made_up)), &["OrderDashboard", "Letters"]);
    let unseen = after("OrderDashboard:", "\"${LatencyAlarm.Arn}\",", "");
    assert_blamed(&complaints(dashboard(&unseen)), &["LatencyAlarm is not on the dashboard"]);
    let errors = "\"Functions: errors\"";
    let unwatched = after(errors, "${QueryFunction}", "${CreateUserFunction}");
    assert_blamed(&complaints(dashboard(&unwatched)), &["Errors of QueryFunction"]);
    let of_one =
        "MetricName: Throttles\n      Dimensions: [{ Name: FunctionName, Value: !Ref QueryFunction }]";
    for other in ["MetricName: Errors", of_one] {
        let unalarmed = after("FunctionsThrottledAlarm:", "MetricName: Throttles", other);
        assert_blamed(&complaints(dashboard(&unalarmed)), &["no alarm", "every function is throttled"]);
    }
    let index = after("\"Throttled writes\"", "\"by_due\"", "\"by_user\"");
    assert_blamed(&complaints(dashboard(&index)), &["WriteThrottleEvents", "by_due"]);
    let table = after("StockThrottledAlarm:", "!Ref UsersTable", "!Ref OrdersTable");
    assert_blamed(&complaints(dashboard(&table)), &["no alarm", "ReadThrottleEvents", "UsersTable"]);
    let grown = HOUSE.broken(TEMPLATE, "    MemorySize: 256", "    MemorySize: 512");
    assert_blamed(&complaints(dashboard(&grown)), &["512 MB", "QueryFunction"]);
    let torn = after("OrderDashboard:", "{\"widgets\": [", "{\"widgets\": ");
    assert_blamed(&complaints(dashboard(&torn)), &["OrderDashboard"]);
}
