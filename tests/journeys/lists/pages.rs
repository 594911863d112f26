//! Lists of orders, stock and movements show each row that belongs there once, page by page. `cursors.rs` has which
//! callers may read which list.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use local::aws::{Fault, Recorded};
use serde_json::{Value, json};

use crate::world::{Customer, Shop, faults::operation};

/// The page sizes that lists are read with.
const LIMITS: [usize; 4] = [1, 7, 20, 100];

/// More units than any test here orders.
const PLENTY: i64 = 100_000;

impl Shop {
    /// Places this many orders of one unit, and answers their ids. The clock moves by a millisecond after `per_ms` of
    /// them.
    async fn placed(
        &self,
        customer: &Customer,
        keys: &str,
        count: usize,
        per_ms: Option<usize>,
    ) -> Vec<String> {
        let mut ids = Vec::new();
        for n in 0..count {
            if per_ms.is_some_and(|per_ms| n % per_ms == 0) {
                self.wait(Duration::from_millis(1));
            }
            let placed = self.place(customer, &format!("{keys}-{n}"), &[("TEA-1", 1)]).await;
            assert_eq!(placed.status, 201, "{placed:?}");
            ids.push(placed.order_id().to_owned());
        }
        ids
    }
}

fn texts<'a>(rows: &'a [Value], member: &str) -> Vec<&'a str> {
    rows.iter().map(|row| row[member].as_str().expect("a text")).collect()
}

/// Checks that a list shows every order of `expected`, none twice, and the newest first. It may show further orders.
fn each_once_newest_first(rows: &[Value], expected: &[String], of: &str) {
    let ids = texts(rows, "order_id");
    let distinct: BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(ids.len(), distinct.len(), "{of}: an order is listed twice");
    let missing: Vec<&String> = expected.iter().filter(|id| !distinct.contains(id.as_str())).collect();
    assert!(missing.is_empty(), "{of}: {} are missing: {missing:?}", missing.len());
    assert!(texts(rows, "created_at").is_sorted_by(|newer, older| newer >= older), "{of}: not newest first");
}

/// Copies an order's row a thousand times, and answers the copies' ids. Nine share a millisecond, and all are older
/// than the shop's next order. A list reads a copy as it reads an order, and copying is ten times as fast as placing.
async fn a_thousand_like(shop: &Shop, order_id: &str) -> Vec<String> {
    let mut row = shop.row(order_id).await;
    let mut ids = Vec::new();
    for n in 0..1_000 {
        let id = format!("{:08x}-0000-5000-8000-{n:012x}", n * 7_919 % 1_009);
        row["order_id"] = json!(id);
        row["created_at"] = json!(format!("2026-03-01T12:00:01.{:03}Z", n / 9));
        shop.put_order(&row).await;
        ids.push(id);
    }
    shop.wait(Duration::from_secs(2));
    ids
}

#[tokio::test(start_paused = true)]
async fn a_thousand_orders_are_each_listed_once_while_new_ones_arrive() {
    let shop = Shop::open_unbounded().await.stocked("TEA-1", PLENTY).await;
    let (ada, bob) = (shop.customer("Ada").await, shop.customer("Bob").await);
    shop.placed(&bob, "bob", 5, None).await;
    let mut there = shop.placed(&ada, "first", 1, None).await;
    there.extend(a_thousand_like(&shop, &there[0]).await);
    for limit in LIMITS {
        let mut arrived = Vec::new();
        let rows = shop
            .paged("/orders", &ada, limit, async |pages| {
                if pages % 3 == 1 && pages < 60 {
                    // Some share the newest order's millisecond, and some are later.
                    let per_ms = (pages % 2 == 0).then_some(1);
                    arrived.extend(shop.placed(&ada, &format!("late-{limit}-{pages}"), 1, per_ms).await);
                }
            })
            .await;
        assert!(!arrived.is_empty(), "at limit {limit} no order arrived meanwhile");
        each_once_newest_first(&rows, &there, &format!("at limit {limit}"));
        assert!(rows.iter().all(|order| order["user_id"] == ada.user_id), "another customer's order");
        there.append(&mut arrived);
    }
}

