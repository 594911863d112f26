//! An order reserves its stock, one key is one order, and the largest order works.

mod fifty_lines;
mod idempotency;
mod one_order;
