//! The runbook's queries against the logs. A query for a field that no log line has finds nothing, and an operator would
//! find that out at night.

use std::collections::{BTreeMap, BTreeSet};

use local::aws::Fault;
use serde_json::Value;
use tracing_subscriber::layer::SubscriberExt as _;

use super::{
    Complaints, HOUSE, House, TEMPLATE, assert_blamed, assert_sound, complaints, day,
    watching::{RUNBOOK, Written, as_sub},
};
use crate::world::{Lines, Shop, listen};

const LOG_GROUP: &str = "AWS::Logs::LogGroup";

/// The fields of each line of the workflow's log. Source: AWS Step Functions developer guide, "Using CloudWatch Logs to log
/// execution history". `details` is left out: without execution data there is little in it.
const OF_THE_WORKFLOW: [&str; 5] = ["id", "type", "previous_event_id", "event_timestamp", "execution_arn"];

/// The fields that Logs Insights adds to every line, or finds in Lambda's own lines. Source: Amazon `CloudWatch` Logs user guide,
/// "Supported logs and discovered fields".
const OF_INSIGHTS: [&str; 8] =
    ["@timestamp", "@message", "@log", "@logStream", "@type", "@duration", "@initDuration", "@maxMemoryUsed"];

/// Words of the query language that are not fields.
const LANGUAGE: [&str; 23] = [
    "filter", "fields", "stats", "sort", "limit", "parse", "display", "by", "as", "and", "or", "not", "in",
    "like", "asc", "desc", "count", "sum", "max", "min", "pct", "bin", "latest",
];

/// The fields of log lines, by path, with the texts that they had.
type LogFields = BTreeMap<String, BTreeSet<String>>;

/// The log lines of all functions on a day in the shop on which calls fail.
async fn logged() -> LogFields {
    let lines = Lines::default();
    let to = lines.clone();
    let layer = lambda_shell::log_lines(move || to.clone());
    let filter = lambda_shell::log_filter(tracing::Level::INFO);
    let guard = listen(tracing_subscriber::registry().with(layer).with(filter));
    let shop = Shop::open().await;
    day::of_a_shop(&shop).await;
    let bob = shop.customer("Carol").await;
    // A transaction conflicts, a mail cannot be sent, and a sweep finishes nothing.
    let mut held = false;
    shop.stack.faults().plant(move |call| match call.operation.as_str() {
        "TransactWriteItems" if !held => {
            held = true;
            Some(Fault::Conflict)
        }
        "Publish" => Some(Fault::Before),
        _ => None,
    });
    assert_eq!(shop.place(&bob, "held", &[("TEA-1", 1)]).await.status, 201);
    shop.stack.faults().plant(|call| (call.caller == "UpdateOrderStatusFunction").then_some(Fault::Before));
    shop.sweep_after(std::time::Duration::from_secs(61)).await;
    // SNS refuses a publish for want of a permission, and Step Functions a start.
    let mut refused = false;
    shop.stack.faults().plant(move |call| match call.operation.as_str() {
        "StartSyncExecution" if !refused => {
            refused = true;
            Some(Fault::Throttle)
        }
        "Publish" => Some(Fault::Refuse("AuthorizationError")),
        _ => None,
    });
    assert_eq!(shop.place(&bob, "refused", &[("TEA-1", 1)]).await.status, 201);
    shop.stack.faults().clear();
    drop(guard);
    let text = lines.text();
    let mut fields = LogFields::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).expect("a log line is JSON");
        collect(&line, "", &mut fields);
    }
    fields
}

fn collect(value: &Value, path: &str, fields: &mut LogFields) {
    if let Some(map) = value.as_object() {
        for (key, value) in map {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            collect(value, &path, fields);
        }
        return;
    }
    let seen = fields.entry(path.to_owned()).or_default();
    if let Some(text) = value.as_str() {
        seen.insert(text.to_owned());
    }
}

/// The fields of the API's access log.
fn access_log(written: &Written) -> Result<LogFields, String> {
    let (id, api) = written.of_type("AWS::Serverless::HttpApi").next().ok_or("there is no API")?;
    let format = as_sub(&api["AccessLogSettings"]["Format"]);
    let line =
        serde_json::from_str(&format).map_err(|fault| format!("{id}: the access log's format: {fault}"))?;
    let mut fields = LogFields::new();
    collect(&line, "", &mut fields);
    Ok(fields)
}

/// The runbook's queries: the log that each is for, and its text.
fn queries(house: &House) -> Vec<(&str, &str)> {
    let blocks = house.text(RUNBOOK).split("```").skip(1).step_by(2);
    let queries = blocks.filter_map(|block| block.strip_prefix("insights"));
    queries.filter_map(|block| block.split_once('\n')).map(|(of, query)| (of.trim(), query)).collect()
}

