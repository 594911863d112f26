//! Each deed of the shop is cut off after each of its AWS calls in turn, the state machine's calls among them. From
//! then on every call fails. Once calls succeed again, the sweeper's next runs leave nothing unfinished, and a repeated
//! request succeeds.

use std::{fmt::Write as _, time::Duration};

use crate::world::{
    Books, Customer, Cut, Mailed, Reply, Shop, each_of, requests::without_mailed_at, seeds::Seed,
    waiting::DUE,
};

const SKU: &str = "TEA-1";

/// The waits before the sweeper's next runs. It waits longer for an order that it has already tried to finish.
const RUNS: [Duration; 4] = [DUE, DUE, Duration::from_secs(121), Duration::from_secs(241)];

/// How many e-mails may be repeats. The sweeper sends an e-mail again that is not noted as sent. When the sending hangs,
/// the state machine has repeated it before.
fn repeats(cut: Cut) -> usize {
    match cut {
        Cut::After | Cut::Unacknowledged => 1,
        Cut::Hanging => 2,
    }
}

/// A deed to be cut off, the deeds before it, and the order's history in the end.
struct InterruptedDeed {
    before: &'static [&'static str],
    does: &'static str,
    history: &'static [&'static str],
    /// The deed makes at least so many AWS calls.
    calls: u64,
}

/// A shop in which a deed is to be cut off.
struct Scene {
    shop: Shop,
    ada: Customer,
    order_id: String,
}

impl Scene {
    async fn open() -> Self {
        let shop = Shop::open().await.stocked(SKU, 10).await.stocked("GONE-1", 0).await;
        let ada = shop.customer("Ada").await;
        Self { shop, ada, order_id: String::new() }
    }

    async fn act(&mut self, does: &str) -> Option<Reply> {
        let Self { shop, ada, order_id } = self;
        let reply = match does {
            "place" => shop.place(ada, "key-1", &[(SKU, 2)]).await,
            "place what is gone" => shop.place(ada, "key-1", &[(SKU, 2), ("GONE-1", 1)]).await,
            "cancel" => shop.cancel(ada, order_id).await,
            "ship" => shop.patch(&shop.admin, order_id, "SHIPPED", 2).await,
            "deliver" => shop.patch(&shop.admin, order_id, "DELIVERED", 3).await,
            "resume" => shop.resume(&shop.admin, order_id).await,
            "sweep" => {
                shop.sweep().await;
                return None;
            }
            "place, and fail to confirm" => shop.place_unconfirmed(ada, "key-1", &[(SKU, 2)]).await,
            "place, and fail to mail" => shop.place_unsent(ada, "key-1", &[(SKU, 2)]).await,
            "wait" => {
                shop.wait(DUE);
                return None;
            }
            _ => panic!("there is no deed {does:?}"),
        };
        shop.heal();
        if !reply.order_id().is_empty() {
            reply.order_id().clone_into(order_id);
        }
        Some(reply)
    }

    /// Cuts a deed off after its first `happen` calls.
    async fn cut_off(&mut self, does: &str, cut: Cut, happen: u64) -> Option<Reply> {
        cut.plant(&self.shop, happen);
        let reply = self.act(does).await;
        self.shop.heal();
        reply
    }
}

/// Cuts the deed off after each of its calls, in each way.
fn check(deed: &InterruptedDeed) {
    let whole = each_of(std::iter::once(Seed(0)), async |_| calls(deed).await)[0];
    assert!(whole >= deed.calls, "{} takes {whole} calls", deed.does);
    // Every number of calls, in every way.
    let cuts: Vec<(Cut, u64)> = (0..=whole).flat_map(|happen| Cut::ALL.map(|cut| (cut, happen))).collect();
    let all = (0..).map(Seed).take(cuts.len());
    each_of(all, async |seed| {
        let (cut, happen) = &cuts[usize::try_from(seed).expect("a number")];
        let mut scene = Scene::open().await;
        for before in deed.before {
            scene.act(before).await;
        }
        let reply = scene.cut_off(deed.does, *cut, *happen).await;
        let said = format!("{}, {cut:?} {happen} of {whole} calls: {reply:?}", deed.does);

        for wait in RUNS {
            scene.shop.sweep_after(wait).await;
        }

        let mailed = Mailed::AtLeastOnce { repeats: repeats(*cut) };
        let books = scene.shop.audit_settled(mailed).await;
        came_true(reply.as_ref(), &books, &said);

        // The client repeats the request.
        scene.act(deed.does).await;
        let books = scene.shop.audit_settled(mailed).await;
        let order_id = books.orders.keys().next().unwrap_or_else(|| panic!("no order: {said}"));
        assert_eq!(books.statuses(order_id), deed.history, "{said}");
        assert_eq!(books.orders.len(), 1, "{said}");
    });
}

