//! Customers order the same units at the same moment. Each race runs with many seeds, and each seed interleaves the AWS
//! calls in another way.

use futures_util::future::join_all;
use local::aws::Fault;
use serde_json::json;

use crate::world::{Reply, Shop, seeds};

#[tokio::test(start_paused = true)]
async fn two_customers_cannot_buy_the_last_unit() {
    let (mut runs, mut first_won, mut decided_by_the_transaction) = (0, 0, 0);
    for seed in seeds() {
        let shop = Shop::open_with(seed.0).await.stocked("TEA-1", 1).await;
        let (ada, bob) = (shop.customer("Ada").await, shop.customer("Bob").await);

        let both = async {
            tokio::join!(
                shop.place(&ada, "key-1", &[("TEA-1", 1)]),
                shop.place(&bob, "key-1", &[("TEA-1", 1)])
            )
        };
        let ((of_ada, of_bob), recorded) = shop.recording(both).await;

        let calls = Shop::counted(&recorded);
        let (won, lost) = if of_ada.status == 201 { (&of_ada, &of_bob) } else { (&of_bob, &of_ada) };
        assert_eq!((won.status, &won.body["status"]), (201, &json!("CONFIRMED")), "{of_ada:?} {of_bob:?}");
        assert_eq!(lost.problem(), (409, "insufficient_stock"), "{of_ada:?} {of_bob:?}");
        let shortage = json!([{ "sku": "TEA-1", "requested": 1, "available": 0 }]);
        assert_eq!(lost.body["shortages"], shortage);
        assert_eq!(shop.row(lost.order_id()).await["status"], "REJECTED");
        assert_eq!(shop.stock("TEA-1").await, (0, 1));
        let expected = [(won, "CONFIRMED"), (lost, "REJECTED")]
            .map(|(reply, status)| (reply.order_id().to_owned(), status.to_owned()));
        assert_eq!(told(&shop), expected);
        shop.audit(&[("TEA-1", 1)], &[&ada, &bob]).await;

        runs += 1;
        first_won += usize::from(of_ada.status == 201);
        decided_by_the_transaction += usize::from(calls["dynamodb TransactWriteItems"] == 2);
    }
    // Calls that interleave let each side win at times.
    assert!(runs < 20 || (1..runs).contains(&first_won), "Ada won {first_won} of {runs}");
    assert!(
        runs < 20 || decided_by_the_transaction > 0,
        "the check saw every shortage before the transaction"
    );
}

