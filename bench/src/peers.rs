//! Programs that others would write to do the work of `create_order` (`bench/peers`). They are measured in the same run as
//! ours, and in the same way.
//!
//! A peer counts only if it makes the calls that ours makes, with the same content, and gives the same answer.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use time::{
    OffsetDateTime, PrimitiveDateTime, format_description::BorrowedFormatItem, macros::format_description,
};

use crate::{
    Fault,
    endpoint::Endpoint,
    group::Group,
    measure::{Bench, Subject},
    program::Candidate,
    zip,
};

/// The function whose work the peers do.
pub const FUNCTION: &str = "create_order";

/// The name of the member that an SDK makes up for each transaction.
const TOKEN: &str = "ClientRequestToken";

/// The form of every time that an order holds.
const TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// Where the programs of the peers are, as `scripts/bench` makes them.
#[derive(Clone, Debug)]
pub struct Places {
    /// What a team would upload for Python and for Node: `python`, `node`, `node_bundled`.
    pub uploads: PathBuf,
    /// The peers in Rust: `<name>/bootstrap`, as cargo-lambda builds them.
    pub rust: PathBuf,
    /// Python with boto3 and Lambda's runtime interface client.
    pub python: PathBuf,
}

/// One of the programs.
pub struct Peer {
    /// What it is called in the table.
    pub name: String,
    /// The program, ready to be measured.
    pub subject: Subject,
    /// The size of the zip file with what is uploaded.
    pub zipped_bytes: u64,
    /// Whether it does the work. The floor does not.
    pub works: bool,
}

impl Bench {
    /// All peers, in the order of the table.
    pub fn peers(&self, root: &Path, places: &Places) -> Result<Vec<Peer>, Fault> {
        let root = absolute(root)?;
        let (uploads, rust) = (absolute(&places.uploads)?, absolute(&places.rust)?);
        let bundle = self.public_roots(&uploads)?;
        let trusts = |variable: &str, file: &Path| (variable.to_owned(), text(file));
        let in_rust = |name: &str, title: &str, environment: BTreeMap<String, String>, works: bool| {
            let folder = rust.join(name);
            let candidate =
                Candidate { program: folder.join("bootstrap"), arguments: Vec::new(), environment };
            self.peer(title.to_owned(), candidate, &folder, works)
        };
        let node = |folder: &str, module: &str, title: &str| {
            let folder = uploads.join(folder);
            let program = on_the_path("node")?;
            let title = format!("{}, {title}", version("Node", &program)?);
            let arguments =
                vec![text(&root.join("bench/peers/node/runtime.mjs")), text(&folder.join(module))];
            let environment = [trusts("NODE_EXTRA_CA_CERTS", &self.root_certificate())].into();
            self.peer(title, Candidate { program, arguments, environment }, &folder, true)
        };
        // A virtual environment is known by the path of its program, so that path is not resolved.
        let program = std::path::absolute(&places.python).map_err(not_there(&places.python))?;
        let title = format!("{}, boto3", version("Python", &program)?);
        let python = Candidate {
            program,
            arguments: ["-m", "awslambdaric", "handler.handle"].map(str::to_owned).into(),
            environment: [
                trusts("AWS_CA_BUNDLE", &bundle),
                ("PYTHONPATH".to_owned(), text(&root.join("bench/peers/python"))),
                // Lambda's folder for code is read-only.
                ("PYTHONDONTWRITEBYTECODE".to_owned(), "1".to_owned()),
                // boto3 reads this one, and Lambda sets both.
                ("AWS_DEFAULT_REGION".to_owned(), "us-east-1".to_owned()),
            ]
            .into(),
        };
        let ordinary = [trusts("SSL_CERT_FILE", &bundle)].into();
        Ok(vec![
            in_rust("ordinary", "Rust, as a tutorial writes it", ordinary, true)?,
            node("node_bundled", "handler.js", "SDK v3, bundled")?,
            node("node", "handler.mjs", "SDK v3")?,
            self.peer(title, python, &uploads.join("python"), true)?,
            in_rust("floor", "Rust without an SDK, a constant answer", BTreeMap::new(), false)?,
        ])
    }

