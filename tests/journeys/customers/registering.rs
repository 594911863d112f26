//! Registering by `POST /users`: repeats, a changed address, and failures of every AWS call.

use std::time::Duration;

use local::{
    aws::{Call, Fault},
    ground::MailKind,
};
use serde_json::json;

use crate::world::{Customer, Shop};

/// The addresses that were asked to confirm a subscription, oldest first.
fn asked(shop: &Shop) -> Vec<String> {
    let mails = shop.stack.mailbox().mails(Some(MailKind::SubscriptionConfirmation), None);
    mails.into_iter().map(|mail| mail.to).collect()
}

#[tokio::test(start_paused = true)]
async fn a_repeat_sends_another_confirmation_after_an_hour_until_the_address_is_confirmed() {
    let shop = Shop::open().await;
    let ada = shop.signed_in("Ada");

    let first = shop.register(&ada, "Ada").await;
    let again = shop.register(&ada, "Ada").await;

    assert_eq!((first.status, first.header("location")), (201, "/users/me"));
    let user = json!({
        "user_id": ada.user_id, "name": "Ada", "email": "ada@example.com", "notifications": "pending",
        "created_at": "2026-03-01T12:00:00.000Z",
    });
    assert_eq!(first.body, user);
    assert_eq!((again.status, &again.body), (200, &user));
    assert_eq!(asked(&shop), ["ada@example.com"], "not asked twice within an hour");

    shop.wait(Duration::from_mins(59));
    let ada = shop.signed_in_as(&ada.user_id, &ada.email);
    assert_eq!(shop.register(&ada, "Ada").await.body["notifications"], "pending");
    assert_eq!(asked(&shop).len(), 1);
    shop.wait(Duration::from_mins(1));
    assert_eq!(shop.register(&ada, "Ada").await.body["notifications"], "pending");
    assert_eq!(asked(&shop), ["ada@example.com", "ada@example.com"]);

    shop.confirm_mails();
    let confirmed = shop.register(&ada, "Ada").await;

    assert_eq!((confirmed.status, &confirmed.body["notifications"]), (200, &json!("confirmed")));
    assert_eq!(asked(&shop).len(), 2, "a confirmed address is not asked again");
    assert_eq!(shop.stack.sns().subscriptions().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_repeat_changes_the_name_and_keeps_the_rest() {
    let shop = Shop::open().await;
    let ada = shop.customer("Ada").await;
    shop.wait(Duration::from_mins(10));

    let renamed = shop.register(&ada, "Ada Lovelace").await;

    assert_eq!((renamed.status, &renamed.body["name"]), (200, &json!("Ada Lovelace")));
    assert_eq!(renamed.body["created_at"], "2026-03-01T12:00:00.000Z");
    assert_eq!(renamed.body["notifications"], "confirmed");
    assert_eq!(shop.rows("UsersTable").await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_repeat_renews_a_subscription_that_lapsed_unconfirmed() {
    let shop = Shop::open().await.stocked("TEA-1", 5).await;
    let ada = shop.registered("Ada").await;
    // SNS deletes an unconfirmed subscription after two days. The token has expired by then.
    shop.wait(Duration::from_hours(49));
    let ada = shop.signed_in_as(&ada.user_id, &ada.email);

    let again = shop.register(&ada, "Ada").await;

    assert_eq!((again.status, &again.body["notifications"]), (200, &json!("pending")), "{again:?}");
    shop.confirm_mails();
    shop.confirmed(&ada, "Ada").await;
    assert_eq!(shop.told(&ada, "key-1").await, ["ada@example.com"]);
}

#[tokio::test(start_paused = true)]
async fn a_new_address_is_mailed_once_confirmed_and_the_old_one_is_not_mailed_again() {
    let shop = Shop::open().await.stocked("TEA-1", 5).await;
    let before = shop.customer("Ada").await;
    assert_eq!(shop.told(&before, "key-1").await, ["ada@example.com"]);

    let after = shop.signed_in_as(&before.user_id, "ada@new.example");
    let changed = shop.register(&after, "Ada").await;

    assert_eq!(changed.status, 200, "{changed:?}");
    assert_eq!(
        (&changed.body["email"], &changed.body["notifications"]),
        (&json!("ada@new.example"), &json!("pending"))
    );
    assert_eq!(shop.told(&after, "key-2").await, [""; 0], "neither the old nor the unconfirmed new one");
    shop.confirm_mails();
    shop.confirmed(&after, "Ada").await;
    assert_eq!(shop.told(&after, "key-3").await, ["ada@new.example"]);
    // The mail that waited for the confirmation is sent too.
    shop.sweep_after(Duration::ZERO).await;
    assert_eq!(shop.order_mail().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_older_token_an_equally_old_one_and_one_without_its_time_leave_the_address_as_it_is() {
    let shop = Shop::open().await;
    let before = shop.registered("Ada").await;
    let moved = shop.signed_in_as(&before.user_id, "ada@new.example");
    let equal = shop.claiming(&moved, &json!({ "email": "ada@equal.example" }));
    let without = shop.claiming(&moved, &json!({ "email": "ada@without.example", "iat": null }));
    assert_eq!(shop.register(&moved, "Ada").await.body["email"], "ada@new.example");

    for token in [&before, &equal, &without] {
        let reply = shop.register(token, "Ada L.").await;
        assert_eq!((reply.status, &reply.body["email"]), (200, &json!("ada@new.example")), "{token:?}");
        assert_eq!(reply.body["name"], "Ada L.");
    }
    assert_eq!(asked(&shop), ["ada@example.com", "ada@new.example"]);
}

#[tokio::test(start_paused = true)]
async fn an_address_changes_five_times_a_day_at_most() {
    let shop = Shop::open().await;
    let mut ada = shop.registered("Ada").await;
    for n in 1..=5 {
        ada = shop.signed_in_as(&ada.user_id, &format!("ada@{n}.example"));
        assert_eq!(shop.register(&ada, "Ada").await.body["email"], ada.email);
        // A topic that was retired is deleted for good after a quarter of an hour.
        shop.sweep_after(Duration::from_mins(17)).await;
        shop.sweep_after(Duration::ZERO).await;
    }
    let sixth = shop.signed_in_as(&ada.user_id, "ada@6.example");

    let refused = shop.register(&sixth, "Ada").await;

    assert_eq!(refused.problem(), (429, "address_changed_too_often"), "{refused:?}");
    let wait: u64 = refused.header("retry-after").parse().expect("seconds");
    assert!(wait <= 12 * 3_600, "at most until the UTC day ends: {wait}");
    shop.wait(Duration::from_secs(wait - 1));
    let sixth = shop.signed_in_as(&ada.user_id, "ada@6.example");
    assert_eq!(shop.register(&sixth, "Ada").await.body["email"], "ada@6.example");
}

#[tokio::test(start_paused = true)]
async fn while_three_topics_are_being_deleted_the_address_stays() {
    let shop = Shop::open().await;
    let mut ada = shop.registered("Ada").await;
    for n in 1..=3 {
        ada = shop.signed_in_as(&ada.user_id, &format!("ada@{n}.example"));
        assert_eq!(shop.register(&ada, "Ada").await.body["email"], ada.email);
    }
    let fourth = shop.signed_in_as(&ada.user_id, "ada@4.example");

    let refused = shop.register(&fourth, "Ada").await;

    assert_eq!(refused.problem(), (503, "address_change_pending"), "{refused:?}");
    let wait: u64 = refused.header("retry-after").parse().expect("seconds");
    assert!((890..=900).contains(&wait), "{wait}");
    assert_eq!(shop.customer_topics().len(), 1, "the others are deleted already");
    // The customer can still leave.
    shop.sweep_after(Duration::from_secs(wait + 60)).await;
    assert_eq!(shop.register(&fourth, "Ada").await.body["email"], "ada@4.example");
}

/// SNS cannot delete a pending subscription. The shop only stops asking for its confirmation.
#[tokio::test(start_paused = true)]
async fn an_address_that_was_never_confirmed_is_replaced_without_being_asked_again() {
    let shop = Shop::open().await.stocked("TEA-1", 5).await;
    let before = shop.registered("Ada").await;

    let after = shop.signed_in_as(&before.user_id, "ada@new.example");
    let changed = shop.register(&after, "Ada").await;
    let again = shop.register(&after, "Ada").await;

    assert_eq!((changed.status, again.status), (200, 200), "{changed:?} {again:?}");
    assert_eq!(asked(&shop), ["ada@example.com", "ada@new.example"]);
    let rows = shop.rows("UsersTable").await;
    let current = shop.stack.sns().subscriptions().into_iter().find(|one| one.endpoint == "ada@new.example");
    assert_eq!(rows[0]["subscription_arn"], current.expect("the new subscription").arn.as_str());
}

#[tokio::test(start_paused = true)]
async fn two_users_of_one_address_are_each_mailed_about_their_own_orders() {
    let shop = Shop::open().await.stocked("TEA-1", 5).await;
    let ada = shop.customer("Ada").await;
    let other = shop.signed_in_as("another-user", &ada.email);

    let registered = shop.register(&other, "Ada's other account").await;

    assert_eq!((registered.status, &registered.body["notifications"]), (201, &json!("pending")));
    assert_eq!(shop.told(&other, "key-1").await, [""; 0], "the other user's confirmation does not count");
    shop.confirm_mails();
    shop.confirmed(&other, "Ada's other account").await;
    assert_eq!(shop.told(&other, "key-2").await, ["ada@example.com"]);
    assert_eq!(shop.told(&ada, "key-1").await, ["ada@example.com"]);
}

#[tokio::test(start_paused = true)]
async fn an_unverified_address_is_not_registered_and_not_mailed() {
    let shop = Shop::open().await;
    let eve = shop.signed_in_unverified("eve@example.com");

    let refused = shop.register(&eve, "Eve").await;

    assert_eq!(refused.problem(), (403, "email_not_verified"), "{refused:?}");
    assert_eq!(shop.rows("UsersTable").await.len(), 0);
    assert_eq!((asked(&shop), shop.stack.sns().subscriptions().len()), (Vec::new(), 0));
}

#[tokio::test(start_paused = true)]
async fn a_person_who_is_not_registered_cannot_order() {
    let shop = Shop::open().await.stocked("TEA-1", 5).await;
    let stranger = shop.signed_in("Stranger");

    let refused = shop.place(&stranger, "key-1", &[("TEA-1", 1)]).await;

    assert_eq!(refused.problem(), (409, "user_not_registered"));
    assert_eq!((shop.stock("TEA-1").await, shop.rows("OrdersTable").await.len()), ((5, 0), 0));
    // Nothing was stored, so the same key works after the registration.
    shop.register(&stranger, "Stranger").await;
    assert_eq!(shop.place(&stranger, "key-1", &[("TEA-1", 1)]).await.status, 201);
}

/// The state of a user before `POST /users`.
#[derive(Clone, Copy, Debug)]
enum Before {
    Unknown,
    Unconfirmed,
    Confirmed,
    AtAnotherAddress,
}

impl Before {
    const ALL: [Self; 4] = [Self::Unknown, Self::Unconfirmed, Self::Confirmed, Self::AtAnotherAddress];

    /// A shop with a user in this state, who has a token for the address to be mailed.
    async fn open(self) -> (Shop, Customer) {
        let shop = Shop::open().await.stocked("TEA-1", 5).await;
        let ada = match self {
            Self::Unknown => shop.signed_in("Ada"),
            Self::Unconfirmed => shop.registered("Ada").await,
            Self::Confirmed => shop.customer("Ada").await,
            Self::AtAnotherAddress => {
                let before = shop.customer("Before").await;
                shop.signed_in_as(&before.user_id, "ada@example.com")
            }
        };
        (shop, ada)
    }
}

#[tokio::test(start_paused = true)]
async fn when_any_call_of_registering_fails_a_repeat_completes_it() {
    for before in Before::ALL {
        let (shop, ada) = before.open().await;
        let calls = shop.calls_of(shop.register(&ada, "Ada L.")).await;
        assert!(calls.iter().any(|call| call.service == "sns"), "{before:?}: {calls:?}");
        for call in calls {
            for fault in [Fault::Before, Fault::After, Fault::Throttle] {
                for times in [1, usize::MAX] {
                    let of = format!("{before:?}: {call:?} {fault:?} {times} times");
                    mended(before, call.clone(), fault.clone(), times, &of).await;
                }
            }
        }
    }
}

async fn mended(before: Before, call: Call, fault: Fault, times: usize, of: &str) {
    let (shop, ada) = before.open().await;
    shop.plant_times(times, fault, move |made| *made == call);

    let first = shop.register(&ada, "Ada L.").await;

    assert!([200, 201, 503].contains(&first.status), "{of}: {first:?}");
    shop.heal();
    // The address is not asked twice within a minute.
    shop.wait(Duration::from_mins(1));
    let again = shop.register(&ada, "Ada L.").await;
    assert!([200, 201].contains(&again.status), "{of}: {again:?}");
    assert_eq!(
        (&again.body["name"], &again.body["email"]),
        (&json!("Ada L."), &json!("ada@example.com")),
        "{of}"
    );
    shop.confirm_mails();
    let settled = shop.register(&ada, "Ada L.").await;
    assert_eq!((settled.status, &settled.body["notifications"]), (200, &json!("confirmed")), "{of}");
    assert_eq!(shop.rows("UsersTable").await.len(), 1, "{of}");
    assert_eq!(shop.told(&ada, "key-1").await, ["ada@example.com"], "{of}");
}

#[tokio::test(start_paused = true)]
async fn a_body_is_validated_before_anything_is_stored_or_mailed() {
    let shop = Shop::open().await;
    let ada = shop.signed_in("Ada");
    for body in [
        json!({}),
        json!({ "name": "" }),
        json!({ "name": 7 }),
        json!({ "name": "Ada", "email": "x@y.example" }),
    ] {
        let refused = shop.register_with(&ada, body.clone()).await;
        assert_eq!(refused.problem(), (422, "validation_failed"), "{body}: {refused:?}");
        assert_eq!(refused.fields().len(), 1, "{body}: {refused:?}");
    }
    assert_eq!(shop.rows("UsersTable").await.len(), 0);
    assert_eq!(asked(&shop), [""; 0]);
}
