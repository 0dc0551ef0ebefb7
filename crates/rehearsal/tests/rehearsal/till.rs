//! A small shop behind the example's tools: rows of the same shape as the example's queries give, and few enough to read.

use super::support::evaluate;
use bedplate_rehearsal::words;
use serde_json::{Value, json};

/// Title, author, genres, volumes, status, price, availability, rating, description.
type Title = (&'static str, &'static str, &'static str, u32, &'static str, f64, &'static str, f64, &'static str);

const TITLES: &[Title] = &[
    (
        "Glacier Thieves",
        "Natsume Torikai",
        "adventure, thriller",
        9,
        "ongoing",
        9.99,
        "in stock",
        4.2,
        "Two climbers steal ice for a dying city.",
    ),
    (
        "Miso Moon",
        "Kaede Mizushiro",
        "food, supernatural",
        5,
        "complete",
        9.99,
        "in stock",
        4.3,
        "Every full moon a girl cooks a cozy meal for the ghosts of her family.",
    ),
    (
        "Knife and Rice",
        "Kaede Mizushiro",
        "food, action",
        14,
        "complete",
        8.99,
        "sold out",
        4.0,
        "Chefs duel for their kitchens.",
    ),
    (
        "Iron Sparrow",
        "Isamu Shigure",
        "action, historical",
        5,
        "complete",
        11.99,
        "in stock",
        4.4,
        "A courier flies through a siege.",
    ),
    (
        "Salt Circle",
        "Yuzu Hizaki",
        "horror, supernatural",
        1,
        "complete",
        15.99,
        "in stock",
        4.5,
        "A scary night in a shrine.",
    ),
    (
        "Last Stop, Kisaragi Hill",
        "Sora Hatsushima",
        "horror",
        8,
        "ongoing",
        10.99,
        "in stock",
        4.6,
        "A train that nobody leaves, scary and slow.",
    ),
    ("The Cicada Shell Boy", "Fumi Kirigaya", "horror", 2, "complete", 7.99, "sold out", 4.1, "A boy without a voice."),
    (
        "Broken Metronome",
        "Chihiro Ryuzaka",
        "music, romance",
        16,
        "complete",
        10.99,
        "in stock",
        4.9,
        "A sad love between two pianists and their family.",
    ),
    (
        "Pearl Divers' Daughter",
        "Masumi Sumizome",
        "historical, romance",
        3,
        "complete",
        6.99,
        "in stock",
        3.9,
        "Love by the sea.",
    ),
    (
        "Cat Court",
        "Botan Torikai",
        "comedy, fantasy",
        4,
        "ongoing",
        5.99,
        "in stock",
        4.0,
        "A funny court where cats are the judges.",
    ),
    (
        "Rune Kindergarten",
        "Rin Aoki",
        "fantasy",
        6,
        "ongoing",
        12.99,
        "in stock",
        4.7,
        "Children learn magic, and travel through time.",
    ),
    (
        "Second Chorus",
        "Mio Kazehaya",
        "music, sports",
        7,
        "ongoing",
        9.99,
        "in stock",
        4.2,
        "A choir that runs marathons.",
    ),
    ("Long Serve", "Shun Ikezawa", "sports", 31, "ongoing", 9.49, "in stock", 4.1, "Volleyball until the last point."),
];

