//! The files of `postman/`.

use std::fs;

use serde_json::Value;

use super::programs::root;

/// A file of the folder.
pub(crate) fn read(file: &str) -> Value {
    let text = fs::read_to_string(root().join("postman").join(file)).expect("a file of postman/");
    serde_json::from_str(&text).expect("JSON")
}

/// The value that an environment gives a variable.
pub(crate) fn value_of(environment: &str, name: &str) -> String {
    let values = read(&format!("{environment}.postman_environment.json"))["values"].take();
    let mut values = values.as_array().expect("values").iter();
    let value = values.find(|value| value["key"] == name).expect("a variable of the environment");
    value["value"].as_str().expect("a text").to_owned()
}

/// The line that `orderflow` prints about the admin as whom the environment `local` signs in.
pub(crate) fn admin_of_the_laptop() -> String {
    let of = |what: &str| value_of("local", &format!("admin_{what}"));
    format!("  admin {}, password {}\n", of("username"), of("password"))
}
