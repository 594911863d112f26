//! AWS's prices, each with the day on which it was read and the page. Nothing here counts anything.
//!
//! Prices are public ones of [`REGION`], of the first tier and without free tiers. To update one, change its figure, its
//! dates and its page here, then run `cargo run -- cost --write docs/costs.md`.

use std::{iter::Sum, ops::Add};

/// The region of the prices.
pub const REGION: &str = "us-east-1";

/// The bytes of a gigabyte, as AWS counts them.
pub const GIGABYTE: u64 = 1 << 30;

/// A price of AWS.
#[derive(Clone, Copy, Debug)]
pub struct Price {
    /// The service that bills it.
    pub service: &'static str,
    /// Picodollars (10^-12 dollars) for one unit.
    pub picodollars: u64,
    /// The unit as people quote it, such as `a million requests`.
    pub unit: &'static str,
    /// How many units that is.
    pub quoted: u64,
    /// The day on which the price was read, as `YYYY-MM-DD`.
    pub read: &'static str,
    /// The page on which it was read.
    pub page: &'static str,
    /// The date on that page, as far as it says; empty if it has none.
    pub dated: &'static str,
}

/// An amount of money, in picodollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[must_use]
pub struct Dollars(u128);

impl Price {
    /// The price of `count` units.
    pub fn of(&self, count: u64) -> Dollars {
        self.of_part(count, 1)
    }

    /// The price of `count` of the parts of which `parts` make one unit.
    pub fn of_part(&self, count: u64, parts: u64) -> Dollars {
        Dollars((u128::from(self.picodollars) * u128::from(count)).div_ceil(u128::from(parts)))
    }

    /// The price of a unit as people quote it, such as `0.0000133334`.
    pub fn shown(&self) -> String {
        let picodollars = u128::from(self.picodollars) * u128::from(self.quoted);
        let all = format!("{}.{:012}", picodollars / PER_DOLLAR, picodollars % PER_DOLLAR);
        let short = all.trim_end_matches('0');
        let decimals = short.len() - all.find('.').unwrap_or(0) - 1;
        format!("{short}{}", &"00"[decimals.min(2)..])
    }
}

const PER_DOLLAR: u128 = 1_000_000_000_000;

impl Dollars {
    /// This many times the amount.
    pub fn times(self, count: u64) -> Self {
        Self(self.0 * u128::from(count))
    }

    /// Whether this is less than `other`, and by how much they differ.
    pub fn difference(self, other: Self) -> (bool, Self) {
        (self < other, Self(self.0.abs_diff(other.0)))
    }

    /// The amount in dollars and cents, rounded to the nearest cent.
    pub fn shown(self) -> String {
        let cents = (self.0 + PER_DOLLAR / 200) / (PER_DOLLAR / 100);
        format!("{}.{:02}", cents / 100, cents % 100)
    }
}

impl Add for Dollars {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sum for Dollars {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::default(), Add::add)
    }
}

/// The day on which all prices below were read.
const READ: &str = "2026-11-26";
const MILLION: u64 = 1_000_000;

const API_PAGE: &str = "https://docs.aws.amazon.com/whitepapers/latest/best-practices-api-gateway-private-apis-integration/cost-optimization.html";
const LAMBDA_PAGE: &str = "https://cloudchipr.com/blog/aws-lambda-pricing";
const STATES_BLOG: &str =
    "https://aws.amazon.com/blogs/compute/building-cost-effective-aws-step-functions-workflows/";
const SNS_PAGE: &str = "https://www.factualminds.com/blog/amazon-sns-pricing-publishes-fanout-protocols/";
const SES_PAGE: &str =
    "https://github.com/api-evangelist/amazon-ses/blob/main/plans/amazon-ses-plans-pricing.yml";
const DYNAMODB_PAGE: &str = "https://airbyte.com/data-engineering-resources/dynamodb-pricing";
const CLOUDWATCH_PAGE: &str =
    "https://www.factualminds.com/blog/amazon-cloudwatch-pricing-metrics-logs-alarms-dashboards/";

/// A request to an HTTP API, of up to 512 KB.
pub const HTTP_API: Price = Price {
    service: "API Gateway",
    picodollars: 1_000_000,
    unit: "a million requests to an HTTP API",
    quoted: MILLION,
    read: READ,
    page: API_PAGE,
    dated: "",
};

/// A request to a REST API.
pub const REST_API: Price =
    Price { picodollars: 3_500_000, unit: "a million requests to a REST API", ..HTTP_API };

