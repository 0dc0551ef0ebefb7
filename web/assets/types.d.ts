// The wire types of the HTTP API as the page uses them. Not served: only the type checker reads this.

export interface Model { provider: string; model: string; foundation_model: boolean }
export interface Info {
  name: string; version: string; project: string; default_agent: string | null; open: boolean; user_id?: string | null;
  model: Model | null; notice: string | null;
}
export interface Tool {
  name: string; description: string; input_schema?: any;
  read_only?: boolean; destructive?: boolean; idempotent?: boolean; open_world?: boolean;
  annotations?: { read_only?: boolean; destructive?: boolean; idempotent?: boolean; open_world?: boolean };
  approval?: any;
}
export interface Agent {
  name: string; description: string; route?: string; model: Model | string | null; tools: Tool[]; default: boolean;
  definition?: string;
}
export interface Run {
  run_id: string; session_id: string; user_id: string; agent: string; title: string;
  kind: "agent" | "workflow"; status: "idle" | "running" | "waiting"; parent_run_id?: string | null; created_at: string; touched_at: string; events: number;
}
export interface Usage { input: number; output: number; cache_read?: number; cache_write?: number }
export interface TurnSummary {
  turn: number; status: string; message?: string | null; started_at: string; ended_at: string | null; usage: Usage;
  cost_usd: number; iterations: number; tool_calls: number;
}
export interface RunView extends Run { at: number; turns: TurnSummary[]; questions: Question[]; usage: Usage; cost_usd: number }
export interface Question {
  call: number; kind: "approval" | "outcome_unknown"; tool: string; input: any; question: string; preview: any;
  deadline: string | null; source?: "workflow" | "agent"; state?: string | null; run_id: string; session_id: string; agent: string; user_id: string;
}
export interface Block {
  type: string; text?: string; id?: string; name?: string; input?: any; malformed?: string; media_type?: string;
  redacted?: string; tool_use_id?: string; content?: any[]; is_error?: boolean;
}
export interface Message { role: "user" | "assistant"; content: Block[] }
/** An event of a journal: position, time, type, and the fields of that type. */
export interface Entry { seq: number; at: string; type: string; [field: string]: any }
export interface TurnReply {
  run_id: string; session_id: string; turn: number; status: string; output: { text: string; content: Block[] } | null;
  error: { code: string; message: string } | null; questions: Question[]; usage: Usage; cost_usd: number;
  model?: Model | null; iterations: number; tool_calls: number; joined: boolean; queued_behind: number | null;
}

/** What a model said so far: a block at its index. */
export interface LiveBlock { kind: string; text: string; name?: string }

/** A model call or a tool call, folded from its events. */
export interface Step {
  kind: "model" | "tool"; call: number; at: number; name: string; state: string;
  began: number | null; ended: number | null; took: number | null;
  // A model call.
  reply?: Message; replySeq?: number; live?: Map<number, LiveBlock>; usage?: Usage; cost?: number; model?: string;
  stop?: string; partial?: boolean; attempt?: number; retryAt?: number | null; from?: number;
  // A tool call.
  input?: any; malformed?: string; output?: { content: any[]; is_error?: boolean }; outcome?: string; asked?: Asked;
  // Either: what went wrong.
  error?: { code: string; message: string };
}
export interface Asked {
  kind: "approval" | "outcome_unknown"; question: string; preview: any; deadline: number; at: number;
  answered: { approved: boolean; by: string | null; note: string | null; at: number } | null;
}
export interface Turn {
  id: number; key: string; state: string; message: Message; queuedAt: number | null; at: number; ended: number | null;
  why: string | null; cancelling: boolean; steps: Step[];
}

/** A piece of the page that can be shown again with newer data. */
export interface Part<T> { el: HTMLElement; update(item: T): void }
/** A view: what the router mounts under an address. */
export interface View {
  title: string;
  /** Stops timers and streams. */
  leave?(): void;
  /** The same view at another address; false: mount it anew. */
  go?(address: Address): boolean;
  /** A key that nobody took; true: it was used. */
  key?(event: KeyboardEvent): boolean;
}
export interface Address { path: string; parts: string[]; query: URLSearchParams }
export interface Shell {
  go(address: string, replace?: boolean): void;
  title(text: string): void;
  say(text: string): void;
  info: Info | null;
}

