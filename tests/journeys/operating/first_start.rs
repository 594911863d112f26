//! The first minute with `orderflow`: its help, and its first output, whose lines place an order when they are pasted.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::world::{
    orderflow::{Orderflow, command, free_port, send},
    postman::admin_of_the_laptop,
    programs::root,
};

/// The commands to paste, in order.
fn to_paste(welcome: &str) -> String {
    let (_, after) = welcome.split_once("Try it, in another terminal:\n\n").expect("lines to paste");
    after.split_once("\n\n").expect("an end").0.to_owned()
}

#[test]
fn help_lists_every_flag() {
    let help = command().arg("--help").output().expect("orderflow runs");
    assert!(help.status.success());
    let help = String::from_utf8(help.stdout).expect("text");
    for flag in [
        "--port",
        "--aws-port",
        "--host",
        "--allow-host",
        "--data-dir",
        "--ephemeral",
        "--template",
        "--parameter",
        "--help",
    ] {
        assert!(
            help.lines().any(
                |line| line.trim_start().contains(&format!("{flag} ")) || line.trim_end().ends_with(flag)
            ),
            "{flag} is not in:\n{help}"
        );
    }
    for default in ["[default: 3000]", "[default: 4566]", "[default: 127.0.0.1]", "[default: .orderflow]"] {
        assert!(help.contains(default), "{default} is not in:\n{help}");
    }
}

#[tokio::test]
async fn the_first_output_names_the_addresses_and_the_commands_to_paste_place_an_order() {
    let aws = free_port().to_string();
    let stack = Orderflow::start(["--ephemeral", "--aws-port", &aws]);
    let api = format!("http://{}", stack.api);
    assert_ne!(stack.api.port(), 0);
    let admin = admin_of_the_laptop();
    for part in ["Orderflow is ready after", &api, &format!("http://127.0.0.1:{aws}"), "in memory", &admin] {
        assert!(stack.welcome.contains(part), "{part} is not in:\n{}", stack.welcome);
    }
    let script = to_paste(&stack.welcome);
    assert!(script.lines().count() >= 7, "{script}");

    let said = match Command::new("bash")
        .arg("-c")
        .arg(&script)
        .current_dir(root())
        .stderr(Stdio::inherit())
        .output()
    {
        Ok(run) if run.status.success() => String::from_utf8(run.stdout).expect("text"),
        // Without bash or curl the lines are read instead of run.
        Ok(_) | Err(_) => read_out(&script, &stack).await,
    };
    let answers: Vec<Value> =
        said.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect();
    let [user, confirmed, again, catalog, order, mailbox, iron] = &answers[..] else { panic!("{said}") };
    assert_eq!(user["email"], "ada@example.com");
    assert_eq!(confirmed["confirmed"], 1);
    assert_eq!((&user["notifications"], &again["notifications"]), (&"pending".into(), &"confirmed".into()));
    assert!(catalog["items"].as_array().is_some_and(|items| items.len() >= 5), "{catalog}");
    assert_eq!((&order["status"], &order["lines"][1]["sku"]), (&"CONFIRMED".into(), &"TEA-SENCHA".into()));
    assert_eq!(mailbox["items"][0]["order_id"], order["order_id"]);
    assert_eq!(iron["available"], 4);
    let runs = send(stack.api, "GET /local/executions", None, None, None).await.expect("an answer");
    assert_eq!(
        runs.body["items"].as_array().map(Vec::len),
        Some(1),
        "the execution that the last line shows"
    );
}

/// Makes the calls of the lines without a shell. Each line is a `curl` with a URL, a method, headers and a body.
async fn read_out(script: &str, stack: &Orderflow) -> String {
    let mut token = String::new();
    let mut said = String::new();
    for line in script.replace("\\\n", "").lines() {
        let words = words(&line.replace("$TOKEN", &token));
        let after = |flag: &str| words.iter().skip_while(move |word| *word != flag).nth(1).cloned();
        let url =
            words.iter().find_map(|word| word.strip_prefix(&format!("http://{}", stack.api))).expect("a URL");
        let body = after("-d").map(|body| serde_json::from_str(&body).expect("JSON"));
        let method = after("-X").unwrap_or_else(|| if body.is_some() { "POST" } else { "GET" }.to_owned());
        let header = |name: &str| words.iter().find_map(|word| word.strip_prefix(name)).map(str::to_owned);
        let bearer = header("authorization: Bearer ");
        let key = header("idempotency-key: ");
        let reply =
            stack.call(&format!("{method} {url}"), bearer.as_deref(), key.as_deref(), body.as_ref()).await;
        let reply = reply.expect("an answer").body;
        match reply["id_token"].as_str() {
            Some(issued) => issued.clone_into(&mut token),
            None => said.extend([reply.to_string(), "\n".to_owned()]),
        }
    }
    said
}

/// The words of a command up to its first `|` or `;`, without their quotes.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for c in line.chars() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (None, '|' | ';') => break,
            (None, ' ' | '(') => words.push(std::mem::take(&mut word)),
            (_, c) => word.push(c),
        }
    }
    words.push(word);
    words
}

#[test]
fn a_flag_sets_a_parameter_of_the_template() {
    let parameter = "AllowedOrigins=http://localhost:5173";
    let stack = Orderflow::start(["--ephemeral", "--aws-port", "0", "--no-demo", "--parameter", parameter]);
    let mut connection = TcpStream::connect(stack.api).expect("a connection");
    let asked = "OPTIONS /orders HTTP/1.1\r\nhost: orderflow\r\nconnection: close\r\norigin: http://localhost:5173\r\n\
                 access-control-request-method: POST\r\n\r\n";
    connection.write_all(asked.as_bytes()).expect("it is sent");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    assert!(answer.contains("access-control-allow-origin: http://localhost:5173\r\n"), "{answer}");
}
