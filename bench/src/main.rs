//! `bench`: what is measured or simulated, one subcommand for each. Each is in a file of its own.

mod hot_sku;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Measures and simulates what the documentation gives figures for.
#[derive(Debug, Parser)]
#[command(name = "bench", version)]
struct BenchLine {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    HotSku(hot_sku::HotSkuFlags),
}

fn main() -> ExitCode {
    match BenchLine::parse().what {
        What::HotSku(flags) => hot_sku::run(&flags),
    }
}
