//! An order reserves its stock, one key is one order, no order exceeds a product's limit, and the largest order works.

mod fifty_lines;
mod idempotency;
mod limits;
mod one_order;
mod orders_per_hour;
