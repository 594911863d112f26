//! Parallel states: a branch is a machine of its own.

use super::*;

/// A machine whose Parallel has a branch of two states and a branch of one.
fn machine() -> Value {
    json!({
        "QueryLanguage": "JSONata", "StartAt": "Set", "Comment": "${CheckFunction}",
        "States": {
            "Set": {"Type": "Pass", "Assign": {"outer": 1}, "Next": "Both"},
            "Both": {
                "Type": "Parallel", "Comment": "at once", "Arguments": {"a": "{% $states.input %}"},
                "Retry": [{"ErrorEquals": ["Boom"]}],
                "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "After"}],
                "Assign": {"outer": "{% $states.result[0] %}"}, "Output": "{% $states.result %}",
                "Branches": [
                    {"StartAt": "One", "States": {
                        "Two": {"Type": "Pass", "Output": "{% $inner %}", "End": true},
                        "One": {"Type": "Pass", "Assign": {"inner": "{% $outer %}"}, "Next": "Two"}
                    }},
                    {"StartAt": "Other", "States": {"Other": {"Type": "Succeed", "Output": "{% $outer %}"}}}
                ],
                "Next": "After"
            },
            "After": {"Type": "Succeed", "Output": "{% $outer %}"}
        }
    })
}

fn faults_with(place: &str, value: Value) -> Vec<String> {
    let mut definition = machine();
    let (parent, key) = place.rsplit_once('/').unwrap();
    let parent = definition.pointer_mut(parent).unwrap_or_else(|| panic!("{parent}"));
    match parent.as_array_mut() {
        Some(items) => items[key.parse::<usize>().unwrap()] = value,
        None => {
            parent.as_object_mut().unwrap().insert(key.to_owned(), value);
        }
    }
    faults(&definition)
}

#[test]
fn the_states_of_branches_follow_their_parallel() {
    let definition = Definition::parse(&machine().to_string(), &substitutions(), &RESOURCES).unwrap();
    let names: Vec<&str> = definition.states().iter().map(State::name).collect();
    assert_eq!(names, ["Set", "Both", "Two", "One", "Other", "After"]);
    let both = definition.state("Both").unwrap();
    assert_eq!(both.state_type(), StateType::Parallel);
    assert_eq!(both.branches().collect::<Vec<_>>(), ["One", "Other"]);
    assert_eq!((both.retriers().len(), both.catchers().len()), (1, 1));
    assert_eq!(both.arguments().unwrap(), &json!({"a": "{% $states.input %}"}));
    assert_eq!((both.resource(), both.timeout()), (None, None));
    assert_eq!(definition.state("One").unwrap().branches().count(), 0);
    assert_eq!(definition.start_at(), "Set");
}

#[test]
fn faults_of_a_parallel_are_refused() {
    let branches = "/States/Both/Branches";
    let first = "/States/Both/Branches/0";
    let one = "/States/Both/Branches/0/States/One";
    for (place, value, expected) in [
        (branches, json!([]), r#"state "Both": Branches must be an array that holds at least one branch"#),
        (branches, json!({}), r#"state "Both": Branches must be an array"#),
        (first, json!(1), r#"state "Both": Branches[0]: must be an object"#),
        ("/States/Both/TimeoutSeconds", json!(3), r#"state "Both": TimeoutSeconds is not supported here"#),
        ("/States/Both/Parameters", json!({}), r#"state "Both": Parameters belongs to JSONPath"#),
        ("/States/Both/Arguments", json!([1]), r#"state "Both": Arguments must be an object"#),
        ("/States/Both/End", json!(true), r#"state "Both": must have either Next or End true"#),
        (
            "/States/Both/Next",
            json!("One"),
            r#"state "Both": Next names "One", which is not a state in the same States"#,
        ),
        (
            "/States/Set/Next",
            json!("Other"),
            r#"state "Set": Next names "Other", which is not a state in the same"#,
        ),
        (&format!("{first}/Comment"), json!("x"), r#"state "Both": Branches[0]: Comment is not supported"#),
        (&format!("{first}/Retry"), json!([]), r#"state "Both": Branches[0]: Retry is not supported"#),
        (
            &format!("{first}/StartAt"),
            json!("Other"),
            r#"state "Both": Branches[0]: StartAt names "Other", which is not"#,
        ),
        (
            &format!("{first}/StartAt"),
            json!(1),
            r#"state "Both": Branches[0]: StartAt must name the first state"#,
        ),
        (
            &format!("{first}/StartAt"),
            json!("${Start}"),
            "Branches[0]: StartAt: the placeholder ${Start} has no value",
        ),
        (&format!("{first}/States"), json!({}), r#"state "Both": Branches[0]: States must be an object"#),
        (
            &format!("{first}/States/Loose"),
            json!({"Type": "Succeed"}),
            r#"state "Loose": is not reachable from StartAt"#,
        ),
        (&format!("{first}/States/Two/End"), json!(false), "Branches[0]: no state is terminal"),
        (
            &format!("{one}/Next"),
            json!("After"),
            r#"state "One": Next names "After", which is not a state in the same"#,
        ),
        (
            &format!("{one}/Next"),
            json!("Other"),
            r#"state "One": Next names "Other", which is not a state in the same"#,
        ),
        (&format!("{one}/Type"), json!("Map"), r#"state "One": Type "Map" is not supported"#),
        (
            &format!("{one}/Output"),
            json!("${Name}"),
            r#"state "One": Output: the placeholder ${Name} has no value"#,
        ),
        (
            &format!("{one}/Assign/outer"),
            json!(2),
            "Branches[0]: Assign/outer: a state outside the branch assigns",
        ),
        (
            "/States/After/Output",
            json!("{% $inner %}"),
            r#"state "After": Output: the expression `$inner` reads $inner"#,
        ),
        (
            "/States/Both/Branches/1/States/Other/Output",
            json!("{% $inner %}"),
            r#"state "Other": Output: the expression `$inner` reads $inner"#,
        ),
        (
            "/States/Both/Output",
            json!("{% $states.errorOutput %}"),
            r#"state "Both": Output: the expression"#,
        ),
    ] {
        let found = faults_with(place, value.clone());
        assert!(found.iter().any(|fault| fault.contains(expected)), "{place} = {value}: {found:#?}");
    }
    assert_eq!(faults(&machine()), Vec::<String>::new());
}

#[test]
fn a_name_is_used_once_in_the_whole_machine() {
    for (place, name) in [
        ("/States/Both/Branches/1/States", "One"),
        ("/States/Both/Branches/1/States", "After"),
        ("/States/Both/Branches/1/States", "Both"),
    ] {
        let mut definition = machine();
        let states = definition.pointer_mut(place).unwrap();
        *states = json!({name: {"Type": "Succeed"}});
        definition["States"]["Both"]["Branches"][1]["StartAt"] = json!(name);
        let found = faults(&definition);
        assert!(
            found.iter().any(|fault| fault.contains("another branch has a state of this name")),
            "{name}: {found:#?}"
        );
    }
}
