//! The tables of `orderflow cost`: findings times prices. Nothing here runs anything.

use std::time::Duration;

use local::{
    assumptions::{ASSUMPTIONS, Assumption, KEY_REQUESTS, MONTH},
    prices::{
        ALARM_METRIC, DASHBOARD, Dollars, KEY, KEY_REQUEST, LOG_STORAGE, OWN_METRIC, PRICES, Price, REGION,
        REST_API, SES_MAIL, SES_MAIL_A_LA_CARTE, SNS_REQUEST, STANDARD_TRANSITION, TABLE_RECOVERY,
        TABLE_STORAGE,
    },
};
use sam_template::Standing;

use super::{
    grid::Grid,
    scenarios::Findings,
    usage::{Bill, Usage},
};

const MILLION: u64 = 1_000_000;

/// Every table, in the order in which they are printed.
pub(super) fn all(found: &Findings, standing: Standing) -> Vec<Grid> {
    vec![
        dollars(found),
        usage(found),
        instead(found.order()),
        at_rest(found, standing),
        besides(found.metrics),
        assumptions(),
        prices(),
    ]
}

fn million(dollars: Dollars) -> String {
    dollars.times(MILLION).shown()
}

fn dollars(found: &Findings) -> Grid {
    let row = |(what, usage): &(String, Usage)| {
        let bill = usage.bill();
        let Bill { api, functions, workflow, tables, sns, logs, traces, .. } = bill;
        let columns = [api, functions, workflow, tables, sns, logs, traces, bill.together()];
        [what.clone()].into_iter().chain(columns.map(million)).collect()
    };
    Grid {
        name: "dollars",
        title: format!("Dollars for a million of each, at AWS's prices in {REGION} without free tiers:"),
        head: vec![
            "one of",
            "API",
            "Lambda",
            "Step Functions",
            "DynamoDB",
            "SNS",
            "logs",
            "X-Ray",
            "together",
        ],
        rows: found.rows.iter().map(row).collect(),
    }
}

fn usage(found: &Findings) -> Grid {
    let row = |(what, usage): &(String, Usage)| {
        let counts =
            [usage.requests, usage.invocations, usage.function_ms, usage.execution_ms, usage.transitions];
        let mut cells = vec![what.clone()];
        cells.extend(counts.map(|count| count.to_string()));
        cells.extend([usage.units.write(), usage.units.read()]);
        cells.extend(
            [usage.sns_calls, usage.mails, usage.traces, usage.log_bytes()].map(|count| count.to_string()),
        );
        cells
    };
    Grid {
        name: "usage",
        title: "What one of each uses, counted in a run in memory; the times rest on the assumptions below:"
            .to_owned(),
        head: vec![
            "one of",
            "requests",
            "invocations",
            "Lambda ms",
            "workflow ms",
            "states",
            "write units",
            "read units",
            "calls of SNS",
            "mails",
            "traces",
            "log bytes",
        ],
        rows: found.rows.iter().map(row).collect(),
    }
}

/// What an order of one line would cost otherwise.
fn instead(order: Usage) -> Grid {
    let bill = order.bill();
    let with = |change: &dyn Fn(&mut Bill)| {
        let mut changed = bill;
        change(&mut changed);
        changed.together()
    };
    let mails_through = |price: Dollars| {
        // SNS keeps what the shop is told.
        with(&|bill| bill.sns = SNS_REQUEST.of(order.sns_calls.saturating_sub(order.mails)) + price)
    };
    let mails = order.mails;
    let key_requests = KEY_REQUEST.of(mails * KEY_REQUESTS.value);
    let other_processor =
        Usage { arm_mb_ms: order.x86_mb_ms, x86_mb_ms: order.arm_mb_ms, ..order }.bill().together();
    let rows = [
        ("as the template has it", bill.together()),
        (
            "a Standard workflow, billed by transitions",
            with(&|bill| bill.workflow = STANDARD_TRANSITION.of(order.transitions)),
        ),
        ("a REST API", with(&|bill| bill.api = REST_API.of(order.requests) + order.data_out())),
        ("SES for mails, in an account that is new to it", mails_through(SES_MAIL.of(mails))),
        ("SES for mails, in an older account", mails_through(SES_MAIL_A_LA_CARTE.of(mails))),
        (if order.x86_mb_ms == 0 { "functions on x86_64" } else { "functions on arm64" }, other_processor),
        ("a key for customers' topics (CustomerTopicKey)", bill.together() + key_requests),
        ("no tracing", with(&|bill| bill.traces = Dollars::default())),
    ];
    let row = |(what, dollars): (&str, Dollars)| {
        vec![what.to_owned(), million(dollars), more(dollars.times(MILLION), bill.together().times(MILLION))]
    };
    Grid {
        name: "instead",
        title: "Dollars for a million orders of 1 line, built otherwise:".to_owned(),
        head: vec!["with", "dollars", "more"],
        rows: rows.into_iter().map(row).collect(),
    }
}

