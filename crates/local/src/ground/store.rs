//! The local stack's own durable state: one table, [`TABLE`], in the same database as the shop's tables. So one file
//! holds all data, and survives a kill. A row maps (kind, id) to JSON. Nothing here looks inside a value: its owner
//! does (`mailbox`, `tokens`, the services).

use std::collections::HashMap;

use dynoxide::{
    Database, DynoxideError,
    actions::{
        create_table::CreateTableRequest, delete_item::DeleteItemRequest, get_item::GetItemRequest,
        put_item::PutItemRequest, query::QueryRequest,
    },
    types::{AttributeDefinition, AttributeValue, Item, KeySchemaElement, KeyType, ScalarAttributeType},
};
use serde::{Serialize, de::DeserializeOwned};

/// The name of the table that holds the local stack's own rows.
pub const TABLE: &str = "orderflow-local";

/// The format of the rows that this version reads and writes. Raise it with a change that an older version would
/// misread.
pub const FORMAT: u32 = 3;

const FORMAT_KIND: &str = "format";
const FORMAT_ID: &str = "orderflow";

/// A handle on the local stack's own rows. Clones share the database.
#[derive(Clone)]
pub struct Store {
    db: Database,
}

/// Why the local stack's own rows cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file belongs to another version of the local stack.
    #[error(
        "the data file{} has format {found}, and this version of orderflow reads format {FORMAT}: choose another \
        folder with --data-dir, or delete the file and its data",
        path.as_ref().map(|path| format!(" {path}")).unwrap_or_default()
    )]
    Format {
        /// The file's path; `None` for a database in memory.
        path: Option<String>,
        /// The format that the file names.
        found: String,
    },
    /// The database reported an error.
    #[error(
        "the local stack's own rows: {doing} failed; if it fails again, choose another folder with --data-dir"
    )]
    Database {
        /// The step that failed, such as `writing a row`.
        doing: &'static str,
        /// The database's error.
        #[source]
        source: Box<DynoxideError>,
    },
    /// A row cannot be parsed.
    #[error(
        "the local stack's own rows: the row {kind}/{id} cannot be read by this version: choose another \
        folder with --data-dir, or delete the data file and its data"
    )]
    Row {
        /// The row's kind, which names its owner.
        kind: String,
        /// The row's id within its kind.
        id: String,
        /// The parser's error.
        #[source]
        source: serde_json::Error,
    },
}

impl Store {
    /// Opens the rows in `db`. Creates the table when it is missing.
    ///
    /// # Errors
    /// [`StoreError::Format`] when the rows have another format. Then nothing is changed.
    pub fn open(db: Database) -> Result<Self, StoreError> {
        let store = Self { db };
        match store.db.create_table(table()) {
            Ok(_) | Err(DynoxideError::ResourceInUseException(_)) => {}
            Err(source) => return Err(fault("creating its table")(source)),
        }
        match store.get::<serde_json::Value>(FORMAT_KIND, FORMAT_ID)? {
            // The row is missing in a new file, and after a kill between creating the table and writing the row.
            None => store.put(FORMAT_KIND, FORMAT_ID, &FORMAT)?,
            Some(found) if found == FORMAT => {}
            Some(found) => {
                let path = store.db.db_path().map_err(fault("asking for its path"))?;
                return Err(StoreError::Format { path, found: found.to_string() });
            }
        }
        Ok(store)
    }

    /// Writes or replaces one row, in one write to the database.
    pub fn put<T: Serialize>(&self, kind: &str, id: &str, value: &T) -> Result<(), StoreError> {
        let value = serde_json::to_string(value).map_err(row(kind, id))?;
        let mut item = key(kind, id);
        item.insert("value".to_owned(), AttributeValue::S(value));
        let request = PutItemRequest { table_name: TABLE.to_owned(), item, ..PutItemRequest::default() };
        self.db.put_item(request).map_err(fault("writing a row"))?;
        Ok(())
    }

    /// Reads one row; `None` if it does not exist.
    pub fn get<T: DeserializeOwned>(&self, kind: &str, id: &str) -> Result<Option<T>, StoreError> {
        let request = GetItemRequest {
            table_name: TABLE.to_owned(),
            key: key(kind, id),
            consistent_read: Some(true),
            ..GetItemRequest::default()
        };
        let item = self.db.get_item(request).map_err(fault("reading a row"))?.item;
        item.map(|item| parse(kind, &item).map(|(_, value)| value)).transpose()
    }

    /// Removes one row. Succeeds when the row does not exist.
    pub fn delete(&self, kind: &str, id: &str) -> Result<(), StoreError> {
        let request = DeleteItemRequest {
            table_name: TABLE.to_owned(),
            key: key(kind, id),
            ..DeleteItemRequest::default()
        };
        self.db.delete_item(request).map_err(fault("removing a row"))?;
        Ok(())
    }

