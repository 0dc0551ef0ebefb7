//! A small list of words that mean nearly the same, given as stems' source words.

use super::stem;
use std::{collections::HashMap, sync::LazyLock};

/// Returns whether two stems mean nearly the same.
#[must_use]
pub fn alike(left: &str, right: &str) -> bool {
    if left == right {
        return true;
    }
    match (GROUPS.get(left), GROUPS.get(right)) {
        (Some(a), Some(b)) => a.iter().any(|group| b.contains(group)),
        _ => false,
    }
}

/// Returns whether two stems with these groups share one.
#[must_use]
pub fn share(left: &[usize], right: &[usize]) -> bool {
    left.iter().any(|group| right.contains(group))
}

/// Returns the numbers of the groups that a stem belongs to.
#[must_use]
pub fn groups(stem: &str) -> &'static [usize] {
    GROUPS.get(stem).map_or(&[], Vec::as_slice)
}

/// Returns whether a stem is an instance of a kind ("red" of "color").
#[must_use]
pub fn is_a(stem: &str, kind: &str) -> bool {
    KINDS.get(kind).is_some_and(|members| members.iter().any(|member| member == stem))
}

static KINDS: LazyLock<HashMap<String, Vec<String>>> = LazyLock::new(|| {
    let mut map: HashMap<String, Vec<String>> = HashMap::new();
    for line in KIND_LINES {
        let Some((kinds, members)) = line.split_once(':') else { continue };
        for kind in kinds.split_whitespace() {
            map.entry(stem(kind)).or_default().extend(members.split_whitespace().map(stem));
        }
    }
    map
});

static GROUPS: LazyLock<HashMap<String, Vec<usize>>> = LazyLock::new(|| {
    let mut map: HashMap<String, Vec<usize>> = HashMap::new();
    for (group, line) in LINES.iter().enumerate() {
        for word in line.split_whitespace() {
            let entry = map.entry(stem(word)).or_default();
            if entry.last() != Some(&group) {
                entry.push(group);
            }
        }
    }
    map
});

const KIND_LINES: &[&str] = &[
    "color colour: red green blue yellow orange purple black white brown pink gray grey navy maroon magenta cyan teal turquoise gold silver violet beige",
    "genre: rock pop jazz classical hiphop blues country metal folk electronic reggae horror comedy drama thriller romance fantasy action adventure mystery",
    "instrument: piano guitar violin drums flute saxophone trumpet cello bass ukulele",
    "fuel: gas gasoline diesel electric petrol hybrid",
    "medium material paint: oil watercolor acrylic bronze marble clay wood steel metal glass",
    "sport game: football basketball soccer tennis baseball hockey cricket chess golf",
    "crime: theft murder robbery fraud assault burglary arson",
    "energy: solar wind renewable nuclear hydro coal",
    "cuisine food: italian chinese mexican indian thai japanese french vegan vegetarian",
    "transport transportation mode: car bus train plane bike bicycle walking taxi subway",
    "meal: breakfast lunch dinner snack brunch",
    "season: spring summer autumn fall winter",
    "gender: male female",
    "size: small medium large tiny huge",
];

const LINES: &[&str] = &[
    "price cost pricing prices expensive cheap fee charge worth",
    "buy purchase acquire bought",
    "location place where city town area region spot",
    "city town municipality",
    "address street",
    "start starting origin source departure from begin beginning initial depart",
    "end ending destination target arrival to final arrive finish",
    "time hour clock duration period timeframe",
    "time o'clock now moment",
    "date day when calendar today tomorrow",
    "weather temperature forecast climate rain sunny",
    "calculate compute evaluate math arithmetic sum",
    "calculate times multiplied divided plus minus squared percent",
    "expression formula equation calculation",
    "sum add plus addition adding",
    "difference subtract minus subtraction",
    "product multiply times multiplication multiplied",
    "quotient divide division divided",
    "combine concatenate concat join merge",
    "search find look lookup query seek locate discover",
    "information info about detail details describe explain know learn facts",
    "database knowledge encyclopedia documentation wiki docs information",
    "search database knowledge about information what",
    "order purchase delivery package parcel shipment shipping track arrive",
    "return refund money-back exchange send-back damaged broken wrong",
    "policy rule policies terms conditions guideline",
    "recommend suggest recommendation suggestion similar like advise",
    "movie film cinema picture",
    "book novel title read manga comic volume",
    "catalogue catalog shop store stock have sell available",
    "author writer creator artist wrote written mangaka",
    "song music track tune",
    "car vehicle automobile",
    "email mail e-mail",
    "message text sms note",
    "person people individual human",
    "user customer client account member",
    "job occupation profession career work position",
    "company business firm corporation organisation organization employer",
    "salary income wage pay earnings",
    "investment principal amount invested deposit capital present_value",
    "rate percentage percent interest yield",
    "speed velocity fast",
    "distance far length apart away",
    "height tall altitude high",
    "weight mass heavy weigh",
    "age old years",
    "size large big dimension",
    "quantity count number many amount",
    "limit maximum max most under below up cap top less",
    "minimum min least over above more",
    "budget maximum price under below",
    "delete remove erase drop clear",
    "create make generate build produce new add",
    "update change modify edit alter set switch",
    "schedule appointment booking book reserve reservation meeting",
    "hotel accommodation room lodging stay",
    "flight plane airline fly",
    "restaurant dining eat diner food",
    "recipe cook cooking dish meal",
    "lawsuit case court legal suit litigation",
    "crime criminal offence offense",
    "stock share equity shares",
    "company ticker symbol",
    "currency money exchange",
    "convert conversion exchange change transform",
    "translate translation language",
    "game match play",
    "player athlete",
    "team club",
    "score result points",
    "ranking rank standing standings",
    "genre category kind type sort style",
    "keyword query term topic subject search",
    "topic subject theme field",
    "question query ask",
    "population people inhabitants residents",
    "species animal creature plant",
    "doctor physician specialist dentist",
    "house home property apartment real_estate",
    "child kid children kids",
    "birthday born birth birthdate",
    "adult grown-up",
    "status state progress situation",
    "cancel abort call-off void",
    "calories nutrition nutritional calorie",
    "workout exercise fitness training",
    "sculpture statue painting artwork art",
    "museum gallery exhibition",
    "derivative differentiate slope",
    "integral integrate integration area",
    "probability odds chance likelihood",
    "average mean",
    "biggest largest greatest maximum highest",
    "smallest lowest least minimum",
    "near nearby close closest nearest around local",
    "side edge length",
    "number integer digit",
    "image picture photo",
    "direction route directions way navigate",
    "event happening occasion concert",
    "temperature degrees celsius fahrenheit kelvin",
    "metre metres meter meters distance length height radius",
    "kilogram kg kilograms gram grams pound pounds weight mass",
    "second seconds minute minutes hours time duration",
    "years months weeks days period duration time term",
    "dollar dollars usd euro euros price amount cost money budget",
    "ring phone call telephone dial",
    "volume number issue part",
    "stylist hairdresser hair salon barber",
    "therapist psychologist counselor psychiatrist therapy",
    "ride taxi cab uber lyft trip",
    "bus coach",
    "train rail railway",
    "concert show performance gig play",
    "salad greens",
    "dozen twelve",
    "male man men boy",
    "female woman women girl",
    "pay payment paying paid card",
    "funny comedy humorous hilarious humor",
    "scary horror creepy frightening spooky",
    "sad drama touching moving",
    "ascending increasing rising",
    "descending decreasing falling",
];
