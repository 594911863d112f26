//! `AWS::IAM::Role`: the services that may assume it, the statements of its policies, and the decision whether
//! statements permit an action. Nothing here knows which action a call needs.

use super::{names::Identity, node::Node};

/// Whether a statement permits or denies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Permits, unless another statement denies.
    Allow,
    /// Denies, even if another statement permits.
    Deny,
}

/// One statement of a role's policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Whether it permits or denies.
    pub effect: Effect,
    /// Actions, such as `dynamodb:GetItem`; `*` and `?` are wildcards.
    pub actions: Vec<String>,
    /// ARNs that the actions apply to; `*` and `?` are wildcards.
    pub resources: Vec<String>,
}

/// Whether the statements permit `action` on `resource`. As in IAM, one must allow it and none may deny it. For an action
/// without a resource, `resource` is `*`.
pub fn permits(statements: &[Statement], action: &str, resource: &str) -> bool {
    let matching = |effect| {
        statements.iter().any(|statement| {
            statement.effect == effect
                && statement
                    .actions
                    .iter()
                    .any(|pattern| matches(&pattern.to_lowercase(), &action.to_lowercase()))
                && statement.resources.iter().any(|pattern| matches(pattern, resource))
        })
    };
    matching(Effect::Allow) && !matching(Effect::Deny)
}

/// A role, for the functions, state machines and schedules that use it.
#[derive(Debug)]
pub(super) struct Role {
    pub(super) logical_id: String,
    pub(super) arn: String,
    /// The services that may assume it.
    services: Vec<String>,
    pub(super) statements: Vec<Statement>,
}

/// Properties without an effect that a program can observe.
const AWS_ONLY: &[&str] =
    &["RoleName", "Description", "MaxSessionDuration", "Path", "PermissionsBoundary", "Tags"];

pub(super) fn read(logical_id: &str, identity: &Identity, properties: &Node<'_>) -> Role {
    properties.expect_keys(&["AssumeRolePolicyDocument", "Policies"], AWS_ONLY);
    let assumed =
        properties.required("AssumeRolePolicyDocument").and_then(|document| document.required("Statement"));
    let mut services = Vec::new();
    for statement in assumed.iter().flat_map(Node::one_or_list) {
        let service = statement.required("Principal").and_then(|principal| principal.required("Service"));
        services.extend(service.iter().flat_map(Node::one_or_list).filter_map(|service| service.text()));
    }
    let mut statements = Vec::new();
    for policy in properties.get("Policies").iter().flat_map(Node::list) {
        policy.expect_keys(&["PolicyName", "PolicyDocument"], &[]);
        policy.required("PolicyName");
        let Some(document) = policy.required("PolicyDocument") else { continue };
        document.expect_keys(&["Statement"], &["Version"]);
        statements.extend(
            document.required("Statement").iter().flat_map(Node::one_or_list).map(|node| statement(&node)),
        );
    }
    Role { logical_id: logical_id.to_owned(), arn: identity.arn(), services, statements }
}

/// The role that `property` names. Reports a fault when there is no such role or `service` may not assume it.
pub(super) fn find<'r>(
    roles: &'r [Role],
    properties: &Node<'_>,
    property: &str,
    service: &str,
) -> Option<&'r Role> {
    let node = properties.required(property)?;
    let arn = node.text()?;
    let role = roles.iter().find(|role| role.arn == arn);
    match role {
        None => node.report(format!(
            "`{arn}` is not the ARN of a role of this template, as in !GetAtt PlaceOrderRole.Arn"
        )),
        Some(role) if !role.services.iter().any(|assuming| assuming == service) => {
            node.report(format!(
                "{} may not be assumed by {service}: add it to AssumeRolePolicyDocument",
                role.logical_id
            ));
        }
        Some(_) => {}
    }
    role
}

fn statement(node: &Node<'_>) -> Statement {
    // `permits` ignores conditions and the Not... forms, so a statement with one is refused.
    node.expect_keys(&["Effect", "Action", "Resource"], &["Sid"]);
    let effect = node.required("Effect");
    if let Some(effect) = &effect {
        effect.expect_one_of(&["Allow", "Deny"]);
    }
    let denies = effect.is_some_and(|effect| effect.value == "Deny");
    let texts =
        |key| node.required(key).iter().flat_map(Node::one_or_list).filter_map(|item| item.text()).collect();
    Statement {
        effect: if denies { Effect::Deny } else { Effect::Allow },
        actions: texts("Action"),
        resources: texts("Resource"),
    }
}

/// Whether `pattern` matches the whole `text`. `*` matches any characters and `?` matches one.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at_pattern, mut at_text) = (0, 0);
    // The position of the last star in the pattern, and the end of the text that it matches.
    let mut star: Option<(usize, usize)> = None;
    while at_text < text.len() {
        match (pattern.get(at_pattern), star) {
            (Some(b'*'), _) => {
                star = Some((at_pattern, at_text));
                at_pattern += 1;
            }
            (Some(&byte), _) if byte == b'?' || byte == text[at_text] => {
                at_pattern += 1;
                at_text += 1;
            }
            (_, Some((at_star, taken))) => {
                star = Some((at_star, taken + 1));
                at_pattern = at_star + 1;
                at_text = taken + 1;
            }
            (_, None) => return false,
        }
    }
    pattern[at_pattern..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allow(action: &str, resource: &str) -> Statement {
        Statement {
            effect: Effect::Allow,
            actions: vec![action.to_owned()],
            resources: vec![resource.to_owned()],
        }
    }

    #[test]
    fn a_statement_permits_its_actions_on_its_resources_only() {
        let statements =
            [allow("dynamodb:GetItem", "arn:t/Orders"), allow("dynamodb:Query", "arn:t/Orders/index/*")];
        assert!(permits(&statements, "dynamodb:GetItem", "arn:t/Orders"));
        assert!(permits(&statements, "dynamodb:query", "arn:t/Orders/index/by_user"));
        assert!(!permits(&statements, "dynamodb:GetItem", "arn:t/Orders2"));
        assert!(!permits(&statements, "dynamodb:PutItem", "arn:t/Orders"));
        assert!(!permits(&statements, "dynamodb:Query", "arn:t/Orders"));
    }

    #[test]
    fn a_deny_overrides_every_allow() {
        let deny = Statement { effect: Effect::Deny, ..allow("dynamodb:Delete*", "*") };
        let statements = [allow("dynamodb:*", "*"), deny];
        assert!(permits(&statements, "dynamodb:PutItem", "arn:t/Orders"));
        assert!(!permits(&statements, "dynamodb:DeleteItem", "arn:t/Orders"));
    }

    #[test]
    fn wildcards_match_any_characters_and_one() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abbcd", false),
            ("a*b*c", "aXbXbXc", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("ab", "abc", false),
            ("abc*", "abc", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
