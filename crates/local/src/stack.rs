//! The stack: starts in one process everything that the template describes, and wires the parts together. Nothing here
//! decides how a service behaves.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    pin::Pin,
    sync::Arc,
};

use asl::Definition;
use axum::{Router, extract::State, response::Response};
use bytes::Bytes;
use dynoxide::{Database, DynoxideError};
use sam_template::{Schedule, SubscriptionResource, TableResource, Template};
use serde_json::{Value, json};

use crate::{
    aws::{Aws, Faults, Roles, sdk_config},
    ground::{Mailbox, StackClock, Store, tokens::Tokens},
    http::{
        gateway::{self, InvokeFailure, Invoker},
        local_routes,
        port_guard::PortGuard,
    },
    services::{
        cognito::Cognito,
        lambda::{Functions, Invocation},
        sns::{DeclaredSubscription, Sns},
        states::{Machine, RESOURCES, States},
    },
};

/// The issuer and audience of tokens when no route has an authorizer.
const UNUSED_ISSUER: (&str, &str) = ("https://orderflow.example/local", "orderflow");

/// The largest body of an AWS call over HTTP: DynamoDB accepts requests up to 16 MB.
const MAX_AWS_CALL_BYTES: usize = 16 * 1024 * 1024;

/// The parameters that differ from the template's defaults on a laptop: none.
pub fn parameters() -> BTreeMap<String, String> {
    BTreeMap::new()
}

/// The options for starting a stack.
#[derive(Clone, Debug)]
pub struct Options {
    /// The database's file; `None` keeps the data in memory.
    pub file: Option<PathBuf>,
    /// The clock of the stack and of its SDK clients.
    pub clock: StackClock,
    /// With a seed, AWS calls interleave at random. The same seed gives the same order.
    pub seed: Option<u64>,
}

/// Why a stack does not start. Each message says how to mend it.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// The template cannot be used.
    #[error(transparent)]
    Template(#[from] sam_template::TemplateError),
    /// A state machine's definition cannot be used.
    #[error("{file}: the state machine cannot run:\n{faults}")]
    Definition {
        /// The definition's file.
        file: String,
        /// The faults of the definition, one a line.
        faults: asl::DefinitionError,
    },
    /// A function cannot start.
    #[error("the function {logical_id} cannot start: {fault}")]
    Function {
        /// The function's logical id.
        logical_id: String,
        /// The missing variable or the unknown crate.
        fault: lambda_shell::SetupFault,
    },
    /// The data file cannot be used.
    #[error(
        "the data file {file} cannot be used ({reason}): choose another folder with --data-dir, or delete the file and \
         its data"
    )]
    Data {
        /// The data file's path.
        file: String,
        /// The database's error, or the table that does not match the template.
        reason: String,
    },
    /// The stack's own rows in the data file cannot be used.
    #[error(transparent)]
    Store(#[from] crate::ground::StoreError),
    /// The token key cannot be used.
    #[error(transparent)]
    Tokens(#[from] crate::ground::tokens::TokenError),
    /// A topic or a subscription cannot be created.
    #[error(transparent)]
    Topic(#[from] crate::ground::AwsError),
}

/// A running stack.
#[derive(Clone)]
pub struct Stack {
    aws: Arc<Aws>,
    mailbox: Arc<Mailbox>,
    sns: Arc<Sns>,
    cognito: Option<Arc<Cognito>>,
    tokens: Arc<Tokens>,
    clock: StackClock,
    api: Router,
    local_routes: Router,
    schedules: Arc<[Schedule]>,
}

impl std::fmt::Debug for Stack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stack")
    }
}

impl Stack {
    /// Starts what `template` describes.
    pub async fn start(template: &Template, options: Options) -> Result<Self, StackError> {
        let Options { file, clock, seed } = options;
        let database = open_database(file.as_ref())?;
        for table in &template.tables {
            create_table(&database, table, file.as_ref())?;
        }
        let store = Store::open(database.clone())?;
        let (issuer, audience) = issuer_and_audience(template);
        let tokens = Arc::new(Tokens::open(&store, clock.clone(), issuer, audience)?);
        let mailbox = Arc::new(Mailbox::open(store.clone())?);
        let sns = Arc::new(Sns::open(store.clone(), clock.clone(), Arc::clone(&mailbox))?);
        let cognito = template.user_pool.clone().map(|pool| {
            Arc::new(Cognito::open(pool, store, clock.clone(), Arc::clone(&tokens), Arc::clone(&mailbox)))
        });
        for topic in &template.topics {
            sns.ensure_topic(&topic.arn, topic.key_id.as_deref())?;
        }
        sns.declare(&declared(template))?;
        let states = Arc::new(States::new(machines(template)?, clock.clone()));
        let aws = Arc::new(Aws::new(
            database,
            Arc::clone(&sns),
            cognito.clone(),
            states,
            Roles::of(template),
            seed,
        ));
        let mut functions = Functions::default();
        for function in &template.functions {
            let config = sdk_config(&aws, &function.logical_id, &clock);
            let failed = |fault| StackError::Function { logical_id: function.logical_id.clone(), fault };
            functions.deploy(function, &config).await.map_err(failed)?;
        }
        aws.deploy(functions);
        let api = api_router(template, &tokens, &aws, &clock);
        let local_routes = local_router(&tokens, &mailbox, &sns, &aws);
        Ok(Self {
            aws,
            mailbox,
            sns,
            cognito,
            tokens,
            clock,
            api,
            local_routes,
            schedules: template.schedules.clone().into(),
        })
    }

