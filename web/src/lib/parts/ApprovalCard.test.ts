import { cleanup, fireEvent, render, screen, waitFor } from '@testing-library/svelte';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Approval } from '../types';
import ApprovalCard from './ApprovalCard.svelte';

const approval: Approval = {
  id: 'a1',
  turn_id: 't1',
  agent: 'main',
  kind: 'call',
  tool: 'shell',
  args: { command: 'rm -r \u202ex' },
  effect: 'destroys',
  reason: 'it deletes',
  expires_at: '2026-01-01T00:15:00Z',
  digest: 'd1',
  choices: [],
  state: 'waiting',
  note: '',
};
const calls: { path: string; body: unknown }[] = [];
let status = 200;

beforeEach(() => {
  calls.length = 0;
  status = 200;
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance', 'Date'] });
  vi.stubGlobal('fetch', async (path: string, init: RequestInit) => {
    calls.push({ path, body: JSON.parse(String(init.body ?? 'null')) });
    if (init.method === 'GET') return Response.json({ ...approval, state: 'denied', note: 'by Ana' });
    return status === 200
      ? Response.json({ ...approval, state: 'allowed' })
      : Response.json({ error: { code: 'conflict', message: 'answered' } }, { status });
  });
});
afterEach(() => {
  cleanup();
  vi.restoreAllMocks();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const click = (name: string) => fireEvent.click(screen.getByRole('button', { name }));

test('nothing is armed in the first half second', async () => {
  render(ApprovalCard, { approval });
  await vi.advanceTimersByTimeAsync(400);
  await click('Allow once');
  expect(calls).toEqual([]);
  await vi.advanceTimersByTimeAsync(300);
  await click('Allow once');
  expect(calls).toEqual([{ path: '/api/approvals/a1/decision', body: { decision: 'allow', scope: 'once', digest: 'd1' } }]);
});

test('a card that moves is disarmed until it stands still', async () => {
  let top = 100;
  vi.spyOn(Element.prototype, 'getBoundingClientRect').mockImplementation(() => ({ top }) as DOMRect);
  render(ApprovalCard, { approval });
  await vi.advanceTimersByTimeAsync(700);
  top = 160;
  await vi.advanceTimersByTimeAsync(150);
  await click('Always');
  expect(calls).toEqual([]);
  await vi.advanceTimersByTimeAsync(700);
  await click('Always');
  expect(calls).toHaveLength(1);
});

test('a card whose question changes is disarmed again', async () => {
  const { rerender } = render(ApprovalCard, { approval });
  await vi.advanceTimersByTimeAsync(700);
  await rerender({ approval: { ...approval, digest: 'd2' } });
  await click('Allow once');
  expect(calls).toEqual([]);
});

test('hidden characters of what will run are shown and counted', () => {
  render(ApprovalCard, { approval });
  expect(screen.getByText(/⟨U\+202E⟩/)).toBeTruthy();
  expect(screen.getByText(/1 character that cannot be seen/)).toBeTruthy();
});

test('denying sends the note', async () => {
  render(ApprovalCard, { approval });
  await vi.advanceTimersByTimeAsync(700);
  await fireEvent.input(screen.getByPlaceholderText('Tell the agent why (optional)'), { target: { value: 'not these' } });
  await click('Deny');
  expect(calls[0]?.body).toEqual({ decision: 'deny', scope: 'once', digest: 'd1', note: 'not these' });
});

test('an answer given elsewhere turns the card into a record', async () => {
  status = 409;
  const onanswered = vi.fn();
  render(ApprovalCard, { approval, onanswered });
  await vi.advanceTimersByTimeAsync(700);
  await click('Allow once');
  await waitFor(() => expect(onanswered).toHaveBeenCalledWith(expect.objectContaining({ state: 'denied', note: 'by Ana' })));
});

test('a question is answered by its choices', async () => {
  render(ApprovalCard, {
    approval: { ...approval, kind: 'question', tool: 'ask', args: { question: 'Which month?' }, choices: ['October', 'November'] },
  });
  expect(screen.getByText('Which month?')).toBeTruthy();
  await vi.advanceTimersByTimeAsync(700);
  await click('November');
  expect(calls[0]?.body).toEqual({ decision: 'allow', scope: 'once', digest: 'd1', note: 'November' });
});
