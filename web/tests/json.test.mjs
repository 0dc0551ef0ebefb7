// JSON as text that people read and change: laid out without a value becoming another one.

import assert from "node:assert/strict";
import { test } from "node:test";
import { laidOut, pretty } from "../assets/parts/json.js";

test("a text of JSON is laid out as its value would be", () => {
  const values = [{}, [], null, true, -1.5, "", "{[,:]}", { a: [] }, { a: {}, b: [1, [2, { c: null }], "x\n\"y\\\\" ] }, [[[]]], { "": "\u2028 ü \\" }];
  for (const value of values) for (const text of [JSON.stringify(value), JSON.stringify(value, null, "\t")]) assert.equal(laidOut(text), pretty(value));
});

test("what a number or a doubled name says stays when it is laid out", () => {
  assert.equal(laidOut('{"id":9007199254740993,"x":1e400,"y":1.10,"y":-0}'), '{\n  "id": 9007199254740993,\n  "x": 1e400,\n  "y": 1.10,\n  "y": -0\n}');
  const long = `"${'a\\"'.repeat(300_000)}"`;
  assert.equal(laidOut(long), long);
});
