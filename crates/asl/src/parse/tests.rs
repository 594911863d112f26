mod parallel;

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use crate::{Definition, Jitter, State, StateType};

const RESOURCES: [&str; 1] = ["arn:aws:states:::checker:check"];

/// A definition that uses every supported field.
fn every_field() -> Value {
    json!({
        "Comment": "all of it", "QueryLanguage": "JSONata", "StartAt": "Check", "TimeoutSeconds": 20,
        "Version": "1.0",
        "States": {
            "Check": {
                "Type": "Task", "Comment": "prices", "QueryLanguage": "JSONata",
                "Resource": "arn:aws:states:::checker:check",
                "Arguments": {
                    "FunctionName": "${CheckFunction}",
                    "Payload": {"lines": "{% $states.input.lines %}", "of": ["{% $states.context.Execution.Name %}"]}
                },
                "TimeoutSeconds": 5,
                "Retry": [
                    {"Comment": "soon", "ErrorEquals": ["Lambda.ServiceException", "States.Timeout"],
                     "IntervalSeconds": 2, "MaxAttempts": 0, "BackoffRate": 1.5, "MaxDelaySeconds": 3,
                     "JitterStrategy": "FULL"},
                    {"ErrorEquals": ["States.ALL"]}
                ],
                "Catch": [
                    {"Comment": "x", "ErrorEquals": ["ValidationFailed"], "Next": "Broken",
                     "Assign": {"why": "{% $states.errorOutput.Cause %}"}, "Output": "{% $states.errorOutput %}"},
                    {"ErrorEquals": ["States.ALL"], "Next": "Broken"}
                ],
                "Assign": {"order_2": "{% $states.result.Payload %}", "fixed": 1},
                "Output": {"total": "{% $states.result.Payload.total %}"},
                "Next": "Enough"
            },
            "Enough": {
                "Type": "Choice",
                "Choices": [
                    {"Comment": "yes", "Condition": "{% $order_2.enough %}", "Next": "Pause",
                     "Assign": {"chosen": true}, "Output": "{% $states.input %}"}
                ],
                "Assign": {"chosen": false}, "Output": null, "Default": "Done"
            },
            "Pause": {"Type": "Wait", "Seconds": "{% $fixed %}", "Assign": {"w": 1}, "Output": 1, "Next": "Shape"},
            "Shape": {"Type": "Pass", "Assign": {"p": "{% $why %}"}, "Output": {"a": [1, "text"]}, "End": true},
            "Done": {"Type": "Succeed", "Output": "{% $chosen %}"},
            "Broken": {"Type": "Fail", "Error": "Broken", "Cause": "{% $string($states.input) %}"}
        }
    })
}

fn substitutions() -> BTreeMap<String, String> {
    BTreeMap::from([("CheckFunction".to_owned(), "arn:aws:lambda:local:1:function:Check".to_owned())])
}

fn faults(definition: &Value) -> Vec<String> {
    match Definition::parse(&definition.to_string(), &substitutions(), &RESOURCES) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.0,
    }
}