/// A GB of answers that leaves AWS.
pub const DATA_OUT: Price = Price {
    service: "data transfer",
    picodollars: 90_000_000_000,
    unit: "a GB to the internet",
    quoted: 1,
    read: READ,
    page: "https://www.apigatewaycost.com/aws",
    dated: "",
};

/// An invocation of a function.
pub const LAMBDA_REQUEST: Price = Price {
    service: "Lambda",
    picodollars: 200_000,
    unit: "a million invocations",
    quoted: MILLION,
    read: READ,
    page: LAMBDA_PAGE,
    dated: "2024",
};

/// A second of a function with 1 GB on arm64.
pub const LAMBDA_ARM: Price =
    Price { picodollars: 13_333_400, unit: "a GB-second on arm64", quoted: 1, ..LAMBDA_REQUEST };

/// A second of a function with 1 GB on `x86_64`.
pub const LAMBDA_X86: Price =
    Price { picodollars: 16_666_700, unit: "a GB-second on x86_64", quoted: 1, ..LAMBDA_REQUEST };

/// The start of an Express execution.
pub const EXPRESS_REQUEST: Price = Price {
    service: "Step Functions",
    picodollars: 1_000_000,
    unit: "a million Express executions",
    quoted: MILLION,
    read: READ,
    page: STATES_BLOG,
    dated: "",
};

/// A second of an Express execution with 1 GB. Executions are billed in steps of 100 ms and of 64 MB.
pub const EXPRESS_DURATION: Price = Price {
    picodollars: 16_670_000,
    unit: "a GB-second of Express executions",
    quoted: 1,
    page: "https://www.wring.co/blog/aws-step-functions-pricing-guide",
    dated: "2026-03-14",
    ..EXPRESS_REQUEST
};

/// A state transition of a Standard execution. A retry is one more.
pub const STANDARD_TRANSITION: Price = Price {
    picodollars: 25_000_000,
    unit: "a thousand state transitions of Standard executions",
    quoted: 1_000,
    page: "https://aws.amazon.com/step-functions/pricing/",
    ..EXPRESS_REQUEST
};

/// A write unit, on demand.
pub const WRITE_UNIT: Price = Price {
    service: "DynamoDB",
    picodollars: 625_000,
    unit: "a million write units",
    quoted: MILLION,
    read: READ,
    page: DYNAMODB_PAGE,
    dated: "2025-07-21",
};

/// A read unit, on demand.
pub const READ_UNIT: Price = Price { picodollars: 125_000, unit: "a million read units", ..WRITE_UNIT };

/// A month of a GB in a table.
pub const TABLE_STORAGE: Price = Price {
    picodollars: 250_000_000_000,
    unit: "a GB in a table, a month",
    quoted: 1,
    page: "https://aws.amazon.com/dynamodb/pricing/",
    dated: "",
    ..WRITE_UNIT
};

/// A month of a GB's point-in-time recovery.
pub const TABLE_RECOVERY: Price = Price {
    picodollars: 200_000_000_000,
    unit: "a GB's point-in-time recovery, a month",
    page: "https://finops.com.py/services/dynamodb/backups",
    ..TABLE_STORAGE
};

/// A call of SNS, such as a publish of up to 64 KB.
pub const SNS_REQUEST: Price = Price {
    service: "SNS",
    picodollars: 500_000,
    unit: "a million requests",
    quoted: MILLION,
    read: READ,
    page: SNS_PAGE,
    dated: "2026-06-13",
};

/// A mail that SNS delivers.
pub const SNS_MAIL: Price =
    Price { picodollars: 20_000_000, unit: "100,000 mails", quoted: 100_000, ..SNS_REQUEST };

/// A mail through SES, in an account that began to use SES on or after 2026-07-21.
pub const SES_MAIL: Price = Price {
    service: "SES",
    picodollars: 160_000_000,
    unit: "a thousand mails, plan Essentials",
    quoted: 1_000,
    read: READ,
    page: SES_PAGE,
    dated: "2026-08-13",
};

/// A mail through SES, in an older account.
pub const SES_MAIL_A_LA_CARTE: Price =
    Price { picodollars: 100_000_000, unit: "a thousand mails, à la carte", ..SES_MAIL };

/// A GB of log lines that is taken in.
pub const LOG_INGESTION: Price = Price {
    service: "CloudWatch",
    picodollars: 500_000_000_000,
    unit: "a GB of log lines",
    quoted: 1,
    read: READ,
    page: CLOUDWATCH_PAGE,
    dated: "2026-06-13",
};

/// A month of a GB of stored log lines, after compression.
pub const LOG_STORAGE: Price = Price {
    picodollars: 30_000_000_000,
    unit: "a GB of stored log lines, a month",
    page: "https://hykell.com/kb/platform-specific-guides/aws-cloudwatch-logs-pricing",
    dated: "",
    ..LOG_INGESTION
};

