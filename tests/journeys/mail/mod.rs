//! Each status of an order is mailed to its own customer, and to no other address.

mod about_orders;
mod mail_at_scale;
mod refused;
mod versions;
mod waiting;
