//! Reads the requests: `{reason?}` to cancel an order, `{attention}` to resume all that were given up, `{status}` and `If-Match` to take it to its next status.

use domain::{Error, Reason, Status};
use lambda_shell::Request;

/// Reads a cancellation. Its body may be left out.
pub(crate) fn cancel(request: &Request) -> Result<Option<Reason>, Error> {
    if request.has_no_body() {
        return Ok(None);
    }
    let mut body = request.body()?;
    let reason = body.optional_text("reason");
    let (reason,) = body.finish((reason,))?;
    Ok(reason)
}

/// Reads a request to resume every order that was given up: `{"attention": true}`, so that no slip does it.
pub(crate) fn resume_all(request: &Request) -> Result<(), Error> {
    let mut body = request.body()?;
    let attention = body
        .required("attention")
        .and_then(|value| if value == true { Ok(()) } else { Err(body.fault("attention", "must be true")) });
    let ((),) = body.finish((attention,))?;
    Ok(())
}

/// Reads a change of status: the status, and the version in `If-Match`. `If-Match: *` names no version.
pub(crate) fn patch(request: &Request) -> Result<(Status, Option<u32>), Error> {
    let if_match = request.header("if-match").ok_or(Error::IfMatchMissing)?;
    let mut body = request.body()?;
    let status = body.text("status").and_then(|status: Status| {
        if status.is_given_on_request() {
            return Ok(status);
        }
        let on_request = Status::ALL.into_iter().filter(|status| status.is_given_on_request());
        let names = on_request.map(Status::as_str).collect::<Vec<_>>().join(", ");
        Err(body.fault("status", format!("must be one of {names}: the others are the workflow's own")))
    });
    let (status,) = body.finish((status,))?;
    if if_match.trim() == "*" {
        return Ok((status, None));
    }
    // A text that is not one of our ETags cannot be the ETag of the order's current version.
    let version = if_match.trim().strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let version = version.and_then(|version| version.parse().ok()).ok_or(Error::StaleVersion)?;
    Ok((status, Some(version)))
}
