// Which fields a state has, by its type and its query language, and how each is set up.

/** @typedef {"text" | "long" | "number" | "json" | "path" | "one"} Kind */
/** @typedef {{ key: string, label: string, kind: Kind, needed?: boolean, hint?: string, options?: string[], start: any }} Field */

const PATH = "JSONPath";
const JSONATA = "JSONata";

/** Every field: label, kind, the language in which alone it is known, what it begins with, and a hint. @type {Record<string, [string, Kind, string | null, any, string?]>} */
const ALL = {
  Comment: ["Comment", "long", null, ""],
  Resource: ["Resource", "text", null, "arn:aws:states:::lambda:invoke", "What does the work: an ARN, as docs/guide/workflows.md lists them"],
  Parameters: ["Parameters", "json", PATH, {}, "A name that ends in .$ takes its value from a path"],
  Arguments: ["Arguments", "json", JSONATA, {}, "JSON with {% expressions %}, or one expression"],
  Result: ["Result", "json", PATH, {}, "What the state gives"],
  Seconds: ["Seconds", "number", null, 1],
  SecondsPath: ["Seconds from", "path", PATH, "$.seconds"],
  Timestamp: ["Until", "text", null, "2030-01-01T00:00:00Z", "A time as RFC 3339 says"],
  TimestampPath: ["Until the time in", "path", PATH, "$.until"],
  Error: ["Error", "text", null, "Failed"],
  ErrorPath: ["Error from", "path", PATH, "$.error"],
  Cause: ["Cause", "text", null, ""],
  CausePath: ["Cause from", "path", PATH, "$.cause"],
  ItemsPath: ["Items from", "path", PATH, "$.items"],
  Items: ["Items", "json", JSONATA, "{% $states.input.items %}"],
  ItemSelector: ["Each item as", "json", null, {}],
  ItemReader: ["Item reader", "json", null, { Resource: "arn:aws:states:::s3:getObject" }, "Where a distributed Map reads its items"],
  ItemBatcher: ["Item batcher", "json", null, { MaxItemsPerBatch: 10 }],
  ResultWriter: ["Result writer", "json", null, { Resource: "arn:aws:states:::s3:putObject" }],
  MaxConcurrency: ["At once, at most", "number", null, 10, "0: no limit"],
  MaxConcurrencyPath: ["At once from", "path", PATH, "$.most"],
  ToleratedFailureCount: ["Failures tolerated", "number", null, 0],
  ToleratedFailureCountPath: ["Failures tolerated from", "path", PATH, "$.tolerated"],
  ToleratedFailurePercentage: ["Failures tolerated, per cent", "number", null, 5],
  ToleratedFailurePercentagePath: ["Failures tolerated, per cent from", "path", PATH, "$.tolerated"],
  Label: ["Label", "text", null, "items"],
  InputPath: ["Input path", "path", PATH, "$", "Which part of the input the state sees; null: none"],
  ResultSelector: ["Result selector", "json", PATH, {}],
  ResultPath: ["Result path", "path", PATH, "$.result", "Where the result goes; null: it is dropped"],
  OutputPath: ["Output path", "path", PATH, "$", "Which part of it all is the output; null: none"],
  Output: ["Output", "json", JSONATA, "{% $states.result %}", "JSON with {% expressions %}, or one expression"],
  Assign: ["Variables", "json", null, {}, "Names and values that later states see"],
  TimeoutSeconds: ["Timeout, in seconds", "number", null, 60],
  TimeoutSecondsPath: ["Timeout from", "path", PATH, "$.timeout"],
  HeartbeatSeconds: ["Sign of life within, in seconds", "number", null, 30],
  HeartbeatSecondsPath: ["Sign of life within, from", "path", PATH, "$.heartbeat"],
  Credentials: ["Credentials", "json", null, { RoleArn: "arn:aws:iam::000000000000:role/name" }],
  QueryLanguage: ["Query language", "one", null, "JSONata"],
};

const IN = ["InputPath"];
const OUT = ["ResultSelector", "ResultPath", "OutputPath", "Output", "Assign"];

