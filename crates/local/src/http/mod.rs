//! The HTTP services of the local stack, other than AWS calls: the API's gateway and the routes under `/local`. A guard
//! keeps foreign web pages from the routes under `/local` and from the AWS port. Nothing here listens on a port.

pub mod gateway;
pub mod local_routes;
pub mod port_guard;
