// Something a page reads from the server: its value, its problem, and whether it is on the way. Old data stays while new loads.
import { onDestroy } from 'svelte';
import { ApiError } from './api';
import { onFact } from './stream';
import type { JournalFact } from './types';

const SKELETON_AFTER_MS = 150;
const SLOW_AFTER_MS = 5_000;

export class Resource<T> {
  data = $state.raw<T | undefined>(undefined);
  problem = $state.raw<ApiError | null>(null);
  isLoading = $state(false);
  /** Long enough on the way that a skeleton helps. */
  isLate = $state(false);
  isSlow = $state(false);
  loadedAt = $state('');
  #fetch: () => Promise<T>;
  #run = 0;

  constructor(fetch: () => Promise<T>) {
    this.#fetch = fetch;
  }

  /** Fetches; an answer that was overtaken by a later call is dropped. */
  async load(): Promise<void> {
    const run = ++this.#run;
    this.isLoading = true;
    const late = setTimeout(() => (this.isLate = true), SKELETON_AFTER_MS);
    const slow = setTimeout(() => (this.isSlow = true), SLOW_AFTER_MS);
    try {
      const data = await this.#fetch();
      if (run !== this.#run) return;
      this.data = data;
      this.problem = null;
      this.loadedAt = new Date().toISOString();
    } catch (error) {
      if (run !== this.#run) return;
      this.problem = asApiError(error);
    } finally {
      clearTimeout(late);
      clearTimeout(slow);
      if (run === this.#run) {
        this.isLoading = false;
        this.isLate = false;
        this.isSlow = false;
      }
    }
  }
}

/** Any error in the one form that pages show. */
export function asApiError(error: unknown): ApiError {
  return error instanceof ApiError ? error : new ApiError(-1, 'console', error instanceof Error ? error.message : String(error));
}

const GATHER_MS = 250;

/** A resource of the page being made: loads now, again after a new sign-in, and after each fact that `isAbout` it. */
export function read<T>(fetch: () => Promise<T>, isAbout: (fact: JournalFact) => boolean = () => false): Resource<T> {
  const resource = new Resource(fetch);
  const reload = () => void resource.load();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stop = onFact((fact) => {
    if (!isAbout(fact)) return;
    clearTimeout(timer);
    timer = setTimeout(reload, GATHER_MS);
  });
  addEventListener('steward:signed-in', reload);
  onDestroy(() => {
    stop();
    clearTimeout(timer);
    removeEventListener('steward:signed-in', reload);
  });
  reload();
  return resource;
}
