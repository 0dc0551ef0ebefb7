// The editor's document model against definitions as people and machines write them: what is loaded, changed and taken
// back is the same text; what is changed is changed there and nowhere else.
//
//   BEDPLATE_CASES   the shared cases; default ../shared/cases beside the repository. Absent: those tests are skipped.

import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { Draft, located } from "../assets/asl/draft.js";
import { add, addBranch, connect, field, find, finish, remove, renameState, states, valueAt, waysOf } from "../assets/asl/machine.js";
import { drop, inField, places, put, rename, source, swap, typed, write } from "../assets/asl/text.js";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const cases = join(process.env.BEDPLATE_CASES ?? join(root, "..", "shared", "cases"), "asl");

/** Returns a value as text in which the order of keys counts. */
const inOrder = (text) => JSON.stringify(JSON.parse(text));

/** Returns a value as text in which the order of keys does not count. */
const meaning = (value) => JSON.stringify(value, (_, one) => (one && typeof one === "object" && !Array.isArray(one) ? Object.fromEntries(Object.entries(one).sort(([a], [b]) => (a < b ? -1 : 1))) : one));

/** Collects every definition of the shared cases: files that are one, and those within cases. */
function definitions() {
  const found = [];
  for (const folder of ["definition_validity", "execution", "api", "test_state", "validation"]) {
    for (const file of readdirSync(join(cases, folder)).filter((name) => name.endsWith(".json"))) {
      const text = readFileSync(join(cases, folder, file), "utf8");
      const name = `${folder}/${file}`;
      if (folder === "definition_validity") {
        found.push({ name, text });
        continue;
      }
      const walk = (value, key) => {
        if (key === "definition") found.push({ name, text: typeof value === "string" ? value : JSON.stringify(value, null, found.length % 2 ? 4 : 2) });
        else if (value && typeof value === "object") for (const [inner, one] of Object.entries(value)) walk(one, inner);
      };
      walk(JSON.parse(text), "");
    }
  }
  return found.filter(({ text }) => {
    try {
      const value = JSON.parse(text);
      return value && typeof value === "object" && !Array.isArray(value);
    } catch {
      return false;
    }
  });
}

test("every definition of the shared cases comes back from edits and undo as it was, byte for byte", (t) => {
  if (!existsSync(cases)) return t.skip(`${cases} is not there`);
  const all = definitions();
  assert.ok(all.length > 600, `${all.length} definitions`);
  let changes = 0;
  for (const { name, text } of all) {
    const draft = new Draft(text, { name: "x", kind: "standard" });
    draft.judge = async () => {};
    const change = (next, label) => {
      if (next === draft.text) return;
      JSON.parse(next);
      draft.change(next, label);
      changes += 1;
    };
    for (const { name: own, path, state } of states(draft.root)) {
      if (!state || typeof state !== "object") continue;
      change(put(draft.text, [...path, "Comment"], "changed\nhere"), "comment");
      change(drop(draft.text, [...path, "Type"]), "type");
      change(renameState(draft.text, own, `${own}~/x`), "name");
    }
    change(add(draft.text, "Parallel").text, "add");
    change(add(draft.text, "Choice").text, "add again");
    const first = states(draft.root)[0];
    if (first) change(remove(draft.text, first.name), "remove");
    while (draft.canUndo) draft.undo();
    draft.close();
    assert.equal(draft.text, text, name);
  }
  t.diagnostic(`${all.length} definitions, ${changes} changes`);
});

test("a field that is set and removed again leaves every definition equal in meaning and order", (t) => {
  if (!existsSync(cases)) return t.skip(`${cases} is not there`);
  for (const { name, text } of definitions()) {
    const value = JSON.parse(text);
    let now = text;
    for (const { path, state } of states(value)) {
      if (!state || typeof state !== "object" || "Added" in state) continue;
      now = put(now, [...path, "Added"], { of: ["any", { kind: [1, null] }] });
    }
    assert.notEqual(states(value).length > 0 && now === text, true, name);
    for (const { path, state } of states(value)) if (state && typeof state === "object") now = drop(now, [...path, "Added"]);
    assert.equal(inOrder(now), inOrder(text), name);
  }
});

