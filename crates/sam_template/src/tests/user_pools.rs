//! User pools: the resource that is read, the faults of an unsupported one, and the template's rules.

use std::time::Duration;

use super::{PasswordPolicy, Template, UserPool, UserPoolClient, shop};

const POOL: &str = r#"
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Parameters:
  Group: { Type: String, Default: admin }
  Issuer: { Type: String, Default: "" }
  Audience: { Type: String, Default: "" }
Rules:
  Both:
    RuleCondition: !Not [!Equals [!Ref Issuer, ""]]
    Assertions:
      - Assert: !Not [!Equals [!Ref Audience, ""]]
        AssertDescription: an issuer needs an audience
      - Assert: !Equals [!Ref Group, admin]
Resources:
  People:
    Type: AWS::Cognito::UserPool
    Properties:
      UsernameAttributes: [email]
      AutoVerifiedAttributes: [email]
      UsernameConfiguration: { CaseSensitive: false }
      VerificationMessageTemplate:
        DefaultEmailOption: CONFIRM_WITH_CODE
        EmailSubject: Your code
        EmailMessage: "It is {####}."
      Policies:
        PasswordPolicy:
          MinimumLength: 9
          RequireLowercase: true
          RequireUppercase: false
          RequireNumbers: true
          RequireSymbols: false
      DeletionProtection: ACTIVE
  Web:
    Type: AWS::Cognito::UserPoolClient
    Properties:
      UserPoolId: !Ref People
      PreventUserExistenceErrors: ENABLED
      ExplicitAuthFlows: [ALLOW_USER_PASSWORD_AUTH]
      IdTokenValidity: 5
      AccessTokenValidity: 2
      RefreshTokenValidity: 30
      TokenValidityUnits: { IdToken: minutes }
      WriteAttributes: [email]
      ReadAttributes: [email, name]
  Admins:
    Type: AWS::Cognito::UserPoolGroup
    Properties: { UserPoolId: !Ref People, GroupName: !Ref Group }
Outputs:
  Pool: { Value: !GetAtt People.ProviderURL }
  Client: { Value: !Ref Web }
  Admins: { Value: !Ref Admins }
"#;

/// Reads the pool's template with one change. Each fault must begin as expected, and no other fault may occur.
#[track_caller]
fn check(from: &str, to: &str, expected: &[&str]) {
    assert_eq!(POOL.matches(from).count(), 1, "`{from}` must be in the template once");
    let faults = shop(&POOL.replace(from, to), &[]).expect_err(&format!("`{to}` must be a fault"));
    let as_expected = faults.iter().zip(expected).all(|(fault, expected)| fault.starts_with(expected));
    assert!(as_expected && faults.len() == expected.len(), "`{to}` gave {faults:#?}\nexpected {expected:#?}");
}

fn read(overrides: &[(&str, &str)]) -> Template {
    shop(POOL, overrides).expect("a good template")
}

#[test]
fn a_user_pool_has_its_clients_and_groups() {
    let client = UserPoolClient {
        logical_id: "Web".to_owned(),
        id: "orderflowweb".to_owned(),
        auth_flows: vec!["ALLOW_USER_PASSWORD_AUTH".to_owned()],
        write_attributes: vec!["email".to_owned()],
        read_attributes: vec!["email".to_owned(), "name".to_owned()],
        id_token: Duration::from_mins(5),
        access_token: Duration::from_hours(2),
        refresh_token: Duration::from_hours(30 * 24),
    };
    let password_policy = PasswordPolicy {
        minimum_length: 9,
        lowercase: true,
        uppercase: false,
        numbers: true,
        symbols: false,
    };
    let pool = UserPool {
        logical_id: "People".to_owned(),
        id: "us-east-1_orderflowPeople".to_owned(),
        issuer: "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_orderflowPeople".to_owned(),
        password_policy,
        mail_subject: "Your code".to_owned(),
        mail_text: "It is {####}.".to_owned(),
        clients: vec![client],
        groups: vec!["boss".to_owned()],
    };
    let template = read(&[("Group", "boss")]);
    assert_eq!(template.outputs["Pool"], pool.issuer);
    assert_eq!(
        (template.outputs["Client"].as_str(), template.outputs["Admins"].as_str()),
        ("orderflowweb", "boss")
    );
    assert_eq!(template.user_pool, Some(pool));
}

