//! Reads a SAM template and returns the resources that it describes: tables, topics, functions, state machines, APIs,
//! the user pool and the schedules.
//!
//! An unsupported property is a fault. It is never ignored, so that a template that can be read here behaves locally as
//! it does on AWS. Log groups, alarms and tags have an effect on AWS only. They are resolved too, so that a reference
//! that AWS would refuse is refused here.
//!
//! Nothing here starts a resource. Nothing here does I/O, except to read the template and the definitions that it names.
//! Nothing here knows the account: the caller hands it in as [`Account`].

mod apis;
mod conditions;
mod faults;
mod functions;
mod globals;
mod intrinsics;
mod names;
mod node;
mod parameters;
mod paths;
mod queues;
mod resources;
mod roles;
mod rules;
mod schedules;
mod standing;
mod state_machines;
mod subscriptions;
mod tables;
#[cfg(test)]
mod tests;
mod topics;
mod user_pools;
pub mod yaml;

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;

pub use self::{
    apis::{Api, Authorizer, Cors, Route},
    faults::{TemplateError, TemplateFault},
    functions::FunctionResource,
    names::Account,
    paths::{PathSegment, RoutePath},
    roles::{Effect, Statement, permits},
    schedules::Schedule,
    standing::Standing,
    state_machines::StateMachineResource,
    subscriptions::SubscriptionResource,
    tables::TableResource,
    topics::TopicResource,
    user_pools::{CODE_PLACEHOLDER, PasswordPolicy, UserPool, UserPoolClient},
};
use self::{
    faults::FaultList,
    intrinsics::{Position, Resolver},
    node::Node,
    resources::Resource,
};

/// The resources that a template describes, with every intrinsic function resolved. Lists are in the template's order.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    /// `DynamoDB` tables, as the requests that create them.
    pub tables: Vec<TableResource>,
    /// SNS topics, with the keys that encrypt them.
    pub topics: Vec<TopicResource>,
    /// E-mail subscriptions to those topics, with their filter policies.
    pub subscriptions: Vec<SubscriptionResource>,
    /// Lambda functions, with their environments and permissions.
    pub functions: Vec<FunctionResource>,
    /// Step Functions state machines, with their definitions' texts.
    pub state_machines: Vec<StateMachineResource>,
    /// HTTP APIs, with the routes that the functions' events add to them.
    pub apis: Vec<Api>,
    /// The Cognito user pool; `None` if the template creates none with these parameters.
    pub user_pool: Option<UserPool>,
    /// The functions that run at a fixed rate.
    pub schedules: Vec<Schedule>,
    /// The resources that AWS bills by the month, used or not.
    pub standing: Standing,
    /// The stack's outputs. `ApiUrl` is the URL that it would be on AWS, not the local address.
    pub outputs: BTreeMap<String, String>,
    /// Every parameter's value, given or default.
    pub parameters: BTreeMap<String, String>,
}

impl Template {
    /// Reads the template at `path` as if it were deployed to `account`. `overrides` replace the parameters' defaults.
    pub fn read(
        path: &Path,
        account: Account,
        overrides: &BTreeMap<String, String>,
    ) -> Result<Self, TemplateError> {
        let template = path.display().to_string();
        let text = fs::read_to_string(path).map_err(|error| {
            let fault =
                TemplateFault { place: "file".to_owned(), problem: format!("cannot be read: {error}") };
            TemplateError { template: template.clone(), faults: vec![fault] }
        })?;
        let dir = path.parent().unwrap_or(Path::new(""));
        Self::parse(&text, dir, account, overrides).map_err(|faults| TemplateError { template, ..faults })
    }

    /// Reads a template's text. Paths in it are relative to `dir`.
    pub fn parse(
        text: &str,
        dir: &Path,
        account: Account,
        overrides: &BTreeMap<String, String>,
    ) -> Result<Self, TemplateError> {
        let faults = FaultList::default();
        let template = match yaml::read(text) {
            Ok(document) => Some(build(&document, dir, account, overrides, &faults)),
            Err(problem) => {
                faults.report("YAML", problem);
                None
            }
        };
        match template {
            Some(template) if faults.is_empty() => Ok(template),
            _ => Err(TemplateError { template: "template".to_owned(), faults: faults.into_vec() }),
        }
    }
}

fn build(
    document: &Value,
    dir: &Path,
    account: Account,
    overrides: &BTreeMap<String, String>,
    faults: &FaultList,
) -> Template {
    let root = Node::new("template", document, faults);
    check_top_level(&root);
    // Places leave out the root: a fault says `Resources.Api`, not `template.Resources.Api`.
    let section = |name: &str| Some(Node::new(name, root.get(name)?.value, faults));
    let parameters = parameters::read(section("Parameters").as_ref(), overrides, faults);
    rules::check(section("Rules").as_ref(), account, &parameters, faults);
    let conditions = conditions::read(document.get("Conditions"), account, &parameters, faults);
    let mut resolver = Resolver { conditions, ..Resolver::with_parameters(account, &parameters, faults) };
    let resources = resources::read(document.get("Globals"), section("Resources").as_ref(), &mut resolver);
    Template {
        outputs: outputs(section("Outputs").as_ref(), &resolver),
        parameters: parameters
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), value.clone()?)))
            .collect(),
        ..build_resources(&resources, dir, faults)
    }
}

