// What a chat shows, as plain values: history becomes blocks, a running turn grows by events. No network, no DOM.
import type { Approval, Call, Message, Turn, TurnEvent, TurnStatus } from './types';

export type Entry =
  | { kind: 'thinking'; key: string; text: string }
  | { kind: 'text'; key: string; text: string }
  | { kind: 'call'; key: string; call: Call }
  | { kind: 'approval'; key: string; approval: Approval }
  | { kind: 'note'; key: string; text: string }
  | { kind: 'steer'; key: string; text: string };

/** One turn of the agent as the chat shows it, live or over. */
export interface LiveTurn {
  id: string;
  status: TurnStatus;
  entries: Entry[];
  target: string;
  stepCount: number;
  inputTokens: number;
  outputTokens: number;
  costUsd: string;
  startedAt: string | null;
  endedAt: string | null;
  /** How many entries were there when the running step began; what came since is void if it is called again. */
  stepAt: number;
  /** The next text delta begins a new entry. */
  isFresh: boolean;
}

/** A message the person wrote, a note, or a turn's answer. */
export type Block =
  | { kind: 'user'; key: string; text: string; at: string; turnId: string; state: 'kept' | 'sending' | 'failed'; problem?: string }
  | { kind: 'note'; key: string; text: string; at: string }
  | { kind: 'turn'; key: string; turn: LiveTurn };

export function isOver(status: TurnStatus): boolean {
  return status !== 'running' && status !== 'waiting';
}

/** A turn of which nothing is known yet but its id. */
export function newTurn(id: string, status: TurnStatus = 'running'): LiveTurn {
  return {
    id,
    status,
    entries: [],
    target: '',
    stepCount: 0,
    inputTokens: 0,
    outputTokens: 0,
    costUsd: '',
    startedAt: null,
    endedAt: null,
    stepAt: 0,
    isFresh: true,
  };
}

/** History in order: each message a block, answers of one turn together. */
export function blocksOf(messages: Message[]): Block[] {
  const blocks: Block[] = [];
  for (const message of messages) {
    const key = `m${message.seq}`;
    if (message.role === 'user') {
      blocks.push({ kind: 'user', key, text: message.text, at: message.at, turnId: message.turn_id, state: 'kept' });
      continue;
    }
    if (message.role === 'note') {
      blocks.push({ kind: 'note', key, text: message.text, at: message.at });
      continue;
    }
    const last = blocks.at(-1);
    const isSameTurn = last?.kind === 'turn' && last.turn.id === message.turn_id;
    const turn = isSameTurn ? last.turn : newTurn(message.turn_id, message.turn_status ?? 'done');
    if (!isSameTurn) blocks.push({ kind: 'turn', key, turn });
    turn.entries.push(...message.calls.map((call): Entry => ({ kind: 'call', key: `${key}-${call.id}`, call })));
    if (message.text !== '') turn.entries.push({ kind: 'text', key, text: message.text });
    turn.status = message.turn_status ?? turn.status;
    turn.target = message.target ?? turn.target;
    turn.costUsd = message.cost_usd ?? turn.costUsd;
    turn.endedAt = message.at;
  }
  return blocks;
}

/** Turns in the history that still go on, newest last. */
export function openTurns(messages: Message[]): string[] {
  const states = new Map<string, TurnStatus>();
  for (const message of messages) {
    if (message.turn_id && message.turn_status) states.set(message.turn_id, message.turn_status);
  }
  return [...states].filter(([, status]) => !isOver(status)).map(([id]) => id);
}

/** The turn after the events. The given turn is not changed. */
export function reduce(turn: LiveTurn, events: TurnEvent[]): LiveTurn {
  return events.reduce(apply, turn);
}

function apply(turn: LiveTurn, event: TurnEvent): LiveTurn {
  switch (event.type) {
    case 'snapshot':
      return fromSnapshot(turn, event.turn);
    case 'step':
      return { ...turn, status: 'running', stepCount: Math.max(turn.stepCount, event.step), stepAt: turn.entries.length, isFresh: true };
    case 'thinking':
    case 'text':
      return appendText(turn, event.type, event.text);
    case 'call':
      return withCall(turn, event.call);
    case 'call_finished':
      return withOutcome(turn, event);
    case 'approval':
      return withApproval(turn, event.approval);
    case 'note':
      return withEntry(turn, { kind: 'note', key: keyFor(turn, 'note'), text: event.text });
    case 'restart':
      return restart(turn, event.reason);
    case 'finished':
      return finish(turn, event);
  }
}

function keyFor(turn: LiveTurn, kind: string): string {
  return `${kind}-${turn.entries.length}`;
}

function withEntry(turn: LiveTurn, entry: Entry): LiveTurn {
  return { ...turn, entries: [...turn.entries, entry], isFresh: true };
}