#[tokio::test(start_paused = true)]
async fn orders_of_one_millisecond_are_paged_without_a_gap_or_a_repeat() {
    let shop = Shop::open_unbounded().await.stocked("TEA-1", PLENTY).await;
    let ada = shop.customer("Ada").await;
    let there = shop.placed(&ada, "key", 130, None).await;
    for list in ["/orders".to_owned(), format!("/orders?user_id={}", ada.user_id), by("CONFIRMED")] {
        let caller = if list == "/orders" { &ada } else { &*shop.admin };
        for limit in LIMITS {
            let rows = shop.whole(&list, caller, limit).await;
            each_once_newest_first(&rows, &there, &format!("{list} at limit {limit}"));
            assert_eq!(rows.len(), there.len(), "{list} at limit {limit}");
        }
    }
    assert_eq!(shop.whole("/orders", &ada, 100).await.len(), 130);
}

fn by(status: &str) -> String {
    format!("/orders?status={status}")
}

/// Rows with the same index key differ only in the table's own key, so a place must hold both keys.
#[tokio::test(start_paused = true)]
async fn a_page_starts_at_the_whole_key_of_the_last_row_and_no_list_scans() {
    let shop = Shop::open().await.stocked("TEA-1", PLENTY).await.stocked("TEA-2", 1).await;
    let ada = shop.customer("Ada").await;
    shop.placed(&ada, "key", 3, None).await;
    shop.adjust("TEA-1", "more", 1).await;
    give_up_one(&shop, &ada, "given-up-1").await;
    give_up_one(&shop, &ada, "given-up-2").await;
    let admin = shop.admin_again();
    for (list, index, key) in [
        (format!("/orders?user_id={}", ada.user_id), "by_user", &["user_id", "created_at", "order_id"][..]),
        (by("CONFIRMED"), "by_status", &["status", "listed_at", "order_id"]),
        ("/orders?attention=true".to_owned(), "by_due", &["due_shard", "due_at", "order_id"]),
        ("/inventory".to_owned(), "listing", &["list_pk", "list_sk", "sku", "kind"]),
        ("/inventory/TEA-1/movements".to_owned(), "listing", &["list_pk", "list_sk", "sku", "kind"]),
    ] {
        let first = shop.page(&list, &admin, 1, None).await;
        let cursor = first.next_cursor().unwrap_or_else(|| panic!("{list} has one row"));
        let (second, recorded) = shop.recording(shop.page(&list, &admin, 1, Some(cursor))).await;
        assert_eq!(second.items().len(), 1, "{list}");
        assert_ne!(first.items(), second.items(), "{list}");
        let calls = Shop::counted(&recorded);
        let allowed = ["dynamodb BatchGetItem", "dynamodb Query"];
        assert!(calls.keys().eq(allowed), "{list}: {calls:?}");
        let (asked_index, mut start) = query(&recorded);
        assert_eq!(asked_index, index, "{list}");
        let mut key = key.to_vec();
        start.sort_unstable();
        key.sort_unstable();
        assert_eq!(start, key, "{list}");
    }
}

/// The index of the first recorded Query, and the names in its start key.
fn query(recorded: &[Recorded]) -> (String, Vec<String>) {
    let query = recorded.iter().find(|one| one.call.operation == "Query").expect("a query");
    // The record holds the request in Rust's debug format.
    let text = query.text.replace("\\\"", "\"");
    let request = &text[text.find('{').expect("a request")..];
    let body = &request[request.find("body: \"").expect("a body") + "body: \"".len()..];
    let request = serde_json::Deserializer::from_str(body).into_iter::<Value>().next();
    let request = request.expect("a body").expect("JSON");
    let start = request["ExclusiveStartKey"].as_object().expect("a start key");
    (request["IndexName"].as_str().expect("an index").to_owned(), start.keys().cloned().collect())
}

