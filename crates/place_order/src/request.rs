//! What `POST /orders` takes: `{lines: [{sku, quantity}], reference?, expected_total?}` and an `Idempotency-Key`.

use domain::{Body, Error, IdempotencyKey, MAX_LINES, Money, Quantity, Reference, RequestedLine, Sku, merge};
use lambda_shell::Request;

/// What a customer wants: lines merged and sorted by SKU.
pub(crate) struct Wanted {
    pub(crate) lines: Vec<RequestedLine>,
    pub(crate) reference: Option<Reference>,
    pub(crate) expected_total: Option<Money>,
}

/// Reads header and body. The error names every fault of both.
pub(crate) fn read(request: &Request) -> Result<(IdempotencyKey, Wanted), Error> {
    let key = request.idempotency_key();
    if let Err(missing @ Error::IdempotencyKeyMissing) = key {
        return Err(missing);
    }
    match (key, parse(request.body()?)) {
        (Ok(key), wanted) => Ok((key, wanted?)),
        (Err(Error::Invalid(mut of_key)), Err(Error::Invalid(mut of_body))) => {
            of_key.append(&mut of_body);
            Err(Error::Invalid(of_key))
        }
        (Err(of_key), _) => Err(of_key),
    }
}

fn parse(mut body: Body) -> Result<Wanted, Error> {
    let lines = lines(&mut body);
    let reference = body.optional_text("reference");
    let expected_total = body.optional_total("expected_total");
    let mut faults = body.finish();
    // Merged only when each line is sound by itself.
    let merged = match lines {
        Ok(lines) => merge(lines),
        Err(mut of_lines) => {
            faults.append(&mut of_lines);
            Ok(Vec::new())
        }
    };
    if let (Err(Error::Invalid(of_merging)), false) = (&merged, faults.is_empty()) {
        faults.extend(of_merging.iter().cloned());
    }
    Error::reject_if_any(faults)?;
    Ok(Wanted { lines: merged?, reference, expected_total })
}

fn lines(body: &mut Body) -> Result<Vec<RequestedLine>, Vec<domain::Fault>> {
    let Some(value) = body.required("lines") else { return Err(Vec::new()) };
    let lines = match value {
        serde_json::Value::Array(lines) if (1..=MAX_LINES).contains(&lines.len()) => lines,
        serde_json::Value::Array(_)
        | serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::String(_)
        | serde_json::Value::Object(_) => {
            body.fault("lines", format!("must be an array of 1 to {MAX_LINES} lines"));
            return Err(Vec::new());
        }
    };
    let mut faults = Vec::new();
    let mut read = Vec::with_capacity(lines.len());
    for (index, line) in lines.into_iter().enumerate() {
        let mut line = Body::nested(&format!("lines[{index}]"), line);
        let sku: Option<Sku> = line.text("sku");
        let quantity: Option<Quantity> = line.integer("quantity");
        faults.append(&mut line.finish());
        if let (Some(sku), Some(quantity)) = (sku, quantity) {
            read.push(RequestedLine { sku, quantity });
        }
    }
    if faults.is_empty() { Ok(read) } else { Err(faults) }
}