test("a state renamed there and back leaves every definition equal in meaning and order", (t) => {
  if (!existsSync(cases)) return t.skip(`${cases} is not there`);
  for (const { name, text } of definitions()) {
    const names = states(JSON.parse(text)).map((found) => found.name);
    if (new Set(names).size !== names.length || names.some((own) => own.length > 79)) continue;
    let now = text;
    for (const own of names) now = renameState(now, own, `${own}'`);
    assert.deepEqual(states(JSON.parse(now)).map((found) => found.name), names.map((own) => `${own}'`), name);
    for (const own of names) now = renameState(now, `${own}'`, own);
    assert.equal(inOrder(now), inOrder(text), name);
  }
});

const HAND = `{ "Comment": "by hand",   "Unknown": {"kept": 1e3},
\t"StartAt": "Zebra",
\t"States": {
\t\t"Zebra": {"Type": "Task",  "Resource": "arn:aws:states:::lambda:invoke", "Next": "Ant",
\t\t\t"Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Bee"}]},
\t\t"Ant": {
\t\t\t"Type": "Choice",
\t\t\t"Choices": [
\t\t\t\t{"Variable": "$.n", "NumericEquals": 1, "Next": "Bee"},
\t\t\t\t{"Variable": "$.n", "NumericEquals": 2, "Next": "Zebra"}
\t\t\t],
\t\t\t"Default": "Bee"
\t\t},
\t\t"Bee": { "End": true, "Type": "Pass" }
\t}
}
`;

test("a change touches its own place only", () => {
  assert.equal(put(HAND, ["States", "Zebra", "Next"], "Bee"), HAND.replace('"Next": "Ant",', '"Next": "Bee",'));
  assert.equal(put(HAND, ["States", "Bee", "End"], true), HAND, "the same value changes nothing");
  assert.equal(rename(HAND, ["States", "Bee"], "B\"ee"), HAND.replace('"Bee": {', '"B\\"ee": {'));
  assert.equal(drop(HAND, ["States", "Ant", "Default"]), HAND.replace('],\n\t\t\t"Default": "Bee"', "]"));
  assert.equal(drop(HAND, ["Unknown"]), HAND.replace(',   "Unknown": {"kept": 1e3}', ""));
  const two = swap(HAND, ["States", "Ant", "Choices"], 0);
  assert.deepEqual(JSON.parse(two).States.Ant.Choices.map(({ NumericEquals }) => NumericEquals), [2, 1]);
  assert.equal(swap(two, ["States", "Ant", "Choices"], 0), HAND);
});

