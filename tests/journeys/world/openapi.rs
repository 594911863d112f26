//! `infra/openapi.yaml`, compiled. It checks each call that a journey makes, and its answer, against the description.
//!
//! This knows `OpenAPI`, and nothing of the shop. `contract::description` checks that everything is described.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    sync::{Arc, LazyLock},
};

use bytes::Bytes;
use http::{HeaderMap, StatusCode, request::Parts};
use jsonschema::{Registry, Validator};
use serde_json::{Value, json};

use super::{programs::root, requests::Reply};

/// The shipped description.
pub(crate) static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let text = fs::read_to_string(root().join("infra/openapi.yaml")).expect("the description is there");
    sam_template::yaml::read(&text).expect("the description is YAML")
});

/// The shipped description, compiled once.
pub(crate) static OPENAPI: LazyLock<OpenApi> = LazyLock::new(OpenApi::compile);

static REGISTRY: LazyLock<Registry<'static>> =
    LazyLock::new(|| Registry::new().add(URI, &*DOCUMENT).expect("a URI").prepare().expect("a registry"));

/// The URI by which references name the description.
const URI: &str = "urn:orderflow:openapi";
const METHODS: [&str; 7] = ["get", "put", "post", "delete", "options", "head", "patch"];
/// The headers that any answer may have without a description.
const ANY_ANSWERS_HEADERS: [&str; 3] = ["content-type", "content-length", "apigw-requestid"];

/// A description of an API.
pub(crate) struct OpenApi {
    pub(crate) operations: Vec<DescribedOperation>,
    gateway_message: Arc<Validator>,
    not_found: Arc<Validator>,
}

/// One method of one path.
pub(crate) struct DescribedOperation {
    /// `GET`.
    pub(crate) method: String,
    /// `/orders/{order_id}`.
    pub(crate) path: String,
    /// Whether it needs no token.
    pub(crate) open: bool,
    /// Its JSON pointer in the document.
    pub(crate) pointer: String,
    parameters: Vec<Parameter>,
    body: Option<Arc<Validator>>,
    body_required: bool,
    /// The answers by status code.
    pub(crate) answers: BTreeMap<u16, DescribedAnswer>,
}

/// The answer of an operation with one status.
pub(crate) struct DescribedAnswer {
    headers: Vec<HeaderRule>,
    /// Pointers to the schemas, by content type.
    pub(crate) content: BTreeMap<String, String>,
    bodies: BTreeMap<String, BodyRule>,
}

struct BodyRule {
    whole: Arc<Validator>,
    /// The schema of each problem `code`, where the schema is a choice: a complaint about the chosen one is clearer.
    choices: BTreeMap<String, Arc<Validator>>,
}

struct HeaderRule {
    /// In lower case.
    name: String,
    required: bool,
    validator: Arc<Validator>,
}

struct Parameter {
    name: String,
    place: String,
    required: bool,
    is_integer: bool,
    validator: Arc<Validator>,
}

/// A request as it was sent.
pub(crate) struct Sent {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Sent {
    pub(crate) fn new(parts: &Parts, body: Bytes) -> Self {
        Self {
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            headers: parts.headers.clone(),
            body,
        }
    }
}

impl OpenApi {
    fn compile() -> Self {
        let mut compiler = Compiler::default();
        let operations = compiler.operations();
        let gateway_message = compiler.schema("/components/schemas/GatewayMessage");
        let not_found = compiler.schema("/components/schemas/NotFound");
        Self { operations, gateway_message, not_found }
    }

    /// The operation that a request takes; `None` when the gateway has no such route.
    pub(crate) fn find(&self, method: &str, path: &str) -> Option<&DescribedOperation> {
        let literals = |operation: &&DescribedOperation| !operation.path.contains('{');
        let mut fitting: Vec<&DescribedOperation> = self
            .operations
            .iter()
            .filter(|operation| operation.method == method && operation.path_values(path).is_some())
            .collect();
        // A literal wins over a parameter.
        fitting.sort_by_key(|operation| !literals(operation));
        fitting.first().copied()
    }

    /// Names the first thing in a call or its answer that is not as described. A request is judged only if it was
    /// accepted, since journeys send bad input too.
    pub(crate) fn check(&self, sent: &Sent, reply: &Reply) -> Result<(), String> {
        if sent.path.starts_with("/local/") {
            return Ok(());
        }
        let breach =
            |what: String| format!("{} {} answered {}: {what}", sent.method, sent.path, reply.status);
        let Some(operation) = self.find(&sent.method, &sent.path) else {
            return self.check_unknown(sent, reply).map_err(breach);
        };
        operation.check_answer(reply).map_err(breach)?;
        if StatusCode::from_u16(reply.status).is_ok_and(|status| status.is_success()) {
            operation.check_request(sent).map_err(breach)?;
        }
        Ok(())
    }

