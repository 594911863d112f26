//! Who gets in, and what each may do: signing up, tokens, every route against every caller, pages of other origins.

mod accounts;
mod browsers;
mod doors;
mod tokens;
