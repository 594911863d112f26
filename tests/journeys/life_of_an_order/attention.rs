//! Orders that a person should look at: they are listed, and after an outage one call takes them all up.

use std::time::Duration;

use futures_util::future::join;
use http::Method;
use local::aws::{Call, Fault};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::world::{
    Customer, Mailed, Shop, each_of, logs, seeds,
    waiting::{ATTEMPTS, LONGEST_WAIT},
};

/// A shop in which an outage made the sweeper give up so many orders. The outage is over.
async fn after_an_outage(orders: usize) -> (Shop, Customer) {
    outage_in(Shop::open_unbounded().await, orders).await
}

/// Makes the sweeper of this shop give up so many orders.
async fn outage_in(shop: Shop, orders: usize) -> (Shop, Customer) {
    let shop = shop.stocked("TEA-1", 1_000).await;
    let ada = shop.customer("Ada").await;
    shop.fail_mails();
    for n in 0..orders {
        assert_eq!(shop.place(&ada, &format!("key-{n}"), &[("TEA-1", 1)]).await.status, 201);
    }
    for _ in 0..=ATTEMPTS {
        shop.wait(LONGEST_WAIT);
        // One run takes fifty orders of each shard.
        for _ in 0..=orders / 50 {
            shop.sweep().await;
        }
    }
    shop.heal();
    assert_eq!(shop.books().await.given_up().len(), orders, "all are given up");
    (shop, ada)
}

