// A small stand-in for the server: the console's API over node http with scripted turns, strict headers and csrf.
// The words of a message choose the script: "approve", "ask me", "slow", "fail"; anything else answers with a tool call.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { existsSync, readFileSync } from 'node:fs';
import { extname, join, normalize } from 'node:path';
import type { AddressInfo } from 'node:net';
import type { components } from '../src/lib/api/schema';
import { mockGateway } from './mock-gateway';
import * as lists from './mock-lists';
import type {
  Approval,
  JournalFact,
  Key,
  Message,
  Outcome,
  SessionRow,
  Spend,
  Step,
  Today,
  Turn,
  TurnEvent,
  TurnRow,
  TurnStatus,
} from '../src/lib/types';

type Schemas = components['schemas'];
type Call = Schemas['CallView'];
type NewCall = Pick<Call, 'id' | 'tool' | 'args' | 'effect'>;

export const CSP = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "connect-src 'self'",
  "font-src 'self'",
  "manifest-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  'trusted-types svelte-trusted-html',
].join('; ');

const HEADERS = {
  'content-security-policy': CSP,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
};
const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.webmanifest': 'application/manifest+json',
};
const CSRF = 'mock-csrf';
const LINK_TOKEN = 'mock-link';

interface MockTurn extends Turn {
  watchers: Set<ServerResponse>;
  isStopped: boolean;
  answer?: (decision: string) => void;
}

export interface Mock {
  url: string;
  link: string;
  close(): Promise<void>;
}

export interface MockOptions {
  dist: string;
  /** Pause between tokens; 0 fills history without waiting. */
  tokenMs?: number;
}

const ANSWER = `The workspace holds **three files**. In short:

| File | Size | What it is |
|---|---:|---|
| \`AGENTS.md\` | 2.1 kB | how the agent works here |
| \`notes/week.md\` | 840 B | the plan for this week |
| \`budget.csv\` | 12.4 kB | spending by month |

1. The plan names two open points: the *invoice of October* and the travel booking.
2. The budget ends in September.

\`\`\`sh
wc -l budget.csv   # 214 lines
\`\`\`

Shall I bring the budget up to date? The format is described at [the guide](https://example.org/guide).`;

