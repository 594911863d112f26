//! update_order_status
