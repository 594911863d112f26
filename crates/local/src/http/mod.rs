//! The HTTP services of the local stack, other than AWS calls: the API's gateway and the routes under `/local`. Nothing
//! here listens on a port.

pub mod gateway;
pub mod local_routes;
