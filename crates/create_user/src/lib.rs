//! create_user
