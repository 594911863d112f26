//! `AWS::Serverless::HttpApi` and the functions' `HttpApi` events: routes, authorizers and CORS. Nothing here verifies a
//! token or serves a request.

use std::time::Duration;

use super::{names::Identity, node::Node, paths::RoutePath};

/// An HTTP API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Api {
    /// Its key under `Resources`.
    pub logical_id: String,
    /// The value of `Ref`: the first part of its host name on AWS.
    pub id: String,
    /// Its routes, in the template's order. No two match the same requests.
    pub routes: Vec<Route>,
    /// The web pages that may call it. Without this, none may.
    pub cors: Option<Cors>,
}

/// The web pages that may call an API from a browser. Credentials are not supported, so browsers send no cookies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    /// Origins such as `https://shop.example.com`, or `*`, `https://*` or `http://*`; at least one.
    pub allow_origins: Vec<String>,
    /// Methods that a page may use.
    pub allow_methods: Vec<String>,
    /// Headers that a page may send.
    pub allow_headers: Vec<String>,
    /// Response headers that a page may read.
    pub expose_headers: Vec<String>,
    /// How long a browser may cache this configuration, in seconds.
    pub max_age_s: Option<u64>,
}

/// One route of an API. Its events have payload format 2.0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The HTTP method, such as `GET`; never `ANY`.
    pub method: String,
    /// The path, with variables such as `{sku}`.
    pub path: RoutePath,
    /// The logical id of the function that it invokes.
    pub function: String,
    /// The authorizer that checks the caller's token; `None` lets every caller in.
    pub authorizer: Option<Authorizer>,
    /// How long the gateway waits for the function.
    pub timeout: Duration,
}

/// A JWT authorizer. The token is in the Authorization header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorizer {
    /// Its key under `Authorizers`.
    pub name: String,
    /// The `iss` that a token must have.
    pub issuer: String,
    /// The accepted audiences. A token needs one of them in `aud`, or in `client_id` if it has no `aud`.
    pub audience: Vec<String>,
}

/// An API while its routes are collected.
#[derive(Debug)]
pub(super) struct ApiBuilder {
    pub(super) api: Api,
    authorizers: Vec<Authorizer>,
}

const METHODS: &[&str] = &["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
/// The default and the maximum of an integration's timeout.
const MAX_TIMEOUT_MS: u64 = 30_000;
/// Properties without an effect that a program can observe. Throttling is one of them: the local gateway never answers
/// 429. On AWS the limit is enforced machine by machine, so that no test could rely on it.
const AWS_ONLY: &[&str] = &[
    "Name",
    "Description",
    "Tags",
    "FailOnWarnings",
    "AccessLogSettings",
    "DefaultRouteSettings",
    "RouteSettings",
];

pub(super) fn read(logical_id: &str, identity: &Identity, properties: &Node<'_>) -> ApiBuilder {
    properties.expect_keys(&["Auth", "CorsConfiguration", "StageName"], AWS_ONLY);
    // The name of any other stage would be part of every path.
    if let Some(stage) = properties.get("StageName") {
        stage.expect_one_of(&["$default"]);
    }
    let auth = properties.get("Auth");
    let mut authorizers = Vec::new();
    if let Some(auth) = auth {
        // Not `DefaultAuthorizer`: with one, SAM names a security scheme that does not exist on every public route.
        auth.expect_keys(&["Authorizers"], &[]);
        for (name, node) in auth.get("Authorizers").iter().flat_map(Node::entries) {
            authorizers.push(authorizer(name, &node));
        }
    }
    let api = Api {
        logical_id: logical_id.to_owned(),
        id: identity.reference.clone(),
        routes: Vec::new(),
        cors: properties.get("CorsConfiguration").map(|cors| cors_of(&cors)),
    };
    ApiBuilder { api, authorizers }
}

fn cors_of(node: &Node<'_>) -> Cors {
    node.expect_keys(&["AllowOrigins", "AllowMethods", "AllowHeaders", "ExposeHeaders", "MaxAge"], &[]);
    let texts = |node: Option<Node<'_>>| -> Vec<String> {
        node.iter().flat_map(Node::list).filter_map(|item| item.text()).collect()
    };
    let allow_origins = node.required("AllowOrigins");
    for origin in allow_origins.iter().flat_map(Node::list) {
        if origin.text().is_some_and(|text| text.is_empty()) {
            origin.report("an origin must not be empty");
        }
    }
    Cors {
        allow_origins: texts(allow_origins),
        allow_methods: texts(node.get("AllowMethods")),
        allow_headers: texts(node.get("AllowHeaders")),
        expose_headers: texts(node.get("ExposeHeaders")),
        max_age_s: node.get("MaxAge").and_then(|age| age.whole_number()),
    }
}

