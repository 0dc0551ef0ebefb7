//! Each kind of state, read.

use super::{
    Batcher, Body, Catcher, Choice, Comparison, Fail, InputType, Integration, Jitter, Language, Machine, MachineType,
    Map, Operand, Operator, Parallel, Pass, Quantity, Reader, Recovery, Resource, ResultFlow, Retrier, Rule, State,
    Task, Test, Transformation, Wait, Wording, Writer, known, parse, reader::Fields,
};
use crate::workflow::query::{Template, jsonata::Expression};
use serde_json::Value;
use std::sync::Arc;

/// How deep conditions may lie within each other.
const MAX_DEPTH: usize = 32;

/// Returns a state; `fields.language` is that of the whole definition.
pub(super) fn state(name: &str, fields: &Fields<'_>, machine_type: MachineType) -> Option<State> {
    fields.required(&["Type"]);
    let kind = fields.text("Type")?;
    let whole = fields.clone();
    let mut fields = fields.clone();
    match fields.text("QueryLanguage") {
        Some("JSONata") => fields.language = Language::Jsonata,
        Some("JSONPath") if whole.language == Language::Jsonata => whole
            .findings
            .schema("'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine", &whole.at),
        Some("JSONPath") | None => {}
        Some(_) => fields.wrong("QueryLanguage", "Value is not one of [JSONPath, JSONata]"),
    }
    let body = match kind {
        "Task" => Body::Task(Box::new(task(&fields, machine_type)?)),
        "Choice" => Body::Choice(choice(&fields)?),
        "Parallel" => Body::Parallel(Box::new(parallel(&fields, whole.language, machine_type)?)),
        "Map" => Body::Map(Box::new(map(&fields, whole.language, machine_type)?)),
        "Wait" => Body::Wait(wait(&fields)?),
        "Pass" => Body::Pass(pass(&fields)),
        "Succeed" => Body::Succeed,
        "Fail" => Body::Fail(fail(&fields)),
        _ => {
            let kinds = "[Choice, Fail, Map, Parallel, Pass, Succeed, Task, Wait]";
            fields.wrong("Type", format!("Value is not one of {kinds}"));
            return None;
        }
    };
    known::check(&fields, kind);
    check_language(&fields);
    let next = next(&fields, &body);
    let paths = fields.language == Language::JsonPath;
    Some(State {
        name: name.into(),
        language: fields.language,
        input_path: if paths { fields.path_or_null("InputPath") } else { None },
        output_path: if paths { fields.path_or_null("OutputPath") } else { None },
        output: if paths { None } else { fields.template("Output") },
        assign: fields.assign(),
        next,
        body,
    })
}

/// Returns the next state. States that lead on say either `Next` or `End`.
fn next(fields: &Fields<'_>, body: &Body) -> Option<Arc<str>> {
    let next = fields.text("Next");
    let end = fields.flag("End");
    match body {
        Body::Choice(_) | Body::Succeed | Body::Fail(_) => None,
        _ => {
            match (next, end) {
                (None, None | Some(false)) => {
                    fields.findings.schema("These fields are required: [Next, End]", &fields.at)
                }
                (Some(_), Some(true)) => fields.findings.schema("'Next' and 'End' exclude each other", &fields.at),
                _ => {}
            }
            next.map(Into::into)
        }
    }
}

/// Notes fields that belong to the other query language.
fn check_language(fields: &Fields<'_>) {
    const PATHS: [&str; 9] = [
        "InputPath",
        "OutputPath",
        "ResultPath",
        "Parameters",
        "ResultSelector",
        "ItemsPath",
        "TimeoutSecondsPath",
        "HeartbeatSecondsPath",
        "MaxConcurrencyPath",
    ];
    let (foreign, language): (&[&str], _) = match fields.language {
        Language::Jsonata => (&PATHS, "JSONata"),
        Language::JsonPath => (&["Arguments", "Output", "Items"], "JSONPath"),
    };
    for name in foreign {
        if fields.get(name).is_some() {
            fields.wrong(name, format!("The QueryLanguage '{language}' does not support the field '{name}'"));
        }
    }
}

fn arguments(fields: &Fields<'_>) -> Option<Template> {
    match fields.language {
        Language::JsonPath => fields.template("Parameters"),
        Language::Jsonata => fields.template("Arguments"),
    }
}

