// The live events of one turn in view, handed over at most once a frame. A hidden tab closes it; the snapshot heals the gap.
import { api } from './api';
import type { TurnEvent } from './types';

export interface TurnStream {
  close(): void;
}

const RETRY_MAX_MS = 8_000;

/** Follows the turn until it ends or `close` is called. `onLost` is told when the line breaks; it is then tried again. */
export function followTurn(id: string, onEvents: (events: TurnEvent[]) => void, onLost: (isLost: boolean) => void = () => {}): TurnStream {
  let source: EventSource | null = null;
  let waiting: TurnEvent[] = [];
  let frame = 0;
  let retryMs = 500;
  let retryTimer: ReturnType<typeof setTimeout> | undefined;
  let isOver = false;

  function flush(): void {
    frame = 0;
    const events = waiting;
    waiting = [];
    if (events.length > 0) onEvents(events);
  }

  function open(): void {
    clearTimeout(retryTimer);
    if (isOver || document.hidden || source !== null) return;
    source = new EventSource(api.turnStreamPath(id));
    source.onmessage = (message: MessageEvent<string>) => {
      let event: TurnEvent;
      try {
        event = JSON.parse(message.data) as TurnEvent;
      } catch {
        return;
      }
      if (event.type === 'snapshot') {
        retryMs = 500;
        onLost(false);
      }
      waiting.push(event);
      if (event.type === 'finished') {
        isOver = true;
        shut();
        flush();
      } else if (frame === 0) {
        frame = requestAnimationFrame(flush);
      }
    };
    source.onerror = () => {
      shut();
      onLost(true);
      retryTimer = setTimeout(open, retryMs);
      retryMs = Math.min(retryMs * 2, RETRY_MAX_MS);
    };
  }

  function shut(): void {
    clearTimeout(retryTimer);
    source?.close();
    source = null;
  }

  function onVisibility(): void {
    if (document.hidden) shut();
    else open();
  }

  document.addEventListener('visibilitychange', onVisibility);
  open();
  return {
    close() {
      isOver = true;
      cancelAnimationFrame(frame);
      document.removeEventListener('visibilitychange', onVisibility);
      shut();
    },
  };
}
