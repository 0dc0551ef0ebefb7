// Cases for the editor of workflows, by pointer and by keyboard alone, against examples/workflows.

import { api, check, equal, shot, visit } from "./harness.mjs";
import { contrast, focusVisible } from "./look.mjs";

const face = (page, state) => page.locator(`.canvas .face[data-state="${state}"]`);
const valid = (page) => page.locator(".verdict", { hasText: /^(Valid|Unchanged)$/ }).waitFor();
const saved = async (base, name) => JSON.parse((await api(base, `/v1/workflows/${name}`)).definition);

/** Makes a workflow over the API, opens its editor, and removes it after `work`. */
async function edit(base, name, definition, work, options = {}) {
  await api(base, `/v1/workflows/${name}`, { method: "PUT", headers: { "content-type": "application/json" }, body: JSON.stringify({ definition }) });
  const { page, guard } = await visit(base, `/workflows/${name}`, options);
  await page.getByRole("button", { name: "Edit" }).click();
  await page.locator(".canvas .face").first().waitFor();
  await work(page);
  await api(base, `/v1/workflows/${name}`, { method: "DELETE" });
  await guard();
}

const HAND = '{ "Comment": "as it is",\n\n  "StartAt": "Zebra",\n  "States": {"Zebra": {"Next": "Ant",   "Type": "Pass"}, "Ant": {"End": true, "Type": "Pass"}} }\n';

