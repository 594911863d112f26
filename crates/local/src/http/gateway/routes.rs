//! Which route a request takes. Paths are literal segments and `{parameters}` of one segment each; a literal
//! wins over a parameter, the leftmost difference deciding, and a method over `ANY`.

use sam_template::Route;
use std::collections::BTreeSet;

use http::Method;
use percent_encoding::percent_decode_str;

/// Why a route cannot be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the route `{route}` cannot be served: {reason}")]
pub struct RouteError {
    /// The route's key, `GET /orders`.
    pub route: String,
    /// What is wrong with it, and what is supported.
    pub reason: String,
}

/// The routes, the most specific first.
pub(super) struct Routes(Vec<Compiled>);

struct Compiled {
    key: String,
    segments: Vec<Segment>,
    route: Route,
}

#[derive(PartialEq, Eq)]
enum Segment {
    Literal(String),
    Parameter(String),
}

/// The route that a request takes.
pub(super) struct MatchedRoute<'a> {
    pub(super) route: &'a Route,
    /// `GET /orders/{order_id}`.
    pub(super) key: &'a str,
    /// Path parameters, decoded.
    pub(super) parameters: Vec<(&'a str, String)>,
}

impl Routes {
    pub(super) fn new(routes: Vec<Route>) -> Result<Self, RouteError> {
        let mut compiled = routes.into_iter().map(Compiled::new).collect::<Result<Vec<_>, _>>()?;
        let mut shapes = BTreeSet::new();
        for one in &compiled {
            if !shapes.insert((one.route.method.clone(), one.shape())) {
                return Err(one.fault("another route takes the same requests"));
            }
        }
        compiled.sort_by_key(Compiled::rank);
        Ok(Self(compiled))
    }

    pub(super) fn find(&self, method: &Method, path: &str) -> Option<MatchedRoute<'_>> {
        let segments: Vec<String> = segments(path)?.map(decode).collect();
        self.0.iter().find_map(|one| {
            let of_method = one.route.method == "ANY" || one.route.method == method.as_str();
            let parameters = if of_method { one.matches(&segments) } else { None }?;
            Some(MatchedRoute { route: &one.route, key: &one.key, parameters })
        })
    }
}

impl Compiled {
    fn new(route: Route) -> Result<Self, RouteError> {
        let key = format!("{} {}", route.method, route.path);
        let mut one = Self { key, segments: Vec::new(), route };
        let methods = ["GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "DELETE", "ANY"];
        if !methods.contains(&one.route.method.as_str()) {
            return Err(one.fault(&format!("its method is none of {}", methods.join(", "))));
        }
        let Some(parts) = segments(&one.route.path) else {
            return Err(one.fault("its path does not start with /"));
        };
        let mut compiled = Vec::new();
        for part in parts {
            let inside = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
            let segment = match inside {
                Some(name) if is_name(name) => Segment::Parameter(name.to_owned()),
                None if !part.contains(['{', '}']) => Segment::Literal(part.to_owned()),
                _ => {
                    return Err(one.fault(&format!(
                        "the local gateway supports literal segments and {{name}}, not `{part}`"
                    )));
                }
            };
            if matches!(segment, Segment::Parameter(_)) && compiled.contains(&segment) {
                return Err(one.fault(&format!("it has `{part}` twice")));
            }
            compiled.push(segment);
        }
        one.segments = compiled;
        Ok(one)
    }

    fn matches(&self, segments: &[String]) -> Option<Vec<(&str, String)>> {
        if segments.len() != self.segments.len() {
            return None;
        }
        let mut parameters = Vec::new();
        for (wanted, given) in self.segments.iter().zip(segments) {
            match wanted {
                Segment::Literal(literal) if literal == given => {}
                Segment::Parameter(name) if !given.is_empty() => {
                    parameters.push((name.as_str(), given.clone()));
                }
                Segment::Literal(_) | Segment::Parameter(_) => return None,
            }
        }
        Some(parameters)
    }

    /// Lower goes first.
    fn rank(&self) -> (Vec<bool>, bool) {
        let parameter = |segment: &Segment| matches!(segment, Segment::Parameter(_));
        (self.segments.iter().map(parameter).collect(), self.route.method == "ANY")
    }

    /// The path without the names of its parameters.
    fn shape(&self) -> Vec<Option<String>> {
        let literal = |segment: &Segment| match segment {
            Segment::Literal(literal) => Some(literal.clone()),
            Segment::Parameter(_) => None,
        };
        self.segments.iter().map(literal).collect()
    }

    fn fault(&self, reason: &str) -> RouteError {
        RouteError { route: self.key.clone(), reason: reason.to_owned() }
    }
}

/// Text of a path as the client meant it.
pub(super) fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn segments(path: &str) -> Option<std::str::Split<'_, char>> {
    path.strip_prefix('/').map(|path| path.split('/'))
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn route(key: &str) -> Route {
        let (method, path) = key.split_once(' ').unwrap();
        Route {
            method: method.to_owned(),
            path: path.to_owned(),
            function: "f".to_owned(),
            authorizer: None,
            timeout: Duration::from_secs(30),
        }
    }

    fn routes(keys: &[&str]) -> Result<Routes, RouteError> {
        Routes::new(keys.iter().map(|key| route(key)).collect())
    }

    #[test]
    fn a_request_takes_the_most_specific_route() {
        let routes = routes(&[
            // The least specific first: the order given must not matter.
            "GET /{kind}/{id}",
            "ANY /orders/{order_id}",
            "GET /orders/{order_id}",
            "GET /orders",
            "POST /orders/{order_id}/cancel",
            "GET /users/me",
            "GET /",
        ])
        .unwrap();
        for (request, taken) in [
            ("GET /orders", Some(("GET /orders", ""))),
            ("GET /orders/o-1", Some(("GET /orders/{order_id}", "order_id=o-1"))),
            ("PATCH /orders/o-1", Some(("ANY /orders/{order_id}", "order_id=o-1"))),
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

    #[test]
    fn a_route_that_cannot_be_served_is_named() {
        for (keys, named) in [
            (&["GET orders"][..], "`GET orders` cannot be served: its path does not start with /"),
            (&["FETCH /orders"], "its method is none of GET"),
            (&["GET /orders/{proxy+}"], "not `{proxy+}`"),
            (&["GET /orders/o-{id}"], "not `o-{id}`"),
            (&["GET /{id}/{id}"], "`{id}` twice"),
            (&["GET /orders/{id}", "GET /orders/{order_id}"], "`GET /orders/{order_id}`"),
        ] {
            let fault = routes(keys).err().unwrap().to_string();
            assert!(fault.contains(named), "{keys:?}: {fault}");
        }
    }
}