    /// The HTTP service for callers in this process: the API and the routes under `/local`.
    pub fn router(&self) -> Router {
        self.api.clone().merge(self.local_routes.clone())
    }

    /// The HTTP service for AWS calls from this process.
    pub fn aws_router(&self) -> Router {
        Router::new().fallback(aws_call).with_state(Arc::clone(&self.aws))
    }

    /// The HTTP service for the API's port. Web pages reach a port, so the guard protects the routes under `/local`.
    pub fn api_port(&self, guard: &PortGuard) -> Router {
        self.api.clone().merge(guard.local_routes(self.local_routes.clone()))
    }

    /// The HTTP service for the AWS port, behind the guard: for `aws --endpoint-url` and functions in other processes.
    pub fn aws_port(&self, guard: &PortGuard) -> Router {
        guard.aws_port(self.aws_router())
    }

    /// Runs the schedules of one function once, now, and returns how each invocation ended. `function` is its logical
    /// id.
    pub async fn run_schedules_of(&self, function: &str) -> Vec<Invocation> {
        let mut ended = Vec::new();
        for schedule in self.schedules.iter().filter(|schedule| schedule.function == function) {
            ended.extend(self.run_schedule(schedule).await);
        }
        ended
    }

    /// The schedules of the template.
    pub fn schedules(&self) -> &[Schedule] {
        &self.schedules
    }

    /// Runs every scheduled function at its rate, as long as the runtime lives.
    pub fn start_schedules(&self) {
        for schedule in self.schedules.iter().cloned() {
            let stack = self.clone();
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(schedule.every).await;
                    if let Some(Invocation::Failed { error_type, .. }) = stack.run_schedule(&schedule).await {
                        tracing::warn!(
                            function = schedule.function,
                            error_type,
                            "a scheduled invocation failed"
                        );
                    }
                }
            });
        }
    }

    /// Runs one schedule once, now, and returns how the invocation ended; `None` if its function does not exist.
    pub async fn run_schedule(&self, schedule: &Schedule) -> Option<Invocation> {
        self.aws.functions()?.invoke(&schedule.function, "{}".to_owned()).await
    }

    /// The handler of AWS calls, for SDK clients of a caller outside the stack.
    pub fn aws(&self) -> &Arc<Aws> {
        &self.aws
    }

    /// Plants faults on AWS calls, and records the calls.
    pub fn faults(&self) -> &Faults {
        self.aws.faults()
    }

    /// The mails that SNS and Cognito delivered.
    pub fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    /// The local SNS.
    pub fn sns(&self) -> &Sns {
        &self.sns
    }

    /// The user pool; `None` when the template's parameters name another issuer of tokens.
    pub fn cognito(&self) -> Option<&Cognito> {
        self.cognito.as_deref()
    }

    /// Issues and verifies tokens for the API.
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// The clock that the stack was started with.
    pub fn clock(&self) -> &StackClock {
        &self.clock
    }
}

/// The issuer and audience that the template's routes require of a token. They are the user pool's, or those of another
/// issuer that the parameters name.
fn issuer_and_audience(template: &Template) -> (String, String) {
    let authorizer =
        template.apis.iter().flat_map(|api| &api.routes).find_map(|route| route.authorizer.as_ref());
    let wanted = authorizer.and_then(|one| Some((one.issuer.as_str(), one.audience.first()?.as_str())));
    let (issuer, audience) = wanted.unwrap_or(UNUSED_ISSUER);
    (issuer.to_owned(), audience.to_owned())
}

/// Opens the database file, or a database in memory.
pub(crate) fn open_database(file: Option<&PathBuf>) -> Result<Database, StackError> {
    let opened = match file {
        Some(file) => Database::new(&file.to_string_lossy()),
        None => Database::memory(),
    };
    opened.map_err(|error| data_fault(file, &error.to_string()))
}

fn data_fault(file: Option<&PathBuf>, reason: &str) -> StackError {
    let file = file.map_or_else(|| "in memory".to_owned(), |file| file.display().to_string());
    StackError::Data { file, reason: reason.to_owned() }
}

