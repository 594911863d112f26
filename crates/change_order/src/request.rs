//! Reads the requests: `{reason?}` to cancel an order, `{attention}` to resume all that were given up, `{status}` and
//! `If-Match` to take it to its next status.

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
    if if_match == "*" {
        return Ok((status, None));
    }
    // A text that is not one of our ETags cannot be the ETag of the order's current version.
    Ok((status, Some(version(&if_match).ok_or(Error::StaleVersion)?)))
}

/// The version in an `ETag` of ours: a positive integer in quotes. Only the text that we wrote is read, with no sign and no
/// leading zero, which Rust would read too.
fn version(etag: &str) -> Option<u32> {
    let digits = etag.strip_prefix('"')?.strip_suffix('"')?;
    if digits.starts_with('0') || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_etag_of_ours_names_a_version() {
        for (etag, read) in [
            ("\"1\"", Some(1)),
            ("\"20\"", Some(20)),
            ("\"4294967295\"", Some(u32::MAX)),
            ("\"4294967296\"", None),
            ("\"+2\"", None),
            ("\"-2\"", None),
            ("\"02\"", None),
            ("\"0\"", None),
            ("\"\"", None),
            ("\"", None),
            ("", None),
            ("2", None),
            ("'2'", None),
            ("\"2", None),
            ("2\"", None),
            ("\"2\",\"3\"", None),
            ("\"2\", \"2\"", None),
            ("W/\"2\"", None),
            (" \"2\"", None),
            ("\" 2\"", None),
            ("\"2 \"", None),
            ("\"2.0\"", None),
            ("\"2e0\"", None),
            ("\"0x2\"", None),
            ("\"\u{662}\"", None),
            ("\"\u{ff12}\"", None),
            ("\"2\u{fffd}\"", None),
            ("\u{201c}2\u{201d}", None),
        ] {
            assert_eq!(version(etag), read, "{etag}");
        }
        for version in [1, 2, 9, 10, 99, 1_000_000] {
            assert_eq!(super::version(&format!("\"{version}\"")), Some(version));
        }
    }
}
