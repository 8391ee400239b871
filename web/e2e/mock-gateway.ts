// The stand-in's gateway side: routes as they stand, one rollout that takes orders, and why a request went where it went.
import type { components } from '../src/lib/api/schema';
import type {
  ArmStatus,
  ClassRow,
  DecisionRecord,
  Dimension,
  GateStatus,
  Percentiles,
  Performance,
  PerformanceRow,
  Replay,
  RolloutAction,
  RolloutEvent,
  RolloutStatus,
  RouteStanding,
  TargetStanding,
} from '../src/lib/api/pending';

export interface Answered {
  status: number;
  body: unknown;
}

const SONNET = 'anthropic/claude-sonnet-4-5';
const LOCAL = 'local/small';
const GPT = 'openai/gpt-5';

const target = (over: Partial<TargetStanding> & Pick<TargetStanding, 'target' | 'rank'>): TargetStanding => ({
  breaker: 'closed',
  weight: 1,
  score: null,
  in_flight: 0,
  window: 16,
  waiting: 0,
  ttft_ms: null,
  tpot_ms: null,
  failing: 0,
  attained: null,
  ...over,
});

const standings: RouteStanding[] = [
  {
    name: 'default',
    strategy: 'latency',
    targets: [
      target({
        target: SONNET,
        rank: 1,
        score: 842,
        in_flight: 7,
        window: 32,
        ttft_ms: 612,
        tpot_ms: 14.2,
        failing: 0.004,
        attained: 0.982,
      }),
      target({ target: GPT, rank: 2, score: 1310, in_flight: 2, window: 12, ttft_ms: 940, tpot_ms: 19.8, failing: 0.031, attained: 0.913 }),
      target({ target: LOCAL, rank: 0, breaker: 'open', window: 2, waiting: 3, ttft_ms: 380, tpot_ms: 61, failing: 0.62, attained: 0.41 }),
    ],
  },
  { name: 'cheap', strategy: 'cost', targets: [target({ target: LOCAL, rank: 1, score: 0, window: 2, ttft_ms: 380, tpot_ms: 61 })] },
];

const gate = (over: Partial<GateStatus> & Pick<GateStatus, 'measure' | 'limit'>): GateStatus => ({
  standing: 'unsure',
  candidate: null,
  incumbent: null,
  towards_met: 0,
  towards_broken: 0,
  ...over,
});
const arm = (name: ArmStatus['arm'], calls: number, errors: number, cost_usd: number): ArmStatus => ({
  arm: name,
  calls,
  errors,
  cost_usd,
  posterior: null,
});

/** A gateway with a canary on `default`. */
export function mockGateway(
  back: (seconds: number) => string,
): (method: string, path: string, body: unknown, search: URLSearchParams) => Answered | undefined {
  const events: RolloutEvent[] = [
    {
      at: back(2400),
      route: 'default',
      action: 'shift',
      who: 'system',
      why: 'every gate is kept at 1 %',
      share_before: 0.01,
      share_after: 0.05,
    },
  ];
  const rollout: RolloutStatus = {
    route: 'default',
    kind: 'canary',
    candidate: [GPT],
    phase: 'running',
    share: 0.05,
    since: back(2400),
    confidence: 0.95,
    gates: [
      gate({ measure: 'errors', limit: 0.01, standing: 'met', incumbent: 0.004, candidate: 0.003, towards_met: 1 }),
      gate({ measure: 'ttft_p95', limit: 1.2, incumbent: 1.32, candidate: 1.41, towards_met: 0.62, towards_broken: 0.08 }),
      gate({ measure: 'tpot_p95', limit: 1.2, standing: 'met', incumbent: 0.021, candidate: 0.02, towards_met: 1 }),
      gate({ measure: 'cost', limit: 1.5, incumbent: 0.0142, candidate: 0.0091, towards_met: 0.91 }),
      gate({ measure: 'parity', limit: 0.98, standing: 'unmeasured' }),
    ],
    arms: [arm('incumbent', 18_420, 74, 261.6), arm('candidate', 962, 3, 8.75)],
    candidate_is_better: null,
    events,
  };

  function order(action: RolloutAction, body: { why?: string; share?: number }): Answered {
    const before = rollout.share;
    if (action === 'shift' && !(Number(body.share) >= 0 && Number(body.share) <= 1)) {
      return refusal(400, 'invalid_request', `a share is between 0 and 1, not ${body.share}`);
    }
    const isOver = rollout.phase === 'promoted' || rollout.phase === 'rolled_back';
    if ((action === 'hold' || action === 'resume') && isOver) return refusal(409, 'conflict', 'the rollout is over');
    if (action === 'shift') rollout.share = Number(body.share);
    if (action === 'promote') rollout.share = 1;
    if (action === 'rollback') rollout.share = 0;
    if (action === 'hold') rollout.phase = 'held';
    else rollout.phase = rollout.share >= 1 ? 'promoted' : rollout.share <= 0 ? 'rolled_back' : 'running';
    if (before !== rollout.share) rollout.since = back(0);
    const event: RolloutEvent = {
      at: back(0),
      route: 'default',
      action,
      who: 'user:ana',
      why: body.why ?? '',
      share_before: before,
      share_after: rollout.share,
    };
    events.push(event);
    return { status: 200, body: event };
  }

  const price = (input: string, output: string) => ({ input_usd_per_mtok: input, output_usd_per_mtok: output, version: 'builtin-2026-01' });
  const record = (): DecisionRecord => ({
    route: 'default',
    strategy: 'latency',
    chosen: GPT,
    candidates: [
      { target: SONNET, score: 842, state: 'closed', price: price('3.0', '15.0') },
      { target: GPT, score: 1310, state: 'closed', price: price('1.25', '10.0') },
      { target: LOCAL, score: null, state: 'open', price: null },
    ],
    attempts: [
      { target: SONNET, cause: 'overloaded', status: 529, ms: 212 },
      { target: GPT, cause: 'ok', status: 200, ms: 934 },
    ],
    decision: {
      at: back(95),
      seed: '00000000000004d2',
      inputs: {
        strategy: 'latency',
        weights: { latency: 1, cost: 1, health: 1, headroom: 1 },
        when_full: 'spill',
        objective_share: null,
        input_tokens: 1840,
        targets: [],
      },
      order: [SONNET, GPT, LOCAL],
    },
  });

  return (method, path, body, search) => {
    if (path === '/api/performance') return { status: 200, body: performance(search, back(0)) };
    const [, , noun, first = '', second = ''] = path.split('/').map(decodeURIComponent);
    if (noun !== 'routes' || first === '') return undefined;
    if (method === 'GET' && (first === 'explain' || first === 'replay')) {
      if (!second.startsWith('req_')) return refusal(404, 'not_found', 'there is no such request');
      if (first === 'explain') return { status: 200, body: record() };
      return { status: 200, body: { recomputed: record().decision?.order ?? [], is_same: true } satisfies Replay };
    }
    const standing = standings.find((one) => one.name === first);
    if (standing === undefined) return refusal(404, 'not_found', 'there is no such route');
    if (method === 'GET' && second === '') return { status: 200, body: standing };
    if (first !== 'default') return refusal(404, 'not_found', 'this route has no rollout');
    if (method === 'GET' && second === 'rollout') return { status: 200, body: rollout };
    if (method === 'POST') return order(second as RolloutAction, (body ?? {}) as { why?: string; share?: number });
    return undefined;
  };
}