    /// A path without a route is answered by the gateway; or by a function that does not know it, where a test's
    /// template has an extra route.
    fn check_unknown(&self, sent: &Sent, reply: &Reply) -> Result<(), String> {
        let own = [400, 404, 413, 431];
        if !own.contains(&reply.status) {
            return Err(format!("an unknown route answers one of {own:?}"));
        }
        if sent.method == "HEAD" && reply.body.is_null() {
            return Ok(());
        }
        let of_function = reply.header("content-type") == "application/problem+json";
        judge(if of_function { &self.not_found } else { &self.gateway_message }, &reply.body)
    }
}

impl DescribedOperation {
    fn check_answer(&self, reply: &Reply) -> Result<(), String> {
        let answer = self.answers.get(&reply.status).ok_or("the status is not described")?;
        let content_type = reply.header("content-type").split(';').next().unwrap_or_default().trim();
        match answer.bodies.get(content_type) {
            Some(rule) => rule.judge(&reply.body)?,
            None if answer.bodies.is_empty() && reply.body.is_null() && content_type.is_empty() => {}
            None => {
                return Err(format!("the content type `{content_type}` is not described: {}", reply.body));
            }
        }
        for rule in &answer.headers {
            match reply.headers.get(rule.name.as_str()) {
                None if rule.required => return Err(format!("the header {} is missing", rule.name)),
                None => {}
                Some(value) => {
                    let value = json!(value.to_str().map_err(|_any| "a header is not ASCII")?);
                    judge(&rule.validator, &value).map_err(|why| format!("header {}: {why}", rule.name))?;
                }
            }
        }
        let described = |name: &str| {
            ANY_ANSWERS_HEADERS.contains(&name) || answer.headers.iter().any(|rule| rule.name == name)
        };
        match reply.headers.keys().find(|name| !described(name.as_str())) {
            Some(name) => Err(format!("the header {name} is not described")),
            None => Ok(()),
        }
    }

    fn check_request(&self, sent: &Sent) -> Result<(), String> {
        let path = self.path_values(&sent.path).ok_or("another path")?;
        let query: HashMap<String, String> =
            form_urlencoded::parse(sent.query.as_bytes()).into_owned().collect();
        for parameter in &self.parameters {
            let value = match parameter.place.as_str() {
                "path" => path.get(parameter.name.as_str()).cloned(),
                "query" => query.get(&parameter.name).cloned(),
                _ => sent.headers.get(&parameter.name).and_then(|v| v.to_str().ok()).map(str::to_owned),
            };
            match value {
                None if parameter.required => return Err(format!("accepted without {}", parameter.name)),
                None => {}
                Some(text) => {
                    let number = text.parse::<i64>().ok().filter(|_| parameter.is_integer);
                    let value = number.map_or_else(|| json!(text), |number| json!(number));
                    judge(&parameter.validator, &value)
                        .map_err(|why| format!("accepted with {}: {why}", parameter.name))?;
                }
            }
        }
        let known = |name: &String| self.parameters.iter().any(|p| p.place == "query" && p.name == *name);
        if let Some(name) = query.keys().find(|name| !known(name)) {
            return Err(format!("accepted with the parameter {name}, which is not described"));
        }
        if let Some(body) = self.body.as_ref().filter(|_| self.body_required || !sent.body.is_empty()) {
            let sent =
                serde_json::from_slice(&sent.body).map_err(|why| format!("accepted the body: {why}"))?;
            judge(body, &sent).map_err(|why| format!("accepted the body: {why}"))?;
        }
        Ok(())
    }

    /// The values of the path's variables, decoded; `None` when the path does not fit.
    fn path_values(&self, path: &str) -> Option<HashMap<&str, String>> {
        let mut values = HashMap::new();
        let mut given = path.split('/');
        for wanted in self.path.split('/') {
            let given = percent_encoding::percent_decode_str(given.next()?).decode_utf8_lossy();
            match wanted.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
                Some(name) if !given.is_empty() => {
                    values.insert(name, given.into_owned());
                }
                None if given == wanted => {}
                _ => return None,
            }
        }
        given.next().is_none().then_some(values)
    }
}

impl BodyRule {
    fn judge(&self, body: &Value) -> Result<(), String> {
        let chosen = body["code"].as_str().and_then(|code| self.choices.get(code));
        chosen.map_or(Ok(()), |chosen| judge(chosen, body))?;
        judge(&self.whole, body)
    }
}

/// Checks a value against a schema, and names every fault.
pub(crate) fn judge(validator: &Validator, value: &Value) -> Result<(), String> {
    if validator.is_valid(value) {
        return Ok(());
    }
    let faults: Vec<String> = validator
        .iter_errors(value)
        .map(|error| format!("at `{}`: {error}", error.instance_path()))
        .collect();
    Err(format!("{} in {value}", faults.join("; ")))
}

/// The value at a JSON pointer, references followed.
pub(crate) fn at(pointer: &str) -> &'static Value {
    DOCUMENT.pointer(&follow(pointer)).expect("a value")
}

/// Compiles the schema at a pointer.
pub(crate) fn validator(pointer: &str) -> Arc<Validator> {
    Compiler::default().schema(pointer)
}