/// Places an order whose e-mail fails until the sweeper gives the order up.
async fn give_up_one(shop: &Shop, customer: &Customer, key: &str) -> String {
    let customer = shop.signed_in_as(&customer.user_id, &customer.email);
    shop.fail_mails();
    let placed = shop.place(&customer, key, &[("TEA-1", 1)]).await;
    assert_eq!(placed.status, 201, "{placed:?}");
    shop.sweep_until_given_up().await;
    shop.heal();
    placed.order_id().to_owned()
}

#[tokio::test(start_paused = true)]
async fn an_admin_lists_orders_by_customer_by_status_or_by_need_of_attention() {
    let shop = Shop::open().await.stocked("TEA-1", 50).await;
    let (ada, bob) = (shop.customer("Ada").await, shop.customer("Bob").await);
    let mut expected: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (n, status) in ["CONFIRMED", "CANCELLED", "SHIPPED", "DELIVERED", "REJECTED"]
        .into_iter()
        .cycle()
        .take(15)
        .enumerate()
    {
        let units = if status == "REJECTED" { 1_000 } else { 1 };
        let customer = if n % 2 == 0 { &ada } else { &bob };
        let placed = shop.place(customer, &format!("key-{n}"), &[("TEA-1", units)]).await;
        let id = placed.order_id();
        match status {
            "CANCELLED" => assert_eq!(shop.cancel(customer, id).await.status, 200),
            "SHIPPED" => assert_eq!(shop.patch(&shop.admin, id, "SHIPPED", 2).await.status, 200),
            "DELIVERED" => {
                assert_eq!(shop.patch(&shop.admin, id, "SHIPPED", 2).await.status, 200);
                assert_eq!(shop.patch(&shop.admin, id, "DELIVERED", 3).await.status, 200);
            }
            _ => {}
        }
        expected.entry(status).or_default().push(id.to_owned());
        shop.wait(Duration::from_millis(1));
    }
    for (status, mut ids) in expected {
        // Each order reached its status later than the order before.
        ids.reverse();
        let rows = shop.whole(&by(status), &shop.admin, 2).await;
        assert_eq!(texts(&rows, "order_id"), ids, "{status}");
        assert!(rows.iter().all(|order| order["status"] == status), "{status}");
    }
    for customer in [&ada, &bob] {
        let own = shop.whole("/orders", customer, 4).await;
        let seen = shop.whole(&format!("/orders?user_id={}", customer.user_id), &shop.admin, 3).await;
        assert_eq!(own, seen);
        assert!(own.iter().all(|order| order["user_id"] == customer.user_id));
    }
    assert_eq!(shop.whole("/orders", &ada, 100).await.len(), 8);
    assert_eq!(
        shop.whole("/orders", &shop.admin, 100).await,
        Vec::<Value>::new(),
        "an admin's own orders, without a filter"
    );

    let left = give_up_one(&shop, &ada, "left").await;
    let admin = shop.admin_again();
    assert_eq!(texts(&shop.whole("/orders?attention=true", &admin, 1).await, "order_id"), [left.as_str()]);
    assert_eq!(shop.resume(&admin, &left).await.status, 202);
    assert_eq!(shop.whole("/orders?attention=true", &admin, 1).await, Vec::<Value>::new());
}

