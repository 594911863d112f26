//! `JSONata` expressions, and the JSON values that hold them. Each expression is checked before anything runs: it must
//! parse, and it may read only names that exist where it stands. Nothing here evaluates an expression.
//!
//! AWS runs `JSONata` 2.0.6 without `$eval`. It evaluates without a context item, and refuses a definition that reads
//! one (<https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html>). The engine used here is newer,
//! so features that came after 2.0.6 are refused by name.

use std::{collections::BTreeSet, mem};

use jsonata_core::{
    ast::{AstNode, BinaryOp, PathStep, Stage},
    parser,
};
use serde_json::Value;

/// The functions of `JSONata` 2.0.6, without `$eval`, which AWS does not offer, and `$shuffle`, whose result no seed
/// could replay.
const FUNCTIONS: [&str; 63] = [
    "abs",
    "append",
    "assert",
    "average",
    "base64decode",
    "base64encode",
    "boolean",
    "ceil",
    "clone",
    "contains",
    "count",
    "decodeUrl",
    "decodeUrlComponent",
    "distinct",
    "each",
    "encodeUrl",
    "encodeUrlComponent",
    "error",
    "exists",
    "filter",
    "floor",
    "formatBase",
    "formatInteger",
    "formatNumber",
    "fromMillis",
    "join",
    "keys",
    "length",
    "lookup",
    "lowercase",
    "map",
    "match",
    "max",
    "merge",
    "millis",
    "min",
    "not",
    "now",
    "number",
    "pad",
    "parseInteger",
    "power",
    "random",
    "reduce",
    "replace",
    "reverse",
    "round",
    "sift",
    "single",
    "sort",
    "split",
    "spread",
    "sqrt",
    "string",
    "substring",
    "substringAfter",
    "substringBefore",
    "sum",
    "toMillis",
    "trim",
    "type",
    "uppercase",
    "zip",
];

/// Functions that Step Functions adds to `JSONata`. This interpreter does not support them.
const AWS_FUNCTIONS: [&str; 5] = ["hash", "parse", "partition", "range", "uuid"];

/// The fields that `$states` has for an expression, besides `input` and `context`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StatesFields {
    /// No other field.
    Input,
    /// `result`: the task's result.
    Result,
    /// `errorOutput`: the error that a catcher caught.
    ErrorOutput,
}

impl StatesFields {
    fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Input => &["input", "context"],
            Self::Result => &["input", "context", "result"],
            Self::ErrorOutput => &["input", "context", "errorOutput"],
        }
    }
}

/// The names and fields that an expression reads. It is handed nothing else.
#[derive(Debug, Default)]
pub(super) struct Reads {
    /// The names after `$`: variables, functions, and the names that it binds itself. Not `states`.
    pub(super) names: BTreeSet<String>,
    /// The fields of `$states`.
    pub(super) fields: BTreeSet<String>,
    /// It reads `$states` as a whole.
    pub(super) all_fields: bool,
}

impl Reads {
    #[allow(clippy::wildcard_enum_match_arm, reason = "every other node only holds children")]
    fn collect(&mut self, node: &AstNode) {
        match node {
            AstNode::Path { steps } => {
                if let Some(field) = states_field(steps) {
                    self.fields.insert(field.to_owned());
                    // The first child is `$states`, which must not count as a whole.
                    let mut first = true;
                    let rest = &mut |child: &AstNode, _| {
                        if !mem::take(&mut first) {
                            self.collect(child);
                        }
                    };
                    return for_each_child(node, rest, Context::None);
                }
            }
            AstNode::Variable(name) if name == "states" => self.all_fields = true,
            AstNode::Variable(name) | AstNode::Function { name, .. } => {
                self.names.insert(name.clone());
            }
            _ => {}
        }
        for_each_child(node, &mut |child, _| self.collect(child), Context::None);
    }
}

/// The field that a path reads first, if it begins with `$states` and a name.
fn states_field(steps: &[PathStep]) -> Option<&str> {
    if let [first, second, ..] = steps
        && matches!(&first.node, AstNode::Variable(name) if name == "states")
        && first.stages.is_empty()
        && let AstNode::Name(field) = &second.node
    {
        return Some(field);
    }
    None
}

/// A `JSONata` expression that parses and that AWS accepts.
#[derive(Debug)]
pub(super) struct Expression {
    source: String,
    ast: AstNode,
    reads: Reads,
}