test("what is added is laid out like what is there", () => {
  const made = put(HAND, ["States", "Ant", "Comment"], "hello");
  assert.equal(made, HAND.replace('"Default": "Bee"\n', '"Default": "Bee",\n\t\t\t"Comment": "hello"\n'));
  assert.equal(put(HAND, ["States", "Bee", "Result"], { a: [1] }), HAND.replace('"Type": "Pass" }', '"Type": "Pass", "Result": {"a": [1]} }'));
  const list = put(HAND, ["States", "Ant", "Choices", 2], { Variable: "$.n", IsNull: true, Next: "Bee" });
  assert.match(list, /\n\t\t\t\t\{\n\t\t\t\t\t"Variable": "\$\.n",\n/);
  assert.equal(drop(list, ["States", "Ant", "Choices", 2]), HAND);
  const windows = HAND.replaceAll("\n", "\r\n");
  assert.equal(put(windows, ["States", "Ant", "Comment"], { a: { b: 1 } }).split("\n").every((line, index, all) => index === all.length - 1 || line.endsWith("\r")), true);
});

test("a JSON text of a field is kept as it was written, wherever it lies", () => {
  const said = '{\n  "b": [1,   2],\n  "a": "x\\ny"\n}';
  const made = write(put(HAND, ["States", "Ant", "Parameters"], {}), ["States", "Ant", "Parameters"], said);
  assert.equal(source(made, ["States", "Ant", "Parameters"]), said);
  assert.deepEqual(JSON.parse(made).States.Ant.Parameters, { b: [1, 2], a: "x\ny" });
});

test("what is typed into a field keeps the ends of the lines that were not touched", () => {
  const windows = HAND.replaceAll("\n", "\r\n");
  const edits = [(text) => text.replace("Bee", "Bees"), (text) => text.replace("Bee", "B\n\ne"), (text) => text.replace("\n", ""), (text) => `${text}\n`, (text) => `\n${text}`, () => "", (text) => text];
  for (const edit of edits) assert.equal(typed(windows, edit(inField(windows))), edit(HAND).replaceAll("\n", "\r\n"), String(edit));
  assert.equal(typed("a\r\nb\nc\rd\n", "a\nb\nc\nDd\n"), "a\r\nb\nc\rDd\n", "mixed ends stay as they are");
  assert.equal(typed("a\nb", "a\n\nb"), "a\n\nb");
});

test("a new state takes over what came next, and undoing it by removal restores the flow", () => {
  const made = add(HAND, "Wait", { after: "Zebra" });
  const machine = JSON.parse(made.text);
  assert.equal(machine.States.Zebra.Next, made.name);
  assert.equal(machine.States[made.name].Next, "Ant");
  assert.deepEqual(Object.keys(machine.States), ["Zebra", made.name, "Ant", "Bee"]);
  assert.equal(meaning(JSON.parse(remove(made.text, made.name))), meaning(JSON.parse(HAND)));
  const last = add(HAND, "Task", { after: "Bee" });
  assert.deepEqual([JSON.parse(last.text).States.Bee.Next, JSON.parse(last.text).States[last.name].End], [last.name, true]);
});

test("references follow a name, in the state's own scope and for every kind of line", () => {
  const machine = JSON.parse(renameState(HAND, "Bee", "Wasp"));
  assert.deepEqual([machine.States.Zebra.Catch[0].Next, machine.States.Ant.Choices[0].Next, machine.States.Ant.Default], ["Wasp", "Wasp", "Wasp"]);
  assert.equal(JSON.parse(renameState(HAND, "Zebra", "Horse")).StartAt, "Horse");
  assert.equal(renameState(HAND, "Zebra", "Ant"), HAND, "a name that is taken is refused");
});

test("a state that goes leaves no line to nowhere", () => {
  for (const name of ["Zebra", "Ant", "Bee"]) {
    const machine = JSON.parse(remove(HAND, name));
    const known = Object.keys(machine.States);
    assert.ok(!known.includes(name));
    assert.ok(known.includes(machine.StartAt));
    const named = JSON.stringify(machine).match(/"(Next|Default)":"([^"]+)"/g) ?? [];
    for (const one of named) assert.ok(known.includes(/:"(.+)"/.exec(one)[1]), `${name}: ${one}`);
  }
});

test("branches and iterations are scopes of their own", () => {
  let { text, name } = add(HAND, "Parallel", { after: "Zebra" });
  const inner = states(JSON.parse(text)).filter((found) => found.scope.length > 0).map((found) => found.name);
  assert.equal(inner.length, 2);
  text = add(text, "Task", { after: inner[0] }).text;
  const [first, second] = JSON.parse(text).States[name].Branches;
  assert.equal(Object.keys(first.States).length, 2);
  assert.equal(first.States[inner[0]].Next, Object.keys(first.States)[1]);
  assert.equal(Object.keys(second.States).length, 1);
  assert.equal(connect(text, inner[0], "Bee"), text, "no line leaves a branch");
  assert.equal(remove(text, inner[1]), text, "a branch keeps its last state");
  text = addBranch(text, find(JSON.parse(text), name).path).text;
  assert.equal(JSON.parse(text).States[name].Branches.length, 3);
  const map = add(text, "Map");
  const found = find(JSON.parse(map.text), map.name);
  assert.equal(Object.keys(valueAt(JSON.parse(map.text), [...found.path, "ItemProcessor", "States"])).length, 1);
});

