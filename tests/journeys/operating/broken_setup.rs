//! When `orderflow` cannot start it prints one message, which names the cause and the remedy. It prints no panic.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    time::Duration,
};

use local::{ground::StackClock, stack::Stack};
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;

use crate::world::{
    TEMPLATE,
    orderflow::{Orderflow, command, text},
    programs::root,
    shop::start,
    tables,
};

/// Far longer than a refusal takes. Without a limit an `orderflow` that starts would run for ever.
const PATIENCE: Duration = Duration::from_mins(1);

/// Runs `orderflow` on free ports in `here`, and answers its message. It must not start.
async fn refusal(here: &Path, flags: &[&str]) -> String {
    let mut command = Command::from(command());
    command.current_dir(here).args(["--port", "0", "--aws-port", "0"]).args(flags).kill_on_drop(true);
    let run = tokio::time::timeout(PATIENCE, command.output()).await;
    let run = run.unwrap_or_else(|_| panic!("{flags:?}: it started")).expect("orderflow runs");
    let said = String::from_utf8(run.stderr).expect("text");
    assert_eq!(run.status.code(), Some(1), "{flags:?}: {said}");
    assert!(run.stdout.is_empty(), "{flags:?}: it also said {}", String::from_utf8_lossy(&run.stdout));
    assert_eq!(said.matches("orderflow: ").count(), 1, "one message: {said}");
    for trace in ["panicked", "backtrace", "RUST_", "Error {", "Err(", "Some("] {
        assert!(!said.contains(trace), "{trace} in: {said}");
    }
    said
}

#[track_caller]
fn says(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "`{part}` is not in: {said}");
    }
}

/// A copy of the template and its files, with one change in one file.
struct Project(TempDir);

impl Project {
    fn with(file: &str, from: &str, to: &str) -> Self {
        let project = Self(tempfile::tempdir().expect("a folder"));
        for path in ["infra/template.yaml", "step_function/order.asl.json"] {
            let copy = project.path(path);
            fs::create_dir_all(copy.parent().expect("a folder")).expect("a folder");
            let mut text = fs::read_to_string(root().join(path)).expect("a file of the repository");
            if path == file {
                assert!(text.contains(from), "`{from}` is not in {path}");
                text = text.replacen(from, to, 1);
            }
            fs::write(copy, text).expect("a copy");
        }
        project
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    /// The message of a start from a folder below.
    async fn refusal(&self) -> String {
        refusal(&self.path("step_function"), &["--ephemeral"]).await
    }
}

const TEMPLATE_FILE: &str = "infra/template.yaml";
const DEFINITION: &str = "step_function/order.asl.json";

/// The local stack's own table.
const OWN_TABLE: &str = "orderflow-local";

#[tokio::test]
async fn a_port_in_use_is_named_with_the_flag_that_chooses_another() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("its address").port().to_string();
    for flag in ["--port", "--aws-port"] {
        let mut command = Command::from(command());
        let other = if flag == "--port" { "--aws-port" } else { "--port" };
        command.args([flag, &port, other, "0", "--ephemeral"]).kill_on_drop(true);
        let run = tokio::time::timeout(PATIENCE, command.output()).await.expect("it ends").expect("it runs");
        assert_eq!(run.status.code(), Some(1));
        let said = String::from_utf8(run.stderr).expect("text");
        says(
            &said,
            &[&format!("port {port} of 127.0.0.1 is in use"), &format!("choose another with {flag} ")],
        );
    }
}

#[tokio::test]
async fn an_address_of_another_machine_is_named_with_its_flag() {
    let said = refusal(&root(), &["--ephemeral", "--host", "192.0.2.1"]).await;
    says(&said, &["192.0.2.1", "--host"]);
}

#[tokio::test]
async fn a_template_that_cannot_be_found_or_read_is_named() {
    let empty = tempfile::tempdir().expect("a folder");
    let said = refusal(empty.path(), &["--ephemeral"]).await;
    says(&said, &["there is no infra/template.yaml here or above", "--template"]);
    for path in ["no/such/template.yaml", "."] {
        let said = refusal(empty.path(), &["--ephemeral", "--template", path]).await;
        says(&said, &[&format!("{path} cannot be run locally"), "cannot be read"]);
    }
    let binary = empty.path().join("binary.yaml");
    fs::write(&binary, b"\xff\xfe\x00").expect("a file");
    let said = refusal(empty.path(), &["--ephemeral", "--template", "binary.yaml"]).await;
    says(&said, &["binary.yaml", "cannot be read"]);
}