/// The pointer at the end of a chain of references.
pub(crate) fn follow(pointer: &str) -> String {
    let mut pointer = pointer.to_owned();
    while let Some(next) = DOCUMENT.pointer(&pointer).and_then(|value| value["$ref"].as_str()) {
        next.strip_prefix('#').expect("a reference inside the document").clone_into(&mut pointer);
    }
    pointer
}

/// A key as a JSON pointer has it.
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[derive(Default)]
struct Compiler {
    compiled: HashMap<String, Arc<Validator>>,
}

impl Compiler {
    fn operations(&mut self) -> Vec<DescribedOperation> {
        let mut operations = Vec::new();
        for (path, item) in object(&DOCUMENT["paths"]) {
            for (method, operation) in object(item) {
                if METHODS.contains(&method.as_str()) {
                    let at_path = format!("/paths/{}", escaped(path));
                    let pointer = format!("{at_path}/{method}");
                    let body = format!("{pointer}/requestBody/content/application~1json/schema");
                    operations.push(DescribedOperation {
                        method: method.to_uppercase(),
                        path: path.clone(),
                        open: operation["security"].as_array().is_some_and(Vec::is_empty),
                        parameters: [&at_path, &pointer]
                            .into_iter()
                            .flat_map(|at| self.parameters(at))
                            .collect(),
                        body: DOCUMENT.pointer(&body).is_some().then(|| self.schema(&body)),
                        body_required: operation["requestBody"]["required"] == true,
                        answers: self.answers(&pointer),
                        pointer,
                    });
                }
            }
        }
        operations
    }

    fn parameters(&mut self, owner: &str) -> Vec<Parameter> {
        let count =
            DOCUMENT.pointer(&format!("{owner}/parameters")).and_then(Value::as_array).map_or(0, Vec::len);
        let mut parameters = Vec::new();
        for index in 0..count {
            let (pointer, value) = Self::followed(&format!("{owner}/parameters/{index}"));
            let text = |key: &str| value[key].as_str().expect("a text").to_owned();
            let (_, schema) = Self::followed(&format!("{pointer}/schema"));
            parameters.push(Parameter {
                name: text("name"),
                place: text("in"),
                required: value["required"] == true,
                is_integer: schema["type"] == "integer",
                validator: self.schema(&format!("{pointer}/schema")),
            });
        }
        parameters
    }

    fn answers(&mut self, operation: &str) -> BTreeMap<u16, DescribedAnswer> {
        let mut answers = BTreeMap::new();
        for status in object(&DOCUMENT.pointer(operation).expect("an operation")["responses"]).keys() {
            let (pointer, answer) = Self::followed(&format!("{operation}/responses/{status}"));
            let mut headers = Vec::new();
            for name in answer["headers"].as_object().into_iter().flat_map(|headers| headers.keys()) {
                let (at, rule) = Self::followed(&format!("{pointer}/headers/{name}"));
                headers.push(HeaderRule {
                    name: name.to_lowercase(),
                    required: rule["required"] == true,
                    validator: self.schema(&format!("{at}/schema")),
                });
            }
            let content: BTreeMap<String, String> = answer["content"]
                .as_object()
                .into_iter()
                .flat_map(|content| content.keys())
                .map(|name| (name.clone(), format!("{pointer}/content/{}/schema", escaped(name))))
                .collect();
            let bodies = content.iter().map(|(name, at)| (name.clone(), self.body_rule(at))).collect();
            answers
                .insert(status.parse().expect("a status code"), DescribedAnswer { headers, content, bodies });
        }
        answers
    }

    fn body_rule(&mut self, pointer: &str) -> BodyRule {
        let (_, schema) = Self::followed(pointer);
        let mapping = schema["discriminator"]["mapping"].as_object();
        let choices = mapping
            .into_iter()
            .flatten()
            .map(|(code, to)| {
                let to = to.as_str().and_then(|to| to.strip_prefix('#')).expect("a reference");
                (code.clone(), self.schema(to))
            })
            .collect();
        BodyRule { whole: self.schema(pointer), choices }
    }

    fn followed(pointer: &str) -> (String, &'static Value) {
        let pointer = follow(pointer);
        let value = DOCUMENT.pointer(&pointer).unwrap_or_else(|| panic!("nothing at {pointer}"));
        (pointer, value)
    }

    fn schema(&mut self, pointer: &str) -> Arc<Validator> {
        let pointer = follow(pointer);
        if let Some(compiled) = self.compiled.get(&pointer) {
            return Arc::clone(compiled);
        }
        assert!(DOCUMENT.pointer(&pointer).is_some(), "nothing at {pointer}");
        let fragment = pointer.replace('{', "%7B").replace('}', "%7D");
        let compiled = jsonschema::options()
            .with_registry(&REGISTRY)
            .offline()
            .should_validate_formats(true)
            .build(&json!({ "$ref": format!("{URI}#{fragment}") }))
            .unwrap_or_else(|error| panic!("the schema at {pointer} cannot be compiled: {error}"));
        let compiled = Arc::new(compiled);
        self.compiled.insert(pointer, Arc::clone(&compiled));
        compiled
    }
}

fn object(value: &Value) -> &serde_json::Map<String, Value> {
    value.as_object().expect("an object")
}
