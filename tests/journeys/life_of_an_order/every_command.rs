//! Every command of every caller in every status: its answer, and its effect on the order, the stock, the history and
//! the mailbox. `every_command.txt` has the expected outcome, one line for each status and command.

use std::fmt::Write as _;

use domain::Status;

use crate::world::{Customer, Mailed, Reply, Shop, waiting::DUE};

/// The expected outcomes.
const EXPECTED: &str = include_str!("every_command.txt");

/// The commands beside those that ask for a status.
const COMMANDS: [&str; 4] = ["place again", "place other", "cancel", "resume"];
const CALLERS: [&str; 3] = ["the owner", "another user", "an admin"];

const OWNER: &str = "Owner";

/// A product in stock, and one that is out of stock.
const SKUS: [&str; 2] = ["TEA-1", "GONE-1"];

/// The product to order for an order that is to reach a status. A key that starts with the status will do as well.
fn sku(status: &str) -> &'static str {
    if status.starts_with("REJECTED") { SKUS[1] } else { SKUS[0] }
}

#[tokio::test(start_paused = true)]
async fn every_status_answers_every_command_of_every_caller_as_the_table_says() {
    let shop = Shop::open().await.stocked(SKUS[0], 100_000).await.stocked(SKUS[1], 0).await;
    for name in [OWNER, "Other"] {
        shop.customer(name).await;
    }
    let mut table = String::new();
    // CONFIRMED stands for the statuses that nobody can ask for.
    let asked = Status::ALL.into_iter().filter(|to| to.is_given_on_request() || *to == Status::Confirmed);
    let commands: Vec<String> =
        COMMANDS.map(str::to_owned).into_iter().chain(asked.map(|to| format!("to {to}"))).collect();
    for status in Status::ALL.map(Status::as_str) {
        for command in &commands {
            write!(table, "{status:9} | {command:12}").expect("a line");
            for caller in CALLERS {
                let key = format!("{status} {command} {caller}").replace(' ', "-");
                let cell = cell(&shop, status, command, caller, &key).await;
                write!(table, " | {cell:45}").expect("a line");
            }
            table.truncate(table.trim_end().len());
            table.push('\n');
        }
    }
    shop.books().await.balance();
    let expected = EXPECTED.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    for (line, (found, expected)) in table.lines().zip(expected.clone()).enumerate() {
        assert_eq!(found, expected, "line {line} of\n{table}");
    }
    assert_eq!(table.lines().count(), expected.count(), "{table}");
}

/// Brings an order to a status, gives it the caller's command, and describes the answer and every change.
async fn cell(shop: &Shop, status: &str, command: &str, caller: &str, key: &str) -> String {
    let owner = shop.signed_in(OWNER);
    let (order_id, version) = order_in(shop, &owner, status, key).await;
    // An order that was left PENDING is due by now. Every other order is finished.
    shop.wait(DUE);
    let owner = shop.signed_in(OWNER);
    let caller = match caller {
        "the owner" => owner.clone(),
        "another user" => shop.signed_in("Other"),
        _ => shop.admin_again(),
    };
    let before = seen(shop, &order_id).await;
    let reply = commanded(shop, command, &caller, key, &order_id, version).await;
    let after = seen(shop, &order_id).await;

    let mut cell = reply.status.to_string();
    if let Some(code) = reply.body["code"].as_str() {
        write!(cell, " {code}").expect("a cell");
    }
    if reply.header("idempotent-replayed") == "true" {
        cell.push_str(" replayed");
    }
    if after.status != before.status {
        write!(cell, " -> {}", after.status).expect("a cell");
    }
    let version = after.history - before.history;
    if version != 0 {
        write!(cell, " +{version}").expect("a cell");
    }
    if after.stock != before.stock {
        let (available, reserved) = (after.stock.0 - before.stock.0, after.stock.1 - before.stock.1);
        write!(cell, " {available:+}/{reserved:+}").expect("a cell");
    }
    for mail in &after.mails[before.mails.len()..] {
        write!(cell, " {mail}").expect("a cell");
    }
    if (200..300).contains(&reply.status) && reply.order_id() == order_id {
        assert_eq!(reply.body["status"], after.status.as_str(), "the answer shows the order: {reply:?}");
    }
    cell
}

/// Everything that a command can change.
struct Seen {
    status: String,
    history: usize,
    stock: (i64, i64),
    mails: Vec<String>,
}

async fn seen(shop: &Shop, order_id: &str) -> Seen {
    let admin = shop.admin_again();
    let order = shop.get(&format!("/orders/{order_id}"), &admin).await;
    let stock = shop.get("/inventory", &admin).await;
    let count = |name: &str| {
        let skus = stock.body["items"].as_array().into_iter().flatten();
        skus.filter_map(|sku| sku[name].as_i64()).sum()
    };
    let mails = shop.order_mail().into_iter().map(|mail| {
        let whose = if mail.order_id.as_deref() == Some(order_id) { "" } else { " of their own" };
        format!("{}{whose}", mail.status.unwrap_or_default())
    });
    Seen {
        status: order.body["status"].as_str().expect("a status").to_owned(),
        history: order.body["history"].as_array().expect("a history").len(),
        stock: (count("available"), count("reserved")),
        mails: mails.collect(),
    }
}

