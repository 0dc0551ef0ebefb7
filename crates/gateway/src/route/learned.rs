//! A small judge of how difficult a prompt is: logistic regression over hashed words and the prompt's shape. It runs in
//! this process in some microseconds and learns from the project's own calls.

use super::pick::hash;
use bedplate_core::port::model::ModelRequest;
use serde::{Deserialize, Serialize};

/// How many buckets words and pairs of words fall into.
const BUCKETS: usize = 1 << 12;

/// How many features the shape of a prompt has.
const SHAPES: usize = 8;

/// How much of a text is looked at, in words.
const MOST_WORDS: usize = 512;

/// What was learned: a chance for each prompt that the cheap model's answer is not good enough.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Router {
    /// The form of this file; 1.
    pub version: u32,
    weights: Vec<f32>,
    bias: f32,
    /// From this chance on the strong model is asked.
    pub threshold: f32,
    /// What training said of itself.
    pub report: Report,
}

/// What a router would have done with calls that it had not seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Calls that were learned from.
    pub trained_on: usize,
    /// Calls that were kept back to judge by.
    pub judged_on: usize,
    /// The part of those that the cheap model would have got.
    pub cheap_share: f64,
    /// The part of them that it would have answered well enough.
    pub cheap_good: f64,
    /// How far the chances were from what happened, on average over ten bins (expected calibration error).
    pub calibration_error: f64,
    /// What the calls would have cost with the strong model alone, millionths of a dollar.
    pub cost_strong: u64,
    /// What they would have cost with this router.
    pub cost_routed: u64,
}

/// A call to learn from.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// What was asked.
    pub prompt: Prompt,
    /// Whether the cheap model's answer was not good enough.
    pub difficult: bool,
    /// What the call cost, or would cost, with the cheap model; millionths of a dollar.
    pub cost_cheap: u64,
    /// The same with the strong one.
    pub cost_strong: u64,
}

/// What a router looks at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prompt {
    /// The user's last words.
    pub text: String,
    /// How many messages the conversation has.
    pub messages: usize,
    /// How many tools are on offer.
    pub tools: usize,
    /// About how many tokens of input there are.
    pub tokens: u64,
}

impl Prompt {
    /// Returns what a router looks at in `request`.
    pub(crate) fn of(request: &ModelRequest, tokens: u64) -> Self {
        let text = super::facts::last_words(request);
        Self { text, messages: request.messages.len(), tools: request.tools.len(), tokens }
    }

    /// Returns the features that are there: an index, and how strong each is.
    fn features(&self) -> Vec<(usize, f32)> {
        let lower = self.text.to_lowercase();
        let words: Vec<&str> =
            lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).take(MOST_WORDS).collect();
        let mut buckets: Vec<usize> = Vec::with_capacity(words.len() * 2);
        let bucket = |hash: u64| (hash % BUCKETS as u64) as usize;
        buckets.extend(words.iter().map(|word| bucket(hash(word.as_bytes()))));
        buckets.extend(words.windows(2).map(|pair| bucket(hash(pair.concat().as_bytes()) ^ 1)));
        buckets.sort_unstable();
        buckets.dedup();
        // A long prompt must not shout a short one down.
        #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
        let strength = 1.0 / (buckets.len().max(1) as f32).sqrt();
        let mut features: Vec<(usize, f32)> = buckets.into_iter().map(|index| (index, strength)).collect();
        for (index, value) in self.shape(&words).into_iter().enumerate() {
            features.push((BUCKETS + index, value));
        }
        features
    }

    #[expect(clippy::cast_precision_loss, reason = "logarithms of counts")]
    fn shape(&self, words: &[&str]) -> [f32; SHAPES] {
        let log = |count: usize| (count as f32 + 1.0).ln() / 10.0;
        let count = |what: fn(char) -> bool| self.text.chars().filter(|c| what(*c)).count();
        let characters = words.iter().map(|word| word.chars().count()).sum::<usize>();
        [
            log(words.len()),
            log(usize::try_from(self.tokens).unwrap_or(usize::MAX)),
            log(self.messages),
            log(self.tools),
            log(count(|c| c.is_ascii_digit())),
            log(count(|c| matches!(c, '{' | '}' | '(' | ')' | '=' | '<' | '>' | '\\' | '^'))),
            log(count(|c| c == '?' || c == '\n')),
            characters as f32 / (words.len().max(1) as f32 * 20.0),
        ]
    }
}