fn result(fields: &Fields<'_>) -> ResultFlow {
    match fields.language {
        Language::JsonPath => ResultFlow { selector: fields.template("ResultSelector"), path: fields.result_path() },
        Language::Jsonata => ResultFlow::default(),
    }
}

fn recovery(fields: &Fields<'_>) -> Recovery {
    let retriers = fields.objects("Retry").into_iter().map(|retrier| Retrier {
        errors: retrier.errors(),
        interval_seconds: retrier.number("IntervalSeconds").unwrap_or(1.0),
        max_attempts: retrier.number("MaxAttempts").and_then(parse::whole).unwrap_or(3),
        backoff_rate: retrier.number("BackoffRate").unwrap_or(2.0),
        max_delay_seconds: retrier.number("MaxDelaySeconds"),
        jitter: if retrier.text("JitterStrategy") == Some("FULL") { Jitter::Full } else { Jitter::None },
    });
    let retriers = retriers.collect();
    let catchers = fields.objects("Catch").into_iter().filter_map(|catcher| {
        catcher.required(&["Next"]);
        let paths = catcher.language == Language::JsonPath;
        Some(Catcher {
            errors: catcher.errors(),
            next: catcher.text("Next")?.into(),
            path: if paths { catcher.result_path() } else { None },
            output: if paths { None } else { catcher.template("Output") },
            assign: catcher.assign(),
        })
    });
    Recovery { retriers, catchers: catchers.collect() }
}

fn task(fields: &Fields<'_>, machine_type: MachineType) -> Option<Task> {
    fields.required(&["Resource"]);
    let text = fields.text("Resource")?;
    let Some(resource) = Resource::parse(text) else {
        fields.wrong("Resource", "Value is not a valid resource ARN");
        return None;
    };
    if machine_type == MachineType::Express {
        if resource.integration == Integration::Activity {
            fields.wrong("Resource", "Express state machine does not support Activity ARN");
        }
        for (waits, pattern) in [(resource.waits_for_token(), ".waitForTaskToken"), (resource.waits_for_job(), ".sync")]
        {
            if waits {
                let message = format!("Express state machine does not support '{pattern}' service integration ");
                fields.wrong("Resource", message);
            }
        }
    }
    Some(Task {
        resource,
        arguments: arguments(fields),
        credentials: fields.template("Credentials"),
        timeout: fields.quantity("TimeoutSeconds"),
        heartbeat: fields.quantity("HeartbeatSeconds"),
        result: result(fields),
        recovery: recovery(fields),
    })
}

fn choice(fields: &Fields<'_>) -> Option<Choice> {
    fields.required(&["Choices"]);
    let objects = fields.objects("Choices");
    if objects.is_empty() && fields.get("Choices").is_some() {
        fields.wrong("Choices", "Value cannot be empty");
    }
    let mut rules = Vec::with_capacity(objects.len());
    let count = objects.len();
    for rule in objects {
        rule.required(&["Next"]);
        let test = test(&rule, 0);
        if let (Some(test), Some(next)) = (test, rule.text("Next")) {
            let output = if rule.language == Language::Jsonata { rule.template("Output") } else { None };
            rules.push(Rule { test, next: next.into(), assign: rule.assign(), output });
        }
    }
    (rules.len() == count && count > 0).then(|| Choice { rules, default: fields.text("Default").map(Into::into) })
}

fn test(fields: &Fields<'_>, depth: usize) -> Option<Test> {
    if depth > MAX_DEPTH {
        fields.findings.schema("The conditions lie too deep within each other", &fields.at);
        return None;
    }
    if fields.language == Language::Jsonata {
        fields.required(&["Condition"]);
        let value = fields.get("Condition")?;
        let dynamic = value.as_str().is_some_and(|text| Expression::delimited(text).is_some());
        if !dynamic && !value.is_boolean() {
            fields.wrong("Condition", "Expected value of type Boolean or a JSONata expression");
            return None;
        }
        return fields.template("Condition").map(Test::Condition);
    }
    for (name, make) in [("And", Test::And as fn(Vec<Test>) -> Test), ("Or", Test::Or)] {
        if fields.get(name).is_some() {
            let parts = fields.objects(name);
            let count = parts.len();
            let tests: Vec<Test> = parts.iter().filter_map(|part| test(part, depth + 1)).collect();
            return (tests.len() == count && count > 0).then(|| make(tests));
        }
    }
    if fields.get("Not").is_some() {
        return test(&fields.object("Not")?, depth + 1).map(|inner| Test::Not(Box::new(inner)));
    }
    fields.required(&["Variable"]);
    let variable = fields.path("Variable")?;
    let found = fields.fields.keys().find_map(|name| Some((name, Operator::parse(name)?)));
    let Some((name, (operator, by_path))) = found else {
        fields.findings.schema("A comparison operator is required", &fields.at);
        return None;
    };
    let operand = if by_path {
        Operand::Path(fields.path(name)?)
    } else {
        let value = fields.get(name)?;
        if operator.asks() && !value.is_boolean() {
            fields.wrong(name, "Expected value of type Boolean");
        }
        Operand::Value(value.clone())
    };
    Some(Test::Compare(Box::new(Comparison { variable, operator, operand })))
}

