//! Customers register, change their address and leave. Only their own row and SNS hold their name or address.

mod adopted;
mod flood;
mod interrupted;
mod leaving;
mod old_design;
mod privacy;
mod registering;
mod registrations;
