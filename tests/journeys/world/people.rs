//! People and their tokens. A token lasts an hour of the shop's clock; sign in again after that.

use std::time::Duration;

use local::{
    ground::tokens::{Signing, TokenRequest},
    stack::Stack,
};
use serde_json::{Value, json};

use super::shop::Shop;

/// A person who is signed in.
#[derive(Clone, Debug)]
pub(crate) struct Customer {
    pub(crate) token: String,
    pub(crate) user_id: String,
    pub(crate) email: String,
}

impl Shop {
    /// A registered customer whose subscription is confirmed, and whose account says so.
    pub(crate) async fn customer(&self, name: &str) -> Customer {
        let customer = self.registered(name).await;
        self.confirm_mails();
        self.confirmed(&customer, name).await;
        customer
    }

    /// Lets a customer who has confirmed the subscription register again, so that the account says so.
    pub(crate) async fn confirmed(&self, customer: &Customer, name: &str) {
        let reply = self.register(customer, name).await;
        assert_eq!((reply.status, &reply.body["notifications"]), (200, &json!("confirmed")), "{reply:?}");
    }

    /// A registered customer who has not confirmed the subscription.
    pub(crate) async fn registered(&self, name: &str) -> Customer {
        let customer = self.signed_in(name);
        let reply = self.register(&customer, name).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        customer
    }

    /// A person with a token. This registers no user.
    pub(crate) fn signed_in(&self, name: &str) -> Customer {
        sign_in(&self.stack, &format!("{}@example.com", name.to_lowercase()), &[])
    }

    /// The user of this id, with a token for this address. A second passes first, so that the token is newer than any
    /// before.
    pub(crate) fn signed_in_as(&self, user_id: &str, email: &str) -> Customer {
        self.wait(Duration::from_secs(1));
        let request = TokenRequest { user_id: Some(user_id.to_owned()), ..TokenRequest::new(email) };
        issued(&self.stack, &request)
    }

    /// A customer, with these claims in place of those of a token of now. `null` removes a claim.
    pub(crate) fn claiming(&self, customer: &Customer, claims: &Value) -> Customer {
        let request =
            TokenRequest { user_id: Some(customer.user_id.clone()), ..TokenRequest::new(&customer.email) };
        Customer { token: issued_with(&self.stack, &request, claims, Signing::Genuine), ..customer.clone() }
    }

    /// The user of this address, with a token that says the address is not verified.
    pub(crate) fn signed_in_unverified(&self, email: &str) -> Customer {
        issued(&self.stack, &TokenRequest { email_verified: false, ..TokenRequest::new(email) })
    }

    /// The first admin with a fresh token.
    pub(crate) fn admin_again(&self) -> Customer {
        sign_in(&self.stack, &self.admin.email, &["admin"])
    }

    /// Another admin.
    pub(crate) fn another_admin(&self, name: &str) -> Customer {
        sign_in(&self.stack, &format!("{}@shop.example", name.to_lowercase()), &["admin"])
    }

    /// Eve, with these claims in place of her own. `null` removes a claim.
    pub(crate) fn eve(&self, claims: &Value) -> Customer {
        let request = TokenRequest::new(EVE);
        Customer {
            token: issued_with(&self.stack, &request, claims, Signing::Genuine),
            ..self.signed_in("Eve")
        }
    }

    /// A token that says Eve is an admin, with other claims or another signature than it should have.
    pub(crate) fn eves_admin_token(&self, claims: &Value, signing: Signing) -> String {
        let request = TokenRequest { groups: vec!["admin".to_owned()], ..TokenRequest::new(EVE) };
        issued_with(&self.stack, &request, claims, signing)
    }

    /// A token of Eve's that says she is an admin, with nothing wrong with it.
    pub(crate) fn genuine_admin_token(&self) -> String {
        self.eves_admin_token(&json!({}), Signing::Genuine)
    }
}

const EVE: &str = "eve@example.com";

pub(super) fn sign_in(stack: &Stack, email: &str, groups: &[&str]) -> Customer {
    let groups = groups.iter().map(|group| (*group).to_owned()).collect();
    issued(stack, &TokenRequest { groups, ..TokenRequest::new(email) })
}

fn issued(stack: &Stack, request: &TokenRequest) -> Customer {
    let issued = stack.tokens().issue(request).expect("a token");
    Customer { token: issued.id_token, user_id: issued.user_id, email: request.email.clone() }
}

fn issued_with(stack: &Stack, request: &TokenRequest, claims: &Value, signing: Signing) -> String {
    let claims = claims.as_object().expect("claims");
    stack.tokens().issue_with(request, claims, signing).expect("a token")
}
