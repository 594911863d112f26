//! Customers register, change their address and leave. Only their own row knows who they are.

mod leaving;
mod privacy;
mod registering;
