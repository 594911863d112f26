//! The AWS Query protocol, as far as SNS uses it: a request is a form, and an answer is XML. Parameters become the JSON
//! form that `Sns::call` takes. Nothing here knows what an action does.

use std::fmt::Write as _;

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use serde_json::{Map, Value};

use crate::ground::AwsError;

const VERSION: &str = "2010-03-31";
/// The most parameters of one call. Every action of SNS has far fewer.
const MAX_PARAMETERS: usize = 1_000;
/// The most parts of a parameter's name. The longest in use is `MessageAttributes.entry.1.Value.StringValue`.
const MAX_DEPTH: usize = 6;

/// Parses a form: the action's name and its parameters.
pub(super) fn read(body: &[u8]) -> Result<(String, Value), AwsError> {
    let mut action = None;
    let mut version = None;
    let mut parameters = Map::new();
    for (n, (name, value)) in form_urlencoded::parse(body).enumerate() {
        if n == MAX_PARAMETERS {
            return Err(malformed(&format!("more than {MAX_PARAMETERS} parameters")));
        }
        match name.as_ref() {
            "Action" => action = Some(value.into_owned()),
            "Version" => version = Some(value.into_owned()),
            name => insert(&mut parameters, name, value.into_owned())?,
        }
    }
    match version.as_deref() {
        Some(VERSION) => {}
        found => {
            let found = found.unwrap_or("none");
            return Err(malformed(&format!("Version is {found}, but the local SNS supports {VERSION}")));
        }
    }
    let action = action.ok_or_else(|| malformed("the form names no Action"))?;
    Ok((action, unfold(parameters)?))
}

/// `A.entry.1.key` = `v` becomes `{"A": {"entry": {"1": {"key": "v"}}}}`.
fn insert(into: &mut Map<String, Value>, name: &str, value: String) -> Result<(), AwsError> {
    if name.split('.').count() > MAX_DEPTH {
        return Err(malformed(&format!("the parameter {name} is nested too deeply")));
    }
    let mut at = into;
    let mut rest = name;
    while let Some((head, tail)) = rest.split_once('.') {
        let inner = at.entry(head).or_insert_with(|| Value::Object(Map::new()));
        at = inner.as_object_mut().ok_or_else(|| malformed(&format!("the parameter {name} is ambiguous")))?;
        rest = tail;
    }
    match at.insert(rest.to_owned(), Value::String(value)) {
        None => Ok(()),
        Some(_) => Err(malformed(&format!("the parameter {name} is given twice"))),
    }
}

/// Turns maps (`entry`) into objects and lists (`member`) into arrays.
fn unfold(node: Map<String, Value>) -> Result<Value, AwsError> {
    if node.len() == 1
        && let Some((kind @ ("entry" | "member"), Value::Object(numbered))) =
            node.iter().next().map(|(kind, inner)| (kind.as_str(), inner))
    {
        let entries = in_order(numbered)?;
        return if kind == "member" { Ok(Value::Array(entries)) } else { object(entries) };
    }
    let inner = |(name, value)| Ok((name, leaf_or_unfold(value)?));
    node.into_iter().map(inner).collect::<Result<Map<_, _>, _>>().map(Value::Object)
}

fn leaf_or_unfold(value: Value) -> Result<Value, AwsError> {
    if let Value::Object(inner) = value { unfold(inner) } else { Ok(value) }
}

fn in_order(numbered: &Map<String, Value>) -> Result<Vec<Value>, AwsError> {
    let mut entries = Vec::with_capacity(numbered.len());
    for (number, entry) in numbered {
        let number: u16 = number
            .parse()
            .map_err(|_not_a_number| malformed(&format!("a list entry is numbered {number}")))?;
        entries.push((number, leaf_or_unfold(entry.clone())?));
    }
    entries.sort_by_key(|(number, _)| *number);
    Ok(entries.into_iter().map(|(_, entry)| entry).collect())
}

fn object(entries: Vec<Value>) -> Result<Value, AwsError> {
    let mut object = Map::new();
    for mut entry in entries {
        let mut take = |names: [&str; 2]| {
            let name = names.into_iter().find(|name| entry.get(name).is_some())?;
            entry.get_mut(name).map(Value::take)
        };
        let (Some(Value::String(key)), Some(value)) = (take(["key", "Name"]), take(["value", "Value"]))
        else {
            return Err(malformed("a map entry needs a key and a value"));
        };
        if object.insert(key.clone(), value).is_some() {
            return Err(malformed(&format!("a map has the key {key} twice")));
        }
    }
    Ok(Value::Object(object))
}

fn malformed(reason: &str) -> AwsError {
    AwsError::new(400, "MalformedQueryString", reason.to_owned())
}

