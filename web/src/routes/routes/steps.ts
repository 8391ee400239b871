// The usual shares of a canary, to step along without typing. The server takes any share.
export const STEPS = [0.01, 0.05, 0.25, 0.5, 1];

/** The next larger step, or all. */
export function stepAfter(share: number): number {
  return STEPS.find((step) => step > share + 1e-9) ?? 1;
}

/** The next smaller step, or none. */
export function stepBefore(share: number): number {
  return STEPS.findLast((step) => step < share - 1e-9) ?? 0;
}
