//! Counts what a program needs: cold, in its first invocation, and warm.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use sam_template::{Account, Template};
use tempfile::TempDir;

use crate::{
    Fault,
    answers::Answers,
    certificates::Certificates,
    endpoint::{Endpoint, Traffic},
    figures::Committed,
    program::Candidate,
    runtime_api::environment,
    valgrind,
};

/// The account that the endpoint stands for.
const ACCOUNT: Account = Account { id: "000000000000", region: "us-east-1", stack_name: "orderflow" };

/// The trusted roots that are compiled into each function.
const ROOTS: &str = "crates/lambda_shell/src/roots.pem";

/// The file of the root certificate, in the folder for copies of programs.
const ROOT: &str = "root.pem";

/// Warm invocations of a counted run. One of them costs the mean of all.
const WARM: u64 = 20;

/// How long a program that asked for its first event may go on with a connection that it began before. Valgrind makes that
/// slow.
const SETTLING: Duration = Duration::from_secs(1);

/// Undisturbed runs of each length, of which the one with the fewest instructions counts. Addresses and hashes are random,
/// which moves a count by a few thousandths.
const SOUND_RUNS: usize = 3;

/// The most runs of each length.
const MOST_ROUNDS: usize = 16;

/// The bench: the template, the certificates and a folder for copies of programs.
pub struct Bench {
    root: PathBuf,
    template: Template,
    pub(crate) certificates: Certificates,
    scratch: TempDir,
}

impl Bench {
    /// `root` is the repository's root.
    pub fn new(root: &Path) -> Result<Self, Fault> {
        let template = template(root)?;
        let scratch = tempfile::tempdir().map_err(|error| Fault::new(format!("no folder: {error}")))?;
        let certificates = Certificates::make()?;
        fs::write(scratch.path().join(ROOT), &certificates.root)
            .map_err(|error| Fault::new(format!("the root certificate cannot be written: {error}")))?;
        Ok(Self { root: root.to_owned(), template, certificates, scratch })
    }

    /// The file of the endpoint's root certificate, for a program that reads the roots it trusts from a file.
    pub fn root_certificate(&self) -> PathBuf {
        self.scratch.path().join(ROOT)
    }

    /// The functions' names, in the template's order.
    pub fn functions(&self) -> Vec<&str> {
        self.template.functions.iter().map(|function| function.binary.as_str()).collect()
    }

