//! Conversations in many wordings.

use super::support::{Stage, ask, assistant_tools, calls, evaluate};
use serde_json::{Value, json};

fn stage() -> Stage<'static> {
    Stage::new(assistant_tools(), |name, input| match name {
        "calculate" => {
            let value = evaluate(input["expression"].as_str().unwrap_or_default())?;
            Ok(json!(format!("{value}")))
        }
        "get_current_time" => Ok(json!("2026-11-20 15:31:19")),
        "search_database" => Ok(json!(format!("{} is documented here.", input["query"].as_str().unwrap_or_default()))),
        other => Err(format!("no such tool: {other}")),
    })
}

#[test]
fn sums_in_any_wording_reach_the_calculator() {
    let mut wrong = Vec::new();
    for (question, wanted) in [
        ("What is 25 * 47?", 1175.0),
        ("how much is twenty-five times forty-seven", 1175.0),
        ("25*47=?", 1175.0),
        ("Calculate 25 x 47 please", 1175.0),
        ("whats 15% of 80", 12.0),
        ("what's fifteen percent of eighty?", 12.0),
        ("What is 100 divided by 4, and then multiply that by 3?", 75.0),
        ("Divide 100 by 4 and multiply the result by 3", 75.0),
        ("take 100, divide it by 4, then multiply by 3", 75.0),
        ("add 17 and 25", 42.0),
        ("subtract 8 from 50", 42.0),
        ("what is the sum of 12, 13 and 14?", 39.0),
        ("what is 7 squared plus 3", 52.0),
        ("square root of 144", 12.0),
        ("2 to the power of 10", 1024.0),
        ("(3 + 4) * 6", 42.0),
        ("what is 10 - 3?", 7.0),
        ("could you work out 1,250 / 5 for me", 250.0),
        ("half of 90", 45.0),
        ("what do you get if you multiply 12 by 12", 144.0),
        ("how much is 3.5 plus 1.25?", 4.75),
        ("first add 2 and 3, then multiply the sum by 4", 20.0),
        ("take the product of 3 and 4 and subtract 2 from it", 10.0),
        ("what would 4 tickets at 2.50 each cost?", 10.0),
        ("how much are 5 notebooks for 3 dollars apiece?", 15.0),
    ] {
        let mut stage = stage();
        let answer = stage.say(question);
        let got = stage.made.last().map(|call| call.input["expression"].as_str().unwrap_or_default().to_owned());
        let value = got.as_deref().map(evaluate);
        if !matches!(value, Some(Ok(value)) if (value - wanted).abs() < 1e-9) || !answer.contains(&format!("{wanted}"))
        {
            wrong.push(format!("{question:?} became {got:?}, wanted {wanted}, answered {answer:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_time_is_looked_up_and_not_guessed() {
    let mut wrong = Vec::new();
    for question in [
        "What time is it now?",
        "current hour please",
        "what's the time?",
        "tell me the date today",
        "do you know what time it is",
        "What day is it today?",
    ] {
        let mut stage = stage();
        let answer = stage.say(question);
        if stage.made.iter().map(|call| call.name.as_str()).collect::<Vec<_>>() != ["get_current_time"]
            || !answer.contains("2026")
        {
            wrong.push(format!("{question:?} called {:?}, answered {answer:?}", stage.made));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn topics_reach_the_look_up_tool_without_the_words_around_them() {
    let mut wrong = Vec::new();
    for (question, wanted) in [
        ("Tell me about Amazon SageMaker", "Amazon SageMaker"),
        ("what do you know about Lambda?", "Lambda"),
        ("What is Amazon Bedrock?", "Amazon Bedrock"),
        ("search for vector databases", "vector databases"),
        ("Can you look up DynamoDB for me?", "DynamoDB"),
        ("who was Ada Lovelace?", "Ada Lovelace"),
        ("explain step functions", "step functions"),
        ("I'd like some information about Kubernetes", "Kubernetes"),
    ] {
        let mut stage = stage();
        let answer = stage.say(question);
        let got: Vec<_> = stage.made.iter().map(|call| (call.name.as_str(), call.input["query"].as_str())).collect();
        if got != [("search_database", Some(wanted))] || !answer.contains(wanted) {
            wrong.push(format!("{question:?} called {got:?}, answered {answer:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_people_say_of_themselves_is_remembered() {
    let mut wrong = Vec::new();
    for (statement, question, wanted) in [
        ("My name is Alice", "What's my name?", "Alice"),
        ("Hi, I'm Alice", "do you remember what I am called?", "Alice"),
        ("call me Bob", "who am i?", "Bob"),
        ("I live in Hanoi", "where do I live?", "Hanoi"),
        ("I am from Brazil and I am 31 years old", "how old am I?", "31"),
        ("I'm 42", "what is my age?", "42"),
        ("my favourite colour is teal", "what's my favorite colour", "teal"),
        ("I work as a nurse", "what do I do for a living?", "nurse"),
        ("My dog is called Rex. I love hiking.", "what do I love?", "hiking"),
        ("I prefer window seats", "which seats do I prefer?", "window"),
        ("my order number is MA-10023", "what was my order number again?", "MA-10023"),
        ("My sister's name is Clara", "what is my sister's name?", "Clara"),
    ] {
        let mut stage = stage();
        let heard = stage.say(statement);
        assert!(stage.made.is_empty(), "{statement:?} called {:?}", stage.made);
        assert!(!heard.contains("no tool"), "{statement:?} answered {heard:?}");
        let sum = stage.say("What is 6 * 7?");
        assert!(sum.contains("42"));
        let answer = stage.say(question);
        if !answer.contains(wanted) {
            wrong.push(format!("{statement:?}, {question:?} answered {answer:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_was_not_said_is_not_invented() {
    let mut stage = stage();
    let answer = stage.say("What's my name?");
    assert!(answer.contains("not told me"), "{answer}");
}

#[test]
fn follow_ups_lean_on_the_turn_before() {
    let mut stage = stage();
    stage.say("What is 25 * 3?");
    assert!(stage.say("and times two?").contains("150"));
    assert!(stage.say("now divide that by 50").contains('3'));
    let mut stage = Stage::new(assistant_tools(), |_, input| {
        Ok(json!(format!("About {}: fine.", input["query"].as_str().unwrap_or_default())))
    });
    stage.say("Tell me about Amazon SageMaker");
    assert!(stage.say("what about Bedrock?").contains("Bedrock"));
}

#[test]
fn small_talk_calls_no_tool() {
    for (question, wanted) in [
        ("hello", "Hello"),
        ("Hi there!", "Hello"),
        ("thanks a lot", "welcome"),
        ("what can you do?", "calculate"),
        ("are you ChatGPT?", "rehearsal"),
        ("which model are you", "rehearsal"),
        ("bye", "Goodbye"),
        ("How can you help me?", "calculate"),
    ] {
        let reply = ask(question, &assistant_tools());
        assert!(calls(&reply).is_empty(), "{question:?} called {:?}", calls(&reply));
        assert!(reply.message.text().contains(wanted), "{question:?} answered {:?}", reply.message.text());
    }
}

#[test]
fn several_questions_become_parallel_calls() {
    let reply = ask("What is 12 * 12 and what time is it?", &assistant_tools());
    let names: Vec<String> = calls(&reply).into_iter().map(|call| call.name).collect();
    assert_eq!(names, ["calculate", "get_current_time"]);
    let reply = ask("What time is it, and tell me about Amazon SageMaker.", &assistant_tools());
    assert_eq!(calls(&reply).len(), 2, "{:?}", reply.message);
}

#[test]
fn a_missing_value_is_asked_for_and_then_used() {
    let tools = vec![super::support::spec(
        "order_status",
        "Says where an order is.",
        json!({"type": "object", "required": ["order_id"], "properties": {"order_id": {"type": "string", "pattern": "^MA-[0-9]{5}$", "description": "The order's number"}}}),
    )];
    let mut stage = Stage::new(tools, |_, input| {
        Ok(json!({"order_id": input["order_id"], "status": "shipped", "expected": "2026-11-23"}))
    });
    let answer = stage.say("Where is my order?");
    assert!(stage.made.is_empty() && answer.contains("order id"), "{answer}");
    let answer = stage.say("it's MA-10023");
    assert_eq!(stage.made.len(), 1, "{answer}");
    assert!(answer.contains("shipped"), "{answer}");
}

#[test]
fn a_look_up_feeds_the_call_that_needs_its_result() {
    let tools = vec![
        super::support::spec(
            "list_orders",
            "Lists the customer's orders, newest first.",
            json!({"type": "object", "properties": {}}),
        ),
        super::support::spec(
            "order_status",
            "Says where an order is and when it arrives.",
            json!({"type": "object", "required": ["order_id"], "properties": {"order_id": {"type": "string", "pattern": "^MA-[0-9]{5}$", "description": "The order's number"}}}),
        ),
    ];
    let mut stage = Stage::new(tools, |name, input| match name {
        "list_orders" => Ok(json!([{"id": "MA-10023", "title": "Blue Box"}, {"id": "MA-10012", "title": "Akira"}])),
        _ => Ok(
            json!({"order_id": input["order_id"], "status": if input["order_id"] == "MA-10023" { "shipped" } else { "delivered" }}),
        ),
    });
    let answer = stage.say("What is the status of my first order?");
    assert_eq!(
        stage.made.iter().map(|call| call.name.as_str()).collect::<Vec<_>>(),
        ["list_orders", "order_status"],
        "{answer}"
    );
    assert!(answer.contains("shipped"), "{answer}");
}

#[test]
fn chained_tools_pass_the_number_on() {
    let two = |name: &str, about: &str| {
        super::support::spec(
            name,
            about,
            json!({"type": "object", "required": ["a", "b"], "properties": {"a": {"type": "number", "description": "First number"}, "b": {"type": "number", "description": "Second number"}}}),
        )
    };
    let mut stage = Stage::new(
        vec![two("divide", "Divides one number by another"), two("multiply", "Multiplies two numbers")],
        |name, input| {
            let (a, b) = (input["a"].as_f64().unwrap_or(0.0), input["b"].as_f64().unwrap_or(1.0));
            Ok(json!(if name == "divide" { a / b } else { a * b }))
        },
    );
    let answer = stage.say("What is 100 divided by 4, and then multiply that by 3?");
    assert!(answer.contains("75"), "{answer} {:?}", stage.made);
}

#[test]
fn a_refused_argument_is_mended_once_and_then_explained() {
    let tools = || {
        vec![super::support::spec(
            "get_weather",
            "Gets the weather of a city",
            json!({"type": "object", "required": ["city", "unit"], "properties": {"city": {"type": "string", "description": "City"}, "unit": {"type": "string", "description": "Unit of temperature, e.g. cels"}}}),
        )]
    };
    let mut stage = Stage::new(tools(), |_, input| {
        if input["unit"] == "celsius" {
            Ok(json!("Sunny, 21 degrees."))
        } else {
            Err("unit must be one of 'celsius', 'fahrenheit'".into())
        }
    });
    let answer = stage.say("What's the weather in Hanoi in unit Cels");
    assert!(answer.contains("Sunny"), "{answer} {:?}", stage.made);
    let mut stage = Stage::new(tools(), |_, _| Err("the weather service is closed".into()));
    let answer = stage.say("What's the weather in Hanoi in unit celsius");
    assert!(
        answer.contains("the weather service is closed") || answer.contains("The weather service is closed"),
        "{answer}"
    );
    assert!(stage.made.len() <= 2);
}

#[test]
fn empty_results_are_said_plainly() {
    let mut stage = Stage::new(assistant_tools(), |_, _| Ok(Value::Array(Vec::new())));
    let answer = stage.say("Tell me about Flumpology");
    assert!(answer.contains("found nothing") && answer.contains("Flumpology"), "{answer}");
}

#[test]
fn tool_choice_is_obeyed() {
    use super::support::{NOW, request};
    use bedplate_core::{message::Message, port::model::ToolChoice};
    let messages = [Message::user("What is 25 * 47?")];
    let reply = |choice| bedplate_rehearsal::reply(&request(&messages, &assistant_tools(), choice), NOW);
    assert!(calls(&reply(ToolChoice::None)).is_empty());
    assert_eq!(calls(&reply(ToolChoice::Tool("search_database".into())))[0].name, "search_database");
    let hello = [Message::user("hello")];
    assert!(!calls(&bedplate_rehearsal::reply(&request(&hello, &assistant_tools(), ToolChoice::Any), NOW)).is_empty());
}

#[test]
fn a_change_that_a_tool_makes_is_not_refused() {
    let todo = super::support::spec(
        "todo",
        "Manages a list of tasks.",
        json!({"type": "object", "required": ["type", "content"], "properties": {"type": {"type": "string", "enum": ["add", "delete"], "description": "What to do"}, "content": {"type": "string", "description": "The task"}}}),
    );
    let reply = ask("please delete my account", std::slice::from_ref(&todo));
    assert!(!reply.message.text().contains("nothing has changed"), "{:?}", reply.message);
    let reply = ask("please cancel my subscription", &assistant_tools());
    assert!(reply.message.text().contains("I cannot cancel your subscription"), "{:?}", reply.message);
}

#[test]
fn a_look_up_that_found_nothing_is_tried_once_more_with_the_word_that_tells_most() {
    let known = |query: &str| match query {
        "Clockworks" => json!("Clockworks is a town of watchmakers."),
        _ => json!("No information found"),
    };
    let run = |name: &str, input: &Value| match name {
        "search_database" => Ok(known(input["query"].as_str().unwrap_or_default())),
        other => Err(format!("not asked for: {other}")),
    };
    let mut stage = Stage::new(assistant_tools(), run);
    let answer = stage.say("Tell me about Northern Clockworks");
    assert!(answer.contains("town of watchmakers"), "{answer}");
    assert!(!answer.contains("No information"), "what was in vain is not worth a word: {answer}");
    assert_eq!(stage.made.len(), 2);
    // In vain twice is in vain, and told once.
    let mut stage = Stage::new(assistant_tools(), run);
    let answer = stage.say("Explain Southern Bellfoundry to me");
    assert_eq!(answer.matches("No information").count(), 1, "{answer}");
    assert_eq!(stage.made.len(), 2);
}