#[test]
fn every_supported_field_is_read() {
    let definition = Definition::parse(&every_field().to_string(), &substitutions(), &RESOURCES).unwrap();
    assert_eq!(definition.timeout(), Some(Duration::from_secs(20)));
    assert_eq!(definition.start_at(), "Check");
    let kinds: BTreeMap<&str, StateType> =
        definition.states().iter().map(|state| (state.name(), state.state_type())).collect();
    assert_eq!(
        kinds,
        BTreeMap::from([
            ("Broken", StateType::Fail),
            ("Check", StateType::Task),
            ("Done", StateType::Succeed),
            ("Enough", StateType::Choice),
            ("Pause", StateType::Wait),
            ("Shape", StateType::Pass),
        ])
    );
    let check = definition.state("Check").unwrap();
    assert_eq!(check.resource(), Some("arn:aws:states:::checker:check"));
    assert_eq!(check.timeout(), Some(Duration::from_secs(5)));
    assert_eq!(
        check.arguments().unwrap().pointer("/FunctionName").unwrap(),
        "arn:aws:lambda:local:1:function:Check"
    );
    let [first, second] = check.retriers() else { panic!("two retriers") };
    assert_eq!(first.errors, ["Lambda.ServiceException", "States.Timeout"]);
    assert_eq!((first.interval, first.max_attempts, first.backoff_rate), (Duration::from_secs(2), 0, 1.5));
    assert_eq!((first.max_delay, first.jitter), (Some(Duration::from_secs(3)), Jitter::Full));
    assert_eq!((second.interval, second.max_attempts, second.backoff_rate), (Duration::from_secs(1), 3, 2.0));
    assert_eq!((second.max_delay, second.jitter), (None, Jitter::None));
    let [first, second] = check.catchers() else { panic!("two catchers") };
    assert_eq!(
        (first.errors.as_slice(), first.next.as_str()),
        (["ValidationFailed".to_owned()].as_slice(), "Broken")
    );
    assert_eq!(second.errors, ["States.ALL"]);
    assert_eq!(definition.state("Enough").and_then(State::resource), None);
}

#[test]
fn a_definition_may_be_shared_between_threads() {
    fn crosses<T: Send + Sync>() {}
    crosses::<Definition>();
}

/// Checks that each line's fault is reported. A line holds a place in a valid definition, the JSON to set there (or
/// nothing, to remove the field), and a part of the expected fault.
fn check(table: &str) {
    assert_eq!(faults(&every_field()), Vec::<String>::new());
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let [place, value, expected] = line.splitn(3, " | ").collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let mut definition = every_field();
        let (parent, key) = place.trim().rsplit_once('/').unwrap();
        let parent = definition.pointer_mut(parent).unwrap_or_else(|| panic!("{parent}"));
        if let Some(item) = parent.as_array_mut().map(|items| &mut items[key.parse::<usize>().unwrap()]) {
            *item = serde_json::from_str(value).unwrap();
        } else if value.trim().is_empty() {
            parent.as_object_mut().unwrap().remove(key).unwrap();
        } else {
            parent.as_object_mut().unwrap().insert(key.to_owned(), serde_json::from_str(value).unwrap());
        }
        let faults = faults(&definition);
        assert!(faults.iter().any(|fault| fault.contains(expected.trim())), "{line}: {faults:#?}");
    }
}

#[test]
fn faults_of_the_machine_are_refused() {
    check(
        r#"
        /QueryLanguage          |                      | the definition: QueryLanguage must be "JSONata"
        /QueryLanguage          | "JSONPath"           | the definition: QueryLanguage must be "JSONata"
        /StartAt                | "Nowhere"            | the definition: StartAt names "Nowhere", which is not a state
        /StartAt                |                      | the definition: StartAt must name the first state
        /TimeoutSeconds         | 0                    | the definition: TimeoutSeconds must be a whole number of 1
        /TimeoutSeconds         | "{% 1 %}"            | the definition: TimeoutSeconds must be a whole number of 1
        /Version                | "2.0"                | the definition: Version must be "1.0"
        /Processor              | {}                   | the definition: Processor is not supported
        /Comment                | "${Other}"           | the definition: Comment: the placeholder ${Other} has no value
        /States/Loose           | {"Type": "Succeed"}  | state "Loose": is not reachable from StartAt
        /States/Check/Next      | "Gone"               | state "Check": Next names "Gone", which is not a state
        /States/Enough/Default  | "Gone"               | state "Enough": Default names "Gone", which is not a state
        /States/Enough/Choices/0/Next | "Gone"         | state "Enough": Choices[0]/Next names "Gone"
        /States/Check/Catch/1/Next    | "Gone"         | state "Check": Catch[1]/Next names "Gone"
        "#,
    );
}