impl Expression {
    /// Parses the text between `{%` and `%}`. `variables` are all names in the definition's `Assign` fields.
    pub(super) fn parse(
        source: &str,
        reads: StatesFields,
        variables: &BTreeSet<String>,
    ) -> Result<Self, Vec<String>> {
        let source = source.trim();
        let ast = parser::parse(source)
            .map_err(|error| vec![format!("the expression `{source}` does not parse: {error}")])?;
        let mut checker = Checker { reads, variables, locals: BTreeSet::new(), faults: Vec::new() };
        checker.collect_bindings(&ast);
        checker.visit(&ast, Context::None);
        if checker.faults.is_empty() {
            let mut reads = Reads::default();
            reads.collect(&ast);
            Ok(Self { source: source.to_owned(), ast, reads })
        } else {
            Err(checker
                .faults
                .into_iter()
                .map(|fault| format!("the expression `{source}` {fault}"))
                .collect())
        }
    }

    /// The expression's text, without the delimiters and the blanks inside them.
    pub(super) fn source(&self) -> &str {
        &self.source
    }

    pub(super) fn ast(&self) -> &AstNode {
        &self.ast
    }

    pub(super) fn reads(&self) -> &Reads {
        &self.reads
    }
}

/// A JSON value of the definition. Strings of the form `{% %}` are expressions.
#[derive(Debug)]
pub(super) enum JsonTemplate {
    Literal(Value),
    Expression(Expression),
    Array(Vec<JsonTemplate>),
    Object(Vec<(String, JsonTemplate)>),
}

/// Whether a string of the definition is plain text or an expression.
pub(super) enum StringKind<'a> {
    Literal,
    Expression(&'a str),
    /// It holds a delimiter but is not one whole expression. AWS would pass it on as text.
    Malformed,
}

impl<'a> StringKind<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        match text.strip_prefix("{%").and_then(|rest| rest.strip_suffix("%}")) {
            Some(source) => Self::Expression(source),
            None if text.contains("{%") || text.contains("%}") => Self::Malformed,
            None => Self::Literal,
        }
    }
}

/// Whether a node has a context item. At the top level it has none; inside a path or a predicate it has one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Context {
    None,
    Item,
}

struct Checker<'a> {
    reads: StatesFields,
    variables: &'a BTreeSet<String>,
    /// Every name that the expression binds, in any scope.
    locals: BTreeSet<String>,
    faults: Vec<String>,
}

impl Checker<'_> {
    fn fault(&mut self, fault: impl Into<String>) {
        let fault = fault.into();
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    /// Collects the names that the expression binds. `visit` then knows which names come from outside.
    #[allow(clippy::wildcard_enum_match_arm, reason = "every other node only holds children")]
    fn collect_bindings(&mut self, node: &AstNode) {
        match node {
            AstNode::Lambda { params, .. } => self.locals.extend(params.iter().cloned()),
            AstNode::Binary { op: BinaryOp::ColonEqual, lhs, .. } => {
                if let AstNode::Variable(name) = &**lhs {
                    self.locals.insert(name.clone());
                }
            }
            AstNode::Path { steps } => {
                let bound = steps.iter().flat_map(|step| {
                    let stages = step.stages.iter().filter_map(|stage| match stage {
                        Stage::Index(name) => Some(name),
                        Stage::Filter(_) | Stage::KeepArray => None,
                    });
                    step.focus.iter().chain(&step.index_var).chain(stages)
                });
                self.locals.extend(bound.cloned());
            }
            _ => {}
        }
        for_each_child(node, &mut |child, _| self.collect_bindings(child), Context::None);
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "every other node only holds children")]
    fn visit(&mut self, node: &AstNode, context: Context) {
        match node {
            AstNode::Name(name) if context == Context::None => self.fault(format!(
                "reads `{name}` at the top level, where there is no context: begin with $states or a variable"
            )),
            AstNode::Wildcard | AstNode::Descendant | AstNode::Parent(_) if context == Context::None => {
                self.fault("uses `*`, `**` or `%` at the top level, where there is no context");
            }
            AstNode::Variable(name) if name.is_empty() && context == Context::None => {
                self.fault("reads `$` at the top level, where there is no context");
            }
            AstNode::ParentVariable(_) => self.fault("reads `$$`, which Step Functions does not offer"),
            AstNode::Undefined => self.fault("has an empty block or `undefined`, which have no value"),
            AstNode::Binary { op: BinaryOp::Coalesce, .. } => {
                self.fault("uses `??`, which came after JSONata 2.0.6, the version AWS runs");
            }
            AstNode::Binary { op: BinaryOp::Default, .. } => {
                self.fault(
                    "uses `?:` without a middle, which came after JSONata 2.0.6, the version AWS runs",
                );
            }
            AstNode::Variable(name) => self.variable(name),
            AstNode::Function { name, is_builtin, .. } => self.function(name, *is_builtin),
            AstNode::Path { steps } => self.states_field(steps),
            _ => {}
        }
        for_each_child(node, &mut |child, context| self.visit(child, context), context);
    }

    fn variable(&mut self, name: &str) {
        let known = name.is_empty()
            || name == "states"
            || self.locals.contains(name)
            || self.variables.contains(name)
            || FUNCTIONS.contains(&name);
        if known {
            return;
        }
        match unsupported_function(name) {
            Some(fault) => self.fault(fault),
            None => self.fault(format!("reads ${name}, which no state assigns")),
        }
    }

    fn function(&mut self, name: &str, dollar: bool) {
        if !dollar {
            self.fault(format!("calls {name}() without its $"));
        } else if !self.locals.contains(name) && !FUNCTIONS.contains(&name) {
            let fault = unsupported_function(name)
                .unwrap_or_else(|| format!("calls ${name}(), which JSONata 2.0.6 lacks"));
            self.fault(fault);
        }
    }

    fn states_field(&mut self, steps: &[PathStep]) {
        if let Some(field) = states_field(steps)
            && !self.reads.fields().contains(&field)
        {
            let existing = self.reads.fields().join(", $states.");
            self.fault(format!("reads $states.{field}, which does not exist here; use $states.{existing}"));
        }
    }
}