/// The order ids of a list, to its end.
async fn listed(shop: &Shop, limit: usize) -> Vec<String> {
    let orders = shop.whole("/orders?attention=true", &shop.admin_again(), limit).await;
    orders.iter().map(|order| order["order_id"].as_str().expect("an id").to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_one_call_takes_up_all_orders_and_the_sweeper_mails_them() {
    let (shop, _ada) = after_an_outage(30).await;
    assert_eq!(listed(&shop, 7).await.len(), 30);

    let taken = shop.resume_all(&shop.admin_again()).await;

    assert_eq!((taken.status, &taken.body), (200, &json!({ "taken_up": 30, "more": false })));
    assert_eq!(shop.books().await.given_up(), [""; 0]);
    assert_eq!(shop.stack.sns().feed().len(), 30, "no execution was started by the call");
    let again = shop.resume_all(&shop.admin_again()).await;
    assert_eq!(again.body, json!({ "taken_up": 0, "more": false }), "a repeat takes up nothing twice");
    shop.sweep_after(Duration::ZERO).await;
    shop.audit_settled(Mailed::Once).await;
    assert_eq!(listed(&shop, 7).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn more_than_a_hundred_are_taken_up_by_several_calls() {
    let (shop, _ada) = after_an_outage(105).await;
    let first = shop.resume_all(&shop.admin_again()).await;
    assert_eq!(first.body, json!({ "taken_up": 100, "more": true }));
    let second = shop.resume_all(&shop.admin_again()).await;
    assert_eq!(second.body, json!({ "taken_up": 5, "more": false }));
}

#[test]
fn two_admins_at_once_take_up_each_order_once_and_count_it_once() {
    each_of(seeds(), async |seed| {
        let (shop, _ada) = outage_in(Shop::open_with(seed).await, 12).await;
        let (ann, ben) = (shop.another_admin("Ann"), shop.another_admin("Ben"));
        let (first, second) = join(shop.resume_all(&ann), shop.resume_all(&ben)).await;
        assert_eq!((first.status, second.status), (200, 200));
        let taken_up = [&first, &second].map(|reply| reply.body["taken_up"].as_u64().expect("a number"));
        assert_eq!(taken_up.iter().sum::<u64>(), 12, "{first:?} {second:?}");
        assert_eq!(shop.books().await.given_up(), [""; 0]);
        shop.sweep_after(Duration::ZERO).await;
        shop.audit_settled(Mailed::Once).await;
    });
}

/// Picks the updates that take an order up.
fn takes_up(call: &Call) -> bool {
    call.caller == "ChangeOrderFunction" && call.operation == "UpdateItem"
}

#[tokio::test(start_paused = true)]
async fn when_every_update_hangs_the_answer_comes_before_the_function_times_out() {
    let (shop, _ada) = after_an_outage(100).await;
    shop.plant_times(usize::MAX, Fault::Delay(Duration::from_mins(1)), takes_up);
    let began = Instant::now();
    let reply = shop.resume_all(&shop.admin_again()).await;
    assert_eq!(reply.problem(), (503, "try_again"), "{reply:?}");
    // The function's timeout is 28 s.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_order_that_could_not_be_taken_up_is_named_in_the_log() {
    let (shop, _ada) = after_an_outage(4).await;
    let (lines, _guard) = logs::keep();
    shop.plant_times(1, Fault::Refuse("AccessDeniedException"), takes_up);
    shop.resume_all(&shop.admin_again()).await;
    let books = shop.books().await;
    let left = books.given_up();
    assert_eq!(left.len(), 1);
    let lines = lines.text();
    let named: Vec<&str> = lines.lines().filter(|line| line.contains("could not be taken up")).collect();
    assert!(named.len() == 1 && named[0].contains(left[0]), "{left:?} {named:?}");
}

#[tokio::test(start_paused = true)]
async fn a_failure_keeps_no_other_order_from_being_taken_up() {
    // The SDK tries each call three times.
    for (fault, times, taken) in
        [(Fault::After, 1, 10), (Fault::After, 2, 10), (Fault::Refuse("AccessDeniedException"), 3, 7)]
    {
        let (shop, _ada) = after_an_outage(10).await;
        shop.plant_times(times, fault.clone(), takes_up);
        let reply = shop.resume_all(&shop.admin_again()).await;
        assert_eq!((reply.status, &reply.body["taken_up"]), (200, &json!(taken)), "{fault:?}: {reply:?}");
        assert_eq!(reply.body["more"], taken < 10, "{fault:?}");
        shop.heal();
        assert_eq!(shop.resume_all(&shop.admin_again()).await.body["taken_up"], 10 - taken);
    }
    // When nothing can be written, the answer says so.
    let (shop, _ada) = after_an_outage(3).await;
    shop.plant_times(usize::MAX, Fault::Before, takes_up);
    assert_eq!(shop.resume_all(&shop.admin_again()).await.problem(), (503, "try_again"));
    assert_eq!(shop.books().await.given_up().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn only_the_whole_wish_resumes_all_orders() {
    let (shop, ada) = after_an_outage(1).await;
    let admin = shop.admin_again();
    for body in
        [json!({}), json!({ "attention": false }), json!({ "attention": "true" }), json!({ "attention": 1 })]
    {
        let refused = shop.call(Method::POST, "/orders/resume", &admin, Some(body.clone()), &[]).await;
        assert_eq!(refused.problem(), (422, "validation_failed"), "{body}");
        assert_eq!(refused.fields(), ["attention"], "{body}");
    }
    let more = json!({ "attention": true, "status": "PENDING" });
    let refused = shop.call(Method::POST, "/orders/resume", &admin, Some(more), &[]).await;
    assert_eq!((refused.problem(), refused.fields()), ((422, "validation_failed"), vec!["status"]));
    let ada = shop.signed_in_as(&ada.user_id, &ada.email);
    assert_eq!(shop.resume_all(&ada).await.problem(), (403, "forbidden"));
    assert_eq!(shop.books().await.given_up().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn orders_that_the_sweeper_does_not_reach_are_listed_after_five_minutes() {
    let (shop, _ada) = after_an_outage(3).await;
    let given_up = listed(&shop, 100).await;
    let ada = shop.signed_in("Ada");
    let waiting = shop.registered("Dora").await;
    // Ten orders that nobody mails, since the sweeper has stopped, and one that waits for its customer.
    shop.fail_mails();
    let mut unsent = Vec::new();
    for n in 0..10 {
        let placed = shop.place(&ada, &format!("late-{n}"), &[("TEA-1", 1)]).await;
        unsent.push(placed.order_id().to_owned());
    }
    shop.heal();
    let parked = shop.place(&waiting, "key-1", &[("TEA-1", 1)]).await;
    assert_eq!(shop.row(parked.order_id()).await["due_shard"], "waiting");

    shop.wait(Duration::from_mins(5));
    assert_eq!(listed(&shop, 100).await, given_up, "they are due, and not overdue yet");
    shop.wait(Duration::from_mins(2));
    for limit in [1, 2, 3, 7, 100] {
        let all = listed(&shop, limit).await;
        assert_eq!(all[..3], given_up, "those that were given up come first");
        let mut overdue = all[3..].to_vec();
        let mut expected = unsent.clone();
        overdue.sort();
        expected.sort();
        assert_eq!(overdue, expected, "each is listed once, {limit} a page");
    }
    // Once the sweeper runs again, none is overdue.
    shop.sweep_after(Duration::ZERO).await;
    assert_eq!(listed(&shop, 100).await, given_up);
}

#[tokio::test(start_paused = true)]
async fn a_cursor_of_the_list_is_good_for_nothing_else() {
    let (shop, _ada) = after_an_outage(3).await;
    let page = shop.page("/orders?attention=true", &shop.admin_again(), 1, None).await;
    let cursor = page.next_cursor().expect("a further page").to_owned();
    for list in ["/orders?status=CONFIRMED", "/orders"] {
        let sign = if list.contains('?') { '&' } else { '?' };
        let refused = shop.get(&format!("{list}{sign}cursor={cursor}"), &shop.admin_again()).await;
        assert_eq!(refused.problem(), (400, "bad_cursor"), "{list}");
    }
    let seen: Vec<Value> = shop.whole("/orders?attention=true", &shop.admin_again(), 1).await;
    assert_eq!(seen.len(), 3);
}
