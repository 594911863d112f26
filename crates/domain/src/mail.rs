//! The e-mails that customers get.
//!
//! SNS accepts a subject of 1 to 99 ASCII characters without line breaks (source: SNS API reference, `Publish`,
//! `Subject`). Products' names may hold other characters, so they are transliterated.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::{Order, Status};

/// The longest subject, in characters: SNS accepts fewer than 100.
const MAX_SUBJECT: usize = 99;

/// One e-mail in plain text. It holds neither the user's address nor their name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// The subject: ASCII, 1 to 99 characters, no line breaks.
    pub subject: String,
    /// The text below the subject: a sentence, the order's id and status, its lines and its total.
    pub body: String,
}

impl Mail {
    /// The mail about the status that `order` has now. `None` for PENDING, which is not announced.
    pub(crate) fn announcing(order: &Order) -> Option<Self> {
        let (headline, sentence) = match order.status() {
            Status::Pending => return None,
            Status::Confirmed => {
                ("Order confirmed", "Thank you: your order is confirmed. We will write again when it ships.")
            }
            Status::Rejected => (
                "Order could not be filled",
                "We are sorry: we do not have enough of what you ordered. Nothing was reserved.",
            ),
            Status::Cancelled => ("Order cancelled", "Your order is cancelled. Nothing of it will be sent."),
            Status::Shipped => ("Order shipped", "Your order is on its way."),
            Status::Delivered => ("Order delivered", "Your order has arrived. Thank you for your custom."),
        };
        Some(Self { subject: subject(headline, order), body: body(sentence, order) })
    }
}

fn subject(headline: &str, order: &Order) -> String {
    let what = match &order.reference {
        Some(reference) => reference.as_str().to_owned(),
        None => match &order.lines[..] {
            [] => order.order_id.to_string(),
            [only] => ascii(only.name.as_str()),
            [first, rest @ ..] => format!("{} and {} more", ascii(first.name.as_str()), rest.len()),
        },
    };
    let mut subject = format!("{headline}: {what}");
    if subject.len() > MAX_SUBJECT {
        subject.truncate(MAX_SUBJECT - 3);
        subject.push_str("...");
    }
    subject
}

