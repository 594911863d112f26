//! The gestures of customers and admins: one method for each.

use http::Method;
use local::ground::{DeliveredMail, MailKind};
use serde_json::{Value, json};

use super::{people::Customer, requests::Reply, shop::Shop};

/// A product's description, at this price in the currency's smallest unit.
pub(crate) fn product(name: &str, amount: u64, currency: &str) -> Value {
    json!({ "name": name, "unit_price": { "amount": amount, "currency": currency } })
}

/// An order of these SKUs and quantities.
pub(crate) fn lines(lines: &[(&str, i64)]) -> Value {
    let lines: Vec<Value> = lines.iter().map(|(sku, n)| json!({ "sku": sku, "quantity": n })).collect();
    json!({ "lines": lines })
}

/// Being a user.
impl Shop {
    /// Registers a user, or repeats it.
    pub(crate) async fn register(&self, customer: &Customer, name: &str) -> Reply {
        self.register_with(customer, json!({ "name": name })).await
    }

    /// Posts a user.
    pub(crate) async fn register_with(&self, customer: &Customer, body: Value) -> Reply {
        self.call(Method::POST, "/users", customer, Some(body), &[]).await
    }

    /// Deletes a user.
    pub(crate) async fn leave(&self, customer: &Customer) -> Reply {
        self.call(Method::DELETE, "/users/me", customer, None, &[]).await
    }

    /// The `notifications` of a customer in `GET /users/me`.
    pub(crate) async fn notifications(&self, customer: &Customer) -> String {
        let me = self.get("/users/me", customer).await;
        assert_eq!(me.status, 200, "{me:?}");
        me.body["notifications"].as_str().expect("a text").to_owned()
    }

    /// Confirms every subscription that waits for it, and answers how many did.
    pub(crate) fn confirm_mails(&self) -> usize {
        self.stack.sns().confirm_all().expect("subscriptions can be confirmed")
    }
}

/// Orders.
impl Shop {
    /// Places an order of these SKUs and quantities.
    pub(crate) async fn place(&self, customer: &Customer, key: &str, wanted: &[(&str, i64)]) -> Reply {
        self.order(customer, key, lines(wanted)).await
    }

    /// Posts an order.
    pub(crate) async fn order(&self, customer: &Customer, key: &str, body: Value) -> Reply {
        self.call(Method::POST, "/orders", customer, Some(body), &[("idempotency-key", key)]).await
    }

    /// Places an order whose confirmation fails. It is left PENDING.
    pub(crate) async fn place_unconfirmed(
        &self,
        customer: &Customer,
        key: &str,
        wanted: &[(&str, i64)],
    ) -> Reply {
        self.fail_confirmations();
        let placed = self.place(customer, key, wanted).await;
        self.heal();
        assert_eq!((placed.status, &placed.body["status"]), (202, &json!("PENDING")), "{placed:?}");
        placed
    }

    /// Places an order whose e-mail fails. It is left unsent.
    pub(crate) async fn place_unsent(&self, customer: &Customer, key: &str, wanted: &[(&str, i64)]) -> Reply {
        self.fail_mails();
        let placed = self.place(customer, key, wanted).await;
        self.heal();
        assert_eq!((placed.status, &placed.body["status"]), (201, &json!("CONFIRMED")), "{placed:?}");
        placed
    }

    /// Places an order of one `TEA-1`, and answers whom it was mailed to.
    pub(crate) async fn told(&self, customer: &Customer, key: &str) -> Vec<String> {
        let before = self.order_mail().len();
        let placed = self.place(customer, key, &[("TEA-1", 1)]).await;
        assert_eq!(placed.status, 201, "{placed:?}");
        self.order_mail().split_off(before).into_iter().map(|mail| mail.to).collect()
    }

    /// Cancels an order.
    pub(crate) async fn cancel(&self, caller: &Customer, order_id: &str) -> Reply {
        self.call(Method::POST, &format!("/orders/{order_id}/cancel"), caller, None, &[]).await
    }

    /// Takes an order to a status, as a caller who has read this version of it.
    pub(crate) async fn patch(&self, caller: &Customer, order_id: &str, status: &str, version: u64) -> Reply {
        let etag = format!("\"{version}\"");
        let body = json!({ "status": status });
        self.call(Method::PATCH, &format!("/orders/{order_id}"), caller, Some(body), &[("if-match", &etag)])
            .await
    }