/// Says why a function that exists in `JSONata` or on AWS cannot be used here.
fn unsupported_function(name: &str) -> Option<String> {
    if name == "eval" {
        Some("uses $eval, which Step Functions does not offer".to_owned())
    } else if name == "shuffle" {
        Some("uses $shuffle, which is not supported: no seed could replay its result".to_owned())
    } else if AWS_FUNCTIONS.contains(&name) {
        Some(format!("uses ${name}, which is not supported"))
    } else {
        None
    }
}

/// Calls `each` with every child of `node` and the child's context.
fn for_each_child(node: &AstNode, each: &mut dyn FnMut(&AstNode, Context), context: Context) {
    match node {
        AstNode::Path { steps } => {
            for (index, step) in steps.iter().enumerate() {
                each(&step.node, if index == 0 { context } else { Context::Item });
                for stage in &step.stages {
                    if let Stage::Filter(filter) = stage {
                        each(filter, Context::Item);
                    }
                }
            }
        }
        AstNode::Binary { lhs, rhs, .. } => {
            each(lhs, context);
            each(rhs, context);
        }
        AstNode::Unary { operand, .. } => each(operand, context),
        AstNode::Function { args, .. } => {
            for arg in args {
                each(arg, context);
            }
        }
        AstNode::Call { procedure, args } => {
            each(procedure, context);
            for arg in args {
                each(arg, context);
            }
        }
        // A lambda's body has the context of the place where the lambda is written.
        AstNode::Lambda { body, .. } => each(body, context),
        AstNode::Array(items) | AstNode::ArrayGroup(items) | AstNode::Block(items) => {
            for item in items {
                each(item, context);
            }
        }
        AstNode::Object(pairs) => pairs.iter().for_each(|(key, value)| {
            each(key, context);
            each(value, context);
        }),
        AstNode::ObjectTransform { input, pattern } => {
            each(input, context);
            for (key, value) in pattern {
                each(key, Context::Item);
                each(value, Context::Item);
            }
        }
        AstNode::Conditional { condition, then_branch, else_branch } => {
            each(condition, context);
            each(then_branch, context);
            if let Some(branch) = else_branch {
                each(branch, context);
            }
        }
        AstNode::FunctionApplication(inner) => each(inner, context),
        AstNode::Sort { input, terms } => {
            each(input, context);
            for (term, _) in terms {
                each(term, Context::Item);
            }
        }
        AstNode::Transform { location, update, delete } => {
            each(location, Context::Item);
            each(update, Context::Item);
            if let Some(delete) = delete {
                each(delete, Context::Item);
            }
        }
        AstNode::String(_)
        | AstNode::Name(_)
        | AstNode::Number(_)
        | AstNode::Boolean(_)
        | AstNode::Null
        | AstNode::Undefined
        | AstNode::Placeholder
        | AstNode::Regex { .. }
        | AstNode::Variable(_)
        | AstNode::ParentVariable(_)
        | AstNode::Wildcard
        | AstNode::Descendant
        | AstNode::Parent(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(source: &str, reads: StatesFields) -> String {
        let variables = BTreeSet::from(["order".to_owned()]);
        match Expression::parse(source, reads, &variables) {
            Ok(_) => String::new(),
            Err(faults) => faults.join("\n"),
        }
    }

    #[test]
    fn expressions_that_aws_takes_are_taken() {
        for source in [
            "$states.input.lines.sku",
            " $states.input ",
            "$states.context.Execution.Name",
            "$order.total > 5 and $exists($states.input.reference)",
            "$sum($states.input.lines.(quantity * unit_price.amount))",
            "$states.input.lines[quantity > 1 and $.sku = 'A'].{'S': sku}",
            "$states.input.lines{sku: quantity}",
            "$states.input.lines^(>quantity, sku).sku",
            "$map($states.input.lines, function($line, $index) { $line.sku & $string($index) })",
            "($total := 5; $double := function($n) { $n * 2 }; $double($total))",
            "$states.input.lines@$l#$i[$l.sku = 'A'].{'at': $i}",
            "$states.input ~> |lines|{'sku': $uppercase(sku)}, 'note'|",
            "$states.input.lines.sku ~> $join(',')",
            "$states.input.shortages ? 'short' : 'enough'",
            "$merge([$states.input, {'undefined': null}])",
            "$states.input.lines.sku.%.quantity",
            "$states.input.*",
            "$match($states.input.sku, /TEA-[0-9]+/)",
        ] {
            assert_eq!(faults(source, StatesFields::Input), "", "{source}");
        }
        assert_eq!(faults("$states.result.Payload", StatesFields::Result), "");
        assert_eq!(faults("$states.errorOutput.Cause", StatesFields::ErrorOutput), "");
    }

    #[test]
    fn expressions_that_aws_refuses_are_refused_by_name() {
        for (source, reads, part) in [
            ("$states.input.", StatesFields::Input, "does not parse"),
            ("", StatesFields::Input, "does not parse"),
            ("order_id", StatesFields::Input, "reads `order_id` at the top level"),
            ("$states.input.a = b", StatesFields::Input, "reads `b` at the top level"),
            (
                "$map($states.input.lines, function($l) { sku })",
                StatesFields::Input,
                "reads `sku` at the top level",
            ),
            ("undefined", StatesFields::Input, "`undefined`"),
            ("()", StatesFields::Input, "empty block"),
            ("$", StatesFields::Input, "reads `$` at the top level"),
            ("$.order_id", StatesFields::Input, "reads `$` at the top level"),
            ("$$", StatesFields::Input, "reads `$$`"),
            ("$states.input.lines[$$.x]", StatesFields::Input, "reads `$$`"),
            ("**.sku", StatesFields::Input, "uses `*`, `**` or `%` at the top level"),
            ("$states.input.a ?? 1", StatesFields::Input, "uses `??`"),
            ("$states.input.lines.(a ?: 1)", StatesFields::Input, "uses `?:`"),
            ("$eval('1')", StatesFields::Input, "uses $eval"),
            ("['1'] ~> $map($eval)", StatesFields::Input, "uses $eval"),
            ("$uuid()", StatesFields::Input, "uses $uuid, which is not supported"),
            ("$shuffle([1,2])", StatesFields::Input, "uses $shuffle"),
            ("$frobnicate(1)", StatesFields::Input, "calls $frobnicate(), which JSONata 2.0.6 lacks"),
            ("string(1)", StatesFields::Input, "calls string() without its $"),
            ("$unassigned", StatesFields::Input, "reads $unassigned, which no state assigns"),
            ("$states.result", StatesFields::Input, "reads $states.result, which does not exist here"),
            (
                "$states.errorOutput",
                StatesFields::Result,
                "reads $states.errorOutput, which does not exist here",
            ),
            (
                "$states.result.x",
                StatesFields::ErrorOutput,
                "reads $states.result, which does not exist here",
            ),
            ("$states.inputs", StatesFields::Input, "use $states.input, $states.context"),
        ] {
            let faults = faults(source, reads);
            assert!(faults.contains(part), "{source}: {faults:?} lacks {part:?}");
        }
    }

    #[test]
    fn what_an_expression_reads_is_known() {
        let variables = BTreeSet::from(["order".to_owned(), "other".to_owned()]);
        for (source, names, fields, all_fields) in [
            ("$states.input.lines", vec![], vec!["input"], false),
            ("$states.input.lines[$.sku = $order.sku]", vec!["", "order"], vec!["input"], false),
            ("$states.input[$states.result.at].$order", vec!["order"], vec!["input", "result"], false),
            ("$merge([$states, $order])", vec!["merge", "order"], vec![], true),
            ("$states[0].input", vec![], vec![], true),
            ("($at := $states.context.State.Name; $at & $now())", vec!["at", "now"], vec!["context"], false),
            ("$map([1], function($n) { $n + $other })", vec!["map", "n", "other"], vec![], false),
            ("$order", vec!["order"], vec![], false),
            ("$order.{'s': $states.input}", vec!["order"], vec!["input"], false),
        ] {
            let parsed = Expression::parse(source, StatesFields::Result, &variables).expect("it parses");
            let reads = parsed.reads();
            assert_eq!(reads.names.iter().collect::<Vec<_>>(), names, "{source}");
            assert_eq!(reads.fields.iter().collect::<Vec<_>>(), fields, "{source}");
            assert_eq!(reads.all_fields, all_fields, "{source}");
        }
    }

    #[test]
    fn each_fault_of_an_expression_is_reported_once() {
        let faults = faults("a & b & a & $eval('1')", StatesFields::Input);
        assert_eq!(faults.lines().count(), 3, "{faults}");
    }
}
