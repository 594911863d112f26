//! The texts that customers get. A subject is what SNS takes: ASCII, 1 to 99 characters, no line breaks, whatever
//! the names contain (source: SNS API reference, `Publish`, `Subject`).

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::{Order, Status};

/// The longest subject, in characters: SNS takes fewer than 100.
const MAX_SUBJECT: usize = 99;

/// One e-mail: plain text. Holds no address and no person's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// The subject: ASCII, 1 to 99 characters, no line breaks.
    pub subject: String,
    /// The text.
    pub body: String,
}

impl Mail {
    /// What to say about the status that `order` has now; `None` for PENDING, which is not announced.
    pub(crate) fn announcing(order: &Order) -> Option<Self> {
        let (headline, sentence) = match order.status {
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

/// The nearest ASCII, on one line. Names hold no line breaks, but their transliteration is not ours to vouch for.
fn ascii(name: &str) -> String {
    let plain = deunicode::deunicode_with_tofu(name, "?");
    let printable = plain.chars().map(|c| if c.is_ascii_graphic() { c } else { ' ' });
    printable.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn body(sentence: &str, order: &Order) -> String {
    let mut text = format!("{sentence}\n\nOrder:     {}\n", order.order_id);
    // Writing to a String cannot fail: the results below say nothing.
    if let Some(reference) = &order.reference {
        let _infallible = writeln!(text, "Reference: {}", reference.as_str());
    }
    let _infallible = writeln!(text, "Status:    {} since {}", order.status, order.since());
    if let Some(reason) = order.history.last().and_then(|entry| entry.reason.as_ref()) {
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
        Currency, Fingerprint, IdempotencyKey, Money, Name, OrderId, Placement, PricedLine, Product,
        Quantity, Quote, Reference, RequestedLine, Shortage, Sku, Stock, Timestamp, UserId, quote,
    };

    fn order(names: &[&str], reference: Option<&str>) -> Order {
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
        let Ok(Quote::Priced(quoted)) = quote(&wanted, &stock, None) else { panic!("it can be priced") };
        let user = UserId::try_from("user-1".to_owned()).unwrap();
        let reference = reference.map(|text| Reference::try_from(text.to_owned()).unwrap());
        let id = OrderId::derive(&user, &IdempotencyKey::try_from("key-1".to_owned()).unwrap());
        let at = Timestamp::try_from("2026-03-01T12:30:00.000Z".to_owned()).unwrap();
        let fingerprint = Fingerprint::of_order(&wanted, reference.as_ref(), None);
        Placement::new(id, user, reference, fingerprint, quoted, at).order
    }

    fn shown(mut order: Order, status: Status) -> String {
        order.status = status;
        for entry in &mut order.history {
            entry.status = status;
        }
        let mail = order.announcement().unwrap();
        format!("Subject: {}\n\n{}", mail.subject, mail.body)
    }

    #[test]
    fn pending_is_not_announced() {
        assert_eq!(order(&["Tea"], None).announcement(), None);
    }

    #[test]
    fn a_confirmation_names_the_lines_the_total_the_order_and_the_time() {
        insta::assert_snapshot!(shown(
            order(&["Gustaf's Knäckebröd", "Chai"], Some("PO-77")),
            Status::Confirmed
        ));
        insta::assert_snapshot!(shown(order(&["Gustaf's Knäckebröd", "Chai"], None), Status::Confirmed));
    }

    #[test]
    fn a_rejection_names_the_sku_how_many_were_ordered_and_how_many_there_were() {
        let mut order = order(&["Chai"], None);
        let line: &PricedLine = &order.lines[0];
        order.shortages = vec![Shortage { sku: line.sku.clone(), requested: line.quantity, available: 1 }];
        insta::assert_snapshot!(shown(order, Status::Rejected));
    }

    #[test]
    fn the_later_statuses_have_their_own_words() {
        let mut order = order(&["Chai"], None);
        order.history[0].reason = Some("changed my mind".to_owned().try_into().unwrap());
        insta::assert_snapshot!(shown(order.clone(), Status::Cancelled));
        order.history[0].reason = None;
        insta::assert_snapshot!(shown(order.clone(), Status::Shipped));
        insta::assert_snapshot!(shown(order, Status::Delivered));
    }

    proptest! {
        #[test]
        fn a_subject_is_one_short_ascii_line_whatever_the_names_contain(
            names in prop::collection::vec("\\PC{1,100}", 1..4)
        ) {
            let names: Vec<&str> = names.iter().map(String::as_str).filter(|n| Name::try_from((*n).to_owned()).is_ok()).collect();
            prop_assume!(!names.is_empty());
            let mut order = order(&names, None);
            order.status = Status::Confirmed;
            let subject = order.announcement().unwrap().subject;
            prop_assert!((1..=MAX_SUBJECT).contains(&subject.len()), "{subject:?}");
            prop_assert!(subject.bytes().all(|b| b == b' ' || b.is_ascii_graphic()), "{subject:?}");
        }
    }
}