    /// Makes a function's program ready to be measured. `programs` holds `<function>/bootstrap`, as cargo-lambda builds
    /// it.
    pub fn shipped(&self, programs: &Path, function: &str) -> Result<Subject, Fault> {
        let path = programs.join(function).join("bootstrap");
        let cannot = |error: std::io::Error| Fault::new(format!("{}: {error}", path.display()));
        let program = fs::read(&path).map_err(cannot)?;
        let roots = fs::read_to_string(self.root.join(ROOTS)).map_err(cannot)?;
        let copy = self.scratch.path().join(format!("{function}-{}", program.len()));
        fs::write(&copy, self.certificates.trusted_by(&program, &roots)?).map_err(cannot)?;
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o700)).map_err(cannot)?;
        let candidate = Candidate { program: copy, arguments: Vec::new(), environment: BTreeMap::new() };
        self.subject(function, candidate, program.len() as u64)
    }

    /// Makes a program ready to be measured in the place of a function. It gets the function's events and answers, and the
    /// function's environment beside its own. `bytes` is its size.
    pub fn subject(&self, function: &str, candidate: Candidate, bytes: u64) -> Result<Subject, Fault> {
        let resource = self.template.functions.iter().find(|resource| resource.binary == function);
        let resource = resource.ok_or_else(|| Fault::new(format!("the template has no {function}")))?;
        let mut environment = environment(resource, ACCOUNT.region);
        for (name, value) in [
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
            ("AWS_SESSION_TOKEN", &"session".repeat(100)),
        ] {
            environment.insert(name.to_owned(), value.to_owned());
        }
        environment.extend(candidate.environment);
        let path = self.root.join(format!("infra/events/{function}.json"));
        let event =
            fs::read_to_string(&path).map_err(|error| Fault::new(format!("{}: {error}", path.display())))?;
        let answers = Answers::read(&self.root, function)?;
        Ok(Subject { candidate: Candidate { environment, ..candidate }, answers, event, bytes })
    }

    /// Counts a program's instructions, calls and connections.
    pub async fn count(&self, subject: &Subject) -> Result<Committed, Fault> {
        const LENGTHS: [u64; 3] = [0, 1, 1 + WARM];
        let (mut counted, mut failed) = (Vec::new(), None);
        for _ in 0..MOST_ROUNDS {
            for invocations in LENGTHS {
                let out = self.scratch.path().join("cachegrind.out");
                // A run may fail because valgrind slows it down, so others follow. If too few succeed, the end says why.
                match self.run(subject, &out, invocations).await {
                    Ok(traffic) => {
                        counted.push(Counted { invocations, traffic, total: valgrind::total(&out)? });
                    }
                    Err(fault) => failed = Some(fault),
                }
            }
            let sound = Counted::sound(&counted);
            let least = LENGTHS.map(|invocations| {
                let of_it = sound.iter().filter(|run| run.invocations == invocations);
                let enough = of_it.clone().count() >= SOUND_RUNS;
                of_it.min_by_key(|run| run.total).filter(|_| enough)
            });
            if let [Some(none), Some(one), Some(all)] = least {
                return figures(subject, none.total, one.total, all);
            }
        }
        let failed = failed.map_or_else(String::new, |fault| format!("; the last that failed: {fault}"));
        Err(Fault::new(format!("too few runs were undisturbed, perhaps since the machine is busy{failed}")))
    }

    async fn run(&self, subject: &Subject, out: &Path, invocations: u64) -> Result<[Traffic; 3], Fault> {
        let endpoint = Endpoint::start(&self.certificates, subject.answers.clone()).await?;
        let mut running = subject.candidate.start_counted(&endpoint, out).await?;
        running.ready().await?;
        // A connection that is finished now was begun in init.
        tokio::time::sleep(SETTLING).await;
        let in_init = endpoint.take();
        let mut first = Traffic::default();
        for number in 0..invocations {
            running.invoke(&subject.event).await?;
            if number == 0 {
                first = endpoint.take();
            }
        }
        let later = endpoint.take();
        for traffic in [&in_init, &first, &later] {
            if let Some(operation) = traffic.unknown.first() {
                return Err(Fault::new(format!("no answer to {operation} is recorded")));
            }
        }
        running.stop().await?;
        Ok([in_init, first, later])
    }
}

/// A run that was counted.
struct Counted {
    invocations: u64,
    /// In init, in the first invocation, and in all others.
    traffic: [Traffic; 3],
    total: u64,
}

impl Counted {
    /// The runs that nothing disturbed: valgrind is so slow that a program may give a connection up, connect once more, or
    /// try a call again.
    fn sound(counted: &[Self]) -> Vec<&Self> {
        let in_init = counted.iter().map(|run| run.traffic[0].connections).max().unwrap_or_default();
        let later = |run: &Self| run.traffic[1].count() + run.traffic[2].count();
        let least = |run: &Self| {
            let alike = counted.iter().filter(|other| other.invocations == run.invocations);
            alike.map(later).min().unwrap_or_default()
        };
        counted
            .iter()
            .filter(|run| run.traffic[0].connections == in_init && later(run) == least(run))
            .collect()
    }
}

/// The figures of a program, from the instructions to ready, to the first answer, and of the longest run.
fn figures(subject: &Subject, ready: u64, cold: u64, longest: &Counted) -> Result<Committed, Fault> {
    let [in_init, first, later] = &longest.traffic;
    let warm_calls = later.calls.iter().map(|(call, count)| (call.clone(), *count / one_of(WARM)));
    if first.calls != warm_calls.collect() {
        let problem = format!("the first invocation called {:?}, all later {:?}", first.calls, later.calls);
        return Err(Fault::new(problem));
    }
    Ok(Committed {
        ready,
        cold,
        warm: longest.total.saturating_sub(cold) / WARM,
        bytes: subject.bytes,
        connections_in_init: in_init.connections,
        connections_later: first.connections + later.connections,
        calls: first.calls.clone(),
    })
}

fn one_of(all: u64) -> usize {
    usize::try_from(all).unwrap_or(usize::MAX)
}

/// A program that is ready to be measured.
pub struct Subject {
    pub(crate) candidate: Candidate,
    pub(crate) answers: Answers,
    pub(crate) event: String,
    /// The size of the program's file.
    bytes: u64,
}

fn template(root: &Path) -> Result<Template, Fault> {
    Template::read(&root.join("infra/template.yaml"), ACCOUNT, &BTreeMap::new())
        .map_err(|error| Fault::new(error.to_string()))
}
