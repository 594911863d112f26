//! The template's `Rules`: conditions that its parameters must meet together. As on CloudFormation, they are checked
//! before any resource is read. Nothing here reads a resource.

use super::{conditions, faults::FaultList, names::Account, node::Node, parameters::Parameters};

/// Reports every false assertion of each rule that applies.
pub(super) fn check(
    section: Option<&Node<'_>>,
    account: Account,
    parameters: &Parameters,
    faults: &FaultList,
) {
    let holds = |node: &Node<'_>| conditions::holds(node.value, &node.place, account, parameters, faults);
    for (_, rule) in section.map(Node::entries).unwrap_or_default() {
        rule.expect_keys(&["RuleCondition", "Assertions"], &[]);
        let applies = rule.get("RuleCondition").map_or(Some(true), |condition| holds(&condition));
        for assertion in rule.required("Assertions").iter().flat_map(Node::list) {
            assertion.expect_keys(&["Assert", "AssertDescription"], &[]);
            let description = assertion.get("AssertDescription").and_then(|node| node.text());
            // It is evaluated even when the rule does not apply, so that its faults are reported.
            let is_true = assertion.required("Assert").and_then(|assert| holds(&assert));
            if applies == Some(true) && is_true == Some(false) {
                assertion.report(
                    description.unwrap_or_else(|| "the assertion is false for these parameters".to_owned()),
                );
            }
        }
    }
}