export interface Diagnostic { severity: "error" | "warning"; code: string; message: string; pointer: string | null; line: number | null; column: number | null; hint: string | null }
export interface Workflow {
  name: string; kind: "standard" | "express"; origin: "project" | "api"; arn: string; query_language: string; comment: string | null;
  states: number; file: string | null; revision: string; valid: boolean; running: number; last: { id: string; status: string; started_at: string } | null;
}
export interface WorkflowDetail extends Workflow { definition: string; diagnostics: Diagnostic[]; editable: boolean; mocks: string[] }
export interface ExecutionSummary { id: string; name: string; arn: string; workflow: string; status: string; started_at: string; ended_at: string | null; user_id: string; parent: string | null }
/** What a state did in an execution. */
export interface StateNow {
  status: string; entered: number; exited: number; failed: number; retried: number; caught: number; running: number;
  first_at: string; last_at: string; input?: any; output?: any; truncated: boolean; error: string | null; cause: string | null; token?: string; deadline?: string; next_try_at?: string;
}
export interface OpenTask { call: number; state: string; resource: string; token: string; kind: string; since: string; deadline: string | null; input: any }
export interface Execution extends ExecutionSummary {
  kind: string; input: any; output?: any; error: string | null; cause: string | null; definition: string; revision: string; events: number;
  states: Record<string, StateNow>; tasks: OpenTask[]; waiting: number; map_runs: MapRun[]; forked_from: { id: string; at: number } | null; redrives: number; redrivable: boolean; not_redrivable_because: string | null;
}
export interface MapRun { arn: string; state: string; status: string; started_at: string; ended_at: string | null; items: number; total: number; pending: number; running: number; succeeded: number; failed: number; aborted: number }
/** A run that another one started. */
export interface Child { run_id: string; kind: "agent" | "workflow"; name: string; session_id: string; title: string; status: string; user_id: string; created_at: string; touched_at: string }
export interface HistoryEvent { id: number; previous_event_id: number; seq: number; branch: number; at: string; type: string; state: string | null; details: Record<string, any> | null }

export interface Quantiles { p50: number; p95: number; p99: number }
/** What calls cost together: a row of /v1/costs, or all of it. */
export interface CostSum {
  calls: number; errors: number; cancelled: number; cache_hits: number; input_tokens: number; output_tokens: number; cache_read_tokens: number;
  cache_write_tokens: number; cost_usd: number; saved_usd: number; unpriced_calls: number; latency_ms: Quantiles | null; first_token_ms: Quantiles | null;
}
/** A row also holds what its calls have in common, under the words of `by`. */
export interface CostRow extends CostSum { [by: string]: any }
export interface Costs { from: string; to: string; by: string[]; prices_as_of: string; rows: CostRow[]; total: CostSum }
export interface Budget {
  name: string; for: string; who: string | null; period: string; limit_usd: number; spent_usd: number; reserved_usd: number; used: number;
  alerted: number[]; action: string; resets_at: string | null;
}
export interface CallRecord {
  id: string; at: string; outcome: "ok" | "error" | "cancelled"; error: { kind: string; message: string } | null; user_id: string | null; key: string | null;
  team: string | null; agent: string | null; session_id: string | null; run_id: string | null; tags: Record<string, string>; jurisdiction: string | null;
  priority: string; dialect: string; stream: boolean; route: string; reason: string | null; target: string | null; provider: string | null; model: string | null;
  attempts: number; cache: string | null; degraded: string | null; guard: string | null; prompt_cache_markers: number; usage: Usage; estimated: boolean;
  cost_usd: number | null; saved_usd: number; first_token_ms: number | null; total_ms: number; has_payload: boolean;
  payload?: { request: any; response: any } | null;
}
export interface Target {
  name: string; provider: string; model: string; foundation_model: boolean; breaker: "closed" | "open" | "half_open"; wait_ms: number | null;
  last_error: string | null; in_flight: number; limit: number; first_token_ms: number | null; error_rate: number;
}
/** A column or a line of a chart: what it is called, and a value for each slot. */
export interface Series { id: string; label: string; values: (number | null)[] }
