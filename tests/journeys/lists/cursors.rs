//! Which callers may read which list, with which parameters and cursors.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

use crate::world::{Customer, Shop};

/// The cursor after the first row of a list.
async fn cursor_of(shop: &Shop, list: &str, caller: &Customer) -> String {
    let page = shop.page(list, caller, 1, None).await;
    page.next_cursor().unwrap_or_else(|| panic!("{list} has one page: {page:?}")).to_owned()
}

/// A shop with two products, movements, and orders of two customers.
async fn open() -> (Shop, Customer, Customer) {
    let shop = Shop::open().await.stocked("TEA-1", 50).await.stocked("TEA-2", 50).await;
    for sku in ["TEA-1", "TEA-2"] {
        shop.adjust(sku, "more", 1).await;
    }
    let (ada, bob) = (shop.customer("Ada").await, shop.customer("Bob").await);
    for customer in [&ada, &bob] {
        for n in 0..4 {
            let placed = shop.place(customer, &format!("key-{n}"), &[("TEA-1", 1)]).await;
            assert_eq!(placed.status, 201);
            if n % 2 == 0 {
                assert_eq!(shop.cancel(customer, placed.order_id()).await.status, 200);
            }
        }
    }
    (shop, ada, bob)
}

#[tokio::test(start_paused = true)]
async fn a_customer_may_not_filter_orders_and_an_admin_must_name_one_valid_filter() {
    let (shop, ada, bob) = open().await;
    let admin = &*shop.admin;
    let mine = format!("user_id={}", ada.user_id);
    let other = format!("user_id={}", bob.user_id);
    for query in
        [&*mine, &*other, "status=CONFIRMED", "attention=true", "status=NEW", "attention=true&limit=0"]
    {
        let refused = shop.get(&format!("/orders?{query}"), &ada).await;
        assert_eq!(refused.problem(), (403, "forbidden"), "{query}: {refused:?}");
    }
    let two = format!("{mine}&{other}&status=CONFIRMED");
    for (list, caller, fields) in [
        ("/orders?status=CONFIRMED&attention=true", admin, &["status", "attention"][..]),
        (&*format!("/orders?{mine}&status=CONFIRMED"), admin, &["user_id", "status"]),
        (&*format!("/orders?{two}"), admin, &["user_id", "status"]),
        ("/orders?status=NEW", admin, &["status"]),
        ("/orders?status=confirmed", admin, &["status"]),
        ("/orders?status=", admin, &["status"]),
        ("/orders?status=CONFIRMED,SHIPPED", admin, &["status"]),
        ("/orders?status=PENDING", admin, &["status"]),
        ("/orders?attention=false", admin, &["attention"]),
        ("/orders?attention=", admin, &["attention"]),
        ("/orders?user_id=", admin, &["user_id"]),
        ("/orders?user_id=a%20b", admin, &["user_id"]),
        ("/orders?sort=asc", admin, &["sort"]),
        ("/orders?sort=asc&page=2&limit=7", &ada, &["page", "sort"]),
        ("/orders?status=NEW&limit=0&page=2", admin, &["status", "page", "limit"]),
        ("/orders?limit=0", &ada, &["limit"]),
        ("/orders?limit=101", &ada, &["limit"]),
        ("/orders?limit=-1", &ada, &["limit"]),
        ("/orders?limit=%2B1", &ada, &["limit"]),
        ("/orders?limit=1.0", &ada, &["limit"]),
        ("/orders?limit=", &ada, &["limit"]),
        ("/orders?limit=99999999999999999999", &ada, &["limit"]),
        ("/orders?limit=1&limit=2", &ada, &["limit"]),
        ("/inventory?limit=0&status=CONFIRMED", &ada, &["status", "limit"]),
        ("/inventory/TEA-1/movements?limit=abc&user_id=x", admin, &["user_id", "limit"]),
    ] {
        let refused = shop.get(list, caller).await;
        assert_eq!(refused.problem(), (422, "validation_failed"), "{list}: {refused:?}");
        assert_eq!(refused.fields(), fields, "{list}");
    }
    for (list, rows) in
        [("/orders", 4), ("/orders?limit=100", 4), ("/orders?limit=3", 3), ("/orders?limit=1", 1)]
    {
        assert_eq!(shop.get(list, &ada).await.items().len(), rows, "{list}");
    }
    let nobodys = shop.get("/orders?user_id=nobody", admin).await;
    assert_eq!(nobodys.body, serde_json::json!({ "items": [], "next_cursor": null }));
}

