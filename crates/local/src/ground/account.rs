//! The AWS account of the local stack. Nothing here is secret or real.

use sam_template::Account;

/// The account, region and stack name in every local name and ARN.
pub const ACCOUNT: Account = Account { id: "000000000000", region: "us-east-1", stack_name: "orderflow" };