fn check_top_level(root: &Node<'_>) {
    root.expect_keys(
        &["Transform", "Parameters", "Rules", "Globals", "Conditions", "Resources", "Outputs"],
        &["AWSTemplateFormatVersion", "Description", "Metadata"],
    );
    if let Some(transform) = root.required("Transform") {
        transform.expect_one_of(&["AWS::Serverless-2016-10-31"]);
    }
    root.required("Resources");
    if let Some(globals) = root.get("Globals") {
        globals.expect_keys(&globals::SECTIONS.map(|(section, _)| section), &[]);
    }
}

/// The template that the resources describe, without outputs and parameters.
fn build_resources(resources: &[Resource], dir: &Path, faults: &FaultList) -> Template {
    let of_type =
        |wanted: &'static str| resources.iter().filter(move |resource| resource.type_name == wanted);
    let tables =
        of_type(names::TABLE).map(|r| tables::read(&r.logical_id, &r.identity, &r.properties(faults)));
    let topics =
        of_type(names::TOPIC).map(|r| topics::read(&r.logical_id, &r.identity, &r.properties(faults)));
    let roles = of_type(names::ROLE).map(|r| roles::read(&r.logical_id, &r.identity, &r.properties(faults)));
    let queues = of_type(names::QUEUE).map(|r| queues::read(&r.identity, &r.properties(faults)));
    let (tables, topics, roles) = (tables.collect(), topics.collect::<Vec<_>>(), roles.collect::<Vec<_>>());
    let queues: Vec<_> = queues.collect();
    let subscriptions = of_type(names::SUBSCRIPTION)
        .filter_map(|r| subscriptions::read(&r.logical_id, &r.properties(faults), &topics, &queues))
        .collect();

    let mut apis: Vec<_> = of_type(names::HTTP_API)
        .map(|r| apis::read(&r.logical_id, &r.identity, &r.properties(faults)))
        .collect();
    let mut functions = Vec::new();
    let mut schedules = Vec::new();
    for r in of_type(names::FUNCTION) {
        let (properties, metadata) = (r.properties(faults), r.metadata(faults));
        functions.extend(functions::read(
            &r.logical_id,
            &r.identity,
            &properties,
            &metadata,
            &roles,
            &queues,
        ));
        add_events(&r.logical_id, &properties, (&roles, &queues), &mut apis, &mut schedules);
    }
    let state_machines = of_type(names::STATE_MACHINE)
        .filter_map(|r| state_machines::read(&r.logical_id, &r.identity, &r.properties(faults), dir, &roles));
    Template {
        tables,
        topics,
        subscriptions,
        functions,
        state_machines: state_machines.collect(),
        apis: apis.into_iter().map(|builder| builder.api).collect(),
        user_pool: user_pool(resources, faults),
        schedules,
        standing: standing::read(resources, faults),
        outputs: BTreeMap::new(),
        parameters: BTreeMap::new(),
    }
}

/// The user pool with its clients and groups.
fn user_pool(resources: &[Resource], faults: &FaultList) -> Option<UserPool> {
    let mut pools = Vec::new();
    for r in resources.iter().filter(|resource| resource.type_name == names::USER_POOL) {
        let properties = r.properties(faults);
        if !pools.is_empty() {
            properties.report("is a second user pool; the local stack supports one");
        }
        pools.extend(user_pools::read(&r.logical_id, &r.identity, &properties));
    }
    // A pool that cannot be read was reported. Its clients and groups would only repeat that fault.
    if !pools.is_empty() {
        for r in resources {
            let properties = r.properties(faults);
            match r.type_name.as_str() {
                names::USER_POOL_CLIENT => {
                    user_pools::add_client(&r.logical_id, &r.identity, &properties, &mut pools);
                }
                names::USER_POOL_GROUP => {
                    user_pools::add_group(&r.identity, &properties, &mut pools);
                }
                _ => {}
            }
        }
    }
    pools.into_iter().next()
}

/// Adds the routes and schedules in a function's `Events`.
fn add_events(
    function: &str,
    properties: &Node<'_>,
    (roles, queues): (&[roles::Role], &[queues::Queue]),
    apis: &mut [apis::ApiBuilder],
    schedules: &mut Vec<Schedule>,
) {
    for (_, event) in properties.get("Events").iter().flat_map(Node::entries) {
        event.expect_keys(&["Type", "Properties"], &[]);
        let Some(event_type) = event.required("Type") else { continue };
        event_type.expect_one_of(&["HttpApi", "ScheduleV2"]);
        let Some(properties) = event.required("Properties") else { continue };
        match event_type.text().as_deref() {
            Some("HttpApi") => {
                apis::add_route(function, &properties, apis);
            }
            Some("ScheduleV2") => schedules.extend(schedules::read(function, &properties, roles, queues)),
            _ => {}
        }
    }
}

fn outputs(section: Option<&Node<'_>>, resolver: &Resolver<'_>) -> BTreeMap<String, String> {
    let mut outputs = BTreeMap::new();
    for (name, output) in section.map(Node::entries).unwrap_or_default() {
        output.expect_keys(&["Value", "Condition"], &["Description", "Export"]);
        let used = resolver.exists(output.value.get("Condition"), &output.place);
        let Some(value) = output.required("Value") else { continue };
        if let Some(text) = resolver.text(value.value, Position { place: &value.place, used })
            && used
        {
            outputs.insert(name.to_owned(), text);
        }
    }
    outputs
}