#[tokio::test(start_paused = true)]
async fn a_page_has_twenty_rows_by_default() {
    let shop = Shop::open().await.stocked("TEA-1", 50).await;
    let ada = shop.customer("Ada").await;
    for n in 0..21 {
        shop.place(&ada, &format!("key-{n}"), &[("TEA-1", 1)]).await;
    }
    let page = shop.get("/orders", &ada).await;
    assert_eq!((page.items().len(), page.next_cursor().is_some()), (20, true));
}

#[tokio::test(start_paused = true)]
async fn a_cursor_is_accepted_only_for_its_own_list_and_caller() {
    let (shop, ada, bob) = open().await;
    let admin = &*shop.admin;
    let second_admin = shop.another_admin("boss");
    let (of_ada, of_bob) =
        (format!("/orders?user_id={}", ada.user_id), format!("/orders?user_id={}", bob.user_id));
    let lists = [
        ("/orders", &ada),
        ("/orders", &bob),
        (&*of_ada, admin),
        (&*of_bob, admin),
        (&*of_ada, &second_admin),
        ("/orders?status=CONFIRMED", admin),
        ("/orders?status=CANCELLED", admin),
        ("/inventory", &ada),
        ("/inventory", admin),
        ("/inventory/TEA-1/movements", admin),
        ("/inventory/TEA-2/movements", admin),
    ];
    for (from, (list, caller)) in lists.iter().enumerate() {
        let cursor = cursor_of(&shop, list, caller).await;
        for (to, (other, by)) in lists.iter().enumerate() {
            let first = if other.contains('?') { '&' } else { '?' };
            let reply = shop.get(&format!("{other}{first}cursor={cursor}"), by).await;
            if from == to {
                assert_eq!(reply.status, 200, "{list}: {reply:?}");
            } else {
                assert_eq!(
                    reply.problem(),
                    (400, "bad_cursor"),
                    "of {list} by {}, for {other} by {}",
                    caller.email,
                    by.email
                );
            }
        }
    }
    // The limit may change from page to page.
    let cursor = cursor_of(&shop, "/orders", &ada).await;
    assert_eq!(shop.page("/orders", &ada, 3, Some(&cursor)).await.items().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_cursor_that_is_cut_or_edited_or_invented_is_refused() {
    let (shop, ada, _) = open().await;
    let admin = &*shop.admin;
    for (list, caller) in [("/orders", &ada), ("/inventory", &ada), ("/inventory/TEA-1/movements", admin)] {
        let good = cursor_of(&shop, list, caller).await;
        let mut bad: Vec<String> = (0..good.len()).map(|end| good[..end].to_owned()).collect();
        bad.extend((1..good.len()).map(|start| good[start..].to_owned()));
        for place in 0..good.len() {
            let mut edited = good.clone();
            let other = if &good[place..=place] == "A" { "B" } else { "A" };
            edited.replace_range(place..=place, other);
            bad.push(edited);
        }
        bad.extend(["A", "null", "0", "%20", "%00", "%F0%9F%8D%B5", "..%2F", "Og"].map(str::to_owned));
        bad.extend([format!("{good}A"), format!("{good}%3D"), format!("{good}{good}"), "A".repeat(4_000)]);
        for cursor in bad {
            let refused = shop.get(&format!("{list}?cursor={cursor}"), caller).await;
            assert_eq!(refused.problem(), (400, "bad_cursor"), "{list}: {cursor}: {refused:?}");
        }
    }
}

/// The digest is not secret, so a caller can compute one. Such a cursor shows no row that the caller may not see.
#[tokio::test(start_paused = true)]
async fn a_forged_cursor_whose_place_no_list_has_is_refused() {
    let (shop, ada, bob) = open().await;
    let id = "6f1c3b1e-5d0a-5c0e-9a83-2f5b7e41d0c6";
    let long = "A".repeat(3_000);
    for (list, name, caller, places) in [
        ("/orders", "orders of the caller", &ada, &ORDER_PLACES[..]),
        ("/orders?status=CONFIRMED", "orders by status CONFIRMED", &*shop.admin, &ORDER_PLACES),
        ("/inventory", "inventory", &ada, &["", " ", "no sku", "tea-1", "TEA-1 x", &long]),
        ("/inventory/TEA-1/movements", "movements of TEA-1", &*shop.admin, &ORDER_PLACES),
    ] {
        let first = if list.contains('?') { '&' } else { '?' };
        for place in places {
            let cursor = forged(name, caller, place);
            let refused = shop.get(&format!("{list}{first}cursor={cursor}"), caller).await;
            assert_eq!(refused.problem(), (400, "bad_cursor"), "{list}: {place}: {refused:?}");
        }
    }
    // With a valid place it shows only the caller's own list.
    let place = format!("2026-03-01T12:00:00.000Z {id}");
    let page = shop.page("/orders", &ada, 20, Some(&forged("orders of the caller", &ada, &place))).await;
    assert!(page.items().iter().all(|order| order["user_id"] == ada.user_id), "{page:?}");
    let stolen = forged(&format!("orders by user_id {}", bob.user_id), &ada, &place);
    assert_eq!(shop.get(&format!("/orders?cursor={stolen}"), &ada).await.problem(), (400, "bad_cursor"));
}

/// The clock of the function that gave a cursor may be ahead of the next one's.
#[tokio::test(start_paused = true)]
async fn a_place_that_is_not_overdue_yet_goes_on_with_the_latest_that_is() {
    let (shop, ada, _) = open().await;
    shop.fail_mails();
    let mut overdue = Vec::new();
    for n in 0..12 {
        overdue.push(shop.place(&ada, &format!("late-{n}"), &[("TEA-1", 1)]).await.order_id().to_owned());
    }
    shop.heal();
    shop.wait(Duration::from_mins(30));
    let admin = shop.admin_again();
    let page_after = async |place: &str| {
        let cursor = forged("orders by attention true", &admin, place);
        let page = shop.get(&format!("/orders?attention=true&cursor={cursor}"), &admin).await;
        assert_eq!(page.status, 200, "{place}: {page:?}");
        page.items().iter().map(|order| order["order_id"].clone()).collect::<Vec<_>>()
    };
    for shard in ["0", "1", "2", "3"] {
        let ahead = format!("{shard} 2026-03-01T12:27:00.000Z 6f1c3b1e-5d0a-5c0e-9a83-2f5b7e41d0c6");
        assert_eq!(page_after(&ahead).await, page_after(shard).await, "shard {shard}");
    }
    // The first shard is followed by all others.
    let mut listed = page_after("0").await;
    listed.sort_by_key(ToString::to_string);
    overdue.sort();
    assert_eq!(listed, overdue);
}

/// Places that no list of orders or movements can have.
const ORDER_PLACES: [&str; 9] = [
    "",
    " ",
    "2026-03-01T12:00:00.000Z",
    "2026-03-01T12:00:00.000Z ",
    " 6f1c3b1e-5d0a-5c0e-9a83-2f5b7e41d0c6",
    "2026-03-01T12:00:00Z 6f1c3b1e-5d0a-5c0e-9a83-2f5b7e41d0c6",
    "2026-03-01T12:00:00.000Z 6F1C3B1E-5D0A-5C0E-9A83-2F5B7E41D0C6",
    "2026-03-01T12:00:00.000Z STOCK",
    "yesterday 6f1c3b1e-5d0a-5c0e-9a83-2f5b7e41d0c6",
];

/// A cursor with the digest that the shipped code computes.
fn forged(list: &str, caller: &Customer, place: &str) -> String {
    let mut hash = Sha256::new();
    for part in [list, &caller.user_id, place] {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    let mut bytes = hash.finalize()[..12].to_vec();
    bytes.extend_from_slice(place.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}
