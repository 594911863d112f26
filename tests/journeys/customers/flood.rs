//! One customer who sends ten thousand requests with tokens of every kind uses up nothing that others need.

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;

use crate::world::{Customer, Shop, seeds::thorough};

#[tokio::test(start_paused = true)]
async fn alternating_tokens_make_four_topics_and_five_changes_of_address_at_most() {
    let requests = if thorough() { 10_000 } else { 600 };
    let shop = Shop::open().await.stocked("TEA-1", 1_000).await;
    let eve = shop.registered("Eve").await;
    let addresses = ["eve@one.example", "eve@two.example"];
    let old: Vec<Customer> =
        addresses.iter().map(|address| shop.signed_in_as(&eve.user_id, address)).collect();
    let mut answers: BTreeMap<(u16, String), usize> = BTreeMap::new();
    let (mut changes, mut email) = (0, eve.email.clone());
    for n in 0..requests {
        shop.wait(Duration::from_secs(3));
        let address = addresses[n % 2];
        let token = match n % 4 {
            0 | 1 => shop.signed_in_as(&eve.user_id, address),
            2 => old[n / 4 % 2].clone(),
            _ => {
                let same = Customer { email: address.to_owned(), ..eve.clone() };
                shop.claiming(&same, &json!({ "iat": null }))
            }
        };
        let reply = shop.register(&token, "Eve").await;
        *answers
            .entry((reply.status, reply.body["code"].as_str().unwrap_or_default().to_owned()))
            .or_default() += 1;
        if let Some(now) = reply.body["email"].as_str()
            && now != email
        {
            (changes, email) = (changes + 1, now.to_owned());
        }
        assert!(shop.customer_topics().len() <= 4 + n / 100, "after {n}: {:?}", shop.customer_topics());
        if [429, 503].contains(&reply.status) {
            let wait: u64 = reply.header("retry-after").parse().expect("seconds");
            let most = if reply.status == 429 { 24 * 3_600 } else { 15 * 60 };
            assert!((1..=most).contains(&wait), "{reply:?}");
        }
        // The sweeper and other customers go on meanwhile.
        if n % 100 == 99 {
            shop.sweep().await;
            let name = format!("Customer{n}");
            let other = shop.customer(&name).await;
            assert_eq!(shop.told(&other, "key-1").await, [other.email.as_str()]);
        }
    }
    // All of that took less than what was left of the day.
    assert!(changes <= 5, "{changes} changes: {answers:?}");
    let known = [
        (200, String::new()),
        (401, String::new()),
        (429, "address_changed_too_often".to_owned()),
        (503, "address_change_pending".to_owned()),
    ];
    assert!(answers.keys().all(|answer| known.contains(answer)), "{answers:?}");
    assert!(answers.contains_key(&known[0]) && answers.contains_key(&known[2]), "{answers:?}");
    let asked =
        shop.stack.sns().confirmations().iter().filter(|mailed| mailed.to.starts_with("eve@")).count();
    assert!(asked <= 8, "her addresses were asked {asked} times");
    shop.sweep_after(Duration::from_mins(16)).await;
    shop.sweep_after(Duration::from_mins(2)).await;
    let others = requests / 100;
    assert_eq!(shop.customer_topics().len(), others + 1, "one topic is left to her");
}
