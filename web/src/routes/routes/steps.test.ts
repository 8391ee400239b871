import { expect, test } from 'vitest';
import { stepAfter, stepBefore } from './steps';

test('shares go along the usual steps and end at all and nothing', () => {
  expect([0, 0.01, 0.03, 0.5, 1].map(stepAfter)).toEqual([0.01, 0.05, 0.05, 1, 1]);
  expect([0, 0.01, 0.03, 0.5, 1].map(stepBefore)).toEqual([0, 0, 0.01, 0.25, 0.5]);
});
