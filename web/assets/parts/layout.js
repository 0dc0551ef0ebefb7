// A States Language definition as boxes and lines with places: layers from top to bottom, lines that span several layers
// led past the boxes, a Parallel or Map drawn as a box around what is in it. Knows nothing of the page.

/** @typedef {{ id: string, type: string, x: number, y: number, w: number, h: number, start: boolean, end: boolean, inner: Drawing[] }} Box */
/** @typedef {{ from: string, to: string, kind: "next" | "choice" | "default" | "catch", label: string, points: [number, number][] }} Line */
/** @typedef {{ w: number, h: number, boxes: Box[], lines: Line[] }} Drawing */
/** @typedef {{ box: Box | null, w: number, h: number, x: number, layer: number, up: Cell[], down: Cell[] }} Cell */

const GAP_X = 24;
const GAP_Y = 36;
const HEAD = 40;
const PAD = 16;
const HIGH = 44;

/** How often the cells of the layers are put in order and in place. */
const SWEEPS = 6;

/** How wide a name is drawn, in pixels; longer ones are cut. @param {string} name */
function wide(name) {
  return Math.min(248, Math.max(136, 60 + Math.round(name.length * 7.4)));
}

/** Returns the lines that lead away from a state, in the order of the definition. @param {string} from @param {any} state @returns {Omit<Line, "points">[]} */
export function exits(from, state) {
  /** @type {Omit<Line, "points">[]} */
  const found = [];
  const add = (/** @type {any} */ to, /** @type {Line["kind"]} */ kind, label = "") => typeof to === "string" && found.push({ from, to, kind, label });
  const list = (/** @type {any} */ value) => (Array.isArray(value) ? value : []);
  list(state?.Choices).forEach((choice, index) => add(choice?.Next, "choice", condition(choice) || String(index + 1)));
  add(state?.Default, "default", "else");
  if (state?.Type !== "Choice") add(state?.Next, "next");
  for (const catcher of list(state?.Catch)) add(catcher?.Next, "catch", list(catcher?.ErrorEquals).join(", "));
  /** One line between two states says all that leads there. @type {Omit<Line, "points">[]} */
  const merged = [];
  for (const line of found) {
    const same = merged.find((other) => other.to === line.to && other.kind === line.kind);
    if (same) same.label = `${same.label}, ${line.label}`;
    else merged.push(line);
  }
  return merged;
}

/** Says in short when a choice is taken. @param {any} choice @returns {string} */
function condition(choice) {
  if (typeof choice?.Comment === "string") return choice.Comment;
  if (typeof choice?.Condition === "string") return choice.Condition.replace(/^\{%\s*|\s*%\}$/g, "").replaceAll("$states.", "");
  const test = Object.entries(choice ?? {}).find(([name]) => !["Variable", "Next", "Assign", "Output"].includes(name));
  if (!test) return "";
  return Array.isArray(test[1]) ? test[1].map(condition).join(` ${test[0].toLowerCase()} `) : typeof choice.Variable === "string" ? `${choice.Variable} ${test[0]} ${JSON.stringify(test[1])}` : `${test[0].toLowerCase()} ${condition(test[1])}`;
}

/** Returns the machines within a state. @param {any} state @returns {any[]} */
export function within(state) {
  if (state?.Type === "Parallel") return Array.isArray(state.Branches) ? state.Branches : [];
  if (state?.Type === "Map") return [state.ItemProcessor ?? state.Iterator].filter(Boolean);
  return [];
}