function appendText(turn: LiveTurn, kind: 'thinking' | 'text', text: string): LiveTurn {
  const last = turn.entries.at(-1);
  if (turn.isFresh || last === undefined || last.kind !== kind) {
    return { ...withEntry(turn, { kind, key: keyFor(turn, kind), text }), isFresh: false };
  }
  return { ...turn, entries: [...turn.entries.slice(0, -1), { ...last, text: last.text + text }] };
}

function withCall(turn: LiveTurn, call: Call): LiveTurn {
  const at = turn.entries.findIndex((entry) => entry.kind === 'call' && entry.call.id === call.id);
  if (at < 0) return withEntry(turn, { kind: 'call', key: `call-${call.id}`, call });
  return {
    ...turn,
    entries: turn.entries.map((entry, index) =>
      index === at && entry.kind === 'call' ? { ...entry, call: { ...entry.call, ...call } } : entry,
    ),
  };
}

function withOutcome(turn: LiveTurn, event: Extract<TurnEvent, { type: 'call_finished' }>): LiveTurn {
  const entries = turn.entries.map((entry) =>
    entry.kind === 'call' && entry.call.id === event.id
      ? { ...entry, call: { ...entry.call, outcome: event.outcome, output: event.output } }
      : entry,
  );
  return { ...turn, entries, isFresh: true };
}

/** The turn with the approval in it, or the newer state of one that is there already. */
export function withApproval(turn: LiveTurn, approval: Approval): LiveTurn {
  const at = turn.entries.findIndex((entry) => entry.kind === 'approval' && entry.approval.id === approval.id);
  if (at < 0) return withEntry(turn, { kind: 'approval', key: `approval-${approval.id}`, approval });
  const entries = turn.entries.map((entry, index) => (index === at && entry.kind === 'approval' ? { ...entry, approval } : entry));
  return { ...turn, entries };
}

/** The turn with a message put in while it runs. */
export function withSteer(turn: LiveTurn, key: string, text: string): LiveTurn {
  return withEntry(turn, { kind: 'steer', key, text });
}

/** The model call is made again: what it had shown goes, and why is said. What a person wrote stays. */
function restart(turn: LiveTurn, reason: string): LiveTurn {
  const entries = turn.entries.filter((entry, index) => index < turn.stepAt || (entry.kind !== 'text' && entry.kind !== 'thinking'));
  return withEntry({ ...turn, entries }, { kind: 'note', key: keyFor(turn, 'restart'), text: reason });
}

function finish(turn: LiveTurn, event: Extract<TurnEvent, { type: 'finished' }>): LiveTurn {
  const isOpen = event.status === 'waiting' || event.status === 'running';
  let next: LiveTurn = { ...turn, status: event.status, costUsd: event.cost_usd, stepCount: event.steps };
  if (isOpen) return next;
  next = { ...next, endedAt: next.endedAt ?? new Date().toISOString() };
  const text = event.text;
  const isShown = next.entries.some(
    (entry) => entry.kind === 'text' && (entry.text.trim() === text.trim() || entry.text.trim().endsWith(text.trim())),
  );
  return text === '' || isShown ? next : withEntry(next, { kind: 'text', key: keyFor(next, 'text'), text });
}

/** Everything the server knows, in order; what only this page knows (notes, approvals, steering) stays where it was. */
function fromSnapshot(turn: LiveTurn, snapshot: Turn): LiveTurn {
  const entries: Entry[] = [];
  for (const [index, step] of snapshot.steps.entries()) {
    if (step.thinking) entries.push({ kind: 'thinking', key: `s${index}-thinking`, text: step.thinking });
    if (step.text) entries.push({ kind: 'text', key: `s${index}-text`, text: step.text });
    for (const call of step.calls) entries.push({ kind: 'call', key: `call-${call.id}`, call });
  }
  const hasText = entries.some((entry) => entry.kind === 'text' && entry.text.trim() === snapshot.text.trim());
  if (snapshot.text !== '' && !hasText && isOver(snapshot.status)) entries.push({ kind: 'text', key: 'end-text', text: snapshot.text });
  for (const [index, entry] of turn.entries.entries()) {
    if (entry.kind === 'approval' || entry.kind === 'note' || entry.kind === 'steer')
      entries.splice(Math.min(index, entries.length), 0, entry);
  }
  const last = snapshot.steps.at(-1);
  return {
    ...turn,
    status: snapshot.status,
    entries,
    target: last?.target ?? turn.target,
    stepCount: snapshot.steps.length,
    inputTokens: snapshot.steps.reduce((sum, step) => sum + step.input_tokens, 0),
    outputTokens: snapshot.steps.reduce((sum, step) => sum + step.output_tokens, 0),
    costUsd: snapshot.cost_usd,
    startedAt: snapshot.started_at,
    endedAt: snapshot.ended_at,
    stepAt: entries.length,
    // A step that has its target is whole; only an unfinished one may go on growing.
    isFresh: last === undefined || last.target !== '',
  };
}

/** The whole answer as text, for copying. */
export function answerText(turn: LiveTurn): string {
  return turn.entries.flatMap((entry) => (entry.kind === 'text' ? [entry.text] : [])).join('\n\n');
}
