//! No unit is sold twice, however many customers order it at once.

mod oversell;
mod races;
