//! Lists show each row once, page by page, to those who may see it.

mod cursors;
mod pages;
