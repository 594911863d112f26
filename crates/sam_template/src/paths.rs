//! The path of a route: its syntax, and the requests that it matches. Every rule on paths is here. Nothing here knows a
//! method or a function.

use std::fmt;

/// A route's path. Each segment is a literal, or a variable that matches one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutePath {
    text: String,
    segments: Vec<PathSegment>,
}

/// One segment of a route's path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathSegment {
    /// Matches this text only. Literals sort before variables, because they are more specific.
    Literal(String),
    /// Matches any text except an empty one. The variable's name.
    Variable(String),
}

impl RoutePath {
    /// Parses a path such as `/orders/{order_id}`.
    ///
    /// # Errors
    /// A sentence that names the unsupported part.
    pub fn parse(text: &str) -> Result<Self, String> {
        let unsupported = || {
            format!(
                "`{text}` is not supported by the local stack; expected segments after slashes, each plain or a \
                 {{variable}}"
            )
        };
        let rest = text.strip_prefix('/').ok_or_else(unsupported)?;
        let mut segments = Vec::new();
        for part in rest.split('/') {
            let variable = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
            let segment = match variable {
                // On AWS a variable that ends in `+` matches the rest of the path.
                Some(name) if is_name(name) => PathSegment::Variable(name.to_owned()),
                None if (rest.is_empty() || !part.is_empty()) && !part.contains(['{', '}']) => {
                    PathSegment::Literal(part.to_owned())
                }
                _ => return Err(unsupported()),
            };
            if matches!(segment, PathSegment::Variable(_)) && segments.contains(&segment) {
                return Err(format!("`{text}` has `{part}` twice"));
            }
            segments.push(segment);
        }
        Ok(Self { text: text.to_owned(), segments })
    }

    /// The path as written in the template.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The segments between the slashes.
    pub fn segments(&self) -> &[PathSegment] {
        &self.segments
    }

    /// The variables' values in a request's path; `None` if the path does not match. The caller has decoded the segments.
    pub fn matches(&self, request: &[String]) -> Option<Vec<(&str, String)>> {
        if request.len() != self.segments.len() {
            return None;
        }
        let mut values = Vec::new();
        for (segment, given) in self.segments.iter().zip(request) {
            match segment {
                PathSegment::Literal(literal) if literal == given => {}
                PathSegment::Variable(name) if !given.is_empty() => {
                    values.push((name.as_str(), given.clone()));
                }
                PathSegment::Literal(_) | PathSegment::Variable(_) => return None,
            }
        }
        Some(values)
    }

    /// Whether both match exactly the same requests. The names of variables make no difference.
    pub fn matches_same_requests_as(&self, other: &Self) -> bool {
        self.shape() == other.shape()
    }

    /// For each segment its literal; `None` for a variable.
    fn shape<'a>(&'a self) -> Vec<Option<&'a str>> {
        let literal = |segment: &'a PathSegment| match segment {
            PathSegment::Literal(literal) => Some(literal.as_str()),
            PathSegment::Variable(_) => None,
        };
        self.segments.iter().map(literal).collect()
    }
}

impl fmt::Display for RoutePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_not_supported_is_named() {
        for (text, part) in [
            ("orders", "`orders` is not supported"),
            ("", "`` is not supported"),
            ("/orders/", "`/orders/` is not supported"),
            ("/orders/{proxy+}", "not supported"),
            ("/orders/o-{id}", "not supported"),
            ("/orders/{}", "not supported"),
            ("/{id}/{id}", "`/{id}/{id}` has `{id}` twice"),
        ] {
            let error = RoutePath::parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn the_names_of_variables_do_not_tell_paths_apart() {
        let path = |text| RoutePath::parse(text).unwrap();
        assert!(path("/orders/{id}").matches_same_requests_as(&path("/orders/{order_id}")));
        assert!(!path("/orders/{id}").matches_same_requests_as(&path("/orders/id")));
        assert!(!path("/orders").matches_same_requests_as(&path("/orders/{id}")));
    }
}