#[test]
fn faults_of_a_states_fields_are_refused() {
    check(
        r#"
        /States/Shape/Type              | "Map"      | state "Shape": Type "Map" is not supported (supported: Task, Choice, Pass, Succeed, Fail, Wait, Parallel)
        /States/Shape/Type              | "parallel" | state "Shape": Type "parallel" is not supported (supported: Task,
        /States/Shape/Type              |            | state "Shape": Type must be one of Task, Choice
        /States/Shape/QueryLanguage     | "JSONPath" | state "Shape": QueryLanguage must be "JSONata"
        /States/Shape/Retry             | []         | state "Shape": Retry is not supported here (supported: Type,
        /States/Shape/End               |            | state "Shape": must have either Next or End true
        /States/Shape/End               | false      | state "Shape": must have either Next or End true
        /States/Shape/Next              | "Done"     | state "Shape": must have either Next or End true
        /States/Pause/Next              | 1          | state "Pause": Next must name a state
        /States/Check/HeartbeatSeconds  | 1          | state "Check": HeartbeatSeconds is not supported
        /States/Check/Credentials       | {}         | state "Check": Credentials is not supported
        /States/Check/InputPath         | "$"        | state "Check": InputPath belongs to JSONPath; use Arguments or Output with JSONata
        /States/Check/Parameters        | {}         | state "Check": Parameters belongs to JSONPath
        /States/Check/ResultPath        | "$"        | state "Check": ResultPath belongs to JSONPath
        /States/Check/ResultSelector    | {}         | state "Check": ResultSelector belongs to JSONPath
        /States/Check/OutputPath        | "$"        | state "Check": OutputPath belongs to JSONPath
        /States/Shape/Result            | 1          | state "Shape": Result belongs to JSONPath
        /States/Shape/Output/a.$        | "$.a"      | state "Shape": Output/a.$: a key that ends in .$ belongs to JSONPath
        /States/Shape/Assign            | 1          | state "Shape": Assign must be an object
        /States/Shape/Assign/states     | 1          | state "Shape": Assign/states: a variable's name
        /States/Shape/Assign/9          | 1          | state "Shape": Assign/9: a variable's name
        /States/Pause/Seconds           | -1         | state "Pause": Seconds must be a whole number of 0
        /States/Pause/Seconds           | "5"        | state "Pause": Seconds must be a whole number of 0
        /States/Pause/Timestamp         | "2026"     | state "Pause": Timestamp is not supported
        /States/Broken/Error            | 5          | state "Broken": Error must be a string
        /States/Enough/Next             | "Done"     | state "Enough": Next is not supported
        /States/Enough/Choices/0        | 1          | state "Enough": Choices[0] must be an object
        /States/Enough/Choices/0/Condition    | true | state "Enough": Choices[0]/Condition must be a {% %} expression
        /States/Enough/Choices/0/Condition    | "$x" | state "Enough": Choices[0]/Condition must be a {% %} expression
        /States/Enough/Choices/0/Variable     | "$"  | state "Enough": Choices[0]/Variable belongs to JSONPath
        /States/Enough/Choices/0/StringEquals | "x"  | state "Enough": Choices[0]/StringEquals is not supported
        "#,
    );
}

#[test]
fn faults_of_a_task_are_refused() {
    check(
        r#"
        /States/Check/Resource                 | "arn:x"    | state "Check": Resource "arn:x" is not supported (supported: arn:aws:states:::checker:check)
        /States/Check/Resource                 |            | state "Check": Resource "" is not supported
        /States/Check/Arguments                | [1]        | state "Check": Arguments must be an object
        /States/Check/Arguments/FunctionName   | "x"        | the substitution CheckFunction is never used
        /States/Check/TimeoutSeconds           | "{% 5 %}"  | state "Check": TimeoutSeconds must be a whole number of 1
        /States/Check/TimeoutSeconds           | 1.5        | state "Check": TimeoutSeconds must be a whole number of 1
        /States/Check/Retry                    | {}         | state "Check": Retry must be an array
        /States/Check/Retry/0                  | 1          | state "Check": Retry[0] must be an object
        /States/Check/Retry/0/IntervalSeconds  | 0          | state "Check": Retry[0]/IntervalSeconds must be a whole number of 1
        /States/Check/Retry/0/IntervalSeconds  | 0.5        | state "Check": Retry[0]/IntervalSeconds must be a whole number of 1
        /States/Check/Retry/0/MaxAttempts      | -1         | state "Check": Retry[0]/MaxAttempts must be a whole number of 0
        /States/Check/Retry/0/BackoffRate      | 0.9        | state "Check": Retry[0]/BackoffRate must be a number of at least 1.0
        /States/Check/Retry/0/MaxDelaySeconds  | 0          | state "Check": Retry[0]/MaxDelaySeconds must be a whole number of 1
        /States/Check/Retry/0/MaxDelaySeconds  | 31622401   | state "Check": Retry[0]/MaxDelaySeconds must be at most
        /States/Check/Retry/0/JitterStrategy   | "HALF"     | state "Check": Retry[0]/JitterStrategy must be "FULL" or "NONE"
        /States/Check/Retry/0/Backoff          | 2          | state "Check": Retry[0]/Backoff is not supported
        /States/Check/Retry/0/ErrorEquals      |            | state "Check": Retry[0]/ErrorEquals must be an array
        /States/Check/Retry/0/ErrorEquals      | []         | state "Check": Retry[0]/ErrorEquals must be an array
        /States/Check/Retry/0/ErrorEquals      | "A"        | state "Check": Retry[0]/ErrorEquals must be an array
        /States/Check/Retry/0/ErrorEquals      | [1]        | state "Check": Retry[0]/ErrorEquals must be an array
        /States/Check/Retry/0/ErrorEquals      | ["States.Unknown"]  | state "Check": Retry[0]/ErrorEquals names "States.Unknown"
        /States/Check/Retry/0/ErrorEquals      | ["States.ALL"]      | state "Check": Retry[0]/ErrorEquals: States.ALL must stand alone, and in the last
        /States/Check/Catch/1/ErrorEquals      | ["States.ALL", "A"] | state "Check": Catch[1]/ErrorEquals: States.ALL must stand alone
        /States/Check/Catch/0/ResultPath       | "$"        | state "Check": Catch[0]/ResultPath belongs to JSONPath
        /States/Check/Catch/1/Next             |            | state "Check": Catch[1]/Next must name a state
        "#,
    );
}

#[test]
fn faults_of_an_expression_are_refused_where_it_stands() {
    check(
        r#"
        /States/Shape/Output/a/1         | "{% 1 + %}"                   | state "Shape": Output/a[1]: the expression `1 +` does not parse
        /States/Shape/Output/a/1         | " {% 1 %}"                    | state "Shape": Output/a[1]: an expression must begin with
        /States/Shape/Assign/p           | "{% $eval('1') %}"            | state "Shape": Assign/p: the expression `$eval('1')` uses $eval
        /States/Shape/Output             | "{% $states.input.a ?? 1 %}"  | state "Shape": Output: the expression `$states.input.a ?? 1` uses `??`
        /States/Shape/Output             | "{% $states.input.a ?: 1 %}"  | state "Shape": Output: the expression `$states.input.a ?: 1` uses `?:`
        /States/Shape/Output             | "{% a %}"                     | state "Shape": Output: the expression `a` reads `a` at the top level
        /States/Shape/Output             | "{% $states.result %}"        | state "Shape": Output: the expression `$states.result` reads $states.result, which
        /States/Check/Arguments/Payload/of/0 | "{% $states.result %}"    | state "Check": Arguments/Payload/of[0]: the expression
        /States/Check/Catch/0/Output     | "{% $states.result %}"        | state "Check": Catch[0]/Output: the expression
        /States/Check/Catch/0/Assign/why | "{% $states.result %}"        | state "Check": Catch[0]/Assign/why: the expression
        /States/Check/Output             | "{% $states.errorOutput %}"   | state "Check": Output: the expression
        /States/Enough/Choices/0/Condition | "{% b %}"                   | state "Enough": Choices[0]/Condition: the expression `b` reads `b`
        /States/Done/Output              | "{% $nobody %}"               | state "Done": Output: the expression `$nobody` reads $nobody, which no state assigns
        /States/Shape/Output             | "${Other}"                    | state "Shape": Output: the placeholder ${Other} has no value
        "#,
    );
}

#[test]
fn a_choice_without_rules_or_with_an_effect_for_no_default_is_refused() {
    let choice = |choice: Value| {
        faults(&json!({
            "QueryLanguage": "JSONata", "StartAt": "A", "Comment": "${CheckFunction}",
            "States": {"A": choice, "B": {"Type": "Succeed"}}
        }))
        .join("\n")
    };
    assert!(
        choice(json!({"Type": "Choice", "Choices": [], "Default": "B"})).contains("Choices must be an array")
    );
    let rules = json!([{"Condition": "{% true %}", "Next": "B"}]);
    assert_eq!(choice(json!({"Type": "Choice", "Choices": rules})), "");
    let fault = choice(json!({"Type": "Choice", "Choices": rules, "Output": 1}));
    assert!(fault.contains("but it has no Default"), "{fault}");
}

#[test]
fn a_loop_without_an_end_is_refused() {
    let circle = json!({
        "QueryLanguage": "JSONata", "StartAt": "A", "Comment": "${CheckFunction}",
        "States": {"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Pass", "Next": "A"}}
    });
    let none = "the definition: no state is terminal: none has End true, and none is a Succeed or a Fail";
    assert_eq!(faults(&circle), [none]);
}

#[test]
fn every_fault_is_reported_at_once_on_a_line_of_its_own() {
    let mut definition = every_field();
    definition["States"]["Shape"]["Type"] = json!("Map");
    definition["States"]["Check"]["TimeoutSeconds"] = json!(0);
    definition["States"]["Done"]["Output"] = json!("{% b & a %}");
    let faults = Definition::parse(&definition.to_string(), &BTreeMap::new(), &RESOURCES).unwrap_err();
    let text = faults.to_string();
    for part in [
        "state \"Shape\"",
        "state \"Check\": TimeoutSeconds",
        "`b` at the top",
        "`a` at the top",
        "${CheckFunction}",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert_eq!(text.lines().count(), faults.0.len());
    assert_eq!(faults.0.len(), 5, "{text}");
}

#[test]
fn a_text_that_is_not_a_definition_is_refused_with_its_missing_placeholders() {
    for (text, part) in [
        ("", "the definition is not JSON"),
        ("[]", "the definition is not a JSON object"),
        ("{}", "States must be an object"),
        (r#"{"TimeoutSeconds": ${Limit}}"#, "the placeholder ${Limit} has no value"),
    ] {
        let faults = Definition::parse(text, &BTreeMap::new(), &RESOURCES).unwrap_err().to_string();
        assert!(faults.contains(part), "{text}: {faults}");
    }
}

#[test]
fn a_substitution_may_stand_for_any_part_of_the_text() {
    let text = r#"{"QueryLanguage": "JSONata", "StartAt": "A", "TimeoutSeconds": ${Limit},
                   "States": {"A": {"Type": "Pass", "Output": "${Name}-${Name}", "End": true}}}"#;
    let values = [("Limit", "7"), ("Name", "x")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let definition = Definition::parse(text, &BTreeMap::from(values), &RESOURCES).unwrap();
    assert_eq!(definition.timeout(), Some(Duration::from_secs(7)));
}