impl Router {
    /// Returns the chance, 0 to 1, that a prompt needs the strong model.
    #[must_use]
    pub fn difficulty(&self, prompt: &Prompt) -> f32 {
        let known = prompt.features().into_iter().filter_map(|(index, value)| Some(self.weights.get(index)? * value));
        sigmoid(self.bias + known.sum::<f32>())
    }

    /// Reads what [`Router::train`] made, as JSON.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let router: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if router.version != 1 {
            return Err(format!("its version is {}, and only 1 can be read", router.version));
        }
        let sound = router.weights.len() == BUCKETS + SHAPES
            && router.weights.iter().chain([&router.bias, &router.threshold]).all(|number| number.is_finite());
        if sound { Ok(router) } else { Err("its numbers are not those of a router".into()) }
    }

    /// Returns whether the strong model should be asked.
    #[must_use]
    pub fn is_difficult(&self, prompt: &Prompt) -> bool {
        self.difficulty(prompt) >= self.threshold
    }

    /// Learns from `examples`. A fifth of them, every fifth, is kept back: the threshold is the greatest at which of
    /// those that the cheap model would get at least `good` (0 to 1) are answered well enough. None when there are too
    /// few, or all are alike.
    #[must_use]
    pub fn train(examples: &[Example], good: f64) -> Option<Self> {
        let (learn, judge): (Vec<_>, Vec<_>) = examples.iter().enumerate().partition(|(index, _)| index % 5 != 4);
        let difficult = learn.iter().filter(|(_, example)| example.difficult).count();
        if judge.len() < LEAST || difficult == 0 || difficult == learn.len() {
            return None;
        }
        let learn: Vec<(Vec<(usize, f32)>, f32)> = learn
            .into_iter()
            .map(|(_, example)| (example.prompt.features(), f32::from(u8::from(example.difficult))))
            .collect();
        let mut router = Self {
            version: 1,
            weights: vec![0.0; BUCKETS + SHAPES],
            bias: 0.0,
            threshold: 1.0,
            report: Report::default(),
        };
        let mut sums = vec![1e-6_f32; BUCKETS + SHAPES + 1];
        for pass in 0..PASSES {
            // A fixed order that differs from pass to pass: training the same calls gives the same router.
            for step in 0..learn.len() {
                let index = (step * STRIDE + pass * 31) % learn.len();
                let (features, wanted) = &learn[index];
                router.step(features, *wanted, &mut sums);
            }
        }
        let judged: Vec<(f32, &Example)> =
            judge.into_iter().map(|(_, example)| (router.difficulty(&example.prompt), example)).collect();
        router.threshold = threshold(&judged, good);
        router.report = report(&judged, router.threshold, learn.len());
        Some(router)
    }

    /// One step of stochastic gradient descent with a pace of its own for each feature (AdaGrad).
    fn step(&mut self, features: &[(usize, f32)], wanted: f32, sums: &mut [f32]) {
        let sum: f32 = features.iter().map(|&(index, value)| self.weights[index] * value).sum();
        let error = sigmoid(self.bias + sum) - wanted;
        for &(index, value) in features {
            let slope = error * value + SHRINK * self.weights[index];
            sums[index] += slope * slope;
            self.weights[index] -= PACE * slope / sums[index].sqrt();
        }
        let last = sums.len() - 1;
        sums[last] += error * error;
        self.bias -= PACE * error / sums[last].sqrt();
    }
}

/// The fewest calls to judge by.
const LEAST: usize = 20;
const PASSES: usize = 12;
const PACE: f32 = 0.3;
const SHRINK: f32 = 1e-4;
/// A prime: it visits every index as long as the count is no multiple of it.
const STRIDE: usize = 7_919;

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// Returns the greatest threshold below which `good` of the calls are easy.
#[expect(clippy::cast_precision_loss, reason = "counts of calls")]
fn threshold(judged: &[(f32, &Example)], good: f64) -> f32 {
    let mut sorted: Vec<_> = judged.iter().collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut easy = 0;
    let mut best = 0.0;
    for (index, (chance, example)) in sorted.iter().enumerate() {
        easy += usize::from(!example.difficult);
        if easy as f64 >= good * (index + 1) as f64 {
            // Between this call and the next, so that this one is below.
            best = sorted.get(index + 1).map_or(1.0, |(next, _)| f32::midpoint(*chance, *next));
        }
    }
    best
}

