// Shapes and calls of the server that the generated schema does not hold yet: how routes stand, rollouts, replays, performance.
// Written after the program's own types. A part of this file goes away as soon as `cargo xtask openapi` knows its paths; then the page
// takes the shape from `types.ts` and the call from `api.ts`.
import { fill, query, request } from '../api';
import type { Explanation } from '../types';

export type BreakerState = 'closed' | 'open' | 'half-open';

/** How a target of a route stands now. */
export interface TargetStanding {
  target: string;
  breaker: BreakerState;
  weight: number;
  /** Milliseconds for `latency`, pico-dollars for `cost`, points between 0 and 1 for `adaptive`; else none. */
  score: number | null;
  /** Its place if a call came now; 1 is the first choice, 0 means that it is left out. */
  rank: number;
  in_flight: number;
  window: number;
  waiting: number;
  ttft_ms: number | null;
  tpot_ms: number | null;
  /** A share. */
  failing: number;
  /** A share. */
  attained: number | null;
}

export interface RouteStanding {
  name: string;
  strategy: string;
  targets: TargetStanding[];
}

export type RolloutKind = 'blue-green' | 'canary' | 'champion-challenger' | 'shadow';
export type Phase = 'running' | 'held' | 'promoted' | 'rolled_back';
export type Arm = 'incumbent' | 'candidate';
export type Measure = 'errors' | 'ttft_p95' | 'tpot_p95' | 'cost' | 'parity';
export type RolloutAction = 'shift' | 'promote' | 'hold' | 'resume' | 'rollback';

export interface GateStatus {
  measure: Measure;
  limit: number;
  standing: 'unmeasured' | 'unsure' | 'met' | 'broken';
  /** Seconds for times, US dollars for cost, a share for errors and parity. */
  candidate: number | null;
  incumbent: number | null;
  towards_met: number;
  towards_broken: number;
}

export interface ArmStatus {
  arm: Arm;
  calls: number;
  errors: number;
  cost_usd: number;
  posterior: { mean: number; deviation: number; weight: number } | null;
}

export interface RolloutEvent {
  at: string;
  route: string;
  action: RolloutAction;
  who: string;
  why: string;
  share_before: number;
  share_after: number;
}

export interface RolloutStatus {
  route: string;
  kind: RolloutKind;
  candidate: string[];
  phase: Phase;
  share: number;
  since: string;
  confidence: number;
  gates: GateStatus[];
  arms: ArmStatus[];
  candidate_is_better: number | null;
  /** Newest last. */
  events: RolloutEvent[];
}

export interface Decision {
  at: string;
  seed: string;
  inputs: unknown;
  order: string[];
}

/** The record of a call; the choice itself is not in it on older servers. */
export type DecisionRecord = Omit<Explanation, 'strategy'> & { strategy: string; decision?: Decision };

export interface Replay {
  recomputed: string[];
  is_same: boolean;
}

export const pending = {
  standing: (name: string) => request<RouteStanding>('GET', fill('/api/routes/{name}', { name })),
  rollout: (name: string) => request<RolloutStatus>('GET', fill('/api/routes/{name}/rollout', { name })),
  order: (name: string, action: RolloutAction, body: { why: string; share?: number }) =>
    request<RolloutEvent>('POST', fill('/api/routes/{name}/{action}', { name, action }), body),
  record: (id: string) => request<DecisionRecord>('GET', fill('/api/routes/explain/{id}', { id })),
  replay: (id: string) => request<Replay>('GET', fill('/api/routes/replay/{id}', { id })),
};

export type Dimension = 'route' | 'model' | 'provider' | 'agent' | 'team';

/** `null` without values. */
export interface Percentiles {
  p50: number | null;
  p95: number | null;
  p99: number | null;
}

export interface Rate {
  requests_per_s: number;
  tokens_per_s: number;
}

/** Until the first content, or from the first to the last. */
export interface Stage {
  ms: Percentiles;
  share: number | null;
  tokens_per_s: number | null;
}

export interface ClassRow {
  answered: number;
  throughput: Rate;
  ttft_ms: Percentiles;
  total_ms: Percentiles;
}

/** How one route, model, provider, agent or team performs. */
export interface PerformanceRow {
  name: string;
  requests: number;
  answered: number;
  cancelled: number;
  failed: Record<string, number>;
  fallbacks: Record<string, number>;
  ttft_ms: Percentiles;
  tpot_ms: Percentiles;
  itl_ms: Percentiles;
  total_ms: Percentiles;
  overhead_ms: Percentiles;
  tps: Percentiles;
  throughput: Rate;
  goodput: Rate;
  goodput_ratio: number | null;
  attainment: number | null;
  objective: { ttft_ms: number | null; tpot_ms: number | null; share: number } | null;
  excess: { ttft_ms: Percentiles; tpot_ms: Percentiles } | null;
  prefill: Stage;
  decode: Stage;
  interactive: ClassRow;
  batch: ClassRow;
  tokens: Record<string, number>;
  cost_usd: string;
}

export interface Performance {
  at: string;
  window_s: number;
  by: Dimension;
  rows: PerformanceRow[];
}

/** How everything performed within the last `window`, such as `5m`. */
export const readPerformance = (by: Dimension, window: string) => request<Performance>('GET', `/api/performance${query({ by, window })}`);
