import { expect, test } from 'vitest';
import { answerText, blocksOf, newTurn, openTurns, reduce, withSteer } from './chat';
import type { Approval, Call, Message, Step, Turn, TurnEvent } from './types';

const at = '2026-01-01T00:00:00Z';
const step = (text: string, target = 'p/m'): Step => ({
  step: 1,
  request_id: 'r',
  cached_input_tokens: 0,
  model: 'default',
  target,
  input_tokens: 10,
  output_tokens: 5,
  cost_usd: '0.01',
  text,
  thinking: '',
  calls: [],
});
const shown = (over: Partial<Turn>): Turn => ({
  id: 't',
  session: 's',
  session_id: 'se',
  asked: '',
  notes: [],
  started_at: at,
  ended_at: null,
  agent: 'main',
  status: 'running',
  text: '',
  cost_usd: '0.01',
  steps: [],
  receipts: [],
  ...over,
});
const call = { id: 'c', tool: 'list', args: {}, effect: 'reads', decision: 'allow', rule: 'r', reason: '' } satisfies Call;
const approval: Approval = {
  id: 'a',
  turn_id: 't',
  agent: 'main',
  kind: 'call',
  tool: 'shell',
  args: {},
  effect: 'writes',
  reason: '',
  expires_at: at,
  digest: 'd',
  choices: [],
  state: 'waiting',
  note: '',
};
const message = (over: Partial<Message>): Message => ({
  seq: 1,
  role: 'assistant',
  text: '',
  at,
  turn_id: 'a',
  turn_status: 'done',
  calls: [],
  cost_usd: null,
  target: null,
  ...over,
});
const ended = (status: 'done' | 'failed', text: string): TurnEvent => ({ type: 'finished', status, text, cost_usd: '0.01', steps: 1 });
const kinds = (events: TurnEvent[]): string[] => reduce(newTurn('t'), events).entries.map((entry) => entry.kind);

test('deltas grow one entry until something else comes', () => {
  const turn = reduce(newTurn('t'), [
    { type: 'step', step: 1 },
    { type: 'thinking', text: 'hm' },
    { type: 'text', text: 'Hel' },
    { type: 'text', text: 'lo' },
    { type: 'call', call },
    { type: 'call_finished', id: 'c', outcome: 'done', output: 'x' },
    { type: 'step', step: 2 },
    { type: 'text', text: 'End' },
  ]);
  expect(turn.entries.map((entry) => entry.kind)).toEqual(['thinking', 'text', 'call', 'text']);
  expect(answerText(turn)).toBe('Hello\n\nEnd');
  expect(turn.entries[2]).toMatchObject({ call: { outcome: 'done', output: 'x' } });
  expect(turn.stepCount).toBe(2);
});

test('a snapshot replaces what was streamed, so a reconnect repeats nothing', () => {
  const before = reduce(newTurn('t'), [{ type: 'text', text: 'Hel' }]);
  const after = reduce(before, [
    { type: 'snapshot', turn: shown({ steps: [step('Hello', '')] }) },
    { type: 'text', text: ' there' },
  ]);
  expect(answerText(after)).toBe('Hello there');
});

test('after a whole step the next delta begins a new entry', () => {
  const turn = reduce(newTurn('t'), [
    { type: 'snapshot', turn: shown({ steps: [step('First.')] }) },
    { type: 'text', text: 'Second.' },
  ]);
  expect(answerText(turn)).toBe('First.\n\nSecond.');
});

test('a step that is called again loses what it had shown and says why', () => {
  const turn = reduce(newTurn('t'), [
    { type: 'step', step: 1 },
    { type: 'text', text: 'Kept.' },
    { type: 'step', step: 2 },
    { type: 'text', text: 'Void' },
    { type: 'restart', reason: 'the stream was cut' },
    { type: 'text', text: 'Again.' },
  ]);
  expect(answerText(turn)).toBe('Kept.\n\nAgain.');
  expect(turn.entries.map((entry) => entry.kind)).toEqual(['text', 'note', 'text']);
});

test('the final text is not shown twice', () => {
  expect(kinds([{ type: 'text', text: 'Done.' }, ended('done', 'Done.')])).toEqual(['text']);
  expect(kinds([ended('failed', 'no target')])).toEqual(['text']);
});

test('steering and approvals survive a snapshot', () => {
  let turn = withSteer(reduce(newTurn('t'), [{ type: 'text', text: 'a' }]), 'k', 'also b');
  turn = reduce(turn, [
    { type: 'approval', approval },
    { type: 'snapshot', turn: shown({ steps: [step('a')] }) },
  ]);
  expect(turn.entries.map((entry) => entry.kind)).toEqual(['text', 'steer', 'approval']);
});

test('the same approval twice is one card with the newer state', () => {
  const turn = reduce(newTurn('t'), [
    { type: 'approval', approval },
    { type: 'approval', approval: { ...approval, state: 'allowed' } },
  ]);
  expect(turn.entries).toHaveLength(1);
  expect(turn.entries[0]).toMatchObject({ approval: { state: 'allowed' } });
});

test('history groups the answers of one turn and knows what still runs', () => {
  const over = { outcome: 'done', output: '', started_at: at, ended_at: at } as const;
  const messages = [
    message({ role: 'user', text: 'hi' }),
    message({ seq: 2, calls: [{ ...call, ...over }] }),
    message({ seq: 3, text: 'hello', cost_usd: '0.02', target: 'p/m' }),
    message({ seq: 4, role: 'user', text: 'more', turn_id: 'b', turn_status: 'running' }),
  ];
  const blocks = blocksOf(messages);
  expect(blocks.map((block) => block.kind)).toEqual(['user', 'turn', 'user']);
  expect(blocks[1]).toMatchObject({ turn: { costUsd: '0.02', target: 'p/m', entries: [{ kind: 'call' }, { kind: 'text' }] } });
  expect(openTurns(messages)).toEqual(['b']);
});