    fn peer(&self, name: String, candidate: Candidate, upload: &Path, works: bool) -> Result<Peer, Fault> {
        let mut names = Vec::new();
        for entry in fs::read_dir(upload).map_err(not_there(upload))? {
            let entry = entry.map_err(not_there(upload))?;
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
        names.sort_unstable();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let zipped_bytes = zip::zipped_bytes(upload, &names)?;
        let subject = self.subject(FUNCTION, candidate, zipped_bytes)?;
        Ok(Peer { name, subject, zipped_bytes, works })
    }

    /// A file with the public roots, as a program finds them on Lambda, and that of the endpoint. The public ones are
    /// those that botocore brings along, so they are the same on each machine.
    fn public_roots(&self, uploads: &Path) -> Result<PathBuf, Fault> {
        let public = uploads.join("python/botocore/cacert.pem");
        let public = fs::read_to_string(&public).map_err(not_there(&public))?;
        let file = self.root_certificate().with_file_name("public_roots.pem");
        fs::write(&file, public + "\n" + &self.certificates.root).map_err(not_there(&file))?;
        Ok(file)
    }

    /// What a program does for its event, the first time and the second time.
    pub async fn deeds(&self, subject: &Subject, group: &Group) -> Result<[Deed; 2], Fault> {
        let endpoint = Endpoint::start(&self.certificates, subject.answers.clone()).await?;
        let mut running = subject.candidate.start_timed(&endpoint, group).await?;
        running.ready().await?;
        let mut deeds = [Deed::default(), Deed::default()];
        for deed in &mut deeds {
            let answer = running.invoke(&subject.event).await?;
            // What was called in init belongs to the first.
            *deed = Deed::of(&endpoint.take().bodies, answer)?;
        }
        running.kill().await?;
        Ok(deeds)
    }
}

/// The calls that a program made for one event, and its answer. Times are written as their distance from the first one,
/// and a token that is made up for each call is left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Deed {
    calls: Vec<Value>,
    answer: Value,
}

impl Deed {
    fn of(bodies: &[impl AsRef<[u8]>], answer: Value) -> Result<Self, Fault> {
        let no_json = |error| Fault::new(format!("the body of a call is not JSON: {error}"));
        let read = |body| serde_json::from_slice(body).map(normalised);
        let calls: Result<_, _> = bodies.iter().map(|body| read(body.as_ref())).collect();
        Ok(Self { calls: calls.map_err(no_json)?, answer: normalised(answer) })
    }
}

/// Refuses a peer that does something else than ours, and says where they first differ.
pub fn refuse_other_work(name: &str, ours: &[Deed; 2], theirs: &[Deed; 2]) -> Result<(), Fault> {
    let json = |deed: &Deed| serde_json::json!({ "calls": deed.calls, "answer": deed.answer });
    for (invocation, ours, theirs) in [("first", &ours[0], &theirs[0]), ("second", &ours[1], &theirs[1])] {
        if let Some(difference) = difference("", &json(ours), &json(theirs)) {
            return Err(Fault::new(format!(
                "{name} does other work than {FUNCTION} in its {invocation} invocation: {difference}"
            )));
        }
    }
    Ok(())
}

/// Where two values first differ.
fn difference(place: &str, ours: &Value, theirs: &Value) -> Option<String> {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            let more = theirs.keys().filter(|name| !ours.contains_key(*name));
            ours.keys().chain(more).find_map(|name| {
                let member = |of: &serde_json::Map<String, Value>| of.get(name).cloned().unwrap_or_default();
                difference(&format!("{place}/{name}"), &member(ours), &member(theirs))
            })
        }
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
            let mut pairs = ours.iter().zip(theirs).enumerate();
            pairs.find_map(|(at, (ours, theirs))| difference(&format!("{place}/{at}"), ours, theirs))
        }
        _ => (ours != theirs).then(|| format!("{place} is {theirs} instead of {ours}")),
    }
}

/// A body or an answer without what differs from one invocation to the next.
fn normalised(mut value: Value) -> Value {
    if let Some(token) = value.as_object_mut().and_then(|members| members.get_mut(TOKEN)) {
        // It must be there, since it makes a repeat safe.
        *token = token.as_str().is_some_and(|token| !token.is_empty()).into();
    }
    let mut times = Vec::new();
    each_text(&mut value, &mut |text| times.extend(time(text)));
    if let Some(first) = times.into_iter().min() {
        each_text(&mut value, &mut |text| {
            if let Some(time) = time(text) {
                *text = format!("{} ms after the first time", (time - first).whole_milliseconds());
            }
        });
    }
    value
}

