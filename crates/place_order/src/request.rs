//! Reads the request: `{lines: [{sku, quantity}], reference?, expected_total?}` and an `Idempotency-Key`.

use domain::{
    Body, Error, Field, IdempotencyKey, InvalidField, MAX_LINES, OrderLimit, OrderRequest, Quantity,
    RequestedLine, Sku, field, lines_expected,
};
use lambda_shell::Request;
use serde_json::Value;

/// Reads the header and the body, and reports the faults of both together.
pub(crate) fn read(request: &Request) -> Result<(IdempotencyKey, OrderRequest), Error> {
    let key = field(request.idempotency_key())?;
    let body = match request.body() {
        Ok(body) => field(parse(body))?,
        // A body that cannot be read at all is reported only when the key has no fault.
        Err(unreadable) => {
            key.map_err(Error::Invalid)?;
            return Err(unreadable);
        }
    };
    match (key, body) {
        (Ok(key), Ok(wanted)) => Ok((key, wanted)),
        (key, wanted) => {
            let faults = [key.err(), wanted.err()];
            Err(Error::Invalid(faults.into_iter().flatten().flatten().collect()))
        }
    }
}

fn parse(mut body: Body) -> Result<OrderRequest, Error> {
    let lines = lines(&mut body);
    let reference = body.optional_text("reference");
    let expected_total = body.optional_total("expected_total");
    let (lines, reference, expected_total) = body.finish((lines, reference, expected_total))?;
    Ok(OrderRequest::new(lines)?.with_reference(reference).with_expected_total(expected_total))
}

fn lines(body: &mut Body) -> Field<Vec<RequestedLine>> {
    let lines = match body.required("lines")? {
        Value::Array(lines) if (1..=MAX_LINES).contains(&lines.len()) => lines,
        Value::Array(_)
        | Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Object(_) => return Err(body.fault("lines", lines_expected())),
    };
    let mut faults = Vec::new();
    let mut sound = Vec::with_capacity(lines.len());
    for (index, line) in lines.into_iter().enumerate() {
        match line_of(index, line) {
            Ok(line) => sound.push(line),
            Err(of_line) => faults.extend(of_line),
        }
    }
    if faults.is_empty() { Ok(sound) } else { Err(faults) }
}

fn line_of(index: usize, line: Value) -> Field<RequestedLine> {
    let mut line = Body::nested(&format!("lines[{index}]"), line);
    let (sku, quantity) = (line.text::<Sku>("sku"), line.integer::<Quantity>("quantity"));
    let (sku, quantity) = line.read((sku, quantity))?;
    Ok(RequestedLine { sku, quantity })
}

/// The faults of a request that holds more of a product than one order may: each line of that product, by its place in
/// the body. The body is read again for it, since only a refusal needs the places.
pub(crate) fn above_limit(request: &Request, limit: &OrderLimit) -> Vec<InvalidField> {
    let OrderLimit { sku, max_per_order } = limit;
    let Ok(Ok(Value::Array(lines))) = request.body().map(|mut body| body.required("lines")) else {
        return Vec::new();
    };
    let of_product = |line: &Value| line["sku"] == sku.as_str();
    let places = lines.iter().enumerate().filter(|(_, line)| of_product(line));
    let reason = format!("is too much: one order may hold {} units of {sku}", max_per_order.get());
    places.map(|(at, _)| InvalidField::new(format!("lines[{at}].quantity"), reason.clone())).collect()
}
