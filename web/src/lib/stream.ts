// One event stream a browser: a lock elects the tab that holds it, a broadcast channel passes its facts to the others.
// Without locks (plain http on a name of the local network) each visible tab holds its own and lets it go when hidden.
import type { JournalFact } from './types';

export type Link = 'connecting' | 'live' | 'offline';
type Listener = (fact: JournalFact) => void;
type Wire = { seq: number; fact: JournalFact } | { link: Link } | { ask: true };

const HIDDEN_GRACE_MS = 30_000;
const RETRY_MAX_MS = 15_000;

const listeners = new Set<Listener>();
const linkListeners = new Set<(link: Link) => void>();
let link: Link = 'connecting';
let cursor = -1;
let source: EventSource | null = null;
let retryMs = 500;
let retryTimer: ReturnType<typeof setTimeout> | undefined;
let isStarted = false;
let channel: BroadcastChannel | null = null;

/** Calls the listener with every fact from now on. Returns how to stop that. */
export function onFact(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Calls the listener with the state of the connection, now and at each change. */
export function onLink(listener: (link: Link) => void): () => void {
  linkListeners.add(listener);
  listener(link);
  return () => linkListeners.delete(listener);
}

/** Begins to listen; calling it again does nothing. Needs a session. */
export function startStream(): void {
  if (isStarted) return;
  isStarted = true;
  channel = new BroadcastChannel('steward-stream');
  channel.onmessage = (event: MessageEvent<Wire>) => hear(event.data);
  if (navigator.locks) {
    channel.postMessage({ ask: true } satisfies Wire);
    // The promise never settles: the lock is held until the tab closes, and then the next tab gets it.
    void navigator.locks.request('steward-stream', () => new Promise(() => connect()));
  } else {
    connect();
    let hideTimer: ReturnType<typeof setTimeout> | undefined;
    document.addEventListener('visibilitychange', () => {
      clearTimeout(hideTimer);
      if (document.hidden) hideTimer = setTimeout(disconnect, HIDDEN_GRACE_MS);
      else if (source === null) connect();
    });
  }
}

/** Tries again at once, for example after signing in. Only the tab that holds the stream does anything. */
export function reconnectStream(): void {
  if (source?.readyState !== EventSource.CLOSED && retryTimer === undefined) return;
  retryMs = 500;
  connect();
}

function hear(wire: Wire): void {
  if ('fact' in wire) take(wire.seq, wire.fact);
  else if ('link' in wire) setLink(wire.link);
  else if (source !== null) channel?.postMessage({ link } satisfies Wire);
}

function take(seq: number, fact: JournalFact): void {
  if (seq >= 0 && seq <= cursor) return;
  cursor = Math.max(cursor, seq);
  for (const listener of listeners) listener(fact);
}

function setLink(next: Link): void {
  link = next;
  for (const listener of linkListeners) listener(link);
}

function announce(next: Link): void {
  setLink(next);
  if (navigator.locks) channel?.postMessage({ link: next } satisfies Wire);
}

function disconnect(): void {
  clearTimeout(retryTimer);
  retryTimer = undefined;
  source?.close();
  source = null;
}

function connect(): void {
  disconnect();
  announce('connecting');
  source = new EventSource(cursor >= 0 ? `/api/stream?cursor=${cursor}` : '/api/stream');
  source.onopen = () => {
    retryMs = 500;
    announce('live');
  };
  source.onmessage = (event: MessageEvent<string>) => {
    const seq = event.lastEventId === '' ? -1 : Number(event.lastEventId);
    let fact: JournalFact;
    try {
      fact = JSON.parse(event.data) as JournalFact;
    } catch {
      return;
    }
    if (navigator.locks) channel?.postMessage({ seq, fact } satisfies Wire);
    take(seq, fact);
  };
  source.onerror = () => {
    announce('offline');
    disconnect();
    retryTimer = setTimeout(connect, retryMs);
    retryMs = Math.min(retryMs * 2, RETRY_MAX_MS);
  };
}
