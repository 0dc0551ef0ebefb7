// Folds the events of a journal into turns and their steps. The journal is the truth; what a model is still saying is a
// view beside it, which the committed reply replaces.

/** @typedef {import('../types').Entry} Entry */
/** @typedef {import('../types').Turn} Turn */
/** @typedef {import('../types').Step} Step */
/** @typedef {import('../types').Message} Message */

/** The state of a run after some prefix of its journal. */
export class RunState {
  constructor() {
    /** The position of the last event that was folded. */
    this.seq = 0;
    /** When it happened, in milliseconds. */
    this.at = 0;
    this.agent = "";
    this.user = "";
    this.session = "";
    /** @type {{ from: string, at: number } | null} */
    this.forked = null;
    /** @type {Turn[]} */
    this.turns = [];
    /** @type {Map<number, Step>} */
    this.calls = new Map();
    /** The model's replies by position. @type {Map<number, Message>} */
    this.replies = new Map();
    /** The turn under way. @type {Turn | null} */
    this.open = null;
  }

  /**
   * Folds one event; one that was folded before is ignored.
   * @param {Entry} entry
   * @returns {boolean} whether it was new
   */
  apply(entry) {
    if (entry.seq <= this.seq) return false;
    this.seq = entry.seq;
    // A `forked` event has a field of its own called `at`, a position, which hides the time.
    const at = typeof entry.at === "string" ? Date.parse(entry.at) : this.at;
    this.at = at;
    const fold = FOLDS[entry.type];
    if (fold) fold(this, entry, at);
    return true;
  }

  /**
   * Shows what a model says while it says it.
   * @param {string} kind the name of the stream's event
   * @param {any} data
   */
  hear(kind, data) {
    const step = this.calls.get(data.call);
    if (!step || step.kind !== "model" || step.reply) return;
    if (kind === "restart") step.live = new Map();
    step.live ??= new Map();
    if (kind === "partial") {
      step.live = new Map((data.message?.content ?? []).map((/** @type {any} */ block, /** @type {number} */ index) => [index, partial(block)]));
    } else if (kind === "block") {
      step.live.set(data.index, { kind: data.kind, text: "", name: data.name });
    } else if (kind === "delta") {
      const block = step.live.get(data.index);
      if (block) block.text += data.text;
      else step.live.set(data.index, { kind: data.kind === "input" ? "tool_use" : data.kind, text: data.text });
    }
  }

  /** Whether a turn is under way or waits. */
  get busy() {
    return this.turns.some((turn) => turn.ended === null);
  }

  /** The calls that wait for a person. @returns {Step[]} */
  get questions() {
    return (this.open?.steps ?? []).filter((step) => step.state === "asking");
  }
}

/** @param {any} block @returns {import('../types').LiveBlock} */
function partial(block) {
  if (block.type === "tool_use") return { kind: "tool_use", name: block.name, text: block.malformed ?? JSON.stringify(block.input) };
  return { kind: block.type, text: block.text ?? "" };
}

/** @param {RunState} run @param {Entry} entry @param {number} at @param {string} state @returns {Turn} */
function turn(run, entry, at, state) {
  const made = {
    id: entry.seq, key: entry.key, state, message: entry.message, queuedAt: state === "queued" ? at : null, at,
    ended: null, why: null, cancelling: false, steps: [],
  };
  run.turns.push(made);
  return made;
}

/** Says what a turn does by what its steps do. @param {RunState} run */
function settle(run) {
  if (!run.open) return;
  run.open.state = run.open.steps.some((step) => step.state === "asking") ? "waiting" : "running";
}