    /// Resumes an order by hand.
    pub(crate) async fn resume(&self, caller: &Customer, order_id: &str) -> Reply {
        self.call(Method::POST, &format!("/orders/{order_id}/resume"), caller, None, &[]).await
    }

    /// Takes up the orders that were given up.
    pub(crate) async fn resume_all(&self, caller: &Customer) -> Reply {
        self.call(Method::POST, "/orders/resume", caller, Some(json!({ "attention": true })), &[]).await
    }

    /// The orders that the API says wait for a person.
    pub(crate) async fn waiting_for_a_person(&self) -> Vec<String> {
        let list = self.get("/orders?attention=true", &self.admin_again()).await;
        list.items().iter().filter_map(|order| order["order_id"].as_str()).map(str::to_owned).collect()
    }

    /// Every e-mail about orders, oldest first.
    pub(crate) fn order_mail(&self) -> Vec<DeliveredMail> {
        self.stack.mailbox().mails(Some(MailKind::OrderStatus), None)
    }

    /// The statuses that were mailed, oldest first.
    pub(crate) fn mailed_statuses(&self) -> Vec<String> {
        self.order_mail().into_iter().filter_map(|mail| mail.status).collect()
    }
}

/// Stock.
impl Shop {
    /// Describes a product, which lists it when it is new.
    pub(crate) async fn describe(&self, caller: &Customer, sku: &str, product: &Value) -> Reply {
        self.call(Method::PUT, &format!("/inventory/{sku}"), caller, Some(product.clone()), &[]).await
    }

    /// Adjusts what is available, as the admin.
    pub(crate) async fn adjust(&self, sku: &str, key: &str, delta: i64) -> Reply {
        self.adjust_with(&self.admin, sku, Some(key), &json!({ "delta": delta, "reason": "test" })).await
    }

    /// Posts an adjustment.
    pub(crate) async fn adjust_with(
        &self,
        caller: &Customer,
        sku: &str,
        key: Option<&str>,
        body: &Value,
    ) -> Reply {
        let headers: Vec<(&str, &str)> = key.into_iter().map(|key| ("idempotency-key", key)).collect();
        let path = format!("/inventory/{sku}/adjustments");
        self.call(Method::POST, &path, caller, Some(body.clone()), &headers).await
    }

    /// Available and reserved, as the API tells the admin.
    pub(crate) async fn stock(&self, sku: &str) -> (u64, u64) {
        let reply = self.get(&format!("/inventory/{sku}"), &self.admin).await;
        let count = |name: &str| reply.body[name].as_u64().expect("a count");
        (count("available"), count("reserved"))
    }
}

/// Lists.
impl Shop {
    /// One page of a list.
    pub(crate) async fn page(
        &self,
        list: &str,
        caller: &Customer,
        limit: usize,
        cursor: Option<&str>,
    ) -> Reply {
        let first = if list.contains('?') { '&' } else { '?' };
        let cursor = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let page = self.get(&format!("{list}{first}limit={limit}{cursor}"), caller).await;
        assert_eq!(page.status, 200, "{list}: {page:?}");
        assert!(page.items().len() <= limit, "{list}: {page:?}");
        page
    }

    /// A list to its end. `between` runs between two pages, with the number of pages so far.
    pub(crate) async fn paged(
        &self,
        list: &str,
        caller: &Customer,
        limit: usize,
        mut between: impl AsyncFnMut(usize),
    ) -> Vec<Value> {
        let (mut all, mut cursor) = (Vec::new(), None);
        for pages in 1.. {
            let page = self.page(list, caller, limit, cursor.as_deref()).await;
            all.extend_from_slice(page.items());
            cursor = page.next_cursor().map(str::to_owned);
            if cursor.is_none() {
                break;
            }
            between(pages).await;
        }
        all
    }

    /// A list to its end.
    pub(crate) async fn whole(&self, list: &str, caller: &Customer, limit: usize) -> Vec<Value> {
        self.paged(list, caller, limit, async |_| {}).await
    }
}