#[test]
fn a_rule_reports_parameters_that_do_not_go_together() {
    assert!(read(&[("Audience", "web")]).user_pool.is_some(), "the rule does not apply");
    read(&[("Issuer", "https://issuer.test"), ("Audience", "web")]);
    let faults = |overrides: &[_]| shop(POOL, overrides).expect_err("a rule");
    assert_eq!(
        faults(&[("Issuer", "https://issuer.test"), ("Group", "boss")]),
        [
            "Rules.Both.Assertions[0]: an issuer needs an audience",
            "Rules.Both.Assertions[1]: the assertion is false for these parameters",
        ]
    );
    // An assertion is checked even when its rule does not apply.
    check(
        "!Equals [!Ref Group, admin]",
        "!Equals [!Ref Team, admin]",
        &["Rules.Both.Assertions[1].Assert: `Team` is neither a parameter nor a resource"],
    );
    check(
        "      - Assert: !Equals",
        "      - Because: !Equals",
        &[
            "Rules.Both.Assertions[1].Because: is not supported",
            "Rules.Both.Assertions[1]: `Assert` is missing",
        ],
    );
    check(
        "    Assertions:",
        "    Assertion:",
        &["Rules.Both.Assertion: is not supported", "Rules.Both: `Assertions` is missing"],
    );
}

#[test]
fn a_pool_that_would_behave_differently_is_reported() {
    let people = "Resources.People.Properties";
    check(
        "UsernameAttributes: [email]",
        "UsernameAttributes: [phone_number]",
        &[&format!("{people}.UsernameAttributes[0]: `phone_number` is not supported")],
    );
    check(
        "      AutoVerifiedAttributes: [email]\n",
        "",
        &[&format!("{people}: `AutoVerifiedAttributes` is missing")],
    );
    check(
        "CaseSensitive: false",
        "CaseSensitive: true",
        &[&format!("{people}.UsernameConfiguration.CaseSensitive: `true` is not supported")],
    );
    check(
        "CONFIRM_WITH_CODE",
        "CONFIRM_WITH_LINK",
        &[&format!("{people}.VerificationMessageTemplate.DefaultEmailOption: `CONFIRM_WITH_LINK` is not")],
    );
    check(
        "It is {####}.",
        "It is secret.",
        &[&format!(
            "{people}.VerificationMessageTemplate.EmailMessage: must contain {{####}}, which the code replaces"
        )],
    );
    check(
        "RequireSymbols: false",
        "RequireSymbols: perhaps",
        &[&format!("{people}.Policies.PasswordPolicy.RequireSymbols: `perhaps` is not supported")],
    );
    check(
        "DeletionProtection: ACTIVE",
        "LambdaConfig: {}",
        &[&format!("{people}.LambdaConfig: is not supported")],
    );
    check(
        "  Web:\n",
        "  More:\n    Type: AWS::Cognito::UserPool\n  Web:\n",
        &[
            "Resources.More.Properties: is a second user pool; the local stack supports one",
            "Resources.More.Properties: `UsernameAttributes` is missing",
            "Resources.More.Properties: `AutoVerifiedAttributes` is missing",
            "Resources.More.Properties: `UsernameConfiguration` is missing",
            "Resources.More.Properties: `Policies` is missing",
            "Resources.More.Properties: `VerificationMessageTemplate` is missing",
        ],
    );
}

#[test]
fn a_client_that_would_behave_differently_is_reported() {
    let web = "Resources.Web.Properties";
    check(
        "PreventUserExistenceErrors: ENABLED",
        "PreventUserExistenceErrors: LEGACY",
        &[&format!("{web}.PreventUserExistenceErrors: `LEGACY` is not supported")],
    );
    check(
        "PreventUserExistenceErrors:",
        "GenerateSecret: true\n      PreventUserExistenceErrors:",
        &[&format!("{web}.GenerateSecret: `true` is not supported")],
    );
    check(
        "[ALLOW_USER_PASSWORD_AUTH]",
        "[ALLOW_CUSTOM_AUTH]",
        &[&format!("{web}.ExplicitAuthFlows[0]: `ALLOW_CUSTOM_AUTH` is not supported")],
    );
    check(
        "IdToken: minutes",
        "IdToken: years",
        &[&format!("{web}.TokenValidityUnits.IdToken: `years` is not")],
    );
    check(
        "RefreshTokenValidity: 30",
        "RefreshTokenValidity: 3651",
        &[&format!("{web}.RefreshTokenValidity: must be at most ten years")],
    );
    check(
        "      UserPoolId: !Ref People\n",
        "      UserPoolId: people\n",
        &[&format!("{web}.UserPoolId: is not a user pool of this template")],
    );
    check(
        "{ UserPoolId: !Ref People, GroupName",
        "{ UserPoolId: !Ref Web, GroupName",
        &["Resources.Admins.Properties.UserPoolId: is not a user pool of this template"],
    );
}
