import { expect, test } from 'vitest';
import type { Performance, PerformanceRow } from '../../lib/api/pending';
import { append, valuesOf } from './trail';

const look = (at: string, ...names: string[]): Performance => ({
  at,
  window_s: 300,
  by: 'route',
  rows: names.map((name) => ({ name, requests: 7 }) as PerformanceRow),
});

test('a row that was not there is a gap, never a zero', () => {
  const trail = [look('1', 'a'), look('2'), look('3', 'a', 'b')].reduce(append, []);
  expect(valuesOf(trail, 'a', (row) => row.requests)).toEqual([7, null, 7]);
  expect(valuesOf(trail, 'b', (row) => row.requests)).toEqual([null, null, 7]);
});

test('the same look twice is one point, and the trail has an end', () => {
  expect([look('1', 'a'), look('1', 'a')].reduce(append, [])).toHaveLength(1);
  const many = Array.from({ length: 400 }, (_, index) => look(String(index), 'a'));
  expect(many.reduce(append, [])).toHaveLength(360);
});