fn inner(fields: &Fields<'_>, language: Language, machine_type: MachineType) -> Option<Machine> {
    let mut fields = fields.clone();
    fields.language = language;
    parse::machine(&fields, machine_type)
}

fn parallel(fields: &Fields<'_>, language: Language, machine_type: MachineType) -> Option<Parallel> {
    fields.required(&["Branches"]);
    let objects = fields.objects("Branches");
    let count = objects.len();
    if fields.get("Branches").and_then(Value::as_array).is_some_and(Vec::is_empty) {
        fields.wrong("Branches", "Value cannot be empty");
    }
    let branches: Vec<Machine> = objects.iter().filter_map(|branch| inner(branch, language, machine_type)).collect();
    let parallel =
        Parallel { branches, arguments: arguments(fields), result: result(fields), recovery: recovery(fields) };
    (parallel.branches.len() == count && fields.get("Branches").is_some_and(Value::is_array)).then_some(parallel)
}

fn map(fields: &Fields<'_>, language: Language, machine_type: MachineType) -> Option<Map> {
    let name = if fields.get("ItemProcessor").is_none() && fields.get("Iterator").is_some() {
        "Iterator"
    } else {
        fields.required(&["ItemProcessor"]);
        "ItemProcessor"
    };
    let object = fields.object(name)?;
    let mode = object.object("ProcessorConfig");
    let distributed = mode.is_some_and(|mode| mode.text("Mode") == Some("DISTRIBUTED"));
    let paths = fields.language == Language::JsonPath;
    let selector = fields.template("ItemSelector");
    let selector = if selector.is_none() && paths { fields.template("Parameters") } else { selector };
    for (name, most) in [("ToleratedFailurePercentage", 100.0), ("ToleratedFailureCount", f64::MAX)] {
        if fields.get(name).and_then(Value::as_f64).is_some_and(|number| !(0.0..=most).contains(&number)) {
            fields.wrong(name, format!("{name} is out of range"));
        }
    }
    let map = Map {
        processor: inner(&object, language, machine_type)?,
        distributed,
        text: distributed.then(|| child_definition(fields.get(name), language)),
        label: fields.text("Label").map(Into::into),
        items_path: if paths { fields.path("ItemsPath") } else { None },
        items: if paths { None } else { fields.template("Items") },
        selector,
        reader: fields.object("ItemReader").and_then(|reader| item_reader(&reader)),
        batcher: fields.object("ItemBatcher").map(|batcher| Batcher {
            max_items: batcher.quantity("MaxItemsPerBatch"),
            max_bytes: batcher.quantity("MaxInputBytesPerBatch"),
            input: batcher.template("BatchInput"),
        }),
        writer: fields.object("ResultWriter").and_then(|writer| result_writer(&writer)),
        concurrency: fields.quantity("MaxConcurrency"),
        tolerated_count: fields.quantity("ToleratedFailureCount"),
        tolerated_percentage: fields.quantity("ToleratedFailurePercentage"),
        result: result(fields),
        recovery: recovery(fields),
    };
    Some(map)
}

/// Returns the processor of a distributed Map as a definition of its own.
fn child_definition(processor: Option<&Value>, language: Language) -> Arc<str> {
    let mut object = processor.and_then(Value::as_object).cloned().unwrap_or_default();
    object.remove("ProcessorConfig");
    if language == Language::Jsonata && !object.contains_key("QueryLanguage") {
        object.insert("QueryLanguage".into(), "JSONata".into());
    }
    Value::Object(object).to_string().into()
}