#[tokio::test(start_paused = true)]
async fn a_crowd_is_sold_every_unit_and_no_more() {
    for seed in seeds() {
        let shop = Shop::open_with(seed.0).await.stocked("TEA-1", 5).await.stocked("TEA-2", 4).await;
        let mut crowd = Vec::new();
        for n in 0..8 {
            crowd.push(shop.customer(&format!("Customer{n}")).await);
        }
        // Half of them name the lines in reverse. The transactions must not wait for each other in a circle.
        let orders = crowd.iter().enumerate().map(|(n, customer)| {
            let lines = if n % 2 == 0 { [("TEA-1", 1), ("TEA-2", 1)] } else { [("TEA-2", 1), ("TEA-1", 1)] };
            let shop = &shop;
            async move { shop.place(customer, "key-1", &lines).await }
        });

        let replies = join_all(orders).await;

        let count = |status| replies.iter().filter(|reply| reply.status == status).count();
        assert_eq!((count(201), count(409)), (4, 4), "{replies:?}");
        assert_eq!((shop.stock("TEA-1").await, shop.stock("TEA-2").await), ((1, 4), (0, 4)));
        for refused in replies.iter().filter(|reply| reply.status == 409) {
            assert_eq!(
                refused.body["shortages"],
                json!([{ "sku": "TEA-2", "requested": 1, "available": 0 }])
            );
        }
        assert_eq!(shop.order_mail().len(), 8);
        shop.audit(&[("TEA-1", 5), ("TEA-2", 4)], &crowd.iter().collect::<Vec<_>>()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn sixteen_repeats_at_once_are_one_order_one_movement_and_one_mail() {
    for seed in seeds() {
        let shop = Shop::open_with(seed.0).await.stocked("TEA-1", 16).await;
        let ada = shop.customer("Ada").await;

        let replies = join_all((0..16).map(|_| shop.place(&ada, "key-1", &[("TEA-1", 1)]))).await;

        one_order(&shop, &replies).await;
        assert_eq!(shop.stock("TEA-1").await, (15, 1));
        shop.audit(&[("TEA-1", 16)], &[&ada]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn sixteen_repeats_at_once_of_an_order_for_the_last_unit_are_not_told_of_a_shortage() {
    for seed in seeds() {
        let shop = Shop::open_with(seed.0).await.stocked("TEA-1", 1).await;
        let ada = shop.customer("Ada").await;

        let replies = join_all((0..16).map(|_| shop.place(&ada, "key-1", &[("TEA-1", 1)]))).await;

        one_order(&shop, &replies).await;
        assert_eq!(shop.stock("TEA-1").await, (0, 1));
        shop.audit(&[("TEA-1", 1)], &[&ada]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_unit_is_sold_once_while_transactions_conflict_and_acknowledgements_get_lost() {
    for seed in seeds() {
        let shop = Shop::open_with(seed.0).await.stocked("TEA-1", 1).await;
        let (ada, bob) = (shop.customer("Ada").await, shop.customer("Bob").await);
        let mut random = fastrand::Rng::with_seed(seed.0);
        shop.plant(move |call| match (call.operation.as_str(), random.u8(0..100)) {
            ("TransactWriteItems", 0..30) => Some(Fault::Conflict),
            ("TransactWriteItems", 30..50) => Some(Fault::After),
            _ => None,
        });

        let (of_ada, of_bob) = tokio::join!(
            shop.place(&ada, "key-1", &[("TEA-1", 1)]),
            shop.place(&bob, "key-1", &[("TEA-1", 1)])
        );

        // A door that learns of the order from its row alone answers 200.
        let sold = [&of_ada, &of_bob].into_iter().filter(|reply| [200, 201].contains(&reply.status)).count();
        let short = [&of_ada, &of_bob].into_iter().filter(|reply| reply.status == 409).count();
        assert_eq!((sold, short), (1, 1), "{of_ada:?} {of_bob:?}");
        assert_eq!(shop.order_mail().len(), 2);
        shop.heal();
        shop.audit(&[("TEA-1", 1)], &[&ada, &bob]).await;
    }
}

/// Each mailed order with its status, sorted by status.
fn told(shop: &Shop) -> Vec<(String, String)> {
    let mut told: Vec<_> = shop
        .order_mail()
        .into_iter()
        .map(|mail| (mail.order_id.unwrap_or_default(), mail.status.unwrap_or_default()))
        .collect();
    told.sort_by(|a, b| a.1.cmp(&b.1));
    told
}

/// Checks that all replies are about one order, which was placed, confirmed and mailed once.
async fn one_order(shop: &Shop, replies: &[Reply]) {
    let first: Vec<&Reply> = replies.iter().filter(|reply| reply.status == 201).collect();
    assert_eq!(first.len(), 1, "{replies:?}");
    for reply in replies {
        assert_eq!(reply.order_id(), first[0].order_id());
        let replayed = if reply.status == 200 { "true" } else { "" };
        assert_eq!(reply.header("idempotent-replayed"), replayed, "{reply:?}");
        assert!([200, 201].contains(&reply.status), "{reply:?}");
    }
    let orders = shop.rows("OrdersTable").await;
    assert_eq!(orders.len(), 1);
    assert_eq!((&orders[0]["status"], &orders[0]["version"]), (&json!("CONFIRMED"), &json!(2)));
    assert_eq!(shop.order_mail().len(), 1);
}
