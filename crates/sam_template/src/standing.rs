//! The resources that AWS bills by the month, whether they are used or not: alarms, dashboards and keys. They are counted
//! here and not read any further. Nothing here knows a price.

use super::{faults::FaultList, names, resources::Resource};

/// How many units of each resource a month is billed for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The metrics that alarms watch. An alarm over an expression watches each metric in it.
    pub alarm_metrics: u64,
    /// `CloudWatch` dashboards.
    pub dashboards: u64,
    /// KMS keys.
    pub keys: u64,
}

pub(super) fn read(resources: &[Resource], faults: &FaultList) -> Standing {
    let mut standing = Standing::default();
    for resource in resources {
        match resource.type_name.as_str() {
            names::ALARM => {
                let properties = resource.properties(faults);
                let queries = properties.get("Metrics").map(|queries| queries.list()).unwrap_or_default();
                let watched = queries.iter().filter(|query| query.get("MetricStat").is_some()).count();
                let own = usize::from(properties.get("MetricName").is_some());
                standing.alarm_metrics += (watched + own) as u64;
            }
            names::DASHBOARD => standing.dashboards += 1,
            names::KEY => standing.keys += 1,
            _ => {}
        }
    }
    standing
}
