//! Subscriptions to the template's topics.

use super::{SHOP, Template, shop};
use crate::SubscriptionResource;

const STAFF: &str = r#"  Staff:
    Type: AWS::SNS::Subscription
    Condition: Loud
    Properties:
      TopicArn: !Ref News
      Protocol: email
      Endpoint: !Sub "${Audience}@example.com"
      FilterPolicyScope: MessageAttributes
      FilterPolicy: { status: [CONFIRMED, !Ref Level] }
      RedrivePolicy: { deadLetterTargetArn: !GetAtt Lost.Arn }
"#;

fn with_staff(from: &str, to: &str, level: &str) -> Result<Template, Vec<String>> {
    assert!(STAFF.contains(from), "{from}");
    let text = SHOP.replace("  Api:\n", &format!("{}  Api:\n", STAFF.replace(from, to)));
    shop(&text, &[("Level", level)])
}

#[test]
fn a_subscription_has_its_topic_its_address_and_its_filter() {
    assert_eq!(with_staff("", "", "info").expect("a good template").subscriptions, []);
    let loud = with_staff("", "", "debug").expect("a good template");
    let expected = SubscriptionResource {
        logical_id: "Staff".to_owned(),
        topic_arn: "arn:aws:sns:us-east-1:000000000000:orderflow-News".to_owned(),
        endpoint: "shop@example.com".to_owned(),
        filter_policy: Some(r#"{"status":["CONFIRMED","debug"]}"#.to_owned()),
        dead_letters: Some("arn:aws:sqs:us-east-1:000000000000:orderflow-Lost".to_owned()),
    };
    assert_eq!(loud.subscriptions, [expected]);

    let bare = STAFF.lines().filter(|line| line.contains("Policy")).collect::<Vec<_>>().join("\n");
    let bare = with_staff(&bare, "", "debug").expect("a good template");
    assert_eq!((&bare.subscriptions[0].filter_policy, &bare.subscriptions[0].dead_letters), (&None, &None));
}

#[test]
fn what_is_wrong_with_a_subscription_is_named() {
    let properties = "Resources.Staff.Properties";
    for (from, to, expected) in [
        (
            "Protocol: email",
            "Protocol: sqs",
            "Protocol: `sqs` is not supported by the local stack; supported: email",
        ),
        ("      Protocol: email\n", "", ": `Protocol` is missing"),
        (
            "!Ref News",
            "!Ref Orders",
            "TopicArn: `orderflow-Orders` is not the ARN of a topic of this template",
        ),
        ("      TopicArn: !Ref News\n", "", ": `TopicArn` is missing"),
        ("!Ref News", "!Ref Newz", "TopicArn: `Newz` is neither a parameter nor a resource"),
        ("MessageAttributes", "MessageBody", "FilterPolicyScope: `MessageBody` is not supported"),
        ("{ status: [CONFIRMED, !Ref Level] }", "all", "FilterPolicy: expected a map, found `all`"),
        ("!GetAtt Lost.Arn", "!GetAtt News.Arn", "is not the ARN of a queue of this template"),
        (
            "Protocol: email",
            "Protocol: email\n      RawMessageDelivery: true",
            "RawMessageDelivery: is not supported",
        ),
    ] {
        let faults = with_staff(from, to, "debug").expect_err(to);
        assert_eq!(faults.len(), 1, "{to}: {faults:#?}");
        assert!(faults[0].starts_with(properties) && faults[0].contains(expected), "{to}: {faults:#?}");
    }
    let address = with_staff("      Endpoint: !Sub \"${Audience}@example.com\"\n", "", "debug")
        .expect_err("no address");
    assert_eq!(address, [format!("{properties}: `Endpoint` is missing")]);
}