/// Words, then the policy on them.
const POLICIES: &[(&str, &str, &str)] = &[
    (
        "Shipping times and costs",
        "shipping ship delivery abroad canada germany postage long",
        "Standard shipping takes 3 to 5 working days and costs 4.90 USD. We also ship abroad, which costs 14.90 USD.",
    ),
    (
        "Returns and refunds",
        "return refund money back exchange days weeks",
        "You can return a delivered order within 30 days of delivery. Books must be unread and undamaged.",
    ),
    (
        "Lost or late parcels",
        "lost late parcel missing",
        "If tracking has not moved for 5 working days we treat the parcel as lost and send it again.",
    ),
    (
        "Changing or cancelling an order",
        "cancel cancelling change",
        "An order can be cancelled until it ships, by a message to our staff.",
    ),
    (
        "Pre-orders",
        "preorder pre-order pre order",
        "Announced titles can be pre-ordered. You are charged when the title ships.",
    ),
    ("Gift wrapping", "gift wrapping wrap", "We wrap gifts for 3 USD a parcel, in patterned paper, with a card."),
    ("Gift cards", "gift card voucher", "Gift cards come in any amount from 10 to 200 USD and never expire."),
    (
        "Payment",
        "pay payment card paypal",
        "We take the usual credit cards and bank transfer, and nothing else for now.",
    ),
    (
        "Store hours and location",
        "open hours sunday saturday closed address",
        "Our shop is open Monday to Saturday from 10:00 to 19:00 and on Sunday from 12:00 to 17:00.",
    ),
    (
        "Discounts and promotions",
        "discount student coupon",
        "Students get 5 percent off with a valid student e-mail address.",
    ),
];

const TERMS: &[(&str, &str)] = &[
    ("seinen", "Seinen is manga published for adult men, roughly from eighteen upwards."),
    ("isekai", "Isekai means another world: someone is carried off to a world with other rules."),
    ("Amazon SageMaker", "Amazon SageMaker is a managed machine learning service of AWS for training models."),
];

/// Does what a tool of the example does.
pub fn run(name: &str, input: &Value) -> Result<Value, String> {
    let text = |key: &str| input[key].as_str().unwrap_or_default().to_lowercase();
    match name {
        "search_catalogue" | "recommend_titles" => {
            let wanted: Vec<String> = words::content_stems(&format!("{} {}", text("query"), text("author")));
            let found: Vec<Value> = TITLES
                .iter()
                .filter(|title| text("genre").is_empty() || title.2.contains(&text("genre")))
                .filter(|title| input["max_price"].as_f64().is_none_or(|most| title.5 <= most))
                .filter(|title| !(input["in_stock"] == true || name == "recommend_titles") || title.6 == "in stock")
                .filter(|title| {
                    let own = words::content_stems(&format!("{} {} {} {}", title.0, title.1, title.2, title.8));
                    wanted.is_empty() || wanted.iter().any(|stem| own.contains(stem))
                })
                .take(8)
                .map(row)
                .collect();
            Ok(if found.is_empty() { json!("No title in the catalogue matches.") } else { Value::Array(found) })
        }
        "title_details" => {
            let found: Vec<Value> =
                TITLES.iter().filter(|title| text("title").contains(&title.0.to_lowercase())).map(details).collect();
            Ok(if found.is_empty() { json!("There is no such title in the catalogue.") } else { Value::Array(found) })
        }
        "list_my_orders" => {
            let wanted = text("status");
            let keys = ["order_id", "status", "placed_on", "items", "total_usd", "estimated_arrival", "delivered_on"];
            let list: Vec<Value> = orders()
                .into_iter()
                .filter(|order| wanted.is_empty() || order["status"] == wanted.as_str())
                .map(|order| keys.iter().map(|key| ((*key).to_owned(), order[*key].clone())).collect())
                .collect();
            Ok(Value::Array(list))
        }
        "order_status" => {
            let found: Vec<Value> = orders()
                .into_iter()
                .filter(|order| order["order_id"] == text("order_id").to_uppercase().as_str())
                .collect();
            Ok(if found.is_empty() {
                json!("There is no order with that number on this account.")
            } else {
                Value::Array(found)
            })
        }
        "start_return" => Ok(
            json!([{"return_id": "RT-00021", "order_id": input["order_id"], "status": "awaiting parcel", "refund_usd": 20.97}]),
        ),
        "store_policy" => Ok(best(
            &text("topic"),
            POLICIES
                .iter()
                .map(|(topic, keys, text)| (format!("{topic} {keys}"), json!({"topic": topic, "policy": text}))),
        )),
        "search_knowledge" => Ok(best(
            &text("query"),
            TERMS.iter().map(|(term, text)| ((*term).to_owned(), json!({"term": term, "text": text}))),
        )),
        "calculate" => {
            evaluate(input["expression"].as_str().unwrap_or_default()).map(|value| json!(format!("{value}")))
        }
        "current_time" => match input["timezone"].as_str().map(str::to_lowercase).as_deref() {
            None => Ok(json!("Friday, 20 November 2026, 16:18:19 (time zone Etc/UTC, UTC+00:00)")),
            Some("tokyo" | "asia/tokyo") => {
                Ok(json!("Saturday, 21 November 2026, 01:18:19 (time zone Asia/Tokyo, UTC+09:00)"))
            }
            Some("new york") => Ok(json!("Friday, 20 November 2026, 11:18:19 (time zone America/New_York, UTC-05:00)")),
            Some(other) => Err(format!("there is no time zone {other:?}")),
        },
        other => Err(format!("{other} was not expected")),
    }
}