/// Creates a table. A table that exists already must have the same keys and indexes.
fn create_table(
    database: &Database,
    table: &TableResource,
    file: Option<&PathBuf>,
) -> Result<(), StackError> {
    let failed = |reason: String| data_fault(file, &format!("table {}: {reason}", table.logical_id));
    let request = |value: Value| serde_json::from_value(value).map_err(|error| failed(error.to_string()));
    match database.create_table(request(table.create_table.clone())?) {
        Ok(_created) => return Ok(()),
        Err(DynoxideError::ResourceInUseException(_)) => {}
        Err(error) => return Err(failed(error.to_string())),
    }
    let describe = serde_json::from_value(json!({ "TableName": table.name }))
        .map_err(|error| failed(error.to_string()))?;
    let found = database.describe_table(describe).map_err(|error| failed(error.to_string()))?;
    let found = serde_json::to_value(found).map_err(|error| failed(error.to_string()))?;
    if key_schemas(&found["Table"]) == key_schemas(&table.create_table) {
        Ok(())
    } else {
        Err(failed(
            "its keys or indexes differ from the template: another version of orderflow created it"
                .to_owned(),
        ))
    }
}

/// The keys of a table and of its indexes, by index name. The table's own name is empty.
fn key_schemas(table: &Value) -> BTreeMap<String, Value> {
    let mut keys = BTreeMap::from([(String::new(), table["KeySchema"].clone())]);
    for index in table["GlobalSecondaryIndexes"].as_array().into_iter().flatten() {
        let name = index["IndexName"].as_str().unwrap_or_default().to_owned();
        keys.insert(name, json!([index["KeySchema"], index["Projection"]["ProjectionType"]]));
    }
    keys
}

/// The template's subscriptions, by logical id.
fn declared(template: &Template) -> BTreeMap<String, DeclaredSubscription> {
    let declared = template.subscriptions.iter().cloned().map(|one| {
        let SubscriptionResource { logical_id, topic_arn, endpoint, filter_policy, dead_letters } = one;
        (logical_id, DeclaredSubscription { topic_arn, endpoint, filter_policy, dead_letters })
    });
    declared.collect()
}

fn machines(template: &Template) -> Result<HashMap<String, Machine>, StackError> {
    let mut machines = HashMap::new();
    for machine in &template.state_machines {
        let definition =
            Definition::parse(&machine.definition, &machine.substitutions, &RESOURCES).map_err(|faults| {
                StackError::Definition { file: machine.definition_path.display().to_string(), faults }
            })?;
        let definition = definition.with_arn(&machine.arn);
        machines.insert(machine.arn.clone(), Machine { logical_id: machine.logical_id.clone(), definition });
    }
    Ok(machines)
}

fn api_router(template: &Template, tokens: &Arc<Tokens>, aws: &Arc<Aws>, clock: &StackClock) -> Router {
    let routes = template.apis.iter().flat_map(|api| api.routes.iter().cloned());
    let cors = template.apis.iter().find_map(|api| api.cors.clone());
    let invoker = Arc::new(FunctionInvoker(Arc::clone(aws)));
    gateway::router(routes.collect(), cors, Arc::clone(tokens), invoker, clock.clone())
}

fn local_router(tokens: &Arc<Tokens>, mailbox: &Arc<Mailbox>, sns: &Arc<Sns>, aws: &Arc<Aws>) -> Router {
    let aws = Arc::clone(aws);
    let executions = move || {
        let executions = aws.executions();
        Value::Array(
            executions.iter().filter_map(|execution| serde_json::to_value(&**execution).ok()).collect(),
        )
    };
    local_routes::router(Arc::clone(tokens), Arc::clone(mailbox), Arc::clone(sns), Arc::new(executions))
}

/// Invokes functions for the gateway.
struct FunctionInvoker(Arc<Aws>);

impl Invoker for FunctionInvoker {
    fn invoke<'a>(
        &'a self,
        function: &'a str,
        event: Bytes,
    ) -> Pin<Box<dyn Future<Output = Result<Bytes, InvokeFailure>> + Send + 'a>> {
        Box::pin(async move {
            let event = String::from_utf8(event.to_vec()).map_err(|_not_text| InvokeFailure::NotInvocable)?;
            let functions = self.0.functions().ok_or(InvokeFailure::NotInvocable)?;
            match functions.invoke(function, event).await {
                Some(Invocation::Answered(answer)) => Ok(Bytes::from(answer)),
                Some(Invocation::Failed { .. }) => Err(InvokeFailure::FunctionError),
                None => Err(InvokeFailure::NotInvocable),
            }
        })
    }
}

async fn aws_call(State(aws): State<Arc<Aws>>, request: axum::extract::Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, MAX_AWS_CALL_BYTES).await else {
        let mut too_large = Response::new(axum::body::Body::empty());
        *too_large.status_mut() = http::StatusCode::PAYLOAD_TOO_LARGE;
        return too_large;
    };
    aws.handle(http::Request::from_parts(parts, body)).await.map(axum::body::Body::from)
}
