//! Lambda: the template's functions. Each is constructed by its own crate, from the environment that the template gives
//! it. Nothing here knows what a function does.

use std::{collections::HashMap, sync::Arc, time::Duration};

use lambda_shell::{Env, Function, SdkConfig, Settings, SetupFault};

/// A deployed function.
#[derive(Debug)]
pub struct Deployed {
    /// Its logical id in the template.
    pub logical_id: String,
    /// The environment that the template gives it, which also records the names that the function read.
    pub env: Env,
    function: Function,
    timeout: Duration,
    traced: bool,
}

/// The functions, by logical id, name and ARN.
#[derive(Debug, Default)]
pub struct Functions(HashMap<String, Arc<Deployed>>);

/// How an invocation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invocation {
    /// The function returned this JSON text.
    Answered(String),
    /// The function failed or ran out of time.
    Failed {
        /// The error's name, which the state machine's retriers and catchers match.
        error_type: String,
        /// The explanation, for a person.
        message: String,
    },
}

impl Functions {
    /// Constructs the function that `wiring` describes, and adds it.
    pub(crate) async fn deploy(
        &mut self,
        wiring: &sam_template::FunctionResource,
        config: &SdkConfig,
    ) -> Result<(), SetupFault> {
        let env = Env::given(wiring.environment.clone());
        Settings::from_env(&env)?;
        let deployed = Arc::new(Deployed {
            logical_id: wiring.logical_id.clone(),
            function: construct(&wiring.binary, &env, config).await?,
            env,
            timeout: wiring.timeout,
            traced: wiring.traced,
        });
        for name in [&wiring.logical_id, &wiring.name, &wiring.arn] {
            self.0.insert(name.clone(), Arc::clone(&deployed));
        }
        Ok(())
    }

    /// Every function, sorted by logical id.
    pub fn all(&self) -> Vec<&Deployed> {
        let mut all: Vec<&Deployed> = self
            .0
            .iter()
            .filter(|(name, deployed)| **name == deployed.logical_id)
            .map(|(_, d)| &**d)
            .collect();
        all.sort_by(|a, b| a.logical_id.cmp(&b.logical_id));
        all
    }

    /// Invokes a function by logical id, name or ARN; `None` if it does not exist. As on Lambda, the function runs to its
    /// end even when the caller stops waiting.
    pub(crate) async fn invoke(&self, name: &str, event: String) -> Option<Invocation> {
        let deployed = Arc::clone(self.0.get(name)?);
        let request_id = format!("{:016x}", fastrand::u64(..));
        // With active tracing a function begins a trace if its caller passes none. No caller here passes one.
        let trace = deployed.traced.then(|| trace_of(&request_id));
        let run = tokio::spawn(async move {
            let invoked = deployed.function.invoke(&event, &request_id, trace.as_deref());
            match tokio::time::timeout(deployed.timeout, invoked).await {
                Ok(Ok(answer)) => Invocation::Answered(answer),
                Ok(Err(error)) => {
                    Invocation::Failed { error_type: error.name.to_owned(), message: error.message }
                }
                Err(_elapsed) => Invocation::Failed {
                    error_type: "Sandbox.Timedout".to_owned(),
                    message: format!("Task timed out after {:.2} seconds", deployed.timeout.as_secs_f64()),
                },
            }
        });
        Some(run.await.unwrap_or_else(|_cut_off| Invocation::Failed {
            error_type: "Runtime.ExitError".to_owned(),
            message: "Runtime exited".to_owned(),
        }))
    }
}

/// The header of an invocation's own X-Ray trace.
fn trace_of(request_id: &str) -> String {
    format!("Root=1-00000000-00000000{request_id};Parent={request_id};Sampled=1")
}

/// Constructs a function from its crate's name.
async fn construct(binary: &str, env: &Env, config: &SdkConfig) -> Result<Function, SetupFault> {
    Ok(match binary {
        "adjust_inventory" => Function::door(adjust_inventory::AdjustInventory::new(env, config).await?),
        "change_order" => Function::door(change_order::ChangeOrder::new(env, config).await?),
        "check_inventory" => Function::step(check_inventory::CheckInventory::new(env, config).await?),
        "create_order" => Function::step(create_order::CreateOrder::new(env, config).await?),
        "create_user" => Function::door(create_user::CreateUser::new(env, config).await?),
        "place_order" => Function::door(place_order::PlaceOrder::new(env, config).await?),
        "query" => Function::door(query::Query::new(env, config).await?),
        "sweep_orders" => Function::step(sweep_orders::SweepOrders::new(env, config).await?),
        "update_order_status" => {
            Function::step(update_order_status::UpdateOrderStatus::new(env, config).await?)
        }
        other => {
            return Err(SetupFault::new(format!(
                "there is no function crate `{other}`: add it to construct() in crates/local/src/services/lambda.rs"
            )));
        }
    })
}