const spread = (p50: number, p95: number, p99: number): Percentiles => ({ p50, p95, p99 });
const NONE: Percentiles = { p50: null, p95: null, p99: null };
const NO_CALLS: ClassRow = { answered: 0, throughput: { requests_per_s: 0, tokens_per_s: 0 }, ttft_ms: NONE, total_ms: NONE };

/** A row with so many calls, of which a share met the objective; `slow` stretches its times. */
function performer(name: string, requests: number, attainment: number, slow: number): PerformanceRow {
  const perSecond = requests / 300;
  const answered = Math.round(requests * 0.985);
  const rate = (share: number) => ({ requests_per_s: perSecond * 0.985 * share, tokens_per_s: perSecond * 212 * share });
  const ttft = spread(480 * slow, 1120 * slow, 1900 * slow);
  return {
    name,
    requests,
    answered,
    cancelled: Math.round(requests * 0.006),
    failed: requests < 100 ? {} : { overloaded: Math.round(requests * 0.006), timeout: 2 },
    fallbacks: requests < 100 ? {} : { overloaded: 19, breaker_open: 6 },
    ttft_ms: ttft,
    tpot_ms: spread(14.2 * slow, 24 * slow, 38 * slow),
    itl_ms: spread(12.8 * slow, 41 * slow, 88 * slow),
    total_ms: spread(3400 * slow, 8200 * slow, 14_100 * slow),
    overhead_ms: spread(0.31, 0.84, 2.1),
    tps: spread(70, 41, 26),
    throughput: rate(1),
    goodput: rate(attainment),
    goodput_ratio: attainment,
    attainment,
    objective: { ttft_ms: 1500, tpot_ms: 40, share: 0.95 },
    excess: { ttft_ms: spread(0, 0, Math.max(0, 1900 * slow - 1500)), tpot_ms: spread(0, 0, 0) },
    prefill: { ms: ttft, share: 0.16, tokens_per_s: 3850 },
    decode: { ms: spread(2900 * slow, 7000 * slow, 12_000 * slow), share: 0.84, tokens_per_s: 68 },
    interactive: { answered: Math.round(answered * 0.7), throughput: rate(0.7), ttft_ms: ttft, total_ms: spread(2900, 6100, 9800) },
    batch:
      requests < 100
        ? NO_CALLS
        : {
            answered: Math.round(answered * 0.3),
            throughput: rate(0.3),
            ttft_ms: spread(900, 2400, 4100),
            total_ms: spread(6200, 14_000, 22_000),
          },
    tokens: { input: requests * 1840, output: requests * 212 },
    cost_usd: (requests * 0.0134).toFixed(6),
  };
}

function performance(search: URLSearchParams, at: string): Performance {
  const by = (search.get('by') ?? 'route') as Dimension;
  const names = {
    route: ['default', 'cheap', 'drafts'],
    model: [SONNET, GPT, LOCAL],
    provider: ['anthropic', 'openai', 'local'],
    agent: ['main', 'research'],
    team: [],
  };
  const of: [number, number, number][] = [
    [4530, 0.963, 1],
    [1210, 0.921, 1.4],
    [31, 0.81, 2],
  ];
  const rows = names[by].map((name, index) => performer(name, ...(of[index] ?? [0, 0, 1])));
  if (by !== 'route') for (const row of rows) row.objective = row.excess = null;
  return { at, window_s: search.get('window') === '1m' ? 60 : 300, by, rows };
}

function refusal(status: number, code: string, message: string): Answered {
  return { status, body: { error: { code, message } } satisfies components['schemas']['ErrorBody'] };
}