/// The difference of two amounts, with its sign.
fn more(this: Dollars, than: Dollars) -> String {
    match this.difference(than) {
        (_, difference) if difference == Dollars::default() => "0.00".to_owned(),
        (true, difference) => format!("-{}", difference.shown()),
        (false, difference) => format!("+{}", difference.shown()),
    }
}

fn at_rest(found: &Findings, standing: Standing) -> Grid {
    let mut lines: Vec<(String, u64, Dollars)> = Vec::new();
    let month = Duration::from_secs(MONTH.value * 24 * 60 * 60);
    for (schedule, usage) in &found.idle {
        let runs = u64::try_from(month.as_nanos() / schedule.every.as_nanos().max(1)).unwrap_or(0);
        let bill = usage.bill();
        let name = &schedule.function;
        for (what, count, dollars) in [
            ("scheduled runs", usage.scheduled, bill.scheduler),
            ("invocations, with their time", usage.invocations, bill.functions),
            ("traces", usage.traces, bill.traces),
            ("log bytes", usage.log_bytes(), bill.logs),
        ] {
            lines.push((format!("{name}: {what}"), count * runs, dollars.times(runs)));
        }
        let units = (usage.units.read_tenths + usage.units.write_tenths) * runs / 10;
        lines.push((format!("{name}: units of DynamoDB"), units, bill.tables.times(runs)));
        let other = bill.api + bill.workflow + bill.sns;
        if other > Dollars::default() {
            lines.push((format!("{name}: its workflow and mails"), runs, other.times(runs)));
        }
    }
    for (what, count, price) in [
        ("metrics that alarms watch", standing.alarm_metrics, ALARM_METRIC),
        ("dashboards", standing.dashboards, DASHBOARD),
        ("KMS keys", standing.keys, KEY),
    ] {
        lines.push((what.to_owned(), count, price.of(count)));
    }
    let together: Dollars = lines.iter().map(|(_, _, dollars)| *dollars).sum();
    let mut rows: Vec<Vec<String>> = lines
        .into_iter()
        .map(|(what, count, dollars)| vec![what, count.to_string(), dollars.shown()])
        .collect();
    rows.push(vec!["together".to_owned(), String::new(), together.shown()]);
    Grid {
        name: "rest",
        title: format!("Dollars for a month of {} days without a customer:", MONTH.value),
        head: vec!["what", "how many", "dollars"],
        rows,
    }
}

/// The costs of a month that come with use.
fn besides(metrics: u64) -> Grid {
    let row = |what: String, dollars: Dollars| vec![what, dollars.shown()];
    Grid {
        name: "besides",
        title: "Dollars for a month that depend on use:".to_owned(),
        head: vec!["what", "dollars"],
        rows: vec![
            row(
                format!("the {metrics} metrics that the functions count for the orders above"),
                OWN_METRIC.of(metrics),
            ),
            row("the first yearly rotation of a KMS key, and the second as much again".to_owned(), KEY.of(1)),
            row("a GB in the tables".to_owned(), TABLE_STORAGE.of(1)),
            row("a GB's point-in-time recovery".to_owned(), TABLE_RECOVERY.of(1)),
            row("a GB of stored log lines".to_owned(), LOG_STORAGE.of(1)),
        ],
    }
}

fn assumptions() -> Grid {
    let row = |one: &&Assumption| {
        vec![one.what.to_owned(), format!("{} {}", one.value, one.unit), one.reason.to_owned()]
    };
    Grid {
        name: "assumptions",
        title: "Assumptions, which no local run can measure:".to_owned(),
        head: vec!["what", "figure", "why"],
        rows: ASSUMPTIONS.iter().map(row).collect(),
    }
}

fn prices() -> Grid {
    let row = |price: &&Price| {
        let dated = if price.dated.is_empty() { "no date" } else { price.dated };
        [price.service, price.unit, &price.shown(), price.read, dated, price.page].map(str::to_owned).to_vec()
    };
    Grid {
        name: "prices",
        title: format!("Prices in {REGION}:"),
        head: vec!["service", "for", "dollars", "read on", "date of the page", "page"],
        rows: PRICES.iter().map(row).collect(),
    }
}
