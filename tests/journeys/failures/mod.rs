//! No unit and no order is lost when AWS calls fail, when a request is cut off, or when the process is killed.

mod conflicts;
mod interrupts;
mod kill;
mod lost_answers;
mod outages;
