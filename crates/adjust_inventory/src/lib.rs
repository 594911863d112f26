//! adjust_inventory