/// A month of a metric that an alarm watches.
pub const ALARM_METRIC: Price = Price {
    picodollars: 100_000_000_000,
    unit: "a metric that an alarm watches, a month",
    page: "https://c3x.dev/resources/aws/aws_cloudwatch_metric_alarm",
    dated: "",
    ..LOG_INGESTION
};

/// A month of a metric of our own.
pub const OWN_METRIC: Price = Price {
    picodollars: 300_000_000_000,
    unit: "a metric of one's own, a month",
    page: "https://signoz.io/guides/cloudwatch-pricing",
    dated: "2026-02-15",
    ..LOG_INGESTION
};

/// A month of a dashboard.
pub const DASHBOARD: Price =
    Price { picodollars: 3_000_000_000_000, unit: "a dashboard, a month", ..LOG_INGESTION };

/// A recorded trace.
pub const TRACE: Price = Price {
    service: "X-Ray",
    picodollars: 5_000_000,
    unit: "a million traces",
    quoted: MILLION,
    read: READ,
    page: "https://aws.amazon.com/xray/pricing/",
    dated: "",
};

/// A month of a KMS key. The first two yearly rotations add the same each.
pub const KEY: Price = Price {
    service: "KMS",
    picodollars: 1_000_000_000_000,
    unit: "a key, a month",
    quoted: 1,
    read: READ,
    page: "https://aws.amazon.com/kms/pricing/",
    dated: "",
};

/// A request to KMS.
pub const KEY_REQUEST: Price = Price {
    picodollars: 3_000_000,
    unit: "10,000 requests",
    quoted: 10_000,
    page: "https://www.wring.co/blog/aws-kms-pricing-guide",
    ..KEY
};

/// A scheduled invocation.
pub const SCHEDULED: Price = Price {
    service: "EventBridge Scheduler",
    picodollars: 1_000_000,
    unit: "a million invocations",
    quoted: MILLION,
    read: READ,
    page: "https://cloudburn.io/blog/amazon-eventbridge-pricing",
    dated: "2026-03-13",
};

/// Every price, by service.
pub const PRICES: [&Price; 26] = [
    &HTTP_API,
    &REST_API,
    &DATA_OUT,
    &LAMBDA_REQUEST,
    &LAMBDA_ARM,
    &LAMBDA_X86,
    &EXPRESS_REQUEST,
    &EXPRESS_DURATION,
    &STANDARD_TRANSITION,
    &WRITE_UNIT,
    &READ_UNIT,
    &TABLE_STORAGE,
    &TABLE_RECOVERY,
    &SNS_REQUEST,
    &SNS_MAIL,
    &SES_MAIL,
    &SES_MAIL_A_LA_CARTE,
    &LOG_INGESTION,
    &LOG_STORAGE,
    &ALARM_METRIC,
    &OWN_METRIC,
    &DASHBOARD,
    &TRACE,
    &KEY,
    &KEY_REQUEST,
    &SCHEDULED,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_shown_as_people_quote_them() {
        for (price, shown) in [
            (HTTP_API, "1.00"),
            (LAMBDA_ARM, "0.0000133334"),
            (WRITE_UNIT, "0.625"),
            (SNS_MAIL, "2.00"),
            (SES_MAIL, "0.16"),
            (DASHBOARD, "3.00"),
            (STANDARD_TRANSITION, "0.025"),
        ] {
            assert_eq!(price.shown(), shown, "{}", price.unit);
        }
    }

    #[test]
    fn amounts_are_rounded_to_cents_only_when_they_are_shown() {
        assert_eq!(WRITE_UNIT.of(10).times(MILLION).shown(), "6.25");
        // 126 ms with 256 MB: 0.0315 GB-seconds.
        assert_eq!(LAMBDA_ARM.of_part(126 * 256, 1_024 * 1_000).times(MILLION).shown(), "0.42");
        assert_eq!(READ_UNIT.of_part(25, 10).times(MILLION).shown(), "0.31");
        let many: Dollars = std::iter::repeat_n(READ_UNIT.of(1), 10_000).sum();
        assert_eq!((many.shown(), Dollars::default().shown()), ("0.00".to_owned(), "0.00".to_owned()));
    }

    #[test]
    fn every_price_says_when_and_where_it_was_read() {
        for price in PRICES {
            let parts: Vec<usize> = price.read.split('-').map(str::len).collect();
            assert_eq!(parts, [4, 2, 2], "{}: {}", price.service, price.unit);
            assert!(price.page.starts_with("https://"), "{}: {}", price.service, price.unit);
        }
    }
}