/// A new order in this status, and its version.
async fn order_in(shop: &Shop, owner: &Customer, status: &str, key: &str) -> (String, u64) {
    let wanted = [(sku(status), 2)];
    let placed = match status {
        "PENDING" => shop.place_unconfirmed(owner, key, &wanted).await,
        _ => shop.place(owner, key, &wanted).await,
    };
    let order_id = placed.order_id().to_owned();
    let admin = shop.admin_again();
    let mut version = placed.body["version"].as_u64().unwrap_or(1);
    for step in steps_to(status) {
        // The owner cancels, and a third admin ships. So no command of the table's callers is a repeat, but the
        // owner's.
        let changed = if step == Status::Cancelled {
            shop.cancel(owner, &order_id).await
        } else {
            shop.patch(&shop.another_admin("Packer"), &order_id, step.as_str(), version).await
        };
        assert_eq!(changed.status, 200, "{changed:?}");
        version += 1;
    }
    let order = shop.get(&format!("/orders/{order_id}"), &admin).await;
    assert_eq!(order.body["status"], status, "{order:?}");
    (order_id, version)
}

/// The transitions from CONFIRMED to a status that is given on request, by the domain's own table.
fn steps_to(status: &str) -> Vec<Status> {
    fn steps(from: Status, to: Status) -> Option<Vec<Status>> {
        if from == to {
            return Some(Vec::new());
        }
        let mut onward = Status::ALL.into_iter().filter(|next| from.step(*next).is_ok());
        onward.find_map(|next| Some([vec![next], steps(next, to)?].concat()))
    }
    let to = Status::try_from(status.to_owned()).expect("a status");
    if to.is_given_on_request() { steps(Status::Confirmed, to).expect("a way there") } else { Vec::new() }
}

async fn commanded(
    shop: &Shop,
    command: &str,
    caller: &Customer,
    key: &str,
    order_id: &str,
    version: u64,
) -> Reply {
    match command {
        "place again" => shop.place(caller, key, &[(sku(key), 2)]).await,
        "place other" => shop.place(caller, key, &[(SKUS[0], 3)]).await,
        "cancel" => shop.cancel(caller, order_id).await,
        "resume" => shop.resume(caller, order_id).await,
        _ => {
            let status = command.trim_start_matches("to ");
            shop.patch(caller, order_id, status, version).await
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_repeat_succeeds_for_the_same_actor_and_fails_for_another() {
    let shop = Shop::open().await.stocked(SKUS[0], 10).await;
    let ada = shop.customer("Ada").await;
    let (ann, ben) = (shop.another_admin("Ann"), shop.another_admin("Ben"));
    let placed = shop.place(&ada, "key-1", &[(SKUS[0], 2)]).await;
    let id = placed.order_id();
    let settled = |reply: &Reply| (reply.status, reply.body["version"].as_u64());

    let shipped = shop.patch(&ann, id, "SHIPPED", 2).await;
    assert_eq!(settled(&shipped), (200, Some(3)));
    let again = shop.patch(&ann, id, "SHIPPED", 2).await;
    assert_eq!((settled(&again), again.order()), ((200, Some(3)), shipped.order()));
    // Ben read the same version as Ann, and she was first. Then Ann asks again with the new version.
    assert_eq!(shop.patch(&ben, id, "SHIPPED", 2).await.problem(), (412, "stale_version"));
    assert_eq!(shop.patch(&ann, id, "SHIPPED", 3).await.problem(), (409, "illegal_transition"));
    assert_eq!(settled(&shop.patch(&ben, id, "DELIVERED", 3).await), (200, Some(4)));
    assert_eq!(settled(&shop.patch(&ben, id, "DELIVERED", 3).await), (200, Some(4)));
    assert_eq!(shop.patch(&ann, id, "DELIVERED", 3).await.problem(), (412, "stale_version"));
    // The order was shipped as Ann asked, and has been delivered since.
    assert_eq!(shop.patch(&ann, id, "SHIPPED", 2).await.problem(), (412, "stale_version"));

    let placed = shop.place(&ada, "key-2", &[(SKUS[0], 2)]).await;
    let cancelled = shop.cancel(&ada, placed.order_id()).await;
    assert_eq!(settled(&cancelled), (200, Some(3)));
    assert_eq!(settled(&shop.cancel(&ada, placed.order_id()).await), (200, Some(3)));
    assert_eq!(shop.cancel(&ann, placed.order_id()).await.problem(), (409, "illegal_transition"));
    assert_eq!(shop.patch(&ann, placed.order_id(), "CANCELLED", 2).await.problem(), (412, "stale_version"));

    shop.audit_settled(Mailed::Once).await;
}

#[tokio::test(start_paused = true)]
async fn a_user_whose_id_reads_workflow_stays_a_user() {
    let shop = Shop::open().await.stocked(SKUS[0], 10).await;
    let namesake = shop.signed_in_as("workflow", "namesake@example.com");
    assert_eq!(shop.register(&namesake, "Namesake").await.status, 201);
    let placed = shop.place(&namesake, "key-1", &[(SKUS[0], 2)]).await;
    let cancelled = shop.cancel(&namesake, placed.order_id()).await;

    let history = cancelled.body["history"].as_array().expect("a history");
    let actors: Vec<&str> = history.iter().filter_map(|entry| entry["actor"].as_str()).collect();
    assert_eq!(actors, ["workflow", "workflow", "user:workflow"]);
    let again = shop.cancel(&namesake, placed.order_id()).await;
    assert_eq!((again.status, again.order()), (200, cancelled.order()));
}
