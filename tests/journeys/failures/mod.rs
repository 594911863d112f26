//! AWS calls fail, requests are cut off, the process is killed: no unit and no order is lost.

mod interrupts;
mod kill;
mod outages;
