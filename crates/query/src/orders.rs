//! The filter of `GET /orders`: the caller's own orders, or the orders that an admin chooses.

use std::collections::HashMap;

use aws_adapters::{OVERDUE_AFTER, OrderFilter};
use domain::{Error, InvalidField, Status, Timestamp, UserId};
use lambda_shell::Caller;

/// The parameters of the filter. Only an admin may use them, one at a time.
pub(crate) const PARAMETERS: [&str; 3] = ["user_id", "status", "attention"];

/// Reads the filter from a query. The second value is the list's name, to which its cursors are bound. A caller who is
/// not an admin is refused before the filter's faults are looked for.
pub(crate) fn filter(
    query: &HashMap<String, String>,
    caller: &Caller,
    admin: bool,
    now: Timestamp,
) -> Result<(OrderFilter, String), Error> {
    let named: Vec<&str> = PARAMETERS.into_iter().filter(|name| query.contains_key(*name)).collect();
    if !named.is_empty() && !admin {
        return Err(Error::Forbidden);
    }
    let [name] = named[..] else {
        return if named.is_empty() {
            Ok((OrderFilter::User(caller.user_id.clone()), "orders of the caller".to_owned()))
        } else {
            let reason = format!("only one of {} can be given", PARAMETERS.join(", "));
            Err(Error::Invalid(
                named.into_iter().map(|name| InvalidField::new(name, reason.clone())).collect(),
            ))
        };
    };
    let value = query.get(name).cloned().unwrap_or_default();
    let list = format!("orders by {name} {value}");
    let filter = match name {
        "user_id" => OrderFilter::User(UserId::try_from(value)?),
        "status" => {
            let status = Status::try_from(value)?;
            if status == Status::Pending {
                let reason =
                    "PENDING orders are not listed: they are on their way, or found with attention=true";
                return Err(Error::Invalid(vec![InvalidField::new("status", reason)]));
            }
            OrderFilter::Status(status)
        }
        _ if value == "true" => OrderFilter::Attention { overdue: now.before(OVERDUE_AFTER) },
        _ => return Err(Error::Invalid(vec![InvalidField::new("attention", "must be true")])),
    };
    Ok((filter, list))
}
