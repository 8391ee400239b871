// How many approvals wait: one number for the navigation, the tab's title and the phone's bar, kept right by the stream.
import { api } from './api';
import { onFact } from './stream';

class Waiting {
  count = $state(0);
}

export const waiting = new Waiting();
let timer: ReturnType<typeof setTimeout> | undefined;

/** Counts again soon; several reasons in a row are one request. */
export function recount(): void {
  clearTimeout(timer);
  timer = setTimeout(async () => {
    try {
      waiting.count = (await api.approvals('waiting')).length;
    } catch {
      // The number stays as it was; pages that show approvals show their own problem.
    }
  }, 200);
}

/** Begins to keep the number right. */
export function startCounting(): void {
  recount();
  onFact((fact) => {
    if (fact.type.startsWith('approval.')) recount();
  });
  addEventListener('steward:signed-in', recount);
}