fn item_reader(fields: &Fields<'_>) -> Option<Reader> {
    fields.required(&["Resource"]);
    let resource = fields.text("Resource")?;
    let config = fields.object("ReaderConfig");
    let config = config.as_ref();
    let input_type = match config.and_then(|config| config.text("InputType")) {
        Some("CSV") => InputType::Csv,
        Some("JSON") => InputType::Json,
        Some("JSONL") => InputType::JsonLines,
        Some("MANIFEST") => InputType::Manifest,
        Some(other) => {
            let known = "[CSV, JSON, JSONL, MANIFEST]";
            fields.wrong("ReaderConfig/InputType", format!("Value '{other}' is not one of {known}"));
            return None;
        }
        None if resource.ends_with(":listObjectsV2") => InputType::List,
        None => InputType::Json,
    };
    let headers = config.and_then(|config| config.get("CSVHeaders")).and_then(Value::as_array);
    let delimiter = match config.and_then(|config| config.text("CSVDelimiter")) {
        Some("PIPE") => b'|',
        Some("SEMICOLON") => b';',
        Some("SPACE") => b' ',
        Some("TAB") => b'\t',
        _ => b',',
    };
    Some(Reader {
        resource: resource.into(),
        arguments: arguments(fields),
        input_type,
        headers: headers.map(|names| names.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect()),
        delimiter,
        max_items: config.and_then(|config| config.quantity("MaxItems")),
    })
}

fn result_writer(fields: &Fields<'_>) -> Option<Writer> {
    let config = fields.object("WriterConfig");
    if config.is_none() {
        fields.required(&["Resource"]);
    }
    let said = |name: &str| config.as_ref().and_then(|config| config.text(name));
    let transformation = match said("Transformation") {
        Some("COMPACT") => Transformation::Compact,
        Some("FLATTEN") => Transformation::Flatten,
        Some("NONE") | None => Transformation::None,
        Some(other) => {
            let known = "[NONE, COMPACT, FLATTEN]";
            fields.wrong("WriterConfig/Transformation", format!("Value '{other}' is not one of {known}"));
            return None;
        }
    };
    let lines = match said("OutputType") {
        Some("JSONL") => true,
        Some("JSON") | None => false,
        Some(other) => {
            fields.wrong("WriterConfig/OutputType", format!("Value '{other}' is not one of [JSON, JSONL]"));
            return None;
        }
    };
    Some(Writer {
        resource: fields.text("Resource").map(Into::into),
        arguments: arguments(fields),
        transformation,
        lines,
    })
}

fn wait(fields: &Fields<'_>) -> Option<Wait> {
    let names = ["Seconds", "SecondsPath", "Timestamp", "TimestampPath"];
    let said = names.iter().filter(|name| fields.get(name).is_some()).count();
    if said != 1 {
        fields.findings.schema(format!("Exactly one of these fields is required: [{}]", names.join(", ")), &fields.at);
        return None;
    }
    if fields.get("Timestamp").is_some() {
        return fields.template("Timestamp").map(Wait::Timestamp);
    }
    if fields.get("TimestampPath").is_some() {
        return fields.path("TimestampPath").map(Wait::TimestampPath);
    }
    let seconds = fields.quantity("Seconds")?;
    if let Quantity::Number(number) = seconds
        && parse::whole(number).is_none()
    {
        fields.wrong("Seconds", "Expected value of type Integer that is not negative");
    }
    Some(Wait::Seconds(seconds))
}

fn pass(fields: &Fields<'_>) -> Pass {
    if fields.language == Language::Jsonata {
        return Pass { result: None, parameters: None, path: None };
    }
    Pass {
        result: fields.get("Result").map(|result| Arc::new(result.clone())),
        parameters: fields.template("Parameters"),
        path: fields.result_path(),
    }
}

fn fail(fields: &Fields<'_>) -> Fail {
    let wording = |name: &str| {
        let path = format!("{name}Path");
        fields.exclusive(name, &path);
        if let Some(value) = fields.get(&path).filter(|_| fields.language == Language::JsonPath) {
            let template = Template::dynamic(value);
            if template.is_none() {
                fields.wrong(&path, "Value is not a valid JSONPath or intrinsic function call");
            }
            return template.map(Wording::Path);
        }
        fields.text(name)?;
        fields.template(name).map(Wording::Template)
    };
    Fail { error: wording("Error"), cause: wording("Cause") }
}