/// Writes an action's result or error as XML.
pub(super) fn write(action: &str, outcome: &Result<Value, AwsError>, request_id: &str) -> Response<Bytes> {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let namespace = "xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"";
    let status = match outcome {
        Ok(result) => {
            push(&mut xml, format_args!("<{action}Response {namespace}><{action}Result>"));
            members(&mut xml, result);
            push(
                &mut xml,
                format_args!(
                    "</{action}Result><ResponseMetadata><RequestId>{}</RequestId>",
                    escape(request_id)
                ),
            );
            push(&mut xml, format_args!("</ResponseMetadata></{action}Response>"));
            200
        }
        Err(error) => {
            let side = if error.is_service_fault() { "Receiver" } else { "Sender" };
            let (code, message) = (escape(&error.code), escape(&error.message));
            push(&mut xml, format_args!("<ErrorResponse {namespace}><Error><Type>{side}</Type>"));
            push(&mut xml, format_args!("<Code>{code}</Code><Message>{message}</Message></Error>"));
            push(&mut xml, format_args!("<RequestId>{}</RequestId></ErrorResponse>", escape(request_id)));
            error.status
        }
    };
    let mut response = Response::new(Bytes::from(xml));
    *response.status_mut() =
        http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    if let Ok(request_id) = HeaderValue::from_str(request_id) {
        headers.insert("x-amzn-requestid", request_id);
    }
    response
}

/// Writes the members of a result: a text as an element, an object as a map of entries. The local SNS returns no others.
fn members(xml: &mut String, result: &Value) {
    for (name, value) in result.as_object().into_iter().flatten() {
        push(xml, format_args!("<{name}>"));
        if let Value::Object(map) = value {
            for (key, value) in map {
                let (key, value) = (escape(key), escape(value.as_str().unwrap_or_default()));
                push(xml, format_args!("<entry><key>{key}</key><value>{value}</value></entry>"));
            }
        } else {
            xml.push_str(&escape(value.as_str().unwrap_or_default()));
        }
        push(xml, format_args!("</{name}>"));
    }
}

fn push(xml: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String never fails.
    let _infallible = xml.write_fmt(text);
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // A parser would turn a plain carriage return into a line feed.
            '\r' => escaped.push_str("&#13;"),
            '\n' | '\t' => escaped.push(c),
            // XML 1.0 cannot represent the other control characters.
            c if c.is_control() => escaped.push('\u{FFFD}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn maps_and_lists_are_unfolded_in_the_order_of_their_numbers() {
        let form = b"Action=Publish&Version=2010-03-31&Message=a+b%26c\
            &MessageAttributes.entry.1.Name=user_id&MessageAttributes.entry.1.Value.DataType=String\
            &MessageAttributes.entry.1.Value.StringValue=7\
            &Attributes.entry.1.key=FilterPolicy&Attributes.entry.1.value=%7B%7D\
            &Tags.member.10.Key=j&Tags.member.2.Key=b";
        let (action, parameters) = read(form).unwrap();
        assert_eq!(action, "Publish");
        assert_eq!(
            parameters,
            json!({
                "Message": "a b&c",
                "MessageAttributes": {"user_id": {"DataType": "String", "StringValue": "7"}},
                "Attributes": {"FilterPolicy": "{}"},
                "Tags": [{"Key": "b"}, {"Key": "j"}],
            })
        );
    }

    #[test]
    fn a_malformed_form_is_refused_by_name() {
        for (form, named) in [
            ("Version=2010-03-31", "no Action"),
            ("Action=Publish", "Version is none"),
            ("Action=Publish&Version=2011-01-01", "Version is 2011-01-01"),
            ("Action=A&Version=2010-03-31&X=1&X=2", "X is given twice"),
            ("Action=A&Version=2010-03-31&X=1&X.Y=2", "X.Y is ambiguous"),
            ("Action=A&Version=2010-03-31&a.b.c.d.e.f.g=2", "nested too deeply"),
            ("Action=A&Version=2010-03-31&X.member.one=2", "numbered one"),
            ("Action=A&Version=2010-03-31&X.entry.1.key=2", "needs a key and a value"),
            (
                "Action=A&Version=2010-03-31&X.entry.1.key=k&X.entry.1.value=1&X.entry.2.key=k&X.entry.2.value=2",
                "the key k twice",
            ),
        ] {
            let error = read(form.as_bytes()).unwrap_err();
            assert_eq!((error.status, error.code.as_str()), (400, "MalformedQueryString"));
            assert!(error.message.contains(named), "{form}: {}", error.message);
        }
        let many = format!("Action=A&Version=2010-03-31{}", "&X=1".repeat(2_000));
        assert!(read(many.as_bytes()).is_err());
    }

    #[test]
    fn text_is_escaped() {
        assert_eq!(escape("<a href=\"&\">\r\n\u{1}é"), "&lt;a href=&quot;&amp;&quot;&gt;&#13;\n\u{FFFD}é");
    }

    #[test]
    fn an_error_is_xml_with_the_request_id_and_the_side_that_is_at_fault() {
        for (status, side) in [(400, "Sender"), (500, "Receiver")] {
            let answer = write("", &Err(AwsError::new(status, "MalformedQueryString", "a < b")), "r-1");
            assert_eq!(answer.status().as_u16(), status);
            assert_eq!(answer.headers()["x-amzn-requestid"], "r-1");
            let xml = std::str::from_utf8(answer.body()).unwrap();
            for part in [
                "<Code>MalformedQueryString</Code>",
                "<RequestId>r-1</RequestId>",
                "<Message>a &lt; b</Message>",
                &format!("<Type>{side}</Type>"),
            ] {
                assert!(xml.contains(part), "{part} in {xml}");
            }
        }
    }
}
