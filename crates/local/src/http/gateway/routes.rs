//! Finds the route of a request. A literal segment takes precedence over a variable; the leftmost difference decides.
//! Nothing here knows the syntax of a path or what it matches: `sam_template` does.

use http::Method;
use percent_encoding::percent_decode_str;
use sam_template::Route;

/// The routes, most specific first.
pub(super) struct Routes(Vec<KeyedRoute>);

struct KeyedRoute {
    /// The route key, such as `GET /orders/{order_id}`.
    key: String,
    route: Route,
}

/// The route that a request matches.
pub(super) struct MatchedRoute<'a> {
    pub(super) route: &'a Route,
    /// The route key, such as `GET /orders/{order_id}`.
    pub(super) key: &'a str,
    /// The path parameters' names and decoded values.
    pub(super) parameters: Vec<(&'a str, String)>,
}

impl Routes {
    pub(super) fn new(mut routes: Vec<Route>) -> Self {
        // Literals sort before variables.
        routes.sort_by(|a, b| a.path.segments().cmp(b.path.segments()));
        let keyed = |route: Route| KeyedRoute { key: format!("{} {}", route.method, route.path), route };
        Self(routes.into_iter().map(keyed).collect())
    }

    pub(super) fn find(&self, method: &Method, path: &str) -> Option<MatchedRoute<'_>> {
        let segments: Vec<String> = path.strip_prefix('/')?.split('/').map(decode).collect();
        self.0.iter().find_map(|KeyedRoute { key, route }| {
            let parameters =
                if route.method == method.as_str() { route.path.matches(&segments) } else { None }?;
            Some(MatchedRoute { route, key, parameters })
        })
    }
}

/// A part of a path, percent-decoded.
pub(super) fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sam_template::RoutePath;

    use super::*;

    fn route(key: &str) -> Route {
        let (method, path) = key.split_once(' ').unwrap();
        Route {
            method: method.to_owned(),
            path: RoutePath::parse(path).unwrap(),
            function: "f".to_owned(),
            authorizer: None,
            timeout: Duration::from_secs(30),
        }
    }

    fn routes(keys: &[&str]) -> Routes {
        Routes::new(keys.iter().map(|key| route(key)).collect())
    }

    #[test]
    fn a_request_takes_the_most_specific_route() {
        let routes = routes(&[
            // The least specific route comes first, to show that the given order does not matter.
            "GET /{kind}/{id}",
            "PATCH /orders/{order_id}",
            "GET /orders/{order_id}",
            "GET /orders",
            "POST /orders/{order_id}/cancel",
            "GET /users/me",
            "GET /",
        ]);
        for (request, taken) in [
            ("GET /orders", Some(("GET /orders", ""))),
            ("GET /orders/o-1", Some(("GET /orders/{order_id}", "order_id=o-1"))),
            ("PATCH /orders/o-1", Some(("PATCH /orders/{order_id}", "order_id=o-1"))),
            (
                "POST /orders/a%2Fb%20%C3%A9/cancel",
                Some(("POST /orders/{order_id}/cancel", "order_id=a/b é")),
            ),
            ("GET /users/me", Some(("GET /users/me", ""))),
            ("GET /users/%6De", Some(("GET /users/me", ""))),
            ("GET /users/you", Some(("GET /{kind}/{id}", "kind=users id=you"))),
            ("GET /", Some(("GET /", ""))),
            ("POST /orders", None),
            ("HEAD /orders", None),
            ("GET /orders/", None),
            ("GET //", None),
            ("POST /orders//cancel", None),
            ("GET /orders/o-1/lines", None),
        ] {
            let (method, path) = request.split_once(' ').unwrap();
            let found = routes.find(&method.parse().unwrap(), path);
            let found = found.map(|found| {
                let parameters: Vec<String> =
                    found.parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
                (found.key, parameters.join(" "))
            });
            assert_eq!(found, taken.map(|(key, parameters)| (key, parameters.to_owned())), "{request}");
        }
    }
}