export async function startMock(options: MockOptions): Promise<Mock> {
  const tokenMs = options.tokenMs ?? 12;
  let isSignedIn = false;
  let seq = 0;
  let counter = 0;
  const sessions: SessionRow[] = [];
  const messages = new Map<string, Message[]>();
  const turns: MockTurn[] = [];
  const approvals: Approval[] = [];
  const streams = new Set<ServerResponse>();
  const seen = new Map<string, Schemas['Sent']>();
  const owned = { user: 'ana', team: null, agent: null };
  const keys: Key[] = [
    {
      id: 'k1',
      name: 'ci',
      role: 'member',
      prefix: 'sk-steward-7f3a',
      ...owned,
      expires_at: ahead(20 * 86_400),
      revoked_at: null,
      created_at: back(10 * 86_400),
    },
    {
      id: 'k2',
      name: 'laptop',
      role: 'admin',
      prefix: 'sk-steward-c210',
      ...owned,
      expires_at: ahead(3 * 86_400),
      revoked_at: null,
      created_at: back(40 * 86_400),
    },
    {
      id: 'k3',
      name: 'old-bot',
      role: 'member',
      prefix: 'sk-steward-0be1',
      ...owned,
      expires_at: ahead(10 * 86_400),
      revoked_at: back(86_400),
      created_at: back(90 * 86_400),
    },
  ];
  let configText =
    '[server]\nbind = "127.0.0.1:7717"\n\n[agents.main]\nroute = "default"\ntools = ["files", "shell", "web", "memory"]\nlimits = { steps = 20, turn_usd = 0.50 }\n\n[budgets."global"]\nlimit_usd = 5.0\nper = "day"\nhard = true\n';

  function back(seconds: number): string {
    return new Date(Date.now() - seconds * 1000).toISOString();
  }
  function ahead(seconds: number): string {
    return back(-seconds);
  }
  const gateway = mockGateway(back);
  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

  function tell(fact: JournalFact): void {
    seq += 1;
    for (const stream of streams) stream.write(`id: ${seq}\ndata: ${JSON.stringify(fact)}\n\n`);
  }
  function emit(turn: MockTurn, event: TurnEvent): void {
    for (const watcher of turn.watchers) {
      watcher.write(`data: ${JSON.stringify(event)}\n\n`);
      if (event.type === 'finished') watcher.end();
    }
    if (event.type === 'finished') turn.watchers.clear();
  }
  function show(turn: MockTurn): Turn {
    const { watchers: _watchers, isStopped: _isStopped, answer: _answer, ...rest } = turn;
    return rest;
  }
  function setStatus(turn: MockTurn, status: TurnStatus): void {
    turn.status = status;
    const session = sessions.find((one) => one.name === turn.session);
    tell({ type: 'turn.state', turn_id: turn.id, session: session?.id, status });
  }

  function newStep(turn: MockTurn): Step {
    const step: Step = {
      step: turn.steps.length + 1,
      model: 'default',
      target: '',
      input_tokens: 0,
      output_tokens: 0,
      cached_input_tokens: 0,
      cost_usd: '0',
      request_id: `req_${turn.id}_${turn.steps.length + 1}`,
      text: '',
      thinking: '',
      calls: [],
    };
    turn.steps.push(step);
    emit(turn, { type: 'step', step: turn.steps.length });
    return step;
  }
  function endStep(turn: MockTurn, step: Step): void {
    step.target = 'anthropic/claude-sonnet-4-5';
    step.input_tokens = 3120 + turn.steps.length * 640;
    step.cached_input_tokens = turn.steps.length > 1 ? 2900 : 0;
    step.output_tokens = 40 + Math.round(step.text.length / 4);
    step.cost_usd = (0.0042 * turn.steps.length + 0.0011).toFixed(6);
    turn.cost_usd = turn.steps.reduce((sum, one) => sum + Number(one.cost_usd), 0).toFixed(6);
  }
  async function stream(turn: MockTurn, step: Step, kind: 'text' | 'thinking', text: string, ms = tokenMs): Promise<void> {
    for (const token of text.match(/\s*\S{1,6}/g) ?? []) {
      if (turn.isStopped) return;
      step[kind] += token;
      emit(turn, { type: kind, text: token });
      if (ms > 0) await pause(ms);
    }
  }
  async function call(turn: MockTurn, step: Step, one: NewCall, output: string, ms = tokenMs * 20): Promise<void> {
    const entry: Call = {
      decision: 'allow',
      rule: `table.${one.tool}`,
      reason: 'it stays inside the workspace',
      outcome: null,
      output: '',
      started_at: new Date().toISOString(),
      ended_at: null,
      ...one,
    };
    step.calls.push(entry);
    emit(turn, { type: 'call', call: entry });
    if (ms > 0) await pause(ms);
    finishCall(turn, entry, 'done', output);
  }
  function finishCall(turn: MockTurn, entry: Call, outcome: Outcome, output: string): void {
    entry.outcome = outcome;
    entry.output = output;
    entry.ended_at = new Date().toISOString();
    emit(turn, { type: 'call_finished', id: entry.id, outcome, output });
  }
  function finish(turn: MockTurn, status: TurnStatus, text: string): void {
    turn.text = text;
    turn.ended_at = new Date().toISOString();
    setStatus(turn, status);
    const session = sessions.find((one) => one.name === turn.session);
    const list = messages.get(session?.id ?? '') ?? [];
    const calls = turn.steps.flatMap((step) => step.calls);
    const target = turn.steps.at(-1)?.target ?? '';
    list.push({
      seq: ++seq,
      role: 'assistant',
      text,
      at: turn.ended_at,
      turn_id: turn.id,
      turn_status: status,
      calls,
      cost_usd: turn.cost_usd,
      target,
    });
    emit(turn, { type: 'finished', status, text, cost_usd: turn.cost_usd, steps: turn.steps.length });
  }

  /** Puts a question to the person; resolves with the answer. */
  function ask(
    turn: MockTurn,
    approval: Pick<Approval, 'kind' | 'tool' | 'args' | 'effect' | 'reason'> & Partial<Approval>,
  ): Promise<string> {
    const full: Approval = {
      choices: [],
      note: '',
      ...approval,
      id: `ap${++counter}`,
      turn_id: turn.id,
      agent: turn.agent,
      state: 'waiting',
      expires_at: ahead(900),
      digest: 'd1',
    };
    approvals.push(full);
    emit(turn, { type: 'approval', approval: full });
    setStatus(turn, 'waiting');
    tell({ type: 'approval.opened', approval_id: full.id, turn_id: turn.id });
    emit(turn, { type: 'finished', status: 'waiting', text: '', cost_usd: turn.cost_usd, steps: turn.steps.length });
    return new Promise((resolve) => (turn.answer = resolve));
  }

  async function run(turn: MockTurn, text: string): Promise<void> {
    await pause(tokenMs * 5);
    const step = newStep(turn);
    const words = text.toLowerCase();
    await stream(turn, step, 'thinking', 'First I look at what is there, then I answer with the facts I found.');
    if (words.includes('slow')) {
      await stream(turn, step, 'text', 'One line after the other, and so on without an end. '.repeat(400), 25);
      endStep(turn, step);
      if (turn.isStopped) finish(turn, 'stopped', step.text);
      else finish(turn, 'done', step.text);
      return;
    }
    if (words.includes('fail')) {
      endStep(turn, step);
      finish(turn, 'failed', 'No target is healthy: anthropic answered 529 three times.');
      return;
    }
    if (words.includes('approve') || words.includes('delete')) {
      const args = { command: ['rm', '-r', 'reports/old', 'reports/draft 1.md'] };
      const entry: Call = {
        id: `c${++counter}`,
        tool: 'shell',
        args,
        effect: 'destroys',
        decision: 'ask',
        rule: 'policy.ask[0]',
        reason: 'it deletes files',
        outcome: null,
        output: '',
        started_at: new Date().toISOString(),
        ended_at: null,
      };
      await stream(turn, step, 'text', 'I found two old reports. ');
      endStep(turn, step);
      step.calls.push(entry);
      emit(turn, { type: 'call', call: entry });
      const decision = await ask(turn, {
        kind: 'call',
        tool: 'shell',
        args,
        effect: 'destroys',
        reason: 'it deletes files, which cannot be undone',
      });
      setStatus(turn, 'running');
      await pause(tokenMs * 10);
      finishCall(turn, entry, decision === 'allow' ? 'done' : 'refused', decision === 'allow' ? 'exit 0' : 'refused: a person said no');
      if (decision === 'allow')
        turn.receipts.push({ call: entry.id, tool: 'shell', action: 'ran', object: 'reports/old', detail: '2 paths removed' });
      const last = newStep(turn);
      const reply = decision === 'allow' ? 'Done: the old reports are gone.' : 'Understood, I left them where they are.';
      await stream(turn, last, 'text', reply);
      endStep(turn, last);
      finish(turn, 'done', reply);
      return;
    }
    if (words.includes('ask me')) {
      const args = { question: 'Which month shall the report cover?', choices: ['October', 'November'] };
      endStep(turn, step);
      const answer = await ask(turn, {
        kind: 'question',
        tool: 'ask',
        args,
        effect: 'reads',
        reason: 'the agent asks',
        choices: args.choices,
      });
      setStatus(turn, 'running');
      const last = newStep(turn);
      await stream(turn, last, 'text', `Then ${answer} it is.`);
      endStep(turn, last);
      finish(turn, 'done', `Then ${answer} it is.`);
      return;
    }
    await call(
      turn,
      step,
      { id: `c${++counter}`, tool: 'list', args: { path: '.' }, effect: 'reads' },
      'AGENTS.md\nbudget.csv\nnotes/week.md\n',
    );
    await call(
      turn,
      step,
      { id: `c${++counter}`, tool: 'shell', args: { command: 'wc -l budget.csv && head -3 budget.csv' }, effect: 'reads' },
      '214 budget.csv\nmonth,what,usd\n',
    );
    endStep(turn, step);
    const last = newStep(turn);
    await stream(turn, last, 'text', ANSWER);
    endStep(turn, last);
    finish(turn, 'done', ANSWER);
  }

  function accept(name: string, body: Schemas['Draft']): Schemas['Sent'] {
    const before = seen.get(body.client_id ?? '');
    if (before !== undefined) return before;
    let session = sessions.find((one) => one.name === name);
    if (session === undefined) {
      const begun: SessionRow = {
        id: `se${++counter}`,
        name,
        agent: body.agent ?? 'main',
        channel: body.channel ?? 'web',
        title: body.text.slice(0, 60),
        last_at: new Date().toISOString(),
        model: null,
      };
      sessions.unshift(begun);
      messages.set(begun.id, []);
      session = begun;
    }
    session.last_at = new Date().toISOString();
    const running = turns.find((one) => one.session === name && one.status === 'running');
    const turn: MockTurn = running ?? {
      id: `tu${String(++counter).padStart(6, '0')}`,
      session: name,
      session_id: session.id,
      agent: session.agent,
      status: 'running',
      asked: body.text,
      notes: [],
      text: '',
      cost_usd: '0',
      steps: [],
      receipts: [],
      started_at: new Date().toISOString(),
      ended_at: null,
      watchers: new Set(),
      isStopped: false,
    };
    messages.get(session.id)?.push({
      seq: ++seq,
      role: 'user',
      text: body.text,
      at: new Date().toISOString(),
      turn_id: turn.id,
      turn_status: turn.status,
      calls: [],
      cost_usd: null,
      target: null,
    });
    const answer = { session_id: session.id, inbound_id: `in${counter}`, turn_id: turn.id };
    seen.set(body.client_id ?? '', answer);
    if (running === undefined) {
      turns.unshift(turn);
      setStatus(turn, 'running');
      void run(turn, body.text);
    } else tell({ type: 'message.in', session: session.id, turn_id: turn.id });
    return answer;
  }

  const row = (turn: MockTurn): TurnRow => ({
    id: turn.id,
    session: turn.session,
    session_id: turn.session_id,
    agent: turn.agent,
    status: turn.status,
    started_at: turn.started_at,
    ended_at: turn.ended_at,
    text: turn.text || turn.asked,
    steps: turn.steps.length,
    cost_usd: turn.cost_usd,
    input_tokens: turn.steps.reduce((sum, step) => sum + step.input_tokens, 0),
    output_tokens: turn.steps.reduce((sum, step) => sum + step.output_tokens, 0),
  });

  const context = (turn: MockTurn): Schemas['TurnContext'] => ({
    steps: turn.steps.map((_, index) => {
      const parts = [
        { name: 'rules', tokens: 620, cap_chars: 4000, cut_chars: 0, note: '' },
        { name: 'AGENTS.md', tokens: 540, cap_chars: 12_000, cut_chars: 0, note: '' },
        { name: 'MEMORY.md', tokens: 310, cap_chars: 8000, cut_chars: 1240, note: '' },
        { name: 'SOUL.md', tokens: 0, cap_chars: 8000, cut_chars: 0, note: 'missing' },
        { name: 'tools', tokens: 1180, cap_chars: 0, cut_chars: 0, note: '' },
        { name: 'history', tokens: 470 + index * 640, cap_chars: 0, cut_chars: 0, note: '' },
      ];
      return { step: index + 1, tokens: parts.reduce((sum, part) => sum + part.tokens, 0), parts };
    }),
  });

  const session = (): Schemas['WhoAmI'] => ({ user: 'ana', role: 'owner', csrf: CSRF, version: '0.1.0', has_password: false });
  const error = (code: string, message: string): Schemas['ErrorBody'] => ({ error: { code, message } });

  async function answer(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const send = (status: number, body?: unknown, headers: Record<string, string> = {}) => {
      response.writeHead(status, { ...HEADERS, 'content-type': 'application/json', 'cache-control': 'no-store', ...headers });
      response.end(body === undefined ? undefined : JSON.stringify(body));
    };
    const sse = () =>
      response.writeHead(200, { ...HEADERS, 'content-type': 'text/event-stream', 'cache-control': 'no-store' }).write(': hello\n\n');
    const raw = await new Promise<string>((resolve) => {
      let text = '';
      request.on('data', (chunk: Buffer) => (text += chunk.toString()));
      request.on('end', () => resolve(text));
    });
    const body = raw === '' ? {} : JSON.parse(raw);
    const method = request.method ?? 'GET';
    const path = url.pathname;
    const key = `${method} ${path}`;
    const hasCookie = (request.headers.cookie ?? '').includes('steward_mock=1') && isSignedIn;

    if (key === 'POST /api/session/link' || key === 'POST /api/session/password' || key === 'POST /api/session/key') {
      const isRight = body.token === LINK_TOKEN || body.password === 'correct horse battery' || body.key === 'sk-steward-mock';
      if (!isRight) return send(401, error('unauthorized', 'that does not fit'));
      isSignedIn = true;
      return send(200, session(), { 'set-cookie': 'steward_mock=1; HttpOnly; SameSite=Strict; Path=/' });
    }
    if (key === 'POST /api/test/sign-out') {
      isSignedIn = false;
      return send(204);
    }
    if (key === 'GET /api/test/streams') return send(200, { count: streams.size });
    if (!hasCookie) return send(401, error('unauthorized', 'sign in first'));
    if (method !== 'GET' && request.headers['x-steward-csrf'] !== CSRF) return send(403, error('forbidden', 'the csrf token is missing'));

    if (key === 'GET /api/session') return send(200, session());
    if (key === 'POST /api/session/set-password') return send(204);
    if (key === 'DELETE /api/session') {
      isSignedIn = false;
      return send(204);
    }
    if (key === 'GET /api/stream') {
      sse();
      response.write(`id: ${seq}\ndata: ${JSON.stringify({ type: 'hello' })}\n\n`);
      streams.add(response);
      response.on('close', () => streams.delete(response));
      return;
    }
    if (key === 'GET /api/today') {
      return send(200, {
        approvals: approvals.filter((one) => one.state === 'waiting'),
        running: turns.filter((one) => one.status === 'running').map(row),
        spent_today_usd: turns.reduce((sum, one) => sum + Number(one.cost_usd), 0).toFixed(6),
        recent: turns
          .filter((one) => one.status !== 'running' && one.status !== 'waiting')
          .slice(0, 8)
          .map(row),
        local_model: { state: 'ready', installed: ['small'], default: 'small' },
      } satisfies Today);
    }
    if (key === 'GET /api/agents') return send(200, lists.agents);
    if (key === 'GET /api/sessions') return send(200, { items: sessions } satisfies Schemas['SessionLineList']);
    if (key === 'GET /api/turns') {
      const wanted = (name: string) => url.searchParams.get(name) ?? '';
      const found = turns.filter((one) =>
        ['status', 'agent', 'session'].every((name) => wanted(name) === '' || wanted(name) === one[name as 'status']),
      );
      const from = Number(wanted('cursor') || 0);
      const limit = Number(wanted('limit') || 50);
      return send(200, {
        items: found.slice(from, from + limit).map(row),
        cursor: found.length > from + limit ? String(from + limit) : null,
      } satisfies Schemas['TurnLinePage']);
    }
    if (key === 'GET /api/approvals')
      return send(200, url.searchParams.get('state') === 'all' ? approvals : approvals.filter((one) => one.state === 'waiting'));
    if (key === 'GET /api/models') return send(200, lists.models);
    if (key === 'GET /api/routes') return send(200, lists.routes);
    if (key === 'GET /api/providers') return send(200, lists.providers);
    if (key === 'GET /api/spend') {
      const rows = [
        {
          name: url.searchParams.get('by') === 'model' ? 'anthropic/claude-sonnet-4-5' : 'main',
          usd: '0.812400',
          calls: 64,
          input_tokens: 214_000,
          output_tokens: 18_200,
        },
        {
          name: url.searchParams.get('by') === 'model' ? 'openai/gpt-5' : 'research',
          usd: '0.201200',
          calls: 21,
          input_tokens: 90_400,
          output_tokens: 6_100,
        },
        {
          name: url.searchParams.get('by') === 'model' ? 'local/small' : 'support',
          usd: '0.000412',
          calls: 9,
          input_tokens: 8_000,
          output_tokens: 900,
        },
      ];
      return send(200, {
        total_usd: '1.014012',
        calls: 94,
        input_tokens: 312_400,
        output_tokens: 25_200,
        estimated_calls: 1,
        rows,
      } satisfies Spend);
    }
    if (key === 'GET /api/keys') return send(200, keys);
    if (key === 'POST /api/keys') {
      keys.unshift({
        id: `k${++counter}`,
        name: body.name,
        role: body.role,
        prefix: 'sk-steward-new1',
        ...owned,
        expires_at: ahead(30 * 86_400),
        revoked_at: null,
        created_at: back(0),
      });
      return send(200, {
        id: `k${counter}`,
        key: 'sk-steward-new1-0123456789abcdef',
        name: body.name,
        role: body.role,
        expires_at: ahead(30 * 86_400),
      } satisfies Schemas['CreatedKey']);
    }
    if (key === 'GET /api/config')
      return send(200, { text: configText, path: '~/.steward/steward.toml', valid: true } satisfies Schemas['ConfigFile']);
    if (key === 'POST /api/config/check') {
      const isOk = !/^\s*nonsense/m.test(body.text);
      return send(200, (isOk ? { ok: true } : { ok: false, error: 'line 1: unknown key "nonsense"' }) satisfies Schemas['ConfigCheck']);
    }
    if (key === 'PATCH /api/config') {
      configText += `# ${body.key} = ${JSON.stringify(body.value)}\n`;
      tell({ type: 'config.changed' });
      return send(200, { key: body.key, value: body.value } satisfies Schemas['ConfigEntry']);
    }
    if (key === 'GET /api/doctor') return send(200, lists.doctor);
    if (key === 'POST /api/backups')
      return send(200, { path: 'backups/2026-01-01.tar.zst', bytes: 18_400_000 } satisfies Schemas['BackupMade']);

    const fromGateway = gateway(method, path, body, url.searchParams);
    if (fromGateway !== undefined) return send(fromGateway.status, fromGateway.body);

    const [, , noun, rawId = '', verb = ''] = path.split('/');
    const id = decodeURIComponent(rawId);
    if (noun === 'sessions' && verb === 'messages' && method === 'POST') return send(200, accept(id, body));
    if (noun === 'sessions' && verb === 'messages') {
      const all = messages.get(id);
      if (all === undefined) return send(404, error('not_found', 'no such session'));
      const before = Number(url.searchParams.get('before') ?? Infinity);
      const older = all.filter((one) => one.seq < before);
      const name = sessions.find((one) => one.id === id)?.name;
      const open = turns.filter((one) => one.session === name && (one.status === 'running' || one.status === 'waiting'));
      // A turn that goes on has its reply line too, still without text.
      const replies = open.map((one): Message => ({
        seq: seq + 1,
        role: 'assistant',
        text: '',
        at: one.started_at,
        turn_id: one.id,
        turn_status: one.status,
        calls: [],
        cost_usd: null,
        target: null,
      }));
      const items = [...older.slice(-60), ...(url.searchParams.has('before') ? [] : replies)];
      return send(200, { items, has_more: older.length > 60 } satisfies Schemas['Messages']);
    }
    if (noun === 'approvals' && verb === '') {
      const approval = approvals.find((one) => one.id === id);
      return approval === undefined ? send(404, error('not_found', 'no such approval')) : send(200, approval);
    }
    if (noun === 'approvals' && verb === 'decision') {
      const approval = approvals.find((one) => one.id === id);
      if (approval === undefined) return send(404, error('not_found', 'no such approval'));
      if (approval.state !== 'waiting') return send(409, error('conflict', 'it is answered already'));
      approval.state = approval.kind === 'question' ? 'answered' : body.decision === 'allow' ? 'allowed' : 'denied';
      approval.note = body.note ?? '';
      tell({ type: 'approval.answered', approval_id: id, turn_id: approval.turn_id });
      turns.find((one) => one.id === approval.turn_id)?.answer?.(approval.kind === 'question' ? (body.note ?? '') : body.decision);
      return send(200, approval);
    }
    if (noun === 'keys' && verb === 'revoke') {
      const one = keys.find((other) => other.id === id);
      if (one) one.revoked_at = back(0);
      return send(204);
    }
    if (noun === 'providers' && verb === 'test') {
      return send(
        200,
        id === 'openai'
          ? ({ ok: false, ms: 180, message: 'Incorrect API key provided' } satisfies Schemas['ProviderTest'])
          : ({ ok: true, ms: 412, message: 'pong' } satisfies Schemas['ProviderTest']),
      );
    }
    const turn = noun === 'turns' ? turns.find((one) => one.id === id) : undefined;
    if (turn === undefined) return send(404, error('not_found', 'there is nothing here'));
    if (verb === '') return send(200, show(turn));
    if (verb === 'context') return send(200, context(turn));
    if (verb === 'undo')
      return send(200, {
        restored: ['notes/week.md'],
        skipped: [{ path: 'budget.csv', reason: 'changed since' }],
      } satisfies Schemas['Undone']);
    if (verb === 'stop') {
      turn.isStopped = true;
      return send(200, { status: 'stopped' } satisfies Schemas['Stopped']);
    }
    if (verb === 'stream') {
      sse();
      response.write(`data: ${JSON.stringify({ type: 'snapshot', turn: show(turn) })}\n\n`);
      if (turn.status !== 'running') {
        response.end(
          `data: ${JSON.stringify({ type: 'finished', status: turn.status, text: turn.text, cost_usd: turn.cost_usd, steps: turn.steps.length })}\n\n`,
        );
        return;
      }
      turn.watchers.add(response);
      response.on('close', () => turn.watchers.delete(response));
      return;
    }
    send(404, error('not_found', 'there is nothing here'));
  }

  function file(response: ServerResponse, path: string): void {
    const wanted = normalize(path).replace(/^\/+/, '');
    const isFile = wanted !== '' && existsSync(join(options.dist, wanted)) && extname(wanted) in TYPES;
    const name = isFile ? wanted : 'index.html';
    response.writeHead(200, {
      ...HEADERS,
      'content-type': TYPES[extname(name)] ?? 'application/octet-stream',
      'cache-control': 'no-cache',
    });
    response.end(readFileSync(join(options.dist, name)));
  }

  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://mock');
    if (url.pathname.startsWith('/api/')) {
      answer(request, response, url).catch((cause: unknown) => {
        response.writeHead(500);
        response.end(String(cause));
      });
    } else file(response, url.pathname);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    link: `${url}/#signin=${LINK_TOKEN}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
