// The shapes of the server's answers. Money is a decimal string in USD, times are RFC 3339 in UTC.

export type Role = 'owner' | 'admin' | 'operator' | 'member' | 'viewer' | 'auditor';
export type TurnStatus = 'running' | 'waiting' | 'done' | 'failed' | 'refused' | 'stopped';
export type Effect = 'reads' | 'writes' | 'sends' | 'spends' | 'destroys';
export type Outcome = 'done' | 'failed' | 'refused' | 'uncertain';
export type Scope = 'once' | 'session' | 'always';

export interface Session {
  user: string;
  role: Role;
  csrf: string;
  version: string;
  has_password: boolean;
}

export interface Call {
  id: string;
  tool: string;
  args: unknown;
  effect?: Effect;
  decision?: string;
  rule?: string;
  reason?: string;
  outcome?: Outcome | null;
  output?: string | null;
  started_at?: string | null;
  ended_at?: string | null;
}

export interface Step {
  model: string;
  target: string;
  input_tokens: number;
  output_tokens: number;
  cached_input_tokens?: number;
  cost_usd: string;
  request_id?: string;
  text?: string;
  thinking?: string;
  calls: Call[];
}

export interface Receipt {
  call?: string;
  tool?: string;
  action?: string;
  object?: string;
  detail?: string;
}

export interface Turn {
  id: string;
  session: string;
  session_id?: string;
  agent: string;
  status: TurnStatus;
  text: string;
  cost_usd: string;
  steps: Step[];
  receipts: Receipt[];
  started_at?: string;
  ended_at?: string | null;
}

export interface TurnRow {
  id: string;
  session: string;
  agent: string;
  status: TurnStatus;
  started_at: string;
  ended_at?: string | null;
  text?: string;
  steps?: number;
  cost_usd?: string;
  input_tokens?: number;
  output_tokens?: number;
}

export interface ContextPart {
  name: string;
  tokens: number;
  cap_chars: number;
  cut_chars: number;
  note?: string;
}

export interface StepContext {
  step: number;
  tokens: number;
  parts: ContextPart[];
}

export interface Approval {
  id: string;
  turn_id: string;
  agent?: string;
  kind?: 'call' | 'question';
  tool: string;
  args: unknown;
  effect?: Effect;
  reason?: string;
  expires_at?: string | null;
  digest?: string;
  choices?: string[] | null;
  state?: 'waiting' | 'allowed' | 'denied' | 'expired' | 'answered';
  note?: string | null;
}

export interface SessionRow {
  id: string;
  name: string;
  agent: string;
  channel: string;
  title?: string | null;
  last_at?: string | null;
  status?: TurnStatus | 'idle' | null;
}

export interface Message {
  seq: number;
  role: 'user' | 'assistant' | 'note';
  text: string;
  at: string;
  turn_id?: string | null;
  turn_status?: TurnStatus | null;
  calls?: Call[] | null;
  cost_usd?: string | null;
  target?: string | null;
}

export interface Agent {
  name: string;
  route: string;
  workspace: string;
  tools: string[];
  limits?: Record<string, unknown> | null;
}

export interface LocalModel {
  state: string;
  progress?: number | null;
}

export interface Today {
  approvals: Approval[];
  running: TurnRow[];
  spent_today_usd: string;
  recent: TurnRow[];
  local_model?: LocalModel | null;
}

export interface Model {
  model: string;
  provider: string;
  input_usd_per_mtok?: string | number | null;
  output_usd_per_mtok?: string | number | null;
  context_tokens?: number | null;
  tier?: string | null;
  is_local?: boolean;
  state?: string | null;
}

export interface Route {
  name: string;
  strategy: string;
  targets: (string | { model: string; weight?: number })[];
}

export interface Provider {
  name: string;
  dialect: string;
  base_url?: string | null;
  has_key: boolean;
  known?: boolean;
}

export interface ProviderTest {
  ok: boolean;
  ms?: number;
  message?: string;
  cost_usd?: string | null;
}

export interface SpendRow {
  name: string;
  usd: string;
  calls: number;
  input_tokens: number;
  output_tokens: number;
}

export interface Spend {
  total_usd: string;
  calls: number;
  input_tokens: number;
  output_tokens: number;
  estimated_calls: number;
  rows: SpendRow[];
}

export interface Key {
  id: string;
  name: string;
  role: Role;
  prefix?: string;
  expires_at?: string | null;
  revoked_at?: string | null;
  created_at?: string | null;
}

export interface NewKey {
  id: string;
  key: string;
  name: string;
  role: Role;
  expires_at?: string | null;
}

export interface Config {
  text: string;
  path: string;
  valid: boolean;
  error?: string | null;
}

export interface DoctorCheck {
  name: string;
  state: 'ok' | 'warn' | 'fail';
  detail: string;
  fix?: string | null;
}

/** What a turn in view sends while it goes on. */
export type TurnEvent =
  | { type: 'snapshot'; turn: Turn }
  | { type: 'step'; step: number }
  | { type: 'thinking'; text: string }
  | { type: 'text'; text: string }
  | { type: 'call'; call: Call }
  | { type: 'call_finished'; id: string; outcome: Outcome; output?: string | null }
  | { type: 'approval'; approval: Approval }
  | { type: 'note'; text: string }
  | { type: 'restart'; reason: string }
  | { type: 'finished'; status: TurnStatus; text?: string; cost_usd?: string; steps?: number };

/** A small fact from the journal, the same for every open page. */
export interface JournalFact {
  type: string;
  turn_id?: string;
  approval_id?: string;
  session?: string;
  status?: TurnStatus;
}
