import { expect, test } from 'vitest';
import {
  columnDigits,
  exactUsd,
  formatAgo,
  formatBytes,
  formatCount,
  formatDuration,
  formatMs,
  formatRate,
  formatShare,
  formatUsd,
  parsePico,
  picoOf,
} from './format';

test('money is read digit by digit and never through a float', () => {
  expect(parsePico('0.000412')).toBe(412_000_000n);
  expect(parsePico('12345678901234.000000000001')).toBe(12_345_678_901_234_000_000_000_001n);
  expect(parsePico('-1.5')).toBe(-1_500_000_000_000n);
  expect(parsePico(undefined)).toBe(0n);
  expect(parsePico('abc')).toBe(0n);
});

test('sums of a thousand small amounts stay exact', () => {
  const sum = Array.from({ length: 1000 }, () => parsePico('0.1')).reduce((a, b) => a + b, 0n);
  expect(formatUsd(sum)).toBe('$100.00');
});

test('a dollar and more has two digits, less has four, too little says so', () => {
  expect(formatUsd(parsePico('31.2'))).toBe('$31.20');
  expect(formatUsd(parsePico('1234567.891'))).toBe('$1,234,567.89');
  expect(formatUsd(parsePico('0.0312'))).toBe('$0.0312');
  expect(formatUsd(parsePico('0.00000001'))).toBe('<$0.0001');
  expect(formatUsd(0n)).toBe('$0.0000');
  expect(formatUsd(parsePico('-0.5'))).toBe('−$0.5000');
});

test('a column shares its digits', () => {
  expect(columnDigits([parsePico('0.1'), parsePico('2')])).toBe(2);
  expect(columnDigits([parsePico('0.1'), parsePico('0.2')])).toBe(4);
});

test('hover shows every digit', () => {
  expect(exactUsd(parsePico('0.000412'))).toBe('$0.000412');
  expect(exactUsd(parsePico('3'))).toBe('$3.00');
});

test('counts, durations and sizes are short', () => {
  expect([0, 812, 14_800, 999_949, 1_200_000].map(formatCount)).toEqual(['0', '812', '14.8k', '1000k', '1.2M']);
  expect([240, 6_900, 125_000, 11_520_000, NaN].map(formatDuration)).toEqual(['240 ms', '6.9 s', '2 min 5 s', '3 h 12 min', '–']);
  expect([840, 4_200, 1_100_000_000].map(formatBytes)).toEqual(['840 B', '4.2 kB', '1.1 GB']);
});

test('times are told from now', () => {
  const now = Date.parse('2026-01-01T12:00:00Z');
  expect(formatAgo('2026-01-01T11:59:55Z', now)).toBe('now');
  expect(formatAgo('2026-01-01T11:55:00Z', now)).toBe('5 min. ago');
  expect(formatAgo('2026-01-01T12:09:00Z', now)).toBe('in 9 min.');
  expect(formatAgo(null, now)).toBe('–');
});

test('a share that is not whole is never shown as all or nothing', () => {
  expect([0, 0.0004, 0.0312, 0.95, 0.9996, 1].map(formatShare)).toEqual(['0 %', '<0.1 %', '3.1 %', '95 %', '>99.9 %', '100 %']);
});

test('short times keep their tenths and rates their hundredths', () => {
  expect([null, 0, 0.31, 14.24, 612, 1400].map(formatMs)).toEqual(['–', '0 ms', '0.3 ms', '14.2 ms', '612 ms', '1.4 s']);
  expect([0, 0.254, 14.87, 3150].map(formatRate)).toEqual(['0 /s', '0.25 /s', '14.9 /s', '3.1k /s']);
});

test('an amount that came as a number is only made exact to show it', () => {
  expect(picoOf(0.0142)).toBe(14_200_000_000n);
  expect(picoOf(NaN)).toBe(0n);
});
