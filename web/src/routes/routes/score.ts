// What a strategy scores a target, in its own unit.
import { formatDuration, formatUsd } from '../../lib/format';

/** `820 ms` for latency, `$0.0042` for cost, `0.83` for the rest. `unit` says in what a cost is. */
export function scoreText(score: number | null, strategy: string, unit: 'pico' | 'usd' = 'pico'): string {
  if (score === null) return '–';
  if (strategy === 'latency') return formatDuration(score);
  if (strategy === 'cost') return formatUsd(BigInt(Math.round(unit === 'pico' ? score : score * 1e12)));
  return score.toFixed(2);
}
