//! Checks of a refusal: its status, its code, the fields that it names, and the form of a problem document.

use super::requests::Reply;

/// Status, code, and the faulty fields in any order.
pub(crate) type Refused<'a> = (u16, &'a str, &'a [&'a str]);

/// The refusal of a body, header or query with faults in these fields.
pub(crate) fn invalid<'a>(fields: &'a [&'a str]) -> Refused<'a> {
    (422, "validation_failed", fields)
}

/// A refusal that names no field.
pub(crate) fn refused(status: u16, code: &str) -> Refused<'_> {
    (status, code, &[])
}

/// Checks that the reply is this refusal, as a problem document.
#[track_caller]
pub(crate) fn check(what: &str, reply: &Reply, expected: Refused<'_>) {
    let (status, code) = reply.problem();
    let (mut fields, mut wanted) = (reply.fields(), expected.2.to_vec());
    fields.sort_unstable();
    wanted.sort_unstable();
    assert_eq!((status, code, fields), (expected.0, expected.1, wanted), "{what}: {reply:?}");
    assert_eq!(reply.header("content-type"), "application/problem+json", "{what}");
    assert_eq!(reply.body["status"], status, "{what}");
    for name in ["type", "title", "detail", "request_id"] {
        assert!(reply.body[name].is_string(), "{what}: no {name} in {reply:?}");
    }
}