/** Draws a machine. @param {any} machine @param {number} [depth] @returns {Drawing} */
export function layout(machine, depth = 0) {
  const states = Object.entries(machine?.States && typeof machine.States === "object" ? machine.States : {});
  /** @type {Map<string, Cell>} */
  const cells = new Map();
  for (const [id, state] of states) {
    const inner = depth < 12 ? within(state).map((part) => layout(part, depth + 1)) : [];
    const w = Math.max(wide(id), PAD + inner.reduce((sum, part) => sum + part.w + PAD, 0));
    const h = inner.length ? HEAD + Math.max(...inner.map((part) => part.h)) + PAD : HIGH;
    const end = state?.End === true || state?.Type === "Succeed" || state?.Type === "Fail";
    const box = { id, type: String(state?.Type ?? ""), x: 0, y: 0, w, h, start: machine.StartAt === id, end, inner };
    cells.set(id, { box, w, h, x: 0, layer: 0, up: [], down: [] });
  }
  const lines = states.flatMap(([id, state]) => exits(id, state)).filter((line) => cells.has(line.to));
  const back = backwards(states.map(([id]) => id), lines, machine?.StartAt);
  rank(cells, lines, back);
  const layers = spread(cells, lines, back);
  order(layers.rows);
  const high = layers.rows.map((row) => Math.max(0, ...row.map((cell) => cell.h)));
  const tops = high.map((_, index) => 12 + high.slice(0, index).reduce((sum, h) => sum + h + GAP_Y, 0));
  const middle = (/** @type {Cell} */ cell) => (tops[cell.layer] ?? 0) + (high[cell.layer] ?? 0) / 2;
  const beside = ports(layers.chains, back);
  const boxes = [];
  for (const cell of cells.values()) {
    if (!cell.box) continue;
    Object.assign(cell.box, { x: Math.round(cell.x - cell.w / 2), y: Math.round(middle(cell) - cell.h / 2) });
    boxes.push(cell.box);
  }
  return {
    w: Math.ceil(Math.max(0, ...layers.rows.flat().map((cell) => cell.x + cell.w / 2)) + 12),
    h: (tops.at(-1) ?? 0) + (high.at(-1) ?? 0) + 12,
    boxes,
    lines: layers.chains.map(({ line, chain }) => ({ ...line, points: trace(chain, back.has(line), beside.get(line) ?? [0, 0], tops, high) })),
  };
}

/** Returns the lines that lead back to a state on the way to theirs. @param {string[]} ids @param {Omit<Line, "points">[]} lines @param {string} start */
function backwards(ids, lines, start) {
  /** @type {Map<string, "open" | "done">} */
  const seen = new Map();
  const from = grouped(lines, (line) => line.from);
  const known = new Set(ids);
  const back = new Set();
  for (const root of [start, ...ids]) {
    if (seen.has(root) || !known.has(root)) continue;
    const path = [{ id: root, next: 0 }];
    seen.set(root, "open");
    for (let top = path.at(-1); top; top = path.at(-1)) {
      const { id } = top;
      const line = from.get(id)?.[top.next++];
      if (!line) {
        seen.set(id, "done");
        path.pop();
      } else if (seen.get(line.to) === "open") back.add(line);
      else if (!seen.has(line.to)) {
        seen.set(line.to, "open");
        path.push({ id: line.to, next: 0 });
      }
    }
  }
  return back;
}

/** @template K, T @param {T[]} items @param {(item: T) => K} key @returns {Map<K, T[]>} */
function grouped(items, key) {
  /** @type {Map<K, T[]>} */
  const all = new Map();
  for (const item of items) {
    const same = all.get(key(item));
    if (same) same.push(item);
    else all.set(key(item), [item]);
  }
  return all;
}

/** Gives each cell the layer below the lowest of those that lead to it. @param {Map<string, Cell>} cells @param {Omit<Line, "points">[]} lines @param {Set<any>} back */
function rank(cells, lines, back) {
  const forward = lines.filter((line) => !back.has(line));
  for (let round = 0; round < cells.size; round += 1) {
    let moved = false;
    for (const { from, to } of forward) {
      const [above, below] = [cells.get(from), cells.get(to)];
      if (!above || !below || below.layer > above.layer) continue;
      below.layer = above.layer + 1;
      moved = true;
    }
    if (!moved) return;
  }
}

/** Puts cells into rows, with narrow ones where a line passes a layer. @param {Map<string, Cell>} cells @param {Omit<Line, "points">[]} lines @param {Set<any>} back */
function spread(cells, lines, back) {
  /** @type {Cell[][]} */
  const rows = [];
  const put = (/** @type {Cell} */ cell) => (rows[cell.layer] ??= []).push(cell);
  [...cells.values()].sort((a, b) => a.layer - b.layer).forEach(put);
  const chains = lines.map((line) => {
    const turned = back.has(line);
    const top = /** @type {Cell} */ (cells.get(turned ? line.to : line.from));
    const bottom = /** @type {Cell} */ (cells.get(turned ? line.from : line.to));
    const chain = [top];
    for (let layer = top.layer + 1; layer < bottom.layer; layer += 1) {
      const cell = { box: null, w: 12, h: 0, x: 0, layer, up: [], down: [] };
      put(cell);
      chain.push(cell);
    }
    if (top !== bottom) chain.push(bottom);
    chain.slice(1).forEach((cell, index) => {
      cell.up.push(/** @type {Cell} */ (chain[index]));
      chain[index]?.down.push(cell);
    });
    return { line, chain };
  });
  return { rows, chains };
}

