//! Each request about a registration is cut off after each of its AWS calls in turn. The sweeper alone leaves nothing
//! unfinished, and so does the next request.

use std::{collections::BTreeSet, time::Duration};

use local::{aws::Fault, services::lambda::Invocation};
use serde_json::{Value, json};

use crate::world::{Customer, Cut, Mailed, Reply, Shop, each_of, seeds::Seed, waiting::DUE};

/// The waits before the sweeper's next runs. The last ones are longer than a retired topic stays.
const RUNS: [Duration; 6] = [
    DUE,
    DUE,
    Duration::from_secs(121),
    Duration::from_secs(241),
    Duration::from_mins(16),
    Duration::from_mins(2),
];

/// What a customer was before the request.
#[derive(Clone, Copy, Debug)]
enum Was {
    Unknown,
    Pending,
    /// The address is confirmed, and the account does not know it.
    Unnoted,
    Confirmed,
    /// The confirmation lapsed.
    Lapsed,
    Off,
    /// Ended by a mail's link.
    Ended,
    Left,
}

/// The request.
#[derive(Clone, Copy, Debug)]
enum Asks {
    Register,
    On,
    Off,
    /// Register with another address.
    Move,
    Leave,
}

const CASES: [(Was, Asks); 14] = [
    (Was::Unknown, Asks::Register),
    (Was::Unknown, Asks::Off),
    (Was::Pending, Asks::Register),
    (Was::Pending, Asks::Move),
    (Was::Unnoted, Asks::Register),
    (Was::Confirmed, Asks::Register),
    (Was::Confirmed, Asks::Move),
    (Was::Confirmed, Asks::Off),
    (Was::Confirmed, Asks::Leave),
    (Was::Lapsed, Asks::Register),
    (Was::Off, Asks::On),
    (Was::Ended, Asks::On),
    (Was::Left, Asks::Register),
    (Was::Pending, Asks::Leave),
];

impl Was {
    /// A shop with a customer who was so, and a fresh token of theirs.
    async fn open(self) -> (Shop, Customer) {
        let shop = Shop::open().await.stocked("TEA-1", 50).await;
        let ada = shop.signed_in("Ada");
        let again = |shop: &Shop| shop.signed_in_as(&ada.user_id, &ada.email);
        match self {
            Self::Unknown => {}
            Self::Pending => {
                shop.register(&ada, "Ada").await;
                shop.wait(Duration::from_hours(2));
            }
            Self::Unnoted => {
                shop.register(&ada, "Ada").await;
                shop.confirm_mails();
                let waits = shop.place(&ada, "waits", &[("TEA-1", 1)]).await;
                assert_eq!(waits.status, 201);
            }
            Self::Lapsed => {
                shop.register(&ada, "Ada").await;
                shop.wait(Duration::from_hours(49));
            }
            Self::Confirmed | Self::Off | Self::Ended | Self::Left => {
                shop.customer("Ada").await;
            }
        }
        match self {
            Self::Off => {
                shop.register_with(&ada, json!({ "name": "Ada", "notifications": "off" })).await;
            }
            Self::Ended => {
                let arn = shop.stack.sns().subscriptions()[0].arn.clone();
                shop.stack.sns().unsubscribe_by_link(&arn).expect("it ends");
            }
            Self::Left => {
                assert_eq!(shop.leave(&ada).await.status, 204);
            }
            Self::Unknown | Self::Pending | Self::Unnoted | Self::Confirmed | Self::Lapsed => {}
        }
        let ada = again(&shop);
        (shop, ada)
    }
}

async fn ask(shop: &Shop, ada: &Customer, asks: Asks) -> Reply {
    let body = |wish: Option<&str>| match wish {
        Some(wish) => json!({ "name": "Ada", "notifications": wish }),
        None => json!({ "name": "Ada" }),
    };
    match asks {
        Asks::Register | Asks::Move => shop.register_with(ada, body(None)).await,
        Asks::On => shop.register_with(ada, body(Some("on"))).await,
        Asks::Off => shop.register_with(ada, body(Some("off"))).await,
        Asks::Leave => shop.leave(ada).await,
    }
}

