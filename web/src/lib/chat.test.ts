import { expect, test } from 'vitest';
import { answerText, blocksOf, newTurn, openTurns, reduce, withSteer } from './chat';
import type { Message, Turn, TurnEvent } from './types';

const step = (text: string, target = 'p/m') => ({
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
  agent: 'main',
  status: 'running',
  text: '',
  cost_usd: '0.01',
  steps: [],
  receipts: [],
  ...over,
});
const kinds = (events: TurnEvent[]): string[] => reduce(newTurn('t'), events).entries.map((entry) => entry.kind);

test('deltas grow one entry until something else comes', () => {
  const turn = reduce(newTurn('t'), [
    { type: 'step', step: 1 },
    { type: 'thinking', text: 'hm' },
    { type: 'text', text: 'Hel' },
    { type: 'text', text: 'lo' },
    { type: 'call', call: { id: 'c', tool: 'list', args: {} } },
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
  expect(
    kinds([
      { type: 'text', text: 'Done.' },
      { type: 'finished', status: 'done', text: 'Done.' },
    ]),
  ).toEqual(['text']);
  expect(kinds([{ type: 'finished', status: 'failed', text: 'no target' }])).toEqual(['text']);
});

test('steering and approvals survive a snapshot', () => {
  let turn = withSteer(reduce(newTurn('t'), [{ type: 'text', text: 'a' }]), 'k', 'also b');
  turn = reduce(turn, [
    { type: 'approval', approval: { id: 'a', turn_id: 't', tool: 'shell', args: {} } },
    { type: 'snapshot', turn: shown({ steps: [step('a')] }) },
  ]);
  expect(turn.entries.map((entry) => entry.kind)).toEqual(['text', 'steer', 'approval']);
});

test('the same approval twice is one card with the newer state', () => {
  const approval = { id: 'a', turn_id: 't', tool: 'shell', args: {} };
  const turn = reduce(newTurn('t'), [
    { type: 'approval', approval },
    { type: 'approval', approval: { ...approval, state: 'allowed' } },
  ]);
  expect(turn.entries).toHaveLength(1);
  expect(turn.entries[0]).toMatchObject({ approval: { state: 'allowed' } });
});

test('history groups the answers of one turn and knows what still runs', () => {
  const at = '2026-01-01T00:00:00Z';
  const messages: Message[] = [
    { seq: 1, role: 'user', text: 'hi', at, turn_id: 'a', turn_status: 'done' },
    { seq: 2, role: 'assistant', text: '', at, turn_id: 'a', turn_status: 'done', calls: [{ id: 'c', tool: 'list', args: {} }] },
    { seq: 3, role: 'assistant', text: 'hello', at, turn_id: 'a', turn_status: 'done', cost_usd: '0.02', target: 'p/m' },
    { seq: 4, role: 'user', text: 'more', at, turn_id: 'b', turn_status: 'running' },
  ];
  const blocks = blocksOf(messages);
  expect(blocks.map((block) => block.kind)).toEqual(['user', 'turn', 'user']);
  expect(blocks[1]).toMatchObject({ turn: { costUsd: '0.02', target: 'p/m', entries: [{ kind: 'call' }, { kind: 'text' }] } });
  expect(openTurns(messages)).toEqual(['b']);
});