#[tokio::test]
async fn a_fault_in_the_template_is_named_with_its_place() {
    for (from, to, parts) in [
        ("Resources:\n", "Resources: [\n", &["YAML: line "][..]),
        (
            "BillingMode: PAY_PER_REQUEST",
            "BillingMode: PAY_PER_REQUEST\n      Colour: green",
            &["Resources.UsersTable.Properties.Colour"],
        ),
        ("Type: AWS::SNS::Topic", "Type: AWS::S3::Bucket", &["Resources.OrderTopic", "AWS::S3::Bucket"]),
        (
            "USERS_TABLE: !Ref UsersTable",
            "USERS_TABLE: !Ref CustomersTable",
            &["Resources.CreateUserFunction", "CustomersTable"],
        ),
        (
            "Resource: !GetAtt UsersTable.Arn",
            "Resource: !GetAtt CustomersTable.Arn",
            &["Resources.CreateUserRole", "CustomersTable"],
        ),
        ("Binary: create_user", "Binary: create_users", &["CreateUserFunction", "create_users"]),
        ("          USERS_TABLE: !Ref UsersTable\n", "", &["CreateUserFunction", "USERS_TABLE"]),
        ("Default: info", "Default: loud", &["LogLevel", "loud"]),
        ("Path: /health", "Path: health", &["health"]),
        (
            "DefinitionUri: ../step_function/order.asl.json",
            "DefinitionUri: ../step_function/orders.asl.json",
            &["Resources.OrderStateMachine", "orders.asl.json"],
        ),
    ] {
        let said = Project::with(TEMPLATE_FILE, from, to).refusal().await;
        says(&said, parts);
    }
}

