//! An order after it is placed: every command in every status, rivals, resumption, whole histories.

mod changes;
mod every_command;
mod histories;
mod resuming;
mod rivals;
