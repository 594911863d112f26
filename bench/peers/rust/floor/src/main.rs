//! The floor: the runtime without an SDK. It skips its event, calls nothing, and answers a constant. So it does not do the
//! work of `create_order`. It shows what a program in Rust takes before it does any work.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde::de::IgnoredAny;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    run(service_fn(async |_event: LambdaEvent<IgnoredAny>| Ok::<_, Error>("placed"))).await
}