/// A query without its quoted texts and patterns, and the texts that it compares fields with.
fn read(query: &str) -> (String, Vec<(String, String)>) {
    let mut bare = String::new();
    let mut compared = Vec::new();
    let mut rest = query;
    while let Some(at) = rest.find(['"', '/']) {
        let (before, quoted) = rest.split_at(at);
        let quote = if quoted.starts_with('"') { '"' } else { '/' };
        let (text, after) = quoted[1..].split_once(quote).unwrap_or((&quoted[1..], ""));
        bare.push_str(before);
        if let Some(field) = before.trim_end().strip_suffix('=').filter(|_| quote == '"') {
            let field = field.split_whitespace().next_back().unwrap_or_default();
            compared.push((field.to_owned(), text.to_owned()));
        }
        rest = after;
    }
    (bare + rest, compared)
}

/// Every field that a query names is in the log that it is for, and every text that it looks for is logged.
fn fields(house: &House, logged: &LogFields) -> Result<Complaints, String> {
    let written = Written::of(house)?;
    let access = access_log(&written)?;
    let workflow: LogFields =
        OF_THE_WORKFLOW.iter().map(|field| ((*field).to_owned(), BTreeSet::new())).collect();
    let mut found = Vec::new();
    for (of, query) in queries(house) {
        let (known, seen) = match of {
            "functions" => (logged, true),
            "ApiAccessLog" => (&access, false),
            "OrderWorkflowLog" => (&workflow, false),
            _ => {
                found.push(format!("{RUNBOOK}: a query is for {of:?}, which is no log: functions, ApiAccessLog or OrderWorkflowLog"));
                continue;
            }
        };
        if of != "functions" && !written.of_type(LOG_GROUP).any(|(id, _)| id == of) {
            found.push(format!("{RUNBOOK}: a query is for {of}, which is no log group of {TEMPLATE}"));
        }
        let (bare, compared) = read(query);
        let words = bare.split(|at: char| !(at.is_alphanumeric() || "@._".contains(at)));
        let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        // Words after `as` are names that the query gives. There may be several.
        let mut given = BTreeSet::new();
        for line in bare.lines() {
            let mut after_as = false;
            for word in line.split(|at: char| at.is_whitespace() || at == ',').filter(|word| !word.is_empty())
            {
                if after_as {
                    given.insert(word);
                }
                after_as = word == "as" || (after_as && line.trim_start().starts_with("| parse"));
            }
        }
        for word in words {
            let number = word.starts_with(char::is_numeric);
            let known = known.contains_key(word) || OF_INSIGHTS.contains(&word);
            if !number && !known && !LANGUAGE.contains(&word) && !given.contains(word) {
                found.push(format!(
                    "{RUNBOOK}: a query for {of} names {word}, and no line of that log has it"
                ));
            }
        }
        for (field, text) in compared {
            let placeholder = text.ends_with("-ID");
            let there = known.get(&field).is_some_and(|texts| texts.contains(&text));
            if seen && known.contains_key(&field) && !placeholder && !there {
                found.push(format!("{RUNBOOK}: a query looks for {field} = {text:?}, which is never logged"));
            }
        }
    }
    if queries(house).is_empty() {
        found.push(format!("{RUNBOOK} has no query"));
    }
    Ok(found)
}

#[tokio::test(start_paused = true)]
async fn the_runbooks_queries_name_what_is_logged() {
    let logged = logged().await;
    assert_sound(&complaints(fields(&HOUSE, &logged)));
    let text = |from, to| complaints(fields(&HOUSE.broken(RUNBOOK, from, to), &logged));
    assert_blamed(&text("by @log, code, message", "by @log, kode, message"), &["functions", "kode"]);
    assert_blamed(&text("span.request_id\n", "request_id\n"), &["functions", "request_id"]);
    assert_blamed(&text("level = \"ERROR\" or", "level = \"error\" or"), &["level = \"error\""]);
    assert_blamed(&text("message = \"swept\"", "message = \"swepped\""), &["swepped"]);
    assert_blamed(&text("metric = \"ContentionRetries\"", "metric = \"Retries\""), &["Retries"]);
    assert_blamed(&text("count(@initDuration)", "count(@coldStart)"), &["@coldStart"]);
    assert_blamed(
        &text("by route, status, integration_status", "by path, status, integration_status"),
        &["path"],
    );
    assert_blamed(&text("by type, order\n", "by type, customer\n"), &["OrderWorkflowLog", "customer"]);
    assert_blamed(&text("insights OrderWorkflowLog", "insights WorkflowLog"), &["WorkflowLog"]);
    let renamed = HOUSE.broken(TEMPLATE, "\"integration_error\":", "\"failure\":");
    assert_blamed(&complaints(fields(&renamed, &logged)), &["ApiAccessLog", "integration_error"]);
    assert_blamed(&complaints(fields(&HOUSE.with(RUNBOOK, ""), &logged)), &["no query"]);
}