/// The customer who asks: with another address, if that is what they ask for.
fn asker(shop: &Shop, ada: &Customer, asks: Asks) -> Customer {
    match asks {
        Asks::Move => shop.signed_in_as(&ada.user_id, "ada@new.example"),
        Asks::Register | Asks::On | Asks::Off | Asks::Leave => ada.clone(),
    }
}

/// Nothing is left to do: one topic for who is registered and mailed, and none else.
async fn finished(shop: &Shop, said: &str) {
    let rows = shop.rows("UsersTable").await;
    let mut topics = BTreeSet::new();
    for row in &rows {
        for name in ["todo_shard", "todo_at", "todo_tries", "retired"] {
            assert_eq!(row.get(name), None, "{said}: {row:#}");
        }
        topics.extend(row["topic_arn"].as_str().map(str::to_owned));
        let asked =
            row["mail"] == "off" || row.get("email").is_none() || row.get("subscription_arn").is_some();
        assert!(asked, "{said}: the address was never asked: {row:#}");
    }
    assert_eq!(shop.customer_topics(), topics, "{said}: {rows:#?}");
}

#[test]
fn whatever_is_cut_off_the_sweeper_or_the_next_request_finishes() {
    let whole = each_of((0..).map(Seed).take(CASES.len()), async |seed| {
        let (was, asks) = CASES[usize::try_from(seed).expect("a case")];
        let (shop, ada) = was.open().await;
        let ada = asker(&shop, &ada, asks);
        shop.calls_of(ask(&shop, &ada, asks)).await.len() as u64
    });
    let mut cuts = Vec::new();
    for (case, calls) in CASES.iter().zip(whole) {
        assert!(calls >= 2, "{case:?} makes {calls} calls");
        for happen in 0..=calls {
            for (cut, number) in Cut::ALL.into_iter().zip(0..) {
                // The sweeper finishes one, and the next request the next one.
                cuts.push((*case, cut, happen, (happen + number) % 2 == 0));
            }
        }
    }
    each_of((0..).map(Seed).take(cuts.len()), async |seed| {
        let ((was, asks), cut, happen, sweeps) = cuts[usize::try_from(seed).expect("a number")];
        let (shop, ada) = was.open().await;
        let ada = asker(&shop, &ada, asks);
        cut.plant(&shop, happen);
        let reply = ask(&shop, &ada, asks).await;
        shop.settle().await;
        shop.heal();
        let said = format!("{was:?} {asks:?}, {cut:?} {happen}, sweeper {sweeps}: {reply:?}");
        assert!([200, 201, 204, 503].contains(&reply.status), "{said}");

        if sweeps {
            for wait in RUNS {
                shop.sweep_after(wait).await;
            }
            finished(&shop, &said).await;
        }
        // Nobody asks an address twice within a minute.
        shop.wait(Duration::from_mins(2));
        let again = asker(&shop, &shop.signed_in_as(&ada.user_id, &ada.email), asks);
        let repeated = ask(&shop, &again, asks).await;
        assert!([200, 201, 204, 404].contains(&repeated.status), "{said}, again: {repeated:?}");
        for wait in RUNS {
            shop.sweep_after(wait).await;
        }
        finished(&shop, &said).await;
        if matches!(asks, Asks::Leave) {
            assert_eq!(shop.get("/users/me", &shop.signed_in_as(&ada.user_id, &ada.email)).await.status, 404);
            return;
        }
        // Whatever it was, the customer can be mailed at the address that was asked for.
        shop.confirm_mails();
        let last = shop.signed_in_as(&ada.user_id, &again.email);
        let on = shop.register_with(&last, json!({ "name": "Ada", "notifications": "on" })).await;
        if on.body["notifications"] == "pending" {
            shop.confirm_mails();
        }
        let on = shop.register_with(&last, json!({ "name": "Ada", "notifications": "on" })).await;
        assert_eq!(
            (&on.body["notifications"], &on.body["email"]),
            (&json!("confirmed"), &json!(again.email)),
            "{said}: {on:?}"
        );
        assert_eq!(shop.told(&last, "at-last").await, [again.email.as_str()], "{said}");
    });
}

