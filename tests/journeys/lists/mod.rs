//! Lists show each row once, page by page, to callers who may see it.

mod cursors;
mod pages;
