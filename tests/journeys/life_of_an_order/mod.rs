//! An order after it is placed keeps to its transition table, also when two callers command it at once. Once it is
//! interrupted, it is resumed.

mod attention;
mod changes;
mod every_command;
mod histories;
mod resuming;
mod rivals;