/// Returns the one row whose words meet most of the query's.
fn best(query: &str, rows: impl Iterator<Item = (String, Value)>) -> Value {
    let wanted = words::content_stems(&query.replace("policy", ""));
    let score = |own: &str| wanted.iter().filter(|stem| words::content_stems(own).contains(stem)).count();
    let found = rows
        .map(|(own, row)| (score(&own), row))
        .fold((0, json!("There is nothing on that.")), |best, next| if next.0 > best.0 { next } else { best });
    if found.0 == 0 { found.1 } else { Value::Array(vec![found.1]) }
}

fn row(title: &Title) -> Value {
    json!({"title": title.0, "author": title.1, "artist": title.1, "genres": title.2, "age_rating": "teen", "volumes": title.3, "price_usd": title.5, "availability": title.6, "reader_rating": title.7, "description": title.8})
}

fn details(title: &Title) -> Value {
    let all = (title.5 * f64::from(title.3) * 100.0).round() / 100.0;
    json!({"title": title.0, "author": title.1, "artist": title.1, "genres": title.2, "demographic": "shonen", "age_rating": "all", "volumes": title.3, "status": title.4, "price_of_a_volume_usd": title.5, "price_of_all_volumes_usd": all, "availability": title.6, "reader_rating": title.7, "publisher": "Lantern House", "first_year": 2017, "language": "English", "description": title.8, "about_the_author": format!("{} was a train conductor before the first prize in a magazine contest.", title.1)})
}

fn orders() -> Vec<Value> {
    let order = |id: &str,
                 status: &str,
                 placed: &str,
                 items: &str,
                 total: f64,
                 carrier: Option<&str>,
                 eta: Option<&str>,
                 delivered: Option<&str>| {
        json!({"order_id": id, "status": status, "placed_on": placed, "items": items, "total_usd": total, "of_which_shipping_usd": 4.9, "shipping_method": "standard", "ship_to": "175 Bridge Street, Portland, OR 97205, US", "carrier": carrier, "tracking": carrier.map(|_| "NL335232828US"), "shipped_on": carrier.map(|_| "2026-11-17"), "estimated_arrival": eta, "delivered_on": delivered, "can_be_returned_until": delivered.map(|_| "2026-12-17"), "returns": null})
    };
    vec![
        order(
            "MA-10218",
            "processing",
            "2026-11-19",
            "1: 1 x Rune Kindergarten, vol. 2 (8.99 USD); 2: 1 x Rune Kindergarten, vol. 3 (8.99 USD)",
            22.88,
            None,
            None,
            None,
        ),
        order(
            "MA-10208",
            "shipped",
            "2026-11-16",
            "1: 1 x Glacier Thieves, vol. 2 (9.99 USD)",
            34.87,
            Some("Northline Parcel"),
            Some("2026-11-22"),
            None,
        ),
        order(
            "MA-10198",
            "delivered",
            "2026-11-11",
            "1: 1 x Second Chorus, vol. 3 (9.99 USD)",
            60.94,
            Some("Crane Post"),
            Some("2026-11-17"),
            Some("2026-11-17"),
        ),
        order(
            "MA-10181",
            "delivered",
            "2026-11-02",
            "1: 2 x Cat Court, vol. 3 (6.99 USD)",
            25.87,
            Some("Crane Post"),
            Some("2026-11-08"),
            Some("2026-11-07"),
        ),
    ]
}