/// The number of AWS calls of a deed that is not cut off.
async fn calls(deed: &InterruptedDeed) -> u64 {
    let mut scene = Scene::open().await;
    for before in deed.before {
        scene.act(before).await;
    }
    let shop = scene.shop.clone();
    shop.calls_of(scene.act(deed.does)).await.len() as u64
}

/// Checks that the answer was one that a cut may give, and that it came true.
fn came_true(reply: Option<&Reply>, books: &Books, said: &str) {
    let Some(reply) = reply else { return };
    let mut answer = reply.status.to_string();
    if let Some(code) = reply.body["code"].as_str() {
        write!(answer, " {code}").expect("an answer");
    }
    assert!(
        ["200", "201", "202", "409 insufficient_stock", "503 try_again"].contains(&answer.as_str()),
        "{said}"
    );
    if (200..300).contains(&reply.status) {
        let (answer, order) = (reply.order(), without_mailed_at(&books.orders[reply.order_id()]));
        let (told, history) = (answer["history"].as_array(), order["history"].as_array());
        let (told, history) = (told.expect("a history"), history.expect("a history"));
        assert!(history.starts_with(told), "{said}, and then {order:#}");
    }
}

#[test]
fn a_placement_that_is_cut_off_leaves_nothing_unfinished() {
    let history = &["PENDING", "CONFIRMED"];
    check(&InterruptedDeed { before: &[], does: "place", history, calls: 9 });
}

#[test]
fn a_rejection_that_is_cut_off_leaves_nothing_unfinished() {
    check(&InterruptedDeed { before: &[], does: "place what is gone", history: &["REJECTED"], calls: 7 });
}

#[test]
fn a_cancellation_that_is_cut_off_leaves_nothing_unfinished() {
    let history = &["PENDING", "CONFIRMED", "CANCELLED"];
    check(&InterruptedDeed { before: &["place"], does: "cancel", history, calls: 8 });
}

#[test]
fn a_cancellation_that_is_cut_off_while_the_confirmation_is_unsent_leaves_neither_unsent() {
    let history = &["PENDING", "CONFIRMED", "CANCELLED"];
    check(&InterruptedDeed { before: &["place, and fail to mail"], does: "cancel", history, calls: 9 });
}

#[test]
fn a_shipment_that_is_cut_off_leaves_nothing_unfinished() {
    let history = &["PENDING", "CONFIRMED", "SHIPPED"];
    check(&InterruptedDeed { before: &["place"], does: "ship", history, calls: 8 });
}

#[test]
fn a_delivery_that_is_cut_off_leaves_nothing_unfinished() {
    let history = &["PENDING", "CONFIRMED", "SHIPPED", "DELIVERED"];
    check(&InterruptedDeed { before: &["place", "ship"], does: "deliver", history, calls: 8 });
}

#[test]
fn a_resumption_of_a_pending_order_that_is_cut_off_leaves_nothing_unfinished() {
    for does in ["resume", "sweep"] {
        let before = &["place, and fail to confirm", "wait"];
        check(&InterruptedDeed { before, does, history: &["PENDING", "CONFIRMED"], calls: 9 });
    }
}

#[test]
fn a_resumption_of_an_unsent_order_that_is_cut_off_leaves_nothing_unfinished() {
    for does in ["resume", "sweep"] {
        let before = &["place, and fail to mail", "wait"];
        check(&InterruptedDeed { before, does, history: &["PENDING", "CONFIRMED"], calls: 8 });
    }
}