/** Orders each row by what its cells are tied to, and places it. @param {Cell[][]} rows */
function order(rows) {
  rows.forEach((row) => place(row, () => null));
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const down = sweep % 2 === 0;
    for (const row of down ? rows : rows.toReversed()) {
      const wish = (/** @type {Cell} */ cell) => mean(down ? cell.up : cell.down) ?? mean([...cell.up, ...cell.down]);
      if (sweep < SWEEPS - 2) row.sort((a, b) => (wish(a) ?? a.x) - (wish(b) ?? b.x));
      place(row, sweep < SWEEPS - 1 ? wish : (cell) => mean([...cell.up, ...cell.down]));
    }
  }
  const left = Math.min(...rows.flat().map((cell) => cell.x - cell.w / 2));
  for (const cell of rows.flat()) cell.x += 12 - left;
}

/** @param {Cell[]} cells */
function mean(cells) {
  return cells.length ? cells.reduce((sum, { x }) => sum + x, 0) / cells.length : null;
}

/** Places a row as near to its wishes as widths allow: cells that would overlap share the mean of their wishes. @param {Cell[]} row @param {(cell: Cell) => number | null} wish */
function place(row, wish) {
  /** @type {{ sum: number, count: number, cells: [Cell, number][] }[]} */
  const blocks = [];
  let offset = 0;
  row.forEach((cell, index) => {
    if (index) offset += (/** @type {Cell} */ (row[index - 1]).w + cell.w) / 2 + GAP_X;
    blocks.push({ sum: (wish(cell) ?? cell.x) - offset, count: 1, cells: [[cell, offset]] });
    for (let last = blocks.at(-1), before = blocks.at(-2); last && before && before.sum / before.count > last.sum / last.count; last = blocks.at(-1), before = blocks.at(-2)) {
      blocks.pop();
      before.sum += last.sum;
      before.count += last.count;
      before.cells.push(...last.cells);
    }
  });
  for (const block of blocks) for (const [cell, at] of block.cells) cell.x = block.sum / block.count + at;
}

/** Returns how far beside the middle each line leaves its upper and its lower box: lines of one box stand in the order of where they lead. @param {{ line: any, chain: Cell[] }[]} chains @param {Set<any>} back @returns {Map<any, [number, number]>} */
function ports(chains, back) {
  /** @type {Map<any, [number, number]>} */
  const found = new Map(chains.map(({ line }) => [line, [0, 0]]));
  const spans = chains.filter(({ chain }) => chain.length > 1);
  for (const [side, end, next] of /** @type {[0 | 1, number, number][]} */ ([[0, 0, 1], [1, -1, -2]])) {
    for (const [cell, all] of grouped(spans, ({ chain }) => /** @type {Cell} */ (chain.at(end)))) {
      // What leads to a box meets in its middle, unless a line also leaves upwards there.
      if (side === 1 && !all.some(({ line }) => back.has(line))) continue;
      all.sort((a, b) => (a.chain.at(next)?.x ?? 0) - (b.chain.at(next)?.x ?? 0));
      for (const [index, { line }] of all.entries()) {
        const both = found.get(line);
        if (both) both[side] = (index - (all.length - 1) / 2) * Math.min(36, cell.w / (all.length + 1));
      }
    }
  }
  return found;
}

/** Returns the points of a line, from the state that it leaves. @param {Cell[]} chain @param {boolean} turned @param {[number, number]} ports @param {number[]} tops @param {number[]} high @returns {[number, number][]} */
function trace(chain, turned, [upper, lower], tops, high) {
  const [first, last] = [/** @type {Cell} */ (chain[0]), /** @type {Cell} */ (chain.at(-1))];
  const middle = (/** @type {Cell} */ cell) => (tops[cell.layer] ?? 0) + (high[cell.layer] ?? 0) / 2;
  if (first === last) {
    const [x, y] = [first.x + first.w / 2, middle(first)];
    return [[x, y - 10], [x + 18, y - 10], [x + 18, y + 10], [x, y + 10]];
  }
  const passed = chain.slice(1, -1).flatMap((cell) => /** @type {[number, number][]} */ ([[cell.x, tops[cell.layer] ?? 0], [cell.x, (tops[cell.layer] ?? 0) + (high[cell.layer] ?? 0)]]));
  /** @type {[number, number][]} */
  const points = [[first.x + upper, middle(first) + first.h / 2], ...passed, [last.x + lower, middle(last) - last.h / 2]];
  return turned ? points.reverse() : points;
}