fn each_text(value: &mut Value, change: &mut impl FnMut(&mut String)) {
    match value {
        Value::String(text) => change(text),
        Value::Array(values) => values.iter_mut().for_each(|value| each_text(value, change)),
        Value::Object(members) => members.values_mut().for_each(|value| each_text(value, change)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn time(text: &str) -> Option<OffsetDateTime> {
    PrimitiveDateTime::parse(text, TIME).ok().map(PrimitiveDateTime::assume_utc)
}

/// The name of a language with the version that its program prints.
fn version(language: &str, program: &Path) -> Result<String, Fault> {
    let output = Command::new(program).arg("--version").output().map_err(not_there(program))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let number = printed.trim().trim_start_matches(language).trim_start_matches(['v', ' ']);
    Ok(format!("{language} {number}"))
}

/// The program of this name. The peers have no PATH.
fn on_the_path(name: &str) -> Result<PathBuf, Fault> {
    let output = Command::new("/bin/sh")
        .args(["-c", r#"command -v "$0""#, name])
        .output()
        .map_err(not_there(Path::new(name)))?;
    let printed = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if printed.is_empty() { Err(Fault::new(format!("{name} is not installed"))) } else { Ok(printed.into()) }
}

fn absolute(path: &Path) -> Result<PathBuf, Fault> {
    path.canonicalize().map_err(not_there(path))
}

fn not_there(path: &Path) -> impl Fn(std::io::Error) -> Fault {
    let path = path.display().to_string();
    move |error| Fault::new(format!("{path}: {error}"))
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Deed, refuse_other_work};

    /// A call at a second of the day, with the order due after some milliseconds.
    fn call(second: u32, due_ms: u32, condition: &str) -> Value {
        json!({
            "ClientRequestToken": format!("token-{second}"),
            "TransactItems": [{ "Put": {
                "Item": {
                    "created_at": { "S": format!("2026-03-01T10:00:{second:02}.000Z") },
                    "due_at": { "S": format!("2026-03-01T10:01:{second:02}.{due_ms:03}Z") },
                },
                "ConditionExpression": condition,
            }}],
        })
    }

    fn deed(call: &Value) -> Deed {
        Deed::of(&[call.to_string()], json!({ "outcome": "placed" })).expect("JSON")
    }

    fn refused(theirs: &[Deed; 2]) -> String {
        let ours = [deed(&call(1, 0, "none")), deed(&call(2, 0, "none"))];
        refuse_other_work("peer", &ours, theirs).map_or_else(|fault| fault.to_string(), |()| String::new())
    }

    #[test]
    fn the_same_work_at_another_time_is_accepted() {
        assert_eq!(refused(&[deed(&call(7, 0, "none")), deed(&call(8, 0, "none"))]), "");
    }

    #[test]
    fn other_work_is_refused_and_the_difference_is_named() {
        let good = || deed(&call(7, 0, "none"));
        assert_eq!(
            refused(&[deed(&call(7, 0, "other")), good()]),
            "peer does other work than create_order in its first invocation: \
             /calls/0/TransactItems/0/Put/ConditionExpression is \"other\" instead of \"none\""
        );
        // The order is due a millisecond later.
        assert!(
            refused(&[good(), deed(&call(7, 1, "none"))])
                .contains("second invocation: /calls/0/TransactItems/0/Put/Item/due_at/S is \"60001 ms")
        );
        // A time is in another form.
        let text = call(7, 0, "none").to_string().replace("07.000Z", "07Z");
        let other = Deed::of(&[text], json!({ "outcome": "placed" })).expect("JSON");
        assert!(refused(&[other, good()]).contains("/created_at/S is"));
        // A condition is missing, one is added, the token is missing.
        let mut changed = call(7, 0, "none");
        changed["TransactItems"][0]["Put"]["ConditionExpression"].take();
        assert!(refused(&[deed(&changed), good()]).contains("ConditionExpression is null"));
        changed = call(7, 0, "none");
        changed["TransactItems"][0]["Put"]["More"] = json!(1);
        assert!(refused(&[deed(&changed), good()]).contains("/Put/More is 1 instead of null"));
        changed = call(7, 0, "none");
        changed["ClientRequestToken"] = json!("");
        assert!(refused(&[deed(&changed), good()]).contains("ClientRequestToken is false"));
    }

    #[test]
    fn a_missing_call_a_second_call_and_another_answer_are_refused() {
        let body = call(7, 0, "none").to_string();
        let of = |bodies: &[&String], answer: &str| {
            [Deed::of(bodies, json!({ "outcome": answer })).expect("JSON"), deed(&call(8, 0, "none"))]
        };
        assert_eq!(refused(&of(&[&body], "placed")), "");
        assert!(refused(&of(&[], "placed")).contains("/calls is [] instead of"));
        assert!(refused(&of(&[&body, &body], "placed")).contains("/calls is ["));
        assert!(refused(&of(&[&body], "rejected")).contains("/answer/outcome is \"rejected\""));
    }
}
