//! check_inventory
