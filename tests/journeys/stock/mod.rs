//! No unit is sold twice, however many customers want it at once.

mod oversell;
mod races;
