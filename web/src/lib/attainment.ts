// Was the objective met often enough? Green above 95 %, yellow from 90 to 95 %, red below.
export type Verdict = 'good' | 'risk' | 'bad' | 'few' | 'none';

const GOOD_ABOVE = 0.95;
const BAD_BELOW = 0.9;
/** Fewer calls than this say nothing. */
const ENOUGH = 50;

/** What a share of calls that met their objective is worth. */
export function verdictOf(attainment: number | null, calls: number): Verdict {
  if (attainment === null) return 'none';
  if (calls < ENOUGH) return 'few';
  if (attainment > GOOD_ABOVE) return 'good';
  return attainment < BAD_BELOW ? 'bad' : 'risk';
}