/// The nearest ASCII text, on one line. A name holds no line breaks, but its transliteration might.
fn ascii(name: &str) -> String {
    let plain = deunicode::deunicode_with_tofu(name, "?");
    let printable = plain.chars().map(|c| if c.is_ascii_graphic() { c } else { ' ' });
    printable.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn body(sentence: &str, order: &Order) -> String {
    let mut text = format!("{sentence}\n\nOrder:     {}\n", order.order_id);
    // Writing to a String cannot fail, so the results are dropped.
    if let Some(reference) = &order.reference {
        let _infallible = writeln!(text, "Reference: {}", reference.as_str());
    }
    let _infallible = writeln!(text, "Status:    {} since {}", order.status(), order.updated_at());
    if let Some(reason) = &order.latest().reason {
        let _infallible = writeln!(text, "Reason:    {}", reason.as_str());
    }
    text.push('\n');
    for line in &order.lines {
        let (quantity, name, sku) = (line.quantity.get(), line.name.as_str(), &line.sku);
        let _infallible =
            writeln!(text, "{quantity} x {name} ({sku}) at {}: {}", line.unit_price.money(), line.line_total);
    }
    let _infallible = writeln!(text, "Total: {}", order.total);
    if !order.shortages.is_empty() {
        text.push_str("\nWhat is short:\n");
        for short in &order.shortages {
            let _infallible = writeln!(
                text,
                "{}: {} ordered, {} available",
                short.sku,
                short.requested.get(),
                short.available
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        Actor, Currency, IdempotencyKey, Money, Name, OrderId, OrderRequest, Placement, Product, Quantity,
        Quote, Reason, Reference, RequestedLine, Shortage, Sku, Stock, Timestamp, UserId, quote,
        workflow::Place,
    };

    fn placement(names: &[&str], reference: Option<&str>) -> Placement {
        let stock: Vec<Stock> = names
            .iter()
            .enumerate()
            .map(|(n, name)| Stock {
                product: Product {
                    sku: Sku::try_from(format!("TEA-{n}")).unwrap(),
                    name: Name::try_from((*name).to_owned()).unwrap(),
                    unit_price: Money::new(450, Currency::try_from("EUR".to_owned()).unwrap())
                        .unwrap()
                        .try_into()
                        .unwrap(),
                    max_per_order: None,
                },
                available: 9,
                reserved: 0,
            })
            .collect();
        let wanted: Vec<RequestedLine> = stock
            .iter()
            .map(|row| RequestedLine {
                sku: row.product.sku.clone(),
                quantity: Quantity::try_from(2).unwrap(),
            })
            .collect();
        let reference = reference.map(|text| Reference::try_from(text.to_owned()).unwrap());
        let request = OrderRequest::new(wanted).unwrap().with_reference(reference);
        let Ok(Quote::Priced(quoted)) = quote(&request, &stock) else { panic!("it can be priced") };
        let user_id = UserId::try_from("user-1".to_owned()).unwrap();
        let order_id = OrderId::derive(&user_id, &IdempotencyKey::try_from("key-1".to_owned()).unwrap());
        let at = Timestamp::try_from("2026-03-01T12:30:00.000Z".to_owned()).unwrap();
        let fingerprint = request.fingerprint();
        Placement::new(Place { order_id, user_id, request, fingerprint, request_id: None }, quoted, at)
    }

    fn order(names: &[&str], reference: Option<&str>) -> Order {
        placement(names, reference).order
    }

    fn advanced(order: &Order, status: Status, reason: Option<Reason>) -> Order {
        order.advance(status, order.updated_at(), Actor::Workflow, reason).unwrap()
    }

    fn shown(order: &Order) -> String {
        let mail = order.announcement().unwrap();
        format!("Subject: {}\n\n{}", mail.subject, mail.body)
    }

    #[test]
    fn pending_is_not_announced() {
        assert_eq!(order(&["Tea"], None).announcement(), None);
    }

    #[test]
    fn a_confirmation_names_the_lines_the_total_the_order_and_the_time() {
        for reference in [Some("PO-77"), None] {
            let order = order(&["Gustaf's Knäckebröd", "Chai"], reference);
            insta::assert_snapshot!(shown(&advanced(&order, Status::Confirmed, None)));
        }
    }

    #[test]
    fn a_rejection_names_the_sku_how_many_were_ordered_and_how_many_there_were() {
        let placement = placement(&["Chai"], None);
        let line = &placement.order.lines[0];
        let short = Shortage { sku: line.sku.clone(), requested: line.quantity, available: 1 };
        insta::assert_snapshot!(shown(&placement.rejected(vec![short]).order));
    }

    #[test]
    fn the_later_statuses_have_their_own_words() {
        let confirmed = advanced(&order(&["Chai"], None), Status::Confirmed, None);
        let reason = Reason::try_from("changed my mind".to_owned()).unwrap();
        insta::assert_snapshot!(shown(&advanced(&confirmed, Status::Cancelled, Some(reason))));
        let shipped = advanced(&confirmed, Status::Shipped, None);
        insta::assert_snapshot!(shown(&shipped));
        insta::assert_snapshot!(shown(&advanced(&shipped, Status::Delivered, None)));
    }

    proptest! {
        #[test]
        fn a_subject_is_one_short_ascii_line_whatever_the_names_contain(
            names in prop::collection::vec("\\PC{1,100}", 1..4)
        ) {
            let names: Vec<&str> = names.iter().map(String::as_str).filter(|n| Name::try_from((*n).to_owned()).is_ok()).collect();
            prop_assume!(!names.is_empty());
            let order = advanced(&order(&names, None), Status::Confirmed, None);
            let subject = order.announcement().unwrap().subject;
            prop_assert!((1..=MAX_SUBJECT).contains(&subject.len()), "{subject:?}");
            prop_assert!(subject.bytes().all(|b| b == b' ' || b.is_ascii_graphic()), "{subject:?}");
        }
    }
}
