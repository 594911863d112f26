//! What AWS bills of something that happened, and the bill. Nothing here runs anything.

use std::ops::Add;

use local::{
    assumptions::{ACCESS_LINE, EXPRESS_MEMORY, PLATFORM_LINES},
    metering::Units,
    prices::{
        DATA_OUT, Dollars, EXPRESS_DURATION, EXPRESS_REQUEST, GIGABYTE, HTTP_API, LAMBDA_ARM, LAMBDA_REQUEST,
        LAMBDA_X86, LOG_INGESTION, READ_UNIT, SCHEDULED, SNS_MAIL, SNS_REQUEST, TRACE, WRITE_UNIT,
    },
};

/// The milliseconds of a second times the MB of a GB: the parts of a GB-second.
const MB_MS: u64 = 1_000 * 1_024;

/// Counts of what AWS bills.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Requests to the API.
    pub(crate) requests: u64,
    /// Bytes of the API's answers.
    pub(crate) answer_bytes: u64,
    /// Invocations of functions: by the API, the workflow or the scheduler.
    pub(crate) invocations: u64,
    /// Billed milliseconds of functions.
    pub(crate) function_ms: u64,
    /// The same times the functions' MB, on arm64.
    pub(crate) arm_mb_ms: u64,
    /// The same on `x86_64`.
    pub(crate) x86_mb_ms: u64,
    /// Executions of the workflow.
    pub(crate) executions: u64,
    /// Their billed milliseconds.
    pub(crate) execution_ms: u64,
    /// The states that they entered, with each retry counted again.
    pub(crate) transitions: u64,
    /// Capacity units.
    pub(crate) units: Units,
    /// Calls of SNS.
    pub(crate) sns_calls: u64,
    /// Mails that SNS delivered.
    pub(crate) mails: u64,
    /// Traces.
    pub(crate) traces: u64,
    /// Bytes of the functions' own log lines.
    pub(crate) line_bytes: u64,
    /// Invocations by the scheduler.
    pub(crate) scheduled: u64,
}

impl Add for Usage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            answer_bytes: self.answer_bytes + other.answer_bytes,
            invocations: self.invocations + other.invocations,
            function_ms: self.function_ms + other.function_ms,
            arm_mb_ms: self.arm_mb_ms + other.arm_mb_ms,
            x86_mb_ms: self.x86_mb_ms + other.x86_mb_ms,
            executions: self.executions + other.executions,
            execution_ms: self.execution_ms + other.execution_ms,
            transitions: self.transitions + other.transitions,
            units: self.units + other.units,
            sns_calls: self.sns_calls + other.sns_calls,
            mails: self.mails + other.mails,
            traces: self.traces + other.traces,
            line_bytes: self.line_bytes + other.line_bytes,
            scheduled: self.scheduled + other.scheduled,
        }
    }
}

/// A bill by service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bill {
    pub(crate) api: Dollars,
    pub(crate) functions: Dollars,
    pub(crate) workflow: Dollars,
    pub(crate) tables: Dollars,
    pub(crate) sns: Dollars,
    pub(crate) logs: Dollars,
    pub(crate) traces: Dollars,
    pub(crate) scheduler: Dollars,
}

impl Usage {
    /// Bytes of all log lines: the functions', Lambda's and the API's.
    pub(crate) fn log_bytes(&self) -> u64 {
        self.line_bytes + self.invocations * PLATFORM_LINES.value + self.requests * ACCESS_LINE.value
    }

    /// The price of the answers' way out of AWS.
    pub(crate) fn data_out(&self) -> Dollars {
        DATA_OUT.of_part(self.answer_bytes, GIGABYTE)
    }

    /// What AWS bills for it.
    pub(crate) fn bill(&self) -> Bill {
        let Units { read_tenths, write_tenths } = self.units;
        Bill {
            api: HTTP_API.of(self.requests) + self.data_out(),
            functions: LAMBDA_REQUEST.of(self.invocations)
                + LAMBDA_ARM.of_part(self.arm_mb_ms, MB_MS)
                + LAMBDA_X86.of_part(self.x86_mb_ms, MB_MS),
            workflow: EXPRESS_REQUEST.of(self.executions)
                + EXPRESS_DURATION.of_part(self.execution_ms * EXPRESS_MEMORY.value, MB_MS),
            tables: WRITE_UNIT.of_part(write_tenths, 10) + READ_UNIT.of_part(read_tenths, 10),
            sns: SNS_REQUEST.of(self.sns_calls) + SNS_MAIL.of(self.mails),
            logs: LOG_INGESTION.of_part(self.log_bytes(), GIGABYTE),
            traces: TRACE.of(self.traces),
            scheduler: SCHEDULED.of(self.scheduled),
        }
    }
}

impl Bill {
    pub(crate) fn together(&self) -> Dollars {
        let Self { api, functions, workflow, tables, sns, logs, traces, scheduler } = *self;
        [api, functions, workflow, tables, sns, logs, traces, scheduler].into_iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An order of one line, counted by hand.
    const ORDER: Usage = Usage {
        requests: 1,
        answer_bytes: 0,
        invocations: 4,
        function_ms: 200,
        arm_mb_ms: 200 * 256,
        x86_mb_ms: 0,
        executions: 1,
        execution_ms: 200,
        transitions: 10,
        units: Units { read_tenths: 25, write_tenths: 100 },
        sns_calls: 2,
        mails: 1,
        traces: 1,
        line_bytes: 0,
        scheduled: 0,
    };

    fn million(dollars: Dollars) -> String {
        dollars.times(1_000_000).shown()
    }

    #[test]
    fn a_bill_is_the_counts_times_the_prices() {
        let bill = ORDER.bill();
        assert_eq!(million(bill.api), "1.00");
        // 4 invocations at 0.20, and 0.05 GB-seconds.
        assert_eq!(million(bill.functions), "1.47");
        // 1.00 for the start, and 0.0125 GB-seconds.
        assert_eq!(million(bill.workflow), "1.21");
        assert_eq!(million(bill.tables), "6.56");
        assert_eq!(million(bill.sns), "21.00");
        assert_eq!(million(bill.traces), "5.00");
    }

    #[test]
    fn one_more_call_of_dynamodb_costs_more() {
        let one_more = Usage { units: Units { read_tenths: 5, write_tenths: 10 }, ..Usage::default() };
        let (before, after) = (ORDER.bill(), (ORDER + one_more).bill());
        assert_eq!(million(after.tables), "7.25");
        assert!(after.together() > before.together());
    }

    #[test]
    fn a_processor_has_its_own_price() {
        let x86 = Usage { arm_mb_ms: 0, x86_mb_ms: ORDER.arm_mb_ms, ..ORDER };
        assert_eq!(million(x86.bill().functions), "1.63");
    }
}
