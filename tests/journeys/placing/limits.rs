//! An order holds no more units of a product than its admin allows.

use serde_json::{Value, json};

use crate::world::{Shop, gestures::product};

fn limited(to: i64) -> Value {
    let mut described = product("Teapot", 450, "EUR");
    described["max_per_order"] = json!(to);
    described
}

#[tokio::test(start_paused = true)]
async fn a_line_above_its_products_limit_is_named_and_nothing_is_reserved() {
    let shop = Shop::open().await.stocked("TEA-1", 50).await.stocked("POT-1", 50).await;
    let ada = shop.customer("Ada").await;
    let set = shop.describe(&shop.admin, "POT-1", &limited(3)).await;
    assert_eq!((set.status, &set.body["max_per_order"]), (200, &json!(3)), "{set:?}");
    // Customers see it before they order.
    assert_eq!(shop.get("/inventory/POT-1", &ada).await.body["max_per_order"], json!(3));

    let refused = shop.place(&ada, "key-1", &[("TEA-1", 40), ("POT-1", 4)]).await;
    // Lines of one product count together, and each is at fault.
    let split = shop.place(&ada, "key-2", &[("POT-1", 2), ("TEA-1", 1), ("POT-1", 2)]).await;

    assert_eq!(refused.problem(), (422, "validation_failed"), "{refused:?}");
    assert_eq!(refused.fields(), ["lines[1].quantity"]);
    assert!(
        refused.body["errors"][0]["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("3 units of POT-1"))
    );
    assert_eq!(split.fields(), ["lines[0].quantity", "lines[2].quantity"], "{split:?}");
    assert_eq!((shop.stock("TEA-1").await, shop.stock("POT-1").await), ((50, 0), (50, 0)));
    // Neither attempt has used up its key, and the limit itself is allowed.
    assert_eq!(shop.place(&ada, "key-1", &[("POT-1", 3)]).await.status, 201);
}

#[tokio::test(start_paused = true)]
async fn a_repeat_of_an_order_is_not_refused_by_a_limit_that_was_set_later() {
    let shop = Shop::open().await.stocked("POT-1", 50).await;
    let ada = shop.customer("Ada").await;
    let first = shop.place(&ada, "key-1", &[("POT-1", 4)]).await;
    assert_eq!(shop.describe(&shop.admin, "POT-1", &limited(3)).await.status, 200);

    let again = shop.place(&ada, "key-1", &[("POT-1", 4)]).await;

    assert_eq!((again.status, again.order()), (200, first.order()), "{again:?}");
    assert_eq!(shop.place(&ada, "key-2", &[("POT-1", 4)]).await.problem(), (422, "validation_failed"));
}

#[tokio::test(start_paused = true)]
async fn a_description_without_a_limit_removes_it() {
    let shop = Shop::open().await;
    let ada = shop.customer("Ada").await;
    let listed = shop.describe(&shop.admin, "POT-1", &limited(1)).await;
    assert_eq!((listed.status, &listed.body["max_per_order"]), (201, &json!(1)));
    assert_eq!(shop.adjust("POT-1", "opening", 9).await.status, 201);

    let changed = shop.describe(&shop.admin, "POT-1", &product("Teapot", 450, "EUR")).await;

    assert_eq!((changed.status, changed.body.get("max_per_order")), (200, None), "{changed:?}");
    assert_eq!(shop.place(&ada, "key-1", &[("POT-1", 9)]).await.status, 201);
}
