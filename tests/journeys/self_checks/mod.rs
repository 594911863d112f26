//! The fixtures notice a fault. An auditor that cannot fail proves nothing.

mod auditor;
mod reader;