#[tokio::test]
async fn a_fault_in_the_state_machine_is_named_with_its_state() {
    for (from, to, parts) in [
        (r#""Type": "Task""#, r#""Type": "Map""#, &[r#"state "CheckInventory""#, "Map", "not supported"][..]),
        ("{% $states.input.outcome = 'quoted' %}", "{% $eval('true') %}", &[r#"state "IsQuoted""#, "$eval"]),
        ("{% $states.input.outcome = 'quoted' %}", "{% $states.input.outcome = %}", &[r#"state "IsQuoted""#]),
        (
            "{% $states.input.outcome = 'quoted' %}",
            "{% $nothing.outcome = 'quoted' %}",
            &[r#"state "IsQuoted""#, "nothing"],
        ),
        (r#""Next": "IsQuoted""#, r#""Next": "IsPriced""#, &[r#"state "CheckInventory""#, "IsPriced"]),
        (
            "arn:${Partition}:states:::sns:publish",
            "arn:${Partition}:states:::sqs:sendMessage",
            &["sqs:sendMessage", "not supported"],
        ),
        ("${OrdersTableName}", "${OrderTableName}", &["OrderTableName"]),
        (r#""QueryLanguage": "JSONata""#, r#""QueryLanguage": "JSONPath""#, &["JSONata"]),
        ("{", "", &["not JSON"]),
    ] {
        let said = Project::with(DEFINITION, from, to).refusal().await;
        says(&said, parts);
        assert!(said.contains("order.asl.json") || said.contains("OrderStateMachine"), "{said}");
    }
}

/// A data folder, and a stack of this template that runs on it.
async fn data(template: &sam_template::Template) -> (TempDir, Stack) {
    let folder = tempfile::tempdir().expect("a folder");
    let stack = start(template, Some(folder.path()), StackClock::system()).await;
    (folder, stack)
}

#[tokio::test]
async fn a_data_file_of_another_kind_or_version_is_refused_and_left_as_it_is() {
    let advice = ["orderflow.db", "--data-dir"];
    // A file that is no database, and a database with a hole in it.
    let (folder, stack) = data(&TEMPLATE).await;
    drop(stack);
    let file = folder.path().join("orderflow.db");
    let good = fs::read(&file).expect("the file");
    let mut holed = good.clone();
    holed[100..].fill(0xa5);
    for bytes in [b"PNG or whatever this is, and long enough to have a header".repeat(100), holed] {
        let _gone = fs::remove_file(folder.path().join("orderflow.db-wal"));
        fs::write(&file, &bytes).expect("a file");
        let said = refusal(&root(), &["--data-dir", text(folder.path())]).await;
        says(&said, &advice);
        assert!(fs::read(&file).expect("the file") == bytes, "it was changed");
    }

    let (folder, stack) = data(&TEMPLATE).await;
    let row = json!({ "kind": "format", "id": "orderflow", "value": "1" });
    tables::put(&stack, OWN_TABLE, &row).await;
    drop(stack);
    let said = refusal(&root(), &["--data-dir", text(folder.path())]).await;
    says(&said, &advice);
    says(&said, &["format 1"]);

    let mut other = TEMPLATE.clone();
    let inventory =
        other.tables.iter_mut().find(|table| table.logical_id == "InventoryTable").expect("a table");
    inventory.create_table["GlobalSecondaryIndexes"][0]["IndexName"] = json!("by_name");
    let (folder, stack) = data(&other).await;
    drop(stack);
    let said = refusal(&root(), &["--data-dir", text(folder.path())]).await;
    says(&said, &advice);
    says(&said, &["InventoryTable", "keys or indexes"]);
}

#[tokio::test]
async fn an_unreadable_row_of_the_local_stacks_own_table_is_named() {
    for (kind, id) in [("format", "orderflow"), ("token_key", "es256")] {
        let (folder, stack) = data(&TEMPLATE).await;
        tables::put(&stack, OWN_TABLE, &json!({ "kind": kind, "id": id, "value": "{" })).await;
        drop(stack);
        let said = refusal(&root(), &["--data-dir", text(folder.path())]).await;
        says(&said, &["--data-dir", &format!("{kind}/{id}")]);
    }
}

#[tokio::test]
async fn a_data_folder_that_is_in_use_or_unusable_is_named_with_its_flag() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = Orderflow::start(["--aws-port", "0", "--data-dir", text(folder.path())]);
    let said = refusal(&root(), &["--data-dir", text(folder.path())]).await;
    says(&said, &["another orderflow uses the data folder", text(folder.path()), "--data-dir"]);
    assert!(first.call("GET /health", None, None, None).await.is_ok_and(|reply| reply.status == 200));
    first.kill();
    // A process that was killed holds no lock.
    drop(Orderflow::start(["--aws-port", "0", "--data-dir", text(folder.path())]));

    let file = folder.path().join("a-file");
    fs::write(&file, "").expect("a file");
    let locked = folder.path().join("locked");
    fs::create_dir_all(locked.join("lock")).expect("a folder");
    let odd = folder.path().join("odd");
    fs::create_dir_all(odd.join("orderflow.db")).expect("a folder");
    for (place, of) in [(&file, "a-file"), (&file.join("below"), "below"), (&locked, "locked"), (&odd, "odd")]
    {
        let said = refusal(&root(), &["--data-dir", text(place)]).await;
        says(&said, &[of, "cannot be used", "--data-dir"]);
    }
}

#[tokio::test]
async fn an_unknown_or_invalid_flag_is_named() {
    for (flags, parts) in [
        (&["--prot", "1"][..], &["--prot", "--help"][..]),
        (&["--port", "70000"], &["--port", "70000"]),
        (&["--port"], &["--port"]),
    ] {
        let run = Command::from(command()).args(flags).kill_on_drop(true).output();
        let run = tokio::time::timeout(PATIENCE, run).await.expect("it ends").expect("it runs");
        assert_eq!(run.status.code(), Some(2), "{flags:?}");
        says(&String::from_utf8(run.stderr).expect("text"), parts);
    }
}

#[tokio::test]
async fn a_parameter_that_the_template_refuses_is_named() {
    for (given, parts) in [
        ("ThrottlingRate", ["--parameter ThrottlingRate", "Name=Value"]),
        ("ThrottlingRate=0", ["Parameters.ThrottlingRate", "less than MinValue 1"]),
        ("Colour=red", ["Parameters.Colour", "no such parameter"]),
        ("AllowedOrigins=https://a.example/path", ["Parameters.AllowedOrigins", "without a path"]),
    ] {
        let said = refusal(&root(), &["--ephemeral", "--parameter", given]).await;
        says(&said, &parts);
    }
}