/// What a customer is while their order is placed, and the shop's first answer about the mail.
#[derive(Clone, Copy, Debug)]
enum Mails {
    /// It waits.
    Pending,
    /// SNS is asked first, since the note is a day old.
    Asked,
}

#[test]
fn whatever_call_of_announcing_is_cut_off_the_mail_is_sent_once_the_customer_can_be_mailed() {
    let open = async |mails: Mails| {
        let shop = Shop::open().await.stocked("TEA-1", 50).await;
        let ada = match mails {
            Mails::Pending => shop.registered("Ada").await,
            Mails::Asked => {
                let ada = shop.customer("Ada").await;
                shop.wait(Duration::from_hours(25));
                shop.signed_in_as(&ada.user_id, &ada.email)
            }
        };
        (shop, ada)
    };
    let place = async |shop: &Shop, ada: &Customer| shop.place(ada, "key-1", &[("TEA-1", 1)]).await;
    let mut cuts: Vec<(Mails, Cut, u64)> = Vec::new();
    for mails in [Mails::Pending, Mails::Asked] {
        let calls = each_of(std::iter::once(Seed(0)), async |_| {
            let (shop, ada) = open(mails).await;
            shop.calls_of(place(&shop, &ada)).await.len() as u64
        })[0];
        cuts.extend((0..=calls).flat_map(|happen| Cut::ALL.map(|cut| (mails, cut, happen))));
    }
    each_of((0..).map(Seed).take(cuts.len()), async |seed| {
        let (mails, cut, happen) = cuts[usize::try_from(seed).expect("a number")];
        let (shop, ada) = open(mails).await;
        cut.plant(&shop, happen);
        let reply = place(&shop, &ada).await;
        shop.settle().await;
        shop.heal();
        let said = format!("{mails:?}, {cut:?} {happen}: {reply:?}");
        assert!([200, 201, 202, 503].contains(&reply.status), "{said}");
        shop.wait(DUE);
        let ada = shop.signed_in_as(&ada.user_id, &ada.email);
        let placed = place(&shop, &ada).await;
        assert!([200, 201, 202].contains(&placed.status), "{said}, again: {placed:?}");
        shop.confirm_mails();
        for wait in RUNS {
            shop.sweep_after(wait).await;
        }
        let books = shop.audit_settled(Mailed::AtLeastOnce { repeats: 2 }).await;
        let row: &Value = &books.orders[placed.order_id()];
        assert!(row["history"][1]["mailed_at"].is_string(), "{said}: {row:#}");
    });
}

/// SNS hangs on every call, and a hundred accounts are due.
#[tokio::test(start_paused = true)]
async fn a_run_of_the_sweeper_ends_by_itself_while_sns_hangs() {
    let shop = Shop::open().await;
    shop.plant(|call| (call.operation == "Subscribe").then_some(Fault::Before));
    for n in 0..100 {
        assert_eq!(shop.register(&shop.signed_in(&format!("Customer{n}")), "Somebody").await.status, 503);
    }
    shop.plant(|call| (call.service == "sns").then_some(Fault::Delay(Duration::from_mins(5))));
    shop.wait(DUE);
    let began = tokio::time::Instant::now();
    for ended in shop.sweep().await {
        assert!(matches!(ended, Invocation::Answered(_)), "{ended:?}");
    }
    assert!(began.elapsed() < Duration::from_secs(55), "{:?}", began.elapsed());
    shop.heal();
    for _ in 0..8 {
        shop.sweep_after(Duration::from_mins(5)).await;
    }
    finished(&shop, "after SNS hung").await;
}
