import { expect, test } from 'vitest';
import { verdictOf } from './attainment';

test('the gauge is green above 95 %, yellow down to 90 %, red below', () => {
  expect(verdictOf(0.9501, 100)).toBe('good');
  expect(verdictOf(0.95, 100)).toBe('risk');
  expect(verdictOf(0.9, 100)).toBe('risk');
  expect(verdictOf(0.8999, 100)).toBe('bad');
});

test('a few calls are not judged, and none at all say nothing', () => {
  expect(verdictOf(1, 49)).toBe('few');
  expect(verdictOf(0, 49)).toBe('few');
  expect(verdictOf(null, 0)).toBe('none');
});
