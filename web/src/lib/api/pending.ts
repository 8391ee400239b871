// Shapes and calls of the server that the generated schema does not hold yet: how routes stand, rollouts, replays.
// Written after the program's own types. A part of this file goes away as soon as `cargo xtask openapi` knows its paths; then the page
// takes the shape from `types.ts` and the call from `api.ts`.
import { fill, request } from '../api';
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
