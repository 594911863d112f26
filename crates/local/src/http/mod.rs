//! What the local stack answers over HTTP beside AWS's own calls: the API's gateway and the routes under `/local`.

pub mod gateway;
pub mod local_routes;