/// Adds the route that a function's event describes to its API.
pub(super) fn add_route(function: &str, event: &Node<'_>, apis: &mut [ApiBuilder]) -> Option<()> {
    event.expect_keys(
        &["ApiId", "Auth", "Method", "Path", "PayloadFormatVersion", "TimeoutInMillis"],
        &["RouteSettings"],
    );
    if let Some(version) = event.get("PayloadFormatVersion") {
        version.expect_one_of(&["2.0"]);
    }
    let method = event.required("Method").and_then(|node| {
        let method = node.text()?.to_ascii_uppercase();
        if !METHODS.contains(&method.as_str()) {
            node.report(format!(
                "`{method}` is not supported by the local stack; supported: {}",
                METHODS.join(", ")
            ));
        }
        Some(method)
    });
    let path = event
        .required("Path")
        .and_then(|node| RoutePath::parse(&node.text()?).map_err(|problem| node.report(problem)).ok());
    let timeout_ms = match event.get("TimeoutInMillis") {
        Some(node) => node.whole_number().inspect(|ms| {
            if !(50..=MAX_TIMEOUT_MS).contains(ms) {
                node.report(format!("expected 50 to {MAX_TIMEOUT_MS}"));
            }
        }),
        None => Some(MAX_TIMEOUT_MS),
    };
    // Without an ApiId, SAM would create a second API, which has no authorizer.
    let id = event.required("ApiId")?;
    let Some(target) = apis.iter().position(|one| id.value == one.api.id.as_str()) else {
        id.report("is not an API of this template, as in !Ref Api");
        return None;
    };
    // A route without `Auth` is public.
    let authorizer = event.get("Auth").and_then(|auth| {
        auth.expect_keys(&["Authorizer"], &[]);
        find_authorizer(&auth.required("Authorizer")?, &apis[target].authorizers)
    });
    let (method, path) = (method?, path?);
    // Locally all APIs share one port, so their routes must differ.
    let mut routes = apis.iter().flat_map(|one| &one.api.routes);
    if let Some(other) =
        routes.find(|other| other.method == method && other.path.matches_same_requests_as(&path))
    {
        event.report(format!(
            "{method} {path} is already a route of {} (as {method} {})",
            other.function, other.path
        ));
    }
    let timeout = Duration::from_millis(timeout_ms?);
    apis[target].api.routes.push(Route { method, path, function: function.to_owned(), authorizer, timeout });
    Some(())
}

/// Reads an authorizer. With a fault it is incomplete, but still known, so that a route that names it is not reported
/// too.
fn authorizer(name: &str, node: &Node<'_>) -> Authorizer {
    node.expect_keys(&["IdentitySource", "JwtConfiguration"], &[]);
    if let Some(source) = node.get("IdentitySource") {
        source.expect_one_of(&["$request.header.Authorization"]);
    }
    let configuration = node.required("JwtConfiguration");
    if let Some(configuration) = &configuration {
        configuration.expect_keys(&["issuer", "audience"], &[]);
    }
    let need = |key| configuration.as_ref().and_then(|configuration| configuration.required(key));
    Authorizer {
        name: name.to_owned(),
        issuer: need("issuer").and_then(|issuer| issuer.text()).unwrap_or_default(),
        audience: need("audience")
            .iter()
            .flat_map(Node::list)
            .filter_map(|audience| audience.text())
            .collect(),
    }
}

fn find_authorizer(node: &Node<'_>, authorizers: &[Authorizer]) -> Option<Authorizer> {
    let name = node.text()?;
    let chosen = authorizers.iter().find(|authorizer| authorizer.name == name);
    if chosen.is_none() {
        let known: Vec<_> = authorizers.iter().map(|authorizer| authorizer.name.as_str()).collect();
        node.report(format!("`{name}` is not one of the API's authorizers: {}", known.join(", ")));
    }
    chosen.cloned()
}
