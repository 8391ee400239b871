// What this page saw while it was open: one point a look. The server keeps windows of five minutes, so the past is the page's own.
import type { Performance, PerformanceRow } from '../../lib/api/pending';

export interface Point {
  at: string;
  rows: Map<string, PerformanceRow>;
}

/** Half an hour at one look each five seconds. */
const MOST = 360;

/** The trail with one look more; the same look twice is one. */
export function append(trail: Point[], look: Performance): Point[] {
  if (trail.at(-1)?.at === look.at) return trail;
  return [...trail, { at: look.at, rows: new Map(look.rows.map((row) => [row.name, row])) }].slice(-MOST);
}

/** A figure of one row at each point; a gap where the row or the figure was not there. */
export function valuesOf(trail: Point[], name: string, figure: (row: PerformanceRow) => number | null): (number | null)[] {
  return trail.map((point) => {
    const row = point.rows.get(name);
    return row === undefined ? null : figure(row);
  });
}
