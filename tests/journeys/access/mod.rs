//! Every caller gets the access that a genuine token gives, and no more: sign-up and sign-in, tokens, every route for
//! every kind of caller, and web pages of other origins.

mod accounts;
mod browsers;
mod doors;
mod foreign_pages;
mod tokens;