export const editing = {
  async "editor: the text is judged while one writes, and what is saved keeps order and blanks"(base) {
    await edit(base, "edited-as-text", HAND, async (page) => {
      await page.getByRole("button", { name: "Text" }).click();
      const field = page.getByRole("textbox", { name: "Definition" });
      equal(await field.inputValue(), HAND, "the text as it is");
      await field.fill(HAND.replace('"Next": "Ant"', '"Next": "Bee"'));
      const finding = page.locator(".found-list button", { hasText: "Missing transition target: Bee" });
      await finding.waitFor();
      check(/line 4/.test(await finding.innerText()), `the line is named: ${await finding.innerText()}`);
      equal(await face(page, "Zebra").getAttribute("data-found"), "error", "the state is marked");
      check(await page.getByRole("button", { name: "Save" }).isDisabled(), "what has errors is not saved");
      await shot(page, "editor-text");
      const after = HAND.replace('"Ant": {', '"Mole": {"Type": "Pass", "Next": "Ant"}, "Ant": {').replace('"Next": "Ant"', '"Next": "Mole"');
      await field.fill(after);
      await face(page, "Mole").waitFor();
      await valid(page);
      await page.getByRole("button", { name: "Save" }).click();
      await page.locator(".verdict", { hasText: "Unchanged" }).waitFor();
      equal((await api(base, "/v1/workflows/edited-as-text")).definition, after, "what was saved, byte for byte");
    });
  },

  async "editor: a text with the line ends of Windows keeps them while it is written by hand"(base) {
    const windows = HAND.replaceAll("\n", "\r\n");
    await edit(base, "edited-windows", windows, async (page) => {
      await face(page, "Ant").click();
      await page.getByRole("button", { name: "Text" }).click();
      const field = page.getByRole("textbox", { name: "Definition" });
      const at = await field.evaluate((node) => node.selectionStart);
      equal(HAND.slice(at).startsWith('{"End": true'), true, `the chosen state is shown, at ${at}`);
      await page.keyboard.press("ArrowRight");
      await page.keyboard.type(' "Comment": "x",');
      await valid(page);
      equal(await field.evaluate((node) => node.selectionStart), at + 17, "where one writes");
      await page.getByRole("button", { name: "Save" }).click();
      await page.locator(".verdict", { hasText: "Unchanged" }).waitFor();
      equal((await api(base, "/v1/workflows/edited-windows")).definition, windows.replace('{"End": true', '{ "Comment": "x","End": true'), "what was saved, byte for byte");
    });
  },

  async "editor: a new workflow is named, made, and open in the editor"(base) {
    const { page, guard } = await visit(base, "/workflows");
    await page.getByRole("button", { name: "New workflow" }).click();
    await page.getByRole("textbox", { name: "Name" }).fill("refund-approval");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").filter({ hasText: "already" }).waitFor();
    await page.getByRole("textbox", { name: "Name" }).fill("made-on-the-page");
    await page.keyboard.press("Enter");
    await face(page, "Hello").waitFor();
    await valid(page);
    equal((await api(base, "/v1/workflows/made-on-the-page")).origin, "api", "where it is kept");
    await api(base, "/v1/workflows/made-on-the-page", { method: "DELETE" });
    await guard();
  },

  async "editor: with the pointer one adds, drags in, connects, sets up, renames and removes; undo takes it all back"(base) {
    await edit(base, "edited-by-pointer", HAND, async (page) => {
      await face(page, "Zebra").click();
      const add = (type) => page.getByRole("toolbar", { name: "Add a state" }).getByRole("button", { name: type });
      await add("Task").click();
      await face(page, "Task").waitFor();
      equal(await page.getByRole("textbox", { name: "Name" }).inputValue(), "Task", "the new state is chosen");
      await page.getByRole("textbox", { name: "Resource" }).fill("arn:aws:states:::lambda:invoke");
      await page.getByRole("textbox", { name: "Parameters" }).fill('{"FunctionName": "price", oops}');
      await page.getByText(/Not JSON:.*line 1, column/).waitFor();
      await page.getByRole("textbox", { name: "Parameters" }).fill('{"FunctionName": "price",\n "Payload.$": "$"}');
      await page.getByRole("combobox", { name: "Add a field" }).selectOption("TimeoutSeconds");
      await page.getByRole("textbox", { name: "Timeout, in seconds" }).fill("90");
      await page.getByRole("button", { name: "Add a retry" }).click();
      await page.getByRole("button", { name: "Add a catcher" }).click();
      await page.getByRole("textbox", { name: "Name" }).fill("Price");
      await page.keyboard.press("Enter");
      await face(page, "Price").waitFor();
      await valid(page);
      await shot(page, "editor-task");
      // A Choice is dragged onto a state, a Fail onto it.
      await add("Choice").hover();
      await page.mouse.down();
      const target = await face(page, "Price").boundingBox();
      await page.mouse.move(target.x + 20, target.y + 10, { steps: 8 });
      await shot(page, "editor-dragging");
      await page.mouse.up();
      await face(page, "Choice").waitFor();
      await page.getByRole("button", { name: "Add a rule" }).click();
      await page.getByRole("textbox", { name: "When" }).fill("$.Payload.price");
      await page.getByRole("combobox", { name: "Comparison" }).selectOption("NumericGreaterThan");
      await page.getByRole("textbox", { name: "this" }).fill("100");
      await add("Fail").click();
      await face(page, "Fail").waitFor();
      // From the Ant back to the Choice: a line is drawn with the pointer.
      await face(page, "Ant").click();
      const port = await face(page, "Ant").locator(".port").boundingBox();
      const end = await face(page, "Choice").boundingBox();
      await page.mouse.move(port.x + port.width / 2, port.y + port.height / 2);
      await page.mouse.down();
      await page.mouse.move(end.x + end.width / 2, end.y + end.height / 2, { steps: 6 });
      await page.mouse.up();
      await valid(page);
      await shot(page, "editor-graph");
      await page.getByRole("button", { name: "Save" }).click();
      await page.locator(".verdict", { hasText: "Unchanged" }).waitFor();
      const made = await saved(base, "edited-by-pointer");
      equal(Object.keys(made.States).join(), "Zebra,Price,Choice,Fail,Ant", "the order of the states");
      equal(JSON.stringify([made.States.Zebra.Next, made.States.Price.Next, made.States.Ant.Next]), '["Price","Choice","Choice"]', "the lines");
      equal(JSON.stringify(made.States.Price.Parameters), '{"FunctionName":"price","Payload.$":"$"}', "the parameters");
      equal(JSON.stringify([made.States.Price.TimeoutSeconds, made.States.Price.Retry.length, made.States.Price.Catch[0].ErrorEquals]), '[90,1,["States.ALL"]]', "the fields");
      equal(JSON.stringify(made.States.Choice.Choices[0]), '{"Variable":"$.Payload.price","NumericGreaterThan":100,"Next":"Zebra"}', "the rule");
      await face(page, "Price").click();
      await page.getByRole("button", { name: "Remove state" }).click();
      await face(page, "Price").waitFor({ state: "detached" });
      await page.evaluate(async () => {
        const undo = document.querySelector('button[aria-label="Undo"]');
        for (let step = 0; step < 90 && !undo.disabled; step += 1) {
          undo.click();
          await new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)));
        }
      });
      await page.getByRole("button", { name: "Text" }).click();
      equal(await page.getByRole("textbox", { name: "Definition" }).inputValue(), HAND, "after undoing everything, byte for byte");
    });
  },

  async "editor: everything works with the keyboard alone"(base) {
    await edit(base, "edited-by-keys", HAND, async (page) => {
      const press = (...keys) => keys.reduce((before, key) => before.then(() => page.keyboard.press(key)), Promise.resolve());
      const focused = () => page.evaluate(() => document.activeElement?.getAttribute("data-state") ?? document.activeElement?.textContent);
      equal(await focused(), "Zebra", "the editor begins on its graph");
      await press("ArrowDown");
      equal(await focused(), "Ant", "the arrows walk along the lines");
      await press("a");
      equal(await focused(), "Task", "a leads to the palette");
      await press("ArrowRight", "ArrowRight", "Enter");
      await face(page, "Parallel").waitFor();
      equal(await focused(), "Parallel", "the new state has the focus");
      await press("F2");
      await page.keyboard.type("Both");
      await press("Enter");
      await face(page, "Both").waitFor();
      await valid(page);
      // Into a branch, another state after its first.
      await face(page, "ParallelBranchA").focus();
      await press("a", "Enter");
      await face(page, "Task").waitFor();
      // The Task of the branch catches what fails by its form: Tab from the name on.
      await press("Delete");
      await face(page, "Task").waitFor({ state: "detached" });
      await press("Control+z");
      await face(page, "Task").waitFor();
      await press("Control+z");
      await face(page, "Task").waitFor({ state: "detached" });
      await press("Control+Shift+z");
      await face(page, "Task").waitFor();
      // Connect with c, the arrows and Enter.
      await face(page, "Ant").focus();
      await press("c", "ArrowUp", "Enter");
      await page.getByRole("status").filter({ hasText: "Ant leads to Zebra" }).first().waitFor();
      equal(await face(page, "Both").count(), 1, "Both is there");
      await press("Control+z");
      await valid(page);
      await shot(page, "editor-keys");
      await press("Control+s");
      await page.locator(".verdict", { hasText: "Unchanged" }).waitFor();
      const made = await saved(base, "edited-by-keys");
      equal(made.States.Ant.Next, "Both", "the line to the new state");
      equal(made.States.Both.Branches.length, 2, "its branches");
      equal(Object.keys(made.States.Both.Branches[0].States).length, 2, "the state within a branch");
    });
  },

  async "editor: JSON that is pasted into an empty field stands as it was written, numbers and all"(base) {
    const definition = JSON.stringify({ StartAt: "A", States: { A: { Type: "Task", Resource: "arn:aws:states:::lambda:invoke", End: true } } }, null, 2);
    const pasted = '{"Payload": {"id": 12345678901234567890, "rate": 1.10, "id2": 1, "id2": 2}}';
    await edit(base, "edited-numbers", definition, async (page) => {
      await face(page, "A").click();
      await page.getByRole("textbox", { name: "Parameters" }).fill(pasted);
      await valid(page);
      equal(await page.getByRole("textbox", { name: "Parameters" }).inputValue(), pasted, "the field");
      await page.getByRole("button", { name: "Text" }).click();
      equal(await page.getByRole("textbox", { name: "Definition" }).inputValue(), definition.replace('"End": true', `"End": true,\n      "Parameters": ${pasted}`), "the text");
    });
  },

  async "editor: what the server finds is marked on the state and beside its field, and a finding leads there"(base) {
    const definition = JSON.stringify({ StartAt: "A", States: { A: { Type: "Wait", Seconds: 1, Next: "P" }, P: { Type: "Parallel", End: true, Branches: [{ StartAt: "X", States: { X: { Type: "Pass", End: true } } }] } } }, null, 4);
    await edit(base, "edited-findings", definition, async (page) => {
      await face(page, "X").click();
      await page.getByRole("combobox", { name: "Add a field" }).selectOption("InputPath");
      await page.getByRole("textbox", { name: "Input path" }).fill("no path");
      const finding = page.locator(".found-list button", { hasText: "X," }).first();
      await finding.waitFor();
      await page.waitForFunction(() => document.querySelector('.canvas .face[data-state="X"]')?.dataset.found === "error");
      check(/error/.test(await face(page, "X").getAttribute("aria-label")), "the mark is a word, too");
      equal(await page.getByRole("textbox", { name: "Input path" }).getAttribute("aria-invalid"), "true", "the field is marked");
      check((await page.locator(".form .field[data-field=InputPath] [role=alert]").innerText()).length > 5, "and says why");
      await shot(page, "editor-findings");
      await face(page, "A").click();
      await finding.click();
      equal(await page.evaluate(() => document.activeElement?.getAttribute("name")), "InputPath", "the finding leads to its field");
      await page.getByRole("textbox", { name: "Input path" }).fill("$.x");
      await valid(page);
      equal((await face(page, "X").getAttribute("data-found")) ?? "", "", "the mark is gone");
    });
  },

  async "editor: what was not saved is there again after the page was left"(base) {
    await edit(base, "edited-and-left", HAND, async (page) => {
      await face(page, "Ant").click();
      await page.getByRole("toolbar", { name: "Add a state" }).getByRole("button", { name: "Wait" }).click();
      await face(page, "Wait").waitFor();
      await page.getByRole("link", { name: "Runs", exact: true }).click();
      await page.goBack();
      await face(page, "Wait").waitFor();
      await page.getByRole("button", { name: "Close", exact: true }).last().click();
      await page.getByRole("button", { name: "Leave" }).click();
      await page.locator(".graph .face").first().waitFor();
      equal(await page.locator('.graph .face[data-state="Wait"]').count(), 0, "what was left is gone");
    });
  },

  async "editor: a draft that a colleague's change overtook is offered until it is taken back"(base) {
    const put = (definition) => api(base, "/v1/workflows/edited-by-two", { method: "PUT", headers: { "content-type": "application/json" }, body: JSON.stringify({ definition }) });
    await put(HAND);
    const { page, guard } = await visit(base, "/workflows/edited-by-two?edit=1");
    const add = async (type) => {
      await face(page, "Ant").click();
      await page.getByRole("toolbar", { name: "Add a state" }).getByRole("button", { name: type }).click();
      await face(page, type).waitFor();
    };
    const offered = page.getByRole("status").filter({ hasText: "The draft is kept" });
    await add("Wait");
    await valid(page);
    await put(HAND.replace("as it is", "by a colleague"));
    await page.getByRole("button", { name: "Save" }).click();
    await page.locator(".toast.bad").waitFor();
    // Twice: what is offered is not gone because the page looked at it.
    for (let time = 0; time < 2; time += 1) {
      await page.reload();
      await offered.waitFor();
      equal(await face(page, "Wait").count(), 0, "what is stored is shown");
    }
    await shot(page, "editor-overtaken");
    // Another draft beside it takes nothing away either.
    await add("Succeed");
    await page.reload();
    await offered.waitFor();
    await face(page, "Succeed").waitFor();
    await offered.getByRole("button", { name: "Take it back" }).click();
    await face(page, "Wait").waitFor();
    equal(await face(page, "Succeed").count(), 0, "the draft as it was");
    await offered.waitFor({ state: "hidden" });
    await valid(page);
    await page.getByRole("button", { name: "Save" }).click();
    await page.locator(".verdict", { hasText: "Unchanged" }).waitFor();
    check("Wait" in (await saved(base, "edited-by-two")).States, "the draft is saved");
    equal(await page.evaluate(() => sessionStorage.getItem("draft:edited-by-two")), null, "what is kept after it was saved");
    await api(base, "/v1/workflows/edited-by-two", { method: "DELETE" });
    await guard(/409/);
  },

  async "editor: every definition of the project opens and closes unchanged"(base) {
    const { workflows } = await api(base, "/v1/workflows");
    const { page, guard } = await visit(base, "/workflows");
    for (const { name } of workflows) {
      await page.goto(`${base}/workflows/${name}?edit=1`);
      await page.locator(".canvas .face").first().waitFor();
      for (const state of await page.locator(".canvas .face").evaluateAll((all) => all.map((node) => node.dataset.state))) await face(page, state).press("Enter");
      await page.locator(".verdict", { hasText: "Unchanged" }).waitFor();
    }
    await guard();
  },

  async "editor: light, dark and 360 pixels: contrast, focus, and no sideways scrolling"(base) {
    for (const options of [{ colorScheme: "light" }, { colorScheme: "dark" }, { viewport: { width: 360, height: 740 } }, { viewport: { width: 2560, height: 1300 } }]) {
      const name = options.colorScheme ?? `${options.viewport.width}`;
      const { page, guard } = await visit(base, "/workflows/fan-out?edit=1", options);
      await face(page, "Evaluate").click();
      await valid(page);
      const poor = await page.evaluate(contrast);
      check(poor.length === 0, `${name}: ${poor.slice(0, 5).join("; ")}`);
      equal(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth), 0, `sideways scrolling on ${name}`);
      await shot(page, `editor-${name}`);
      await focusVisible(page, 40);
      await guard();
    }
  },
};
