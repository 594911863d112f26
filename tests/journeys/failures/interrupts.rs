//! Everything that the shop does, cut off after each of its AWS calls in turn, the state machine's own among them: from
//! then on nothing succeeds. Once AWS is back, the sweeper's next runs leave nothing over, and whoever asks again gets what
//! they asked for.

use std::{fmt::Write as _, time::Duration};

use local::aws::Fault;

use crate::world::{Books, Customer, Mailed, Reply, Shop, each_of, seeds::Seed, waiting::DUE};

const SKU: &str = "TEA-1";

/// The sweeper's next runs: it waits longer for an order that it has tried to finish already.
const RUNS: [Duration; 4] = [DUE, DUE, Duration::from_secs(121), Duration::from_secs(241)];

/// How calls are cut off.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// So many succeed. The others fail, and do nothing.
    After,
    /// The same, and the last one that happens is not acknowledged.
    Unacknowledged,
    /// The last one that happens is not answered in time, and none after it, whatever they do.
    Hanging,
}

impl Cut {
    const ALL: [Self; 3] = [Self::After, Self::Unacknowledged, Self::Hanging];

    /// What becomes of the call of this number, when so many may happen.
    fn of(self, number: u64, happen: u64) -> Option<Fault> {
        match self {
            _ if number < happen => None,
            Self::After if number == happen => None,
            Self::Unacknowledged if number == happen => Some(Fault::After),
            Self::After | Self::Unacknowledged => Some(Fault::Before),
            // Longer than anything waits.
            Self::Hanging => Some(Fault::Delay(Duration::from_mins(5))),
        }
    }

    /// Mails that may be repeats: a mail that was sent and not noted is sent again by the sweeper; and when its sending
    /// hangs, by the state machine before.
    fn repeats(self) -> usize {
        match self {
            Self::After | Self::Unacknowledged => 1,
            Self::Hanging => 2,
        }
    }
}

/// A thing to be cut off: what comes before it, what it is, and what the order has behind it in the end.
struct Deed {
    before: &'static [&'static str],
    does: &'static str,
    history: &'static [&'static str],
    /// The fewest AWS calls that it can do with.
    calls: u64,
}

/// A shop in which something is about to happen to an order.
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
            _ => panic!("nobody knows how to {does}"),
        };
        shop.heal();
        if !reply.order_id().is_empty() {
            reply.order_id().clone_into(order_id);
        }
        Some(reply)
    }

    /// Has something cut off, `happen` calls after its beginning.
    async fn cut_off(&mut self, does: &str, cut: Cut, happen: u64) -> Option<Reply> {
        let mut number = 0;
        self.shop.plant(move |_call| {
            number += 1;
            cut.of(number, happen)
        });
        let reply = self.act(does).await;
        self.shop.heal();
        reply
    }
}

/// Cuts the deed off after each of its calls, in each way.
fn check(deed: &Deed) {
    let whole = each_of(std::iter::once(Seed(0)), async |_| calls(deed).await)[0];
    assert!(whole >= deed.calls, "{} takes {whole} calls", deed.does);
    // Every number of calls that happen, in every way.
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

        let mailed = Mailed::AtLeastOnce { repeats: cut.repeats() };
        let books = scene.shop.audit_settled(mailed).await;
        came_true(reply.as_ref(), &books, &said);

        // Whoever was not told asks again.
        scene.act(deed.does).await;
        let books = scene.shop.audit_settled(mailed).await;
        let order_id = books.orders.keys().next().unwrap_or_else(|| panic!("no order: {said}"));
        assert_eq!(books.statuses(order_id), deed.history, "{said}");
        assert_eq!(books.orders.len(), 1, "{said}");
    });
}

/// How many calls it takes when nothing goes wrong.
async fn calls(deed: &Deed) -> u64 {
    let mut scene = Scene::open().await;
    for before in deed.before {
        scene.act(before).await;
    }
    let shop = scene.shop.clone();
    shop.calls_of(scene.act(deed.does)).await.len() as u64
}

/// What a client was told is so.
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
        let order = &books.orders[reply.order_id()];
        let (told, history) = (reply.body["history"].as_array(), order["history"].as_array());
        let (told, history) = (told.expect("a history"), history.expect("a history"));
        assert!(history.starts_with(told), "{said}, and then {order:#}");
    }
}

#[test]
fn a_placement_that_is_cut_off_leaves_nothing_over() {
    let history = &["PENDING", "CONFIRMED"];
    check(&Deed { before: &[], does: "place", history, calls: 9 });
}

#[test]
fn a_rejection_that_is_cut_off_leaves_nothing_over() {
    check(&Deed { before: &[], does: "place what is gone", history: &["REJECTED"], calls: 7 });
}

#[test]
fn a_cancellation_that_is_cut_off_leaves_nothing_over() {
    let history = &["PENDING", "CONFIRMED", "CANCELLED"];
    check(&Deed { before: &["place"], does: "cancel", history, calls: 8 });
}

#[test]
fn a_cancellation_that_is_cut_off_while_the_confirmation_is_unsent_leaves_neither_unsent() {
    let history = &["PENDING", "CONFIRMED", "CANCELLED"];
    check(&Deed { before: &["place, and fail to mail"], does: "cancel", history, calls: 9 });
}

#[test]
fn a_shipment_that_is_cut_off_leaves_nothing_over() {
    let history = &["PENDING", "CONFIRMED", "SHIPPED"];
    check(&Deed { before: &["place"], does: "ship", history, calls: 8 });
}

#[test]
fn a_delivery_that_is_cut_off_leaves_nothing_over() {
    let history = &["PENDING", "CONFIRMED", "SHIPPED", "DELIVERED"];
    check(&Deed { before: &["place", "ship"], does: "deliver", history, calls: 8 });
}

#[test]
fn a_resumption_of_a_pending_order_that_is_cut_off_leaves_nothing_over() {
    for does in ["resume", "sweep"] {
        let before = &["place, and fail to confirm", "wait"];
        check(&Deed { before, does, history: &["PENDING", "CONFIRMED"], calls: 9 });
    }
}

#[test]
fn a_resumption_of_an_untold_order_that_is_cut_off_leaves_nothing_over() {
    for does in ["resume", "sweep"] {
        let before = &["place, and fail to mail", "wait"];
        check(&Deed { before, does, history: &["PENDING", "CONFIRMED"], calls: 8 });
    }
}