#[tokio::test(start_paused = true)]
async fn a_list_shows_an_order_as_its_own_route_does_and_the_etag_is_its_version() {
    let shop = Shop::open().await.stocked("TEA-1", 5).await;
    let ada = shop.customer("Ada").await;
    let id = shop.place(&ada, "key-1", &[("TEA-1", 1)]).await.order_id().to_owned();
    for (status, version) in [("CONFIRMED", 2), ("SHIPPED", 3), ("DELIVERED", 4)] {
        if version > 2 {
            assert_eq!(shop.patch(&shop.admin, &id, status, version - 1).await.status, 200);
        }
        let alone = shop.get(&format!("/orders/{id}"), &ada).await;
        assert_eq!(
            (alone.header("etag"), &alone.body["status"]),
            (&*format!("\"{version}\""), &json!(status))
        );
        for listed in [shop.whole("/orders", &ada, 20).await, shop.whole(&by(status), &shop.admin, 20).await]
        {
            assert_eq!(listed, std::slice::from_ref(&alone.body), "{status}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_by_status_shows_no_other_status_while_orders_change_between_its_pages() {
    for limit in [1, 4, 7] {
        let shop = Shop::open().await.stocked("TEA-1", 100).await;
        let ada = shop.customer("Ada").await;
        let there = shop.placed(&ada, "key", 40, Some(3)).await;
        let mut left = BTreeSet::new();
        let rows = shop
            .paged(&by("CONFIRMED"), &shop.admin, limit, async |pages| {
                // One order among those listed changes, and one among those still to come.
                for id in [&there[(pages - 1) % 40], &there[39 - (pages - 1) % 40]] {
                    if left.len() < 24 && left.insert(id.clone()) {
                        let gone = if pages % 2 == 0 {
                            shop.cancel(&ada, id).await
                        } else {
                            shop.patch(&shop.admin, id, "SHIPPED", 2).await
                        };
                        assert_eq!(gone.status, 200, "{gone:?}");
                    }
                }
            })
            .await;
        assert!(!left.is_empty(), "at limit {limit} no order changed meanwhile");
        let stayed: Vec<String> = there.iter().filter(|id| !left.contains(*id)).cloned().collect();
        each_once_newest_first(&rows, &stayed, &format!("at limit {limit}"));
        assert!(rows.iter().all(|order| order["status"] == "CONFIRMED"), "at limit {limit}");
    }
}

/// On AWS an index lags behind its table. Here the index answers late, and the orders change in between.
#[tokio::test(start_paused = true)]
async fn a_list_reads_past_orders_that_have_changed_since_the_index_was_read() {
    for limit in [1, 5, 10] {
        let shop = Shop::open().await.stocked("TEA-1", 100).await;
        let ada = shop.customer("Ada").await;
        let mut newest_first = shop.placed(&ada, "key", 30, Some(1)).await;
        newest_first.reverse();
        let asked = shop.plant_once(Fault::Delay(Duration::from_secs(1)), operation("Query"));

        let confirmed = by("CONFIRMED");
        let (page, ()) = tokio::join!(shop.page(&confirmed, &shop.admin, limit, None), async {
            asked.notified().await;
            // More changes than one page reads past at a limit of 1, and one order that is deleted.
            for id in &newest_first[..14] {
                assert_eq!(shop.cancel(&ada, id).await.status, 200);
            }
            shop.delete_order(&newest_first[14]).await;
        });

        assert!(
            page.items().iter().all(|order| order["status"] == "CONFIRMED"),
            "at limit {limit}: {page:?}"
        );
        let mut seen: Vec<Value> = page.items().to_vec();
        if limit > 1 {
            assert_eq!(seen.len(), limit, "the page was not filled: {page:?}");
        }
        let mut cursor = page.next_cursor().map(str::to_owned);
        while let Some(at) = cursor {
            let page = shop.page(&confirmed, &shop.admin, limit, Some(&at)).await;
            seen.extend_from_slice(page.items());
            cursor = page.next_cursor().map(str::to_owned);
        }
        assert_eq!(texts(&seen, "order_id"), newest_first[15..], "at limit {limit}");
    }
}

#[tokio::test(start_paused = true)]
async fn stock_is_paged_by_sku_and_only_admins_see_what_is_reserved() {
    let mut shop = Shop::open().await;
    let mut skus: Vec<String> = (0..45).map(|n| format!("TEA-{}", n * 7 % 45)).collect();
    skus.extend(["A".to_owned(), "Z.9_".to_owned()]);
    for sku in &skus {
        shop = shop.stocked(sku, 2).await;
    }
    let ada = shop.customer("Ada").await;
    assert_eq!(shop.place(&ada, "key-1", &[("TEA-7", 1)]).await.status, 201);
    skus.sort_unstable();
    for limit in LIMITS {
        let seen = shop.whole("/inventory", &ada, limit).await;
        assert_eq!(texts(&seen, "sku"), skus, "at limit {limit}");
        assert!(seen.iter().all(|stock| stock.get("reserved").is_none()), "at limit {limit}");
        let seen = shop.whole("/inventory", &shop.admin, limit).await;
        assert_eq!(texts(&seen, "sku"), skus, "at limit {limit}");
        for stock in &seen {
            let reserved = u64::from(stock["sku"] == "TEA-7");
            assert_eq!((&stock["available"], &stock["reserved"]), (&json!(2 - reserved), &json!(reserved)));
        }
    }
    // A product that is listed meanwhile appears in its place, and moves no other.
    let first = shop.page("/inventory", &ada, 40, None).await;
    let shop = shop.stocked("B-NEW", 1).await.stocked("Z-NEW", 1).await;
    let rest = shop.page("/inventory", &ada, 40, first.next_cursor()).await;
    let seen = [first.items(), rest.items()].concat();
    assert_eq!(seen.len(), skus.len() + 1);
    assert!(texts(&seen, "sku").is_sorted());
}

#[tokio::test(start_paused = true)]
async fn a_ledger_is_paged_newest_first_and_shows_exactly_the_adjustments_made() {
    let shop = Shop::open().await.stocked("TEA-1", 100).await.stocked("TEA-2", 1).await;
    let mut made = vec![100];
    for n in 1..=33 {
        if n % 4 != 0 {
            shop.wait(Duration::from_millis(1));
        }
        let delta = if n % 3 == 0 { -n } else { n };
        assert_eq!(shop.adjust("TEA-1", &format!("key-{n}"), delta).await.status, 201);
        made.push(delta);
    }
    // Refusals, repeats and other SKUs' adjustments are no movements of this SKU.
    assert_eq!(shop.adjust("TEA-1", "too-much", -1_000).await.problem(), (409, "below_zero"));
    assert_eq!(shop.adjust("TEA-1", "key-1", 1).await.status, 200);
    assert_eq!(shop.adjust("TEA-1", "key-1", 2).await.problem(), (422, "idempotency_key_reused"));
    for limit in LIMITS {
        let rows = shop.whole("/inventory/TEA-1/movements", &shop.admin, limit).await;
        assert!(texts(&rows, "at").is_sorted_by(|newer, older| newer >= older), "at limit {limit}");
        // Movements of the same millisecond are in no particular order.
        let mut deltas: Vec<i64> = rows.iter().map(|row| row["delta"].as_i64().expect("a delta")).collect();
        assert_eq!(deltas.first().map(|delta| delta.abs()), Some(33), "at limit {limit}");
        let mut expected = made.clone();
        deltas.sort_unstable();
        expected.sort_unstable();
        assert_eq!(deltas, expected, "at limit {limit}");
        for row in &rows {
            assert_eq!((&row["reason"], &row["actor"]), (&json!("test"), &json!(shop.admin.user_id)));
        }
    }
    let available: i64 = made.iter().sum();
    assert_eq!(shop.stock("TEA-1").await, (u64::try_from(available).expect("not negative"), 0));

    let ada = shop.customer("Ada").await;
    assert_eq!(shop.get("/inventory/TEA-1/movements", &ada).await.problem(), (403, "forbidden"));
    for unknown in ["/inventory/TEA-9/movements", "/inventory/no%20sku/movements"] {
        assert_eq!(shop.get(unknown, &shop.admin).await.problem(), (404, "not_found"), "{unknown}");
    }
    let shop = shop.stocked("TEA-3", 0).await;
    assert_eq!(shop.whole("/inventory/TEA-3/movements", &shop.admin, 20).await, Vec::<Value>::new());
}