#[expect(clippy::cast_precision_loss, reason = "counts of calls")]
fn report(judged: &[(f32, &Example)], threshold: f32, trained_on: usize) -> Report {
    let count = judged.len() as f64;
    let cheap: Vec<_> = judged.iter().filter(|(chance, _)| *chance < threshold).collect();
    let good = cheap.iter().filter(|(_, example)| !example.difficult).count();
    let bin = |chance: f32| ((f64::from(chance) * 10.0) as usize).min(9);
    let mut bins = [(0.0, 0.0, 0.0); 10];
    for (chance, example) in judged {
        let bin = &mut bins[bin(*chance)];
        *bin = (bin.0 + 1.0, bin.1 + f64::from(*chance), bin.2 + f64::from(u8::from(example.difficult)));
    }
    Report {
        trained_on,
        judged_on: judged.len(),
        cheap_share: cheap.len() as f64 / count,
        cheap_good: if cheap.is_empty() { 1.0 } else { good as f64 / cheap.len() as f64 },
        calibration_error: bins.iter().map(|(_, chances, happened)| (chances - happened).abs()).sum::<f64>() / count,
        cost_strong: judged.iter().map(|(_, example)| example.cost_strong).sum(),
        cost_routed: judged
            .iter()
            .map(|(chance, example)| if *chance < threshold { example.cost_cheap } else { example.cost_strong })
            .sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Prompts of two kinds, made of words in all orders; one of twenty is labelled wrongly.
    fn examples(count: usize) -> Vec<Example> {
        let easy = ["what time is it", "say hello", "where is my order", "thanks a lot", "show the opening hours"];
        let hard = [
            "prove that the sum converges",
            "derive the gradient of",
            "refactor this module so that",
            "find the race in",
        ];
        let tails = ["please", "for me", "now", "in short", "as before", "with care", "again"];
        (0..count)
            .map(|n| {
                let hard_one = n % 3 == 0;
                let list: &[&str] = if hard_one { &hard } else { &easy };
                let text = format!("{} {} {}", list[n / 3 % list.len()], tails[n % 7], tails[n / 7 % 7]);
                let prompt = Prompt { tokens: text.len() as u64 / 4, text, messages: 1, tools: 0 };
                Example { prompt, difficult: hard_one != (n % 20 == 7), cost_cheap: 10, cost_strong: 100 }
            })
            .collect()
    }

    #[test]
    fn it_learns_which_prompts_need_the_strong_model_and_says_what_it_saves() {
        let router = Router::train(&examples(1_500), 0.9).unwrap();
        let prompt = |text: &str| Prompt { text: text.into(), messages: 1, tools: 0, tokens: 8 };
        assert!(router.is_difficult(&prompt("derive the gradient of this, kindly")));
        assert!(!router.is_difficult(&prompt("where is my order, kindly")));
        let report = &router.report;
        assert!(report.cheap_share > 0.5 && report.cheap_good >= 0.9, "{report:?}");
        assert!(report.cost_routed < report.cost_strong / 2 && report.calibration_error < 0.1, "{report:?}");
    }

    #[test]
    fn too_little_or_one_sided_experience_makes_no_router() {
        assert_eq!(Router::train(&examples(60), 0.9), None);
        let mut easy = examples(1_000);
        easy.iter_mut().for_each(|example| example.difficult = false);
        assert_eq!(Router::train(&easy, 0.9), None);
    }

    #[test]
    fn training_the_same_calls_gives_the_same_router_and_it_survives_its_file() {
        let router = Router::train(&examples(400), 0.9).unwrap();
        assert_eq!(Router::train(&examples(400), 0.9).as_ref(), Some(&router));
        let text = serde_json::to_string(&router).unwrap();
        let read: Router = serde_json::from_str(&text).unwrap();
        let prompt = Prompt { text: "prove it".into(), ..Prompt::default() };
        assert!((read.difficulty(&prompt) - router.difficulty(&prompt)).abs() < 1e-6);
    }
}