/** The fields of each type in the order of the form; a star marks those that are always shown. @type {Record<string, string[]>} */
const OF = {
  Task: ["Resource*", "Parameters*", "Arguments*", ...IN, ...OUT, "TimeoutSeconds", "TimeoutSecondsPath", "HeartbeatSeconds", "HeartbeatSecondsPath", "Credentials"],
  Choice: [...IN, "OutputPath", "Output", "Assign"],
  Parallel: [...IN, "Parameters", "Arguments", ...OUT],
  Map: ["ItemsPath", "Items", "ItemSelector", "MaxConcurrency", "MaxConcurrencyPath", "ItemReader", "ItemBatcher", "ResultWriter", "ToleratedFailureCount", "ToleratedFailureCountPath", "ToleratedFailurePercentage", "ToleratedFailurePercentagePath", "Label", ...IN, "Parameters", ...OUT],
  Wait: ["Seconds", "SecondsPath", "Timestamp", "TimestampPath", ...IN, "OutputPath", "Output", "Assign"],
  Pass: ["Result", "Parameters", ...IN, "ResultPath", "OutputPath", "Output", "Assign"],
  Succeed: [...IN, "OutputPath", "Output"],
  Fail: ["Error*", "Cause*", "ErrorPath", "CausePath"],
};

/** What a form has own places for. */
const ELSEWHERE = new Set(["Type", "Next", "End", "Default", "Choices", "Catch", "Retry", "Branches", "ItemProcessor", "Iterator", "StartAt", "States"]);

/** @param {string} key @returns {Field} */
function fieldOf(key) {
  const [label, kind, , start, hint] = ALL[key] ?? [key, "json", null, null];
  return { key, label, kind, start, hint, options: key === "QueryLanguage" ? [PATH, JSONATA] : undefined };
}

/**
 * Returns the fields that a state's form shows, and those that one may add.
 * @param {any} state
 * @param {string} language
 * @returns {{ shown: Field[], more: Field[] }}
 */
export function fieldsOf(state, language) {
  const known = (OF[state?.Type] ?? []).map((word) => ({ key: word.replace("*", ""), always: word.endsWith("*") }));
  const fits = (/** @type {string} */ key) => !ALL[key]?.[2] || ALL[key]?.[2] === language;
  /** @type {Field[]} */
  const shown = [];
  /** @type {Field[]} */
  const more = [];
  for (const { key, always } of [{ key: "Comment", always: false }, ...known, { key: "QueryLanguage", always: false }]) {
    if (Object.hasOwn(state ?? {}, key)) shown.push({ ...fieldOf(key), needed: key === "Resource" });
    else if (always && fits(key)) shown.push({ ...fieldOf(key), needed: key === "Resource" });
    else if (fits(key)) more.push(fieldOf(key));
  }
  // What is unknown here is kept, and can be set up as JSON.
  const said = new Set(shown.map(({ key }) => key));
  for (const key of Object.keys(state ?? {})) if (!said.has(key) && !ELSEWHERE.has(key)) shown.push(fieldOf(key));
  return { shown, more };
}

/** The fields of a workflow itself. @type {Field[]} */
export const TOP = [
  { key: "Comment", label: "Comment", kind: "long", start: "" },
  { key: "QueryLanguage", label: "Query language", kind: "one", options: [PATH, JSONATA], start: PATH },
  { key: "TimeoutSeconds", label: "Timeout, in seconds", kind: "number", start: 3600 },
  { key: "Version", label: "Version", kind: "text", start: "1.0" },
];

/** The comparisons of a JSONPath rule, with what they compare with at first. @type {Record<string, any>} */
export const COMPARISONS = {
  StringEquals: "", StringEqualsPath: "$.other", StringLessThan: "", StringGreaterThan: "", StringLessThanEquals: "", StringGreaterThanEquals: "", StringMatches: "*",
  NumericEquals: 0, NumericEqualsPath: "$.other", NumericLessThan: 0, NumericGreaterThan: 0, NumericLessThanEquals: 0, NumericGreaterThanEquals: 0,
  BooleanEquals: true, BooleanEqualsPath: "$.other", TimestampEquals: "2030-01-01T00:00:00Z", TimestampLessThan: "2030-01-01T00:00:00Z", TimestampGreaterThan: "2030-01-01T00:00:00Z",
  IsNull: true, IsPresent: true, IsNumeric: true, IsString: true, IsBoolean: true, IsTimestamp: true,
};

/** Returns the comparison that a rule makes; null when it is not one of a variable. @param {any} rule */
export function comparisonOf(rule) {
  if (!rule || typeof rule.Variable !== "string") return null;
  return Object.keys(rule).find((key) => /^(String|Numeric|Boolean|Timestamp|Is)[A-Z]/.test(key)) ?? null;
}
