//! lambda_shell
