//! The `Resources` section: which resources exist, their names, and their properties with every function resolved.
//!
//! Nothing here knows what a property means, except the one that gives a resource its name.

use serde_json::{Map, Value};

use super::{
    faults::FaultList,
    globals,
    intrinsics::{KnownResource, Position, Resolver},
    names::{self, Identity},
    node::Node,
};

/// A resource that exists, with its properties resolved.
#[derive(Debug)]
pub(super) struct Resource {
    pub(super) logical_id: String,
    pub(super) type_name: String,
    pub(super) identity: Identity,
    properties: Value,
    metadata: Value,
}

impl Resource {
    pub(super) fn properties<'a>(&'a self, faults: &'a FaultList) -> Node<'a> {
        Node::new(format!("Resources.{}.Properties", self.logical_id), &self.properties, faults)
    }

    pub(super) fn metadata<'a>(&'a self, faults: &'a FaultList) -> Node<'a> {
        Node::new(format!("Resources.{}.Metadata", self.logical_id), &self.metadata, faults)
    }
}

/// A resource as the template declares it, with `Globals` merged in.
struct Declared<'d> {
    logical_id: &'d str,
    place: String,
    type_name: String,
    properties: Value,
    node: Node<'d>,
}

/// Reads the resources, and returns those that exist. The resolver learns the names of all of them.
pub(super) fn read(
    globals: Option<&Value>,
    section: Option<&Node<'_>>,
    resolver: &mut Resolver<'_>,
) -> Vec<Resource> {
    let mut declared = Vec::new();
    for (logical_id, node) in section.map(Node::entries).unwrap_or_default() {
        node.expect_keys(
            &["Type", "Properties", "Metadata", "DependsOn", "Condition"],
            &["DeletionPolicy", "UpdateReplacePolicy"],
        );
        let Some(type_name) = node.required_text("Type") else { continue };
        if names::name_property(&type_name).is_none() {
            let known = names::known_types();
            node.report(format!(
                "the type {type_name} is not supported by the local stack; supported: {known}"
            ));
        }
        let properties = globals::merged(globals, &type_name, node.value.get("Properties"));
        declared.push(Declared { logical_id, place: node.place.clone(), type_name, properties, node });
    }
    for resource in &declared {
        let exists = resolver.exists(resource.node.value.get("Condition"), &resource.place);
        let known = KnownResource { identity: identity(resource, resolver), exists };
        resolver.resources.insert(resource.logical_id.to_owned(), known);
    }
    declared.iter().filter_map(|resource| resolved(resource, resolver)).collect()
}

/// The resource's names; `None` for an unknown type.
fn identity(resource: &Declared<'_>, resolver: &Resolver<'_>) -> Option<Identity> {
    let property = names::name_property(&resource.type_name)?;
    let given = property.and_then(|property| Some((property, resource.properties.get(property)?)));
    let name = given.and_then(|(property, value)| {
        let place = format!("{}.Properties.{property}", resource.place);
        // Names are resolved first, so a name cannot contain another resource's name.
        let faults = FaultList::default();
        let names_only = Resolver::with_parameters(resolver.account, resolver.parameters, &faults);
        let name = names_only.text(value, Position { place: &place, used: true });
        if !faults.is_empty() {
            resolver.faults.report(place, "a name may be made of text and parameters only");
        }
        name
    });
    let name = name.unwrap_or_else(|| resolver.account.default_name(resource.logical_id));
    Some(names::identity(resolver.account, &resource.type_name, name))
}

/// Resolves the resource, and returns it if it exists. One that does not exist is resolved for its faults.
fn resolved(resource: &Declared<'_>, resolver: &Resolver<'_>) -> Option<Resource> {
    for needed in resource.node.get("DependsOn").iter().flat_map(Node::one_or_list) {
        if needed.text().is_some_and(|id| !resolver.resources.contains_key(&id)) {
            needed.report("is not a resource of this template");
        }
    }
    let known = resolver.resources.get(resource.logical_id)?;
    let resolve = |value, part| {
        let place = format!("{}.{part}", resource.place);
        resolver.resolve(value, Position { place: &place, used: known.exists }).unwrap_or(Value::Null)
    };
    let properties = resolve(&resource.properties, "Properties");
    let nothing = Value::Object(Map::new());
    let metadata = resolve(resource.node.value.get("Metadata").unwrap_or(&nothing), "Metadata");
    Some(Resource {
        logical_id: resource.logical_id.to_owned(),
        type_name: resource.type_name.clone(),
        identity: known.identity.clone().filter(|_| known.exists)?,
        properties,
        metadata,
    })
}
