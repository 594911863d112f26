//! Subscriptions that the template declares: each is made once.

use std::collections::BTreeMap;

use super::*;
use crate::services::sns::DeclaredSubscription;

fn staff(to: &str, statuses: &[&str]) -> BTreeMap<String, DeclaredSubscription> {
    let filter_policy = (!statuses.is_empty()).then(|| json!({ "status": statuses }).to_string());
    let declared = DeclaredSubscription {
        topic_arn: TOPIC.to_owned(),
        endpoint: to.to_owned(),
        filter_policy,
        dead_letters: None,
    };
    BTreeMap::from([("StaffSubscription".to_owned(), declared)])
}

impl SnsWorld {
    fn asked(&self, to: &str) -> usize {
        self.mailbox.mails(Some(MailKind::SubscriptionConfirmation), Some(to)).len()
    }
}

#[tokio::test(start_paused = true)]
async fn a_declared_subscription_is_asked_for_once_however_often_the_stack_starts() {
    let folder = tempfile::tempdir().unwrap();
    let file = || Database::new(folder.path().join("data.db").to_str().unwrap()).unwrap();
    let started = || {
        let world = SnsWorld::on(file());
        world.sns.declare(&staff("staff@example.com", &["CONFIRMED"])).unwrap();
        world
    };
    drop(started());
    let world = started();
    assert_eq!(world.asked("staff@example.com"), 1);
    world.sns.confirm_all().unwrap();
    world.publish(&[("status", "CONFIRMED")]);
    world.publish(&[("status", "SHIPPED")]);
    assert_eq!(world.statuses_to("staff@example.com"), 1);
    let arn = world.sns.subscriptions()[0].arn.clone();
    drop(world);

    let world = started();
    assert_eq!(world.attribute(&arn, "PendingConfirmation").unwrap(), "false");
    world.sns.unsubscribe_by_link(&arn).unwrap();
    drop(world);
    let world = started();
    assert_eq!((world.asked("staff@example.com"), world.sns.subscriptions().len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn what_the_template_changes_about_it_is_changed() {
    let world = SnsWorld::open();
    world.sns.declare(&staff("staff@example.com", &["CONFIRMED"])).unwrap();
    world.sns.confirm_all().unwrap();
    let arn = world.sns.subscriptions()[0].arn.clone();

    world.sns.declare(&staff("staff@example.com", &["SHIPPED"])).unwrap();
    world.publish(&[("status", "SHIPPED")]);
    assert_eq!((world.asked("staff@example.com"), world.statuses_to("staff@example.com")), (1, 1));
    assert_eq!(world.sns.subscriptions()[0].arn, arn);

    world.sns.declare(&staff("chief@example.com", &[])).unwrap();
    let there: Vec<String> = world.sns.subscriptions().into_iter().map(|one| one.endpoint).collect();
    assert_eq!((there, world.asked("chief@example.com")), (vec!["chief@example.com".to_owned()], 1));
    world.sns.confirm_all().unwrap();

    world.sns.declare(&BTreeMap::new()).unwrap();
    assert!(world.sns.subscriptions().is_empty());
    world.sns.declare(&staff("chief@example.com", &[])).unwrap();
    assert_eq!(world.asked("chief@example.com"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_declaration_that_cannot_be_kept_is_refused() {
    let world = SnsWorld::open();
    let mut declared = staff("staff@example.com", &[]);
    let only = declared.get_mut("StaffSubscription").unwrap();
    only.filter_policy = Some(r#"{"status": [{"prefix": "C"}]}"#.to_owned());
    let refused = world.sns.declare(&declared).unwrap_err();
    assert!(refused.message.contains("FilterPolicy") && refused.message.contains("prefix"), "{refused}");
    assert!(world.sns.subscriptions().is_empty());
}
