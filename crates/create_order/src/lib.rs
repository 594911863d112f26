//! create_order
