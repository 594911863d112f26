//! Bad input is refused with a problem that names every fault. It changes nothing and appears in no log.

mod hostile;
mod orders;
mod requests;
