//! The stack: everything that the template names, started in one process.

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
    },
    services::{
        cognito::Cognito,
        lambda::{Functions, Invocation},
        sns::{DeclaredSubscription, Sns},
        states::{Machine, RESOURCES, States},
    },
};

/// Who issues tokens, and for whom, where no route asks for one.
const NOBODY: (&str, &str) = ("https://orderflow.example/local", "orderflow");

/// The largest AWS call that is answered over HTTP: DynamoDB takes up to 16 MB.
const MAX_AWS_CALL_BYTES: usize = 16 * 1024 * 1024;

/// The values of the template's parameters on a laptop: each has its default.
pub fn parameters() -> BTreeMap<String, String> {
    BTreeMap::new()
}

/// How to start a stack.
#[derive(Clone, Debug)]
pub struct Options {
    /// The database's file; in memory without one.
    pub file: Option<PathBuf>,
    /// What time it is.
    pub clock: StackClock,
    /// With a seed, AWS calls interleave at random, the same way each time.
    pub seed: Option<u64>,
}

/// Why a stack does not start. Each says what to do.
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
        /// What is wrong with it.
        faults: asl::DefinitionError,
    },
    /// A function cannot start.
    #[error("the function {logical_id} cannot start: {fault}")]
    Function {
        /// The function's logical id.
        logical_id: String,
        /// What is wrong.
        fault: lambda_shell::SetupFault,
    },
    /// The data file cannot be used.
    #[error("the data file {file} cannot be used ({reason}): start with another --data-dir, or delete it")]
    Data {
        /// Which.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The stack's own state in the data file cannot be used.
    #[error(transparent)]
    Store(#[from] crate::ground::StoreError),
    /// The token key cannot be used.
    #[error(transparent)]
    Tokens(#[from] crate::ground::tokens::TokenError),
    /// A topic or a subscription cannot be made.
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
    router: Router,
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
        let database = open(file.as_ref())?;
        for table in &template.tables {
            create(&database, table, file.as_ref())?;
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
        let router = api(template, &tokens, &aws, &clock).merge(local(&tokens, &mailbox, &sns, &aws));
        Ok(Self {
            aws,
            mailbox,
            sns,
            cognito,
            tokens,
            clock,
            router,
            schedules: template.schedules.clone().into(),
        })
    }

    /// The API and the routes under `/local`, as a service.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// AWS's own API, as a service: what `aws --endpoint-url` and functions in other processes call.
    pub fn aws_router(&self) -> Router {
        Router::new().fallback(aws_call).with_state(Arc::clone(&self.aws))
    }

    /// Runs every scheduled function once, now, and says how each ended.
    pub async fn run_schedules(&self) -> Vec<Invocation> {
        let mut ended = Vec::new();
        for schedule in &*self.schedules {
            ended.extend(self.run_schedule(schedule).await);
        }
        ended
    }

    /// Runs every scheduled function by the clock, for as long as the runtime lives.
    pub fn keep_schedules(&self) {
        for schedule in self.schedules.iter().cloned() {
            let stack = self.clone();
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(schedule.every).await;
                    if let Some(Invocation::Failed { error_type, .. }) = stack.run_schedule(&schedule).await {
                        tracing::warn!(function = schedule.function, error_type, "a scheduled run failed");
                    }
                }
            });
        }
    }

    async fn run_schedule(&self, schedule: &Schedule) -> Option<Invocation> {
        self.aws.functions()?.invoke(&schedule.function, "{}".to_owned()).await
    }

    /// The handler of AWS calls.
    pub fn aws(&self) -> &Arc<Aws> {
        &self.aws
    }

    /// Where faults are planted and calls recorded.
    pub fn faults(&self) -> &Faults {
        self.aws.faults()
    }

    /// Every mail that was delivered.
    pub fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    /// The topics and subscriptions.
    pub fn sns(&self) -> &Sns {
        &self.sns
    }

    /// The accounts of those who sign in; `None` where another issuer has them.
    pub fn cognito(&self) -> Option<&Cognito> {
        self.cognito.as_deref()
    }

    /// The token issuer.
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// The stack's clock.
    pub fn clock(&self) -> &StackClock {
        &self.clock
    }
}

/// Who must have issued a token, and for whom, for the template's routes to take it: its own pool, or another issuer
/// where one is given.
fn issuer_and_audience(template: &Template) -> (String, String) {
    let authorizer =
        template.apis.iter().flat_map(|api| &api.routes).find_map(|route| route.authorizer.as_ref());
    let wanted = authorizer.and_then(|one| Some((one.issuer.as_str(), one.audience.first()?.as_str())));
    let (issuer, audience) = wanted.unwrap_or(NOBODY);
    (issuer.to_owned(), audience.to_owned())
}

/// Opens the database.
pub(crate) fn open(file: Option<&PathBuf>) -> Result<Database, StackError> {
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

/// Creates a table, or sees to it that the one that is there has the same keys and indexes.
fn create(database: &Database, table: &TableResource, file: Option<&PathBuf>) -> Result<(), StackError> {
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
    if keys(&found["Table"]) == keys(&table.create_table) {
        Ok(())
    } else {
        Err(failed("its keys or indexes are not those of the template; another version made it".to_owned()))
    }
}

/// A table's keys and its indexes' keys, in an order that does not depend on who lists them.
fn keys(table: &Value) -> BTreeMap<String, Value> {
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

fn api(template: &Template, tokens: &Arc<Tokens>, aws: &Arc<Aws>, clock: &StackClock) -> Router {
    let routes = template.apis.iter().flat_map(|api| api.routes.iter().cloned());
    let cors = template.apis.iter().find_map(|api| api.cors.clone());
    let invoker = Arc::new(FromGateway(Arc::clone(aws)));
    gateway::router(routes.collect(), cors, Arc::clone(tokens), invoker, clock.clone())
}

fn local(tokens: &Arc<Tokens>, mailbox: &Arc<Mailbox>, sns: &Arc<Sns>, aws: &Arc<Aws>) -> Router {
    let aws = Arc::clone(aws);
    let executions = move || {
        let executions = aws.executions();
        Value::Array(
            executions.iter().filter_map(|execution| serde_json::to_value(&**execution).ok()).collect(),
        )
    };
    local_routes::router(Arc::clone(tokens), Arc::clone(mailbox), Arc::clone(sns), Arc::new(executions))
}

/// The gateway's way to the functions.
struct FromGateway(Arc<Aws>);

impl Invoker for FromGateway {
    fn invoke<'a>(
        &'a self,
        function: &'a str,
        event: Bytes,
    ) -> Pin<Box<dyn Future<Output = Result<Bytes, InvokeFailure>> + Send + 'a>> {
        Box::pin(async move {
            let event = String::from_utf8(event.to_vec()).map_err(|_not_text| InvokeFailure::Refused)?;
            let functions = self.0.functions().ok_or(InvokeFailure::Refused)?;
            match functions.invoke(function, event).await {
                Some(Invocation::Answered(answer)) => Ok(Bytes::from(answer)),
                Some(Invocation::Failed { .. }) => Err(InvokeFailure::FunctionError),
                None => Err(InvokeFailure::Refused),
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