test("every way to connect makes its own kind of line", () => {
  assert.deepEqual(waysOf("Choice"), ["rule", "default"]);
  assert.equal(JSON.parse(connect(HAND, "Bee", "Ant", "next")).States.Bee.Next, "Ant");
  assert.equal("End" in JSON.parse(connect(HAND, "Bee", "Ant", "next")).States.Bee, false);
  assert.equal(JSON.parse(connect(HAND, "Ant", "Zebra", "rule")).States.Ant.Choices.length, 3);
  assert.equal(JSON.parse(connect(HAND, "Ant", "Zebra", "default")).States.Ant.Default, "Zebra");
  assert.equal(JSON.parse(connect(HAND, "Zebra", "Ant", "catch")).States.Zebra.Catch.length, 2);
  const ended = finish(HAND, ["States", "Zebra"], JSON.parse(HAND).States.Zebra);
  assert.deepEqual([JSON.parse(ended).States.Zebra.End, "Next" in JSON.parse(ended).States.Zebra], [true, false]);
  assert.deepEqual(JSON.parse(field(HAND, ["States", "Zebra", "Parameters"], { a: 1 })).States.Zebra.Parameters, { a: 1 });
});

test("steps of one field are one step back, and undo brings back what was chosen", () => {
  const draft = new Draft(HAND, { name: "x", kind: "standard" });
  draft.judge = async () => {};
  draft.choose("Bee");
  for (const word of ["h", "he", "hel"]) draft.change(put(draft.text, ["States", "Bee", "Comment"], word), "Set Comment of Bee");
  const made = add(draft.text, "Pass", { after: "Bee" });
  draft.change(made.text, "Add Pass", made.name);
  draft.undo();
  assert.equal(draft.chosen, "Bee");
  assert.equal(draft.root.States.Bee.Comment, "hel");
  draft.undo();
  assert.equal(draft.text, HAND);
  draft.redo();
  draft.redo();
  assert.equal(draft.text, made.text);
  draft.change("{ no", "Typing");
  assert.equal(draft.readable, false);
  draft.undo();
  assert.equal(draft.readable, true);
  draft.close();
});

test("a verdict on a text that was changed meanwhile says nothing of the text that is there", async (t) => {
  /** @type {(response: Response) => void} */
  let answer = () => {};
  t.mock.method(globalThis, "fetch", () => new Promise((resolve) => (answer = resolve)));
  const draft = new Draft(HAND, { name: "x", kind: "standard" });
  t.after(() => draft.close());
  const judging = draft.judge();
  draft.change("{}", "Typing");
  answer(Response.json({ valid: true, diagnostics: [] }));
  await judging;
  assert.equal(draft.valid, null);
  const again = draft.judge();
  answer(Response.json({ valid: true, diagnostics: [] }));
  await again;
  assert.equal(draft.valid, true);
});

test("a pointer leads to its state and field, however deep it lies", () => {
  const at = (pointer) => {
    const { state, field } = located({ pointer });
    return [state, ...field].join(" ");
  };
  assert.equal(at("/States/A/Next"), "A Next");
  assert.equal(at("/States/P/Branches/0/States/B~1C/Choices/1/Next"), "B/C Choices 1 Next");
  assert.equal(at("/States/M/ItemProcessor/States/I"), "I");
  assert.equal(at("/States/P/Branches/0/StartAt"), "P Branches 0 StartAt");
  assert.equal(at("/StartAt"), " StartAt");
  assert.equal(at("/States/P/Branches[1]/States/X[0]/Catch[2]/Next"), "X[0] Catch 2 Next");
});

test("hostile texts neither crash nor change what they should not", () => {
  const deep = `${'{"a":'.repeat(2_000)}1${"}".repeat(2_000)}`;
  assert.equal(places(deep).to, deep.length);
  const odd = '{"States":{"__proto__":{"Type":"Pass","End":true},"constructor":{"Type":"Pass","Next":"__proto__"},"":{}},"StartAt":"constructor"}';
  assert.equal(meaning(JSON.parse(put(odd, ["States", "__proto__", "Comment"], "x")).States.constructor), meaning({ Type: "Pass", Next: "__proto__" }));
  assert.ok(put(odd, ["States", "__proto__", "Comment"], "x").includes('"__proto__":{"Type":"Pass","End":true,"Comment":"x"}'));
  for (const text of ['{"States": 7}', '{"States": {"A": null, "B": 3, "C": []}}', "{}", '{"States": {"P": {"Type": "Parallel", "Branches": [null, 1]}}}']) {
    for (const { name } of states(JSON.parse(text))) JSON.parse(remove(renameState(text, name, "Z"), "Z"));
    JSON.parse(add(text, "Map").text);
  }
});
