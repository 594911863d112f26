//! `orderflow`: the whole system on a laptop. This file owns the flags, the ports, the data folder and the first output.
//! `orderflow reconcile` is in `reconcile.rs` and `orderflow cost` in `cost`. Nothing here reads or writes a table.

mod cost;
mod demo;
mod in_process;
mod reconcile;

use std::{
    collections::BTreeMap,
    fs::{self, File, TryLockError},
    io::{self, Write as _},
    iter,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use clap::{Args, Parser, Subcommand};
use local::{
    ground::{ACCOUNT, StackClock},
    http::port_guard::{HostName, PortGuard},
    stack::{Options, Stack, parameters},
};
use sam_template::Template;
use tokio::net::TcpListener;
use tracing_subscriber::{Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// Runs Orderflow in one process, without an AWS account or Docker.
#[derive(Debug, Parser)]
#[command(name = "orderflow", version, args_conflicts_with_subcommands = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Tool>,
    #[command(flatten)]
    flags: Flags,
}

/// The commands that open no port.
#[derive(Debug, Subcommand)]
enum Tool {
    Cost(cost::CostFlags),
    Reconcile(reconcile::ReconcileFlags),
}

#[derive(Debug, Args)]
struct Flags {
    /// The port of the API; 0 picks a free one.
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// The port for AWS calls, as for signing in or `aws --endpoint-url`; 0 opens none.
    #[arg(long, default_value_t = 4566)]
    aws_port: u16,
    /// The address to listen on. Keep it on this machine: there is no TLS.
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// One more name of this machine for the local routes and the AWS port. Repeat the flag to give several.
    #[arg(long)]
    allow_host: Vec<HostName>,
    /// The folder of the data file. The data survives a restart.
    #[arg(long, default_value = ".orderflow")]
    data_dir: PathBuf,
    /// Keep the data in memory, and lose it at the end.
    #[arg(long)]
    ephemeral: bool,
    /// The template to run [default: `infra/template.yaml` in this folder or the nearest above].
    #[arg(long)]
    template: Option<PathBuf>,
    /// Start without the demo catalog. The demo admin is created all the same.
    #[arg(long)]
    no_demo: bool,
    /// A value for a parameter of the template, as Name=Value. Repeat the flag to give several.
    #[arg(long)]
    parameter: Vec<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let started = Instant::now();
    // Standard output holds the first output only. Warnings go to standard error; of the SDKs, only errors.
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_filter(lambda_shell::log_filter(tracing::Level::WARN).with_default(tracing::Level::ERROR));
    tracing_subscriber::registry().with(lines).init();
    lambda_shell::hush_panics();
    let CommandLine { command, flags } = CommandLine::parse();
    let (ended, status_on_error) = match command {
        None => (run(flags, started).await.map(|()| ExitCode::SUCCESS), ExitCode::FAILURE),
        Some(Tool::Cost(flags)) => (cost::run(flags).await.map(|()| ExitCode::SUCCESS), ExitCode::FAILURE),
        Some(Tool::Reconcile(flags)) => (reconcile::run(flags).await, reconcile::UNKNOWN.into()),
    };
    ended.unwrap_or_else(|error| {
        // A failure to write this message cannot be reported anywhere.
        let _unwritable = writeln!(io::stderr(), "orderflow: {error}{}", causes(&*error));
        status_on_error
    })
}

/// The data file's name in its folder.
const DATA_FILE: &str = "orderflow.db";

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The chain of an error's causes, in brackets; empty for an error without a cause.
pub(crate) fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let chain = iter::successors(error.source(), |cause| cause.source()).map(ToString::to_string);
    let causes = chain.collect::<Vec<_>>().join(": ");
    if causes.is_empty() { causes } else { format!(" ({causes})") }
}

async fn run(flags: Flags, started: Instant) -> Result<(), BoxError> {
    // The ports come first: when they are taken, another stack may be using the data.
    let api = listen(&flags.host, flags.port, "--port").await?;
    let aws = if flags.aws_port == 0 {
        None
    } else {
        Some(listen(&flags.host, flags.aws_port, "--aws-port").await?)
    };
    let parameters = parameters_with(&flags.parameter)?;
    let template = Template::read(&template_path(flags.template)?, ACCOUNT, &parameters)?;
    let (file, _lock) = if flags.ephemeral {
        (None, None)
    } else {
        data_file(&flags.data_dir).map(|(f, l)| (Some(f), Some(l)))?
    };
    let stack =
        Stack::start(&template, Options { file: file.clone(), clock: StackClock::system(), seed: None })
            .await?;
    stack.start_schedules();
    let admin = stack.cognito().map(demo::ensure_admin).transpose()?.unwrap_or(false);
    if !flags.no_demo {
        demo::stock_catalog(&stack.router()).await?;
    }
    let api_address = api.local_addr()?;
    let aws_address = aws.as_ref().map(TcpListener::local_addr).transpose()?;
    // The bound ports: a flag may have said 0.
    let ports = [Some(api_address), aws_address].into_iter().flatten().map(|address| address.port());
    let guard = PortGuard::new(flags.allow_host, ports);
    if let Some(aws) = aws {
        tokio::spawn(axum::serve(aws, stack.aws_port(&guard)).into_future());
    }
    let ready_ms = started.elapsed().as_millis();
    print_welcome(api_address, aws_address, &guard, file.as_deref(), admin, ready_ms)?;
    axum::serve(api, stack.api_port(&guard)).with_graceful_shutdown(ctrl_c_pressed()).await?;
    Ok(())
}