/** @type {Record<string, (run: RunState, entry: Entry, at: number) => void>} */
const FOLDS = {
  run_started(run, entry) {
    run.agent = entry.name;
    run.user = entry.user;
    run.session = entry.session;
  },
  forked(run, entry) {
    run.forked = { from: entry.from, at: entry.from_at ?? entry.seq - 1 };
    run.session = entry.session;
  },
  turn_queued(run, entry, at) {
    turn(run, entry, at, "queued");
  },
  turn_started(run, entry, at) {
    run.open = turn(run, entry, at, "running");
  },
  queued_turn_started(run, entry, at) {
    const waiting = run.turns.find((turn) => turn.id === entry.queued);
    if (!waiting) return;
    waiting.state = "running";
    waiting.at = at;
    run.open = waiting;
  },
  model_called(run, entry, at) {
    const later = entry.not_before === undefined ? null : moment(entry.not_before);
    step(run, {
      kind: "model", call: entry.seq, at, name: entry.route, state: "running", began: at, ended: null, took: null,
      attempt: entry.attempt ?? 1, retryAt: later, live: new Map(), from: entry.from,
    });
  },
  model_replied(run, entry, at) {
    run.replies.set(entry.seq, entry.message);
    const step = run.calls.get(entry.call);
    if (!step) return;
    Object.assign(step, {
      reply: entry.message, replySeq: entry.seq, live: undefined, state: "done", ended: at, usage: entry.usage,
      cost: (entry.cost ?? 0) / 1e6, model: entry.model, stop: entry.stop_reason, partial: entry.partial ?? false,
      took: entry.took_ms ?? at - step.at,
    });
  },
  model_failed(run, entry, at) {
    const step = run.calls.get(entry.call);
    if (!step) return;
    Object.assign(step, {
      state: "failed", ended: at, usage: entry.usage, cost: (entry.cost ?? 0) / 1e6, live: undefined, took: at - step.at,
      error: { code: entry.code, message: entry.message },
    });
  },
  tool_requested(run, entry, at) {
    const uses = (run.replies.get(entry.reply)?.content ?? []).filter((block) => block.type === "tool_use");
    const use = uses[entry.index];
    const begun = entry.deadline !== undefined;
    step(run, {
      kind: "tool", call: entry.seq, at, name: entry.name, state: begun ? "running" : "looking", began: begun ? at : null,
      ended: null, took: null, input: use?.input, malformed: use?.malformed,
    });
  },
  question_asked(run, entry, at) {
    const step = run.calls.get(entry.call);
    if (!step) return;
    step.state = "asking";
    step.asked = {
      kind: entry.kind, question: entry.question, preview: entry.preview ?? null, deadline: moment(entry.deadline), at,
      answered: null,
    };
    settle(run);
  },
  question_answered(run, entry, at) {
    const step = run.calls.get(entry.call);
    if (!step?.asked) return;
    step.asked.answered = { approved: entry.approved, by: entry.by ?? null, note: entry.note ?? null, at };
    step.state = entry.approved ? "running" : "refused";
    settle(run);
  },
  tool_begun(run, entry, at) {
    const step = run.calls.get(entry.call);
    if (!step) return;
    step.state = "running";
    step.began = at;
  },
  tool_returned(run, entry, at) {
    const step = run.calls.get(entry.call);
    if (!step) return;
    Object.assign(step, {
      outcome: entry.outcome, output: entry.output, ended: at, state: entry.outcome,
      took: entry.took_ms ?? (step.began === null ? null : at - step.began),
    });
    if (entry.outcome === "done" && entry.output?.is_error) step.state = "tool_error";
    settle(run);
  },
  cancel_requested(run, entry, at) {
    const withdrawn = run.turns.find((turn) => turn.id === entry.turn);
    if (withdrawn && withdrawn !== run.open) {
      withdrawn.state = "cancelled";
      withdrawn.ended = at;
    } else if (run.open) run.open.cancelling = true;
  },
  turn_ended(run, entry, at) {
    if (!run.open) return;
    for (const step of run.open.steps) {
      if (step.ended === null) Object.assign(step, { ended: at, state: "cut" });
    }
    run.open.state = entry.outcome;
    run.open.why = entry.message ?? null;
    run.open.ended = at;
    run.open = null;
  },
};

/** @param {RunState} run @param {Step} made */
function step(run, made) {
  run.calls.set(made.call, made);
  run.open?.steps.push(made);
}

/** Returns a time of the journal, which may be milliseconds or RFC 3339, in milliseconds. @param {number | string} time */
function moment(time) {
  return typeof time === "number" ? time : Date.parse(time);
}

/** Returns what stands in a message as text. @param {Message | undefined} message */
export function words(message) {
  const blocks = message?.content ?? [];
  return blocks.filter((block) => block.type === "text").map((block) => block.text ?? "").join("\n\n");
}

/** Returns what a tool answered: its JSON when it is one value of JSON, else its text. @param {Step['output']} output */
export function answer(output) {
  const parts = output?.content ?? [];
  if (parts.length === 1 && parts[0].type === "json") return parts[0].json;
  return parts.map((part) => (part.type === "json" ? JSON.stringify(part.json) : (part.text ?? `[${part.type}]`))).join("\n");
}
