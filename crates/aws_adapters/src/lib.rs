//! aws_adapters