    /// Every row of a kind, each with its id, sorted by id.
    pub fn all<T: DeserializeOwned>(&self, kind: &str) -> Result<Vec<(String, T)>, StoreError> {
        let mut rows = Vec::new();
        let mut start = None;
        loop {
            let request = QueryRequest {
                table_name: TABLE.to_owned(),
                key_condition_expression: Some("#kind = :kind".to_owned()),
                expression_attribute_names: Some(HashMap::from([("#kind".to_owned(), "kind".to_owned())])),
                expression_attribute_values: Some(HashMap::from([(
                    ":kind".to_owned(),
                    AttributeValue::S(kind.to_owned()),
                )])),
                scan_index_forward: true,
                consistent_read: Some(true),
                exclusive_start_key: start,
                ..QueryRequest::default()
            };
            let page = self.db.query(request).map_err(fault("listing rows"))?;
            for item in page.items.unwrap_or_default() {
                rows.push(parse(kind, &item)?);
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(rows);
            }
        }
    }
}

fn table() -> CreateTableRequest {
    let attribute = |name: &str| AttributeDefinition {
        attribute_name: name.to_owned(),
        attribute_type: ScalarAttributeType::S,
    };
    let element = |name: &str, key_type| KeySchemaElement { attribute_name: name.to_owned(), key_type };
    CreateTableRequest {
        table_name: TABLE.to_owned(),
        key_schema: vec![element("kind", KeyType::HASH), element("id", KeyType::RANGE)],
        attribute_definitions: vec![attribute("kind"), attribute("id")],
        billing_mode: Some("PAY_PER_REQUEST".to_owned()),
        ..CreateTableRequest::default()
    }
}

fn key(kind: &str, id: &str) -> Item {
    HashMap::from([
        ("kind".to_owned(), AttributeValue::S(kind.to_owned())),
        ("id".to_owned(), AttributeValue::S(id.to_owned())),
    ])
}

fn parse<T: DeserializeOwned>(kind: &str, item: &Item) -> Result<(String, T), StoreError> {
    let text = |name: &str| match item.get(name) {
        Some(AttributeValue::S(text)) => text.as_str(),
        _ => "",
    };
    let id = text("id");
    let value = serde_json::from_str(text("value")).map_err(row(kind, id))?;
    Ok((id.to_owned(), value))
}

fn fault(doing: &'static str) -> impl Fn(DynoxideError) -> StoreError {
    move |source| StoreError::Database { doing, source: Box::new(source) }
}

fn row(kind: &str, id: &str) -> impl Fn(serde_json::Error) -> StoreError {
    move |source| StoreError::Row { kind: kind.to_owned(), id: id.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(folder: &tempfile::TempDir) -> Database {
        Database::new(folder.path().join("data.db").to_str().unwrap()).unwrap()
    }

    #[test]
    fn rows_survive_closing_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(file(&folder)).unwrap();
        store.put("mail", "1", &"hello").unwrap();
        drop(store);
        let store = Store::open(file(&folder)).unwrap();
        assert_eq!(store.get::<String>("mail", "1").unwrap().as_deref(), Some("hello"));
    }

    #[test]
    fn rows_of_one_kind_are_listed_by_id_over_several_pages() {
        let store = Store::open(Database::memory().unwrap()).unwrap();
        // Together more than the megabyte that one page of a query holds.
        let large = "x".repeat(100_000);
        for n in (0..30).rev() {
            store.put("mail", &format!("{n:04}"), &large).unwrap();
        }
        store.put("other", "0000", &"not this one").unwrap();
        let ids: Vec<String> = store.all::<String>("mail").unwrap().into_iter().map(|(id, _)| id).collect();
        assert_eq!(ids, (0..30).map(|n| format!("{n:04}")).collect::<Vec<_>>());
    }

    #[test]
    fn a_row_is_replaced_and_removed() {
        let store = Store::open(Database::memory().unwrap()).unwrap();
        store.put("a", "b", &1).unwrap();
        store.put("a", "b", &2).unwrap();
        assert_eq!(store.get::<u8>("a", "b").unwrap(), Some(2));
        store.delete("a", "b").unwrap();
        store.delete("a", "b").unwrap();
        assert_eq!(store.get::<u8>("a", "b").unwrap(), None);
    }

    #[test]
    fn a_file_of_another_format_is_refused_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        Store::open(file(&folder)).unwrap().put(FORMAT_KIND, FORMAT_ID, &7).unwrap();
        let refused = Store::open(file(&folder)).err().unwrap().to_string();
        assert!(refused.contains("has format 7, and this version of orderflow reads format 3"), "{refused}");
        assert!(refused.contains("data.db") && refused.contains("--data-dir"), "{refused}");
    }

    #[test]
    fn a_row_that_cannot_be_parsed_is_named() {
        let store = Store::open(Database::memory().unwrap()).unwrap();
        store.put("mail", "9", &"text").unwrap();
        let refused = store.get::<u8>("mail", "9").unwrap_err().to_string();
        assert!(refused.contains("mail/9"), "{refused}");
    }
}