async fn listen(host: &str, port: u16, flag: &str) -> Result<TcpListener, BoxError> {
    TcpListener::bind((host, port)).await.map_err(|error| {
        if error.kind() == io::ErrorKind::AddrInUse {
            format!(
                "port {port} of {host} is in use: stop the program that uses it, or choose another with {flag} ({error})"
            )
        } else {
            format!("port {port} of {host} cannot be used: choose another with {flag} or --host ({error})")
        }
        .into()
    })
}

/// The parameters of a laptop with those that are given as `Name=Value`.
pub(crate) fn parameters_with(given: &[String]) -> Result<BTreeMap<String, String>, BoxError> {
    let mut parameters = parameters();
    for given in given {
        let (name, value) = given
            .split_once('=')
            .ok_or_else(|| format!("--parameter {given} has no value: write it as Name=Value"))?;
        parameters.insert(name.to_owned(), value.to_owned());
    }
    Ok(parameters)
}

fn template_path(given: Option<PathBuf>) -> Result<PathBuf, BoxError> {
    if let Some(path) = given {
        return Ok(path);
    }
    let here = std::env::current_dir()?;
    here.ancestors()
        .map(|folder| folder.join("infra/template.yaml"))
        .find(|path| path.exists())
        .ok_or_else(|| "there is no infra/template.yaml here or above: run orderflow in the repository, or name a template with --template".into())
}

/// The data file's path, and the lock that keeps a second stack off the folder. Creates the folder if it is missing.
fn data_file(folder: &Path) -> Result<(PathBuf, File), BoxError> {
    let unusable = |error: io::Error| -> BoxError {
        format!(
            "the data folder {} cannot be used: {error}: choose another with --data-dir",
            folder.display()
        )
        .into()
    };
    fs::create_dir_all(folder).map_err(unusable)?;
    match lock_folder(folder).map_err(unusable)? {
        Some(lock) => Ok((folder.join(DATA_FILE), lock)),
        None => Err(format!(
            "another orderflow uses the data folder {}: stop it, or choose another folder with --data-dir",
            folder.display()
        )
        .into()),
    }
}

/// Locks a data folder until the returned file is dropped. `None` means that another process holds the lock.
fn lock_folder(folder: &Path) -> io::Result<Option<File>> {
    let lock = File::create(folder.join("lock"))?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

async fn ctrl_c_pressed() {
    // If no handler can be installed, the process ends at once. That loses no data: each write is on disk already.
    let _unavailable = tokio::signal::ctrl_c().await;
}

/// The address for clients of this machine. Of a listener on every address it is the loopback address.
fn client_address(listener: SocketAddr) -> SocketAddr {
    let ip = match listener.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, listener.port())
}

fn print_welcome(
    api: SocketAddr,
    aws: Option<SocketAddr>,
    guard: &PortGuard,
    file: Option<&Path>,
    admin: bool,
    ready_ms: u128,
) -> io::Result<()> {
    let api = client_address(api);
    let url = format!("http://{api}");
    let kept = file.map_or_else(|| "in memory".to_owned(), |file| file.display().to_string());
    let aws = aws.map_or_else(|| "off".to_owned(), |aws| format!("http://{}", client_address(aws)));
    let mut out = io::stdout().lock();
    writeln!(out, "Orderflow is ready after {ready_ms} ms.\n\n  API   {url}\n  AWS   {aws}\n  data  {kept}")?;
    if admin {
        writeln!(out, "  admin {}, password {}", demo::ADMIN.0, demo::ADMIN.1)?;
    }
    writeln!(out)?;
    if let Ok(name) = api.ip().to_string().parse::<HostName>()
        && !guard.allows(&name)
    {
        writeln!(
            out,
            "The routes under /local and the AWS port refuse the host {name}: add --allow-host {name}\n"
        )?;
    }
    writeln!(out, "Try it, in another terminal:\n")?;
    for line in demo::commands(&url) {
        writeln!(out, "{line}")?;
    }
    writeln!(out, "\nEvery run of the workflow, state by state: {url}/local/executions\nStop with Ctrl-C.")?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_welcome_names_an_address_that_a_client_can_use() {
        for (listener, named) in [
            ("0.0.0.0:3000", "127.0.0.1:3000"),
            ("[::]:3000", "[::1]:3000"),
            ("127.0.0.1:1", "127.0.0.1:1"),
            ("192.168.1.7:3000", "192.168.1.7:3000"),
        ] {
            assert_eq!(client_address(listener.parse().unwrap()).to_string(), named);
        }
    }
}
