//! Consistent batch reads from one table or several. DynamoDB may leave keys unprocessed, so these are read again.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::{
    Client,
    types::{AttributeValue, KeysAndAttributes},
};
use domain::Error;

use crate::failure::{failed, unbuildable};

type Item = HashMap<String, AttributeValue>;

/// The most reads for one batch, when DynamoDB leaves keys unprocessed.
const MAX_ROUNDS: u32 = 5;

/// The rows to read from one table.
pub(crate) struct Wanted {
    /// The rows' primary keys, each once.
    pub(crate) keys: Vec<Item>,
    /// The attributes to read. `None` reads all of them.
    pub(crate) projection: Option<&'static str>,
}

/// Reads whole rows.
impl From<Vec<Item>> for Wanted {
    fn from(keys: Vec<Item>) -> Self {
        Self { keys, projection: None }
    }
}

/// Reads rows by key, 100 at most, consistently. Answers the rows that exist, by table and in no order.
pub(crate) async fn read_batch<const N: usize>(
    client: &Client,
    wanted: [(String, Wanted); N],
) -> Result<HashMap<String, Vec<Item>>, Error> {
    const DOING: &str = "reading a batch of rows";
    let mut requests = HashMap::new();
    for (table, Wanted { keys, projection }) in wanted {
        let keys = KeysAndAttributes::builder()
            .set_keys(Some(keys))
            .consistent_read(true)
            .set_projection_expression(projection.map(str::to_owned))
            .build()
            .map_err(|_refused| unbuildable(DOING))?;
        requests.insert(table, keys);
    }
    let mut found: HashMap<String, Vec<Item>> = HashMap::new();
    for round in 0..MAX_ROUNDS {
        if round > 0 {
            tokio::time::sleep(Duration::from_millis(fastrand::u64(0..=20 << round))).await;
        }
        let answer =
            client.batch_get_item().set_request_items(Some(requests)).send().await.map_err(failed(DOING))?;
        for (table, mut rows) in answer.responses.unwrap_or_default() {
            found.entry(table).or_default().append(&mut rows);
        }
        requests = answer.unprocessed_keys.unwrap_or_default();
        if requests.is_empty() {
            return Ok(found);
        }
    }
    let source = "keys stayed unprocessed, round after round".into();
    Err(Error::Unavailable { doing: DOING, source })
}
