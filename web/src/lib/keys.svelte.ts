// The keyboard of the whole console: g and a letter goes, Ctrl K finds, ? explains. Bare letters are off inside fields.
import { kept } from './kept';
import { go } from './router.svelte';
import { may, type Right } from './session.svelte';
import type { MessageKey } from './t';

export interface Place {
  path: string;
  name: MessageKey;
  letter: string;
  icon: string;
  group: MessageKey;
  /** The right that the page's data needs. */
  needs: Right;
}

export const places: Place[] = [
  { path: '/', name: 'nav.today', letter: 'd', icon: 'today', group: 'nav.work', needs: 'use' },
  { path: '/chat', name: 'nav.chat', letter: 'c', icon: 'chat', group: 'nav.work', needs: 'use' },
  { path: '/approvals', name: 'nav.approvals', letter: 'a', icon: 'approvals', group: 'nav.work', needs: 'use' },
  { path: '/turns', name: 'nav.turns', letter: 't', icon: 'turns', group: 'nav.work', needs: 'use' },
  { path: '/agents', name: 'nav.agents', letter: 'e', icon: 'agents', group: 'nav.team', needs: 'use' },
  { path: '/performance', name: 'nav.performance', letter: 'p', icon: 'performance', group: 'nav.gateway', needs: 'read' },
  { path: '/routes', name: 'nav.routes', letter: 'r', icon: 'routes', group: 'nav.gateway', needs: 'read' },
  { path: '/models', name: 'nav.models', letter: 'l', icon: 'models', group: 'nav.gateway', needs: 'use' },
  { path: '/costs', name: 'nav.costs', letter: 'b', icon: 'costs', group: 'nav.money', needs: 'read' },
  { path: '/keys', name: 'nav.keys', letter: 'k', icon: 'keys', group: 'nav.trust', needs: 'administer' },
  { path: '/settings', name: 'nav.settings', letter: ',', icon: 'settings', group: 'nav.foot', needs: 'use' },
];

/** The pages this person can open. */
export function openPlaces(): Place[] {
  return places.filter((place) => may(place.needs) || (place.needs === 'use' && may('read')));
}

class Overlays {
  palette = $state(false);
  help = $state(false);
  more = $state(false);
}

export const overlays = new Overlays();

/** Is this key a bare letter that a page may take as a command: outside of fields and dialogs, and not turned off? */
export function mayUseLetters(event: KeyboardEvent): boolean {
  const isBare = !event.ctrlKey && !event.metaKey && !event.altKey;
  return (
    isBare &&
    !event.defaultPrevented &&
    !isField(event.target) &&
    kept('letters') !== 'off' &&
    document.querySelector('dialog[open]') === null
  );
}

const CHORD_MS = 1_500;
/** When `g` was pressed and nothing after it; the clock begins with the page, so that 0 would be such a moment. */
let chordAt = -Infinity;

function isField(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

export function startKeys(): void {
  addEventListener('keydown', (event) => {
    if (event.defaultPrevented) return;
    if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === 'k') {
      event.preventDefault();
      overlays.palette = true;
      return;
    }
    if (!mayUseLetters(event)) return;
    const isChord = performance.now() - chordAt < CHORD_MS;
    chordAt = -Infinity;
    if (isChord) {
      const place = openPlaces().find((one) => one.letter === event.key);
      if (place !== undefined) {
        event.preventDefault();
        go(place.path);
      }
    } else if (event.key === 'g') {
      chordAt = performance.now();
    } else if (event.key === '?') {
      event.preventDefault();
      overlays.help = true;
    } else if (event.key === '/') {
      const filter = document.querySelector<HTMLElement>('main [data-filter]');
      if (filter !== null) {
        event.preventDefault();
        filter.focus();
      }
    } else if (event.key === 'j' || event.key === 'k') {
      moveInList(event.key === 'j' ? 1 : -1);
    }
  });
}

/** Moves the focus along the rows of the page's list. */
function moveInList(by: 1 | -1): void {
  const rows = [...document.querySelectorAll<HTMLElement>('main [data-row]')];
  if (rows.length === 0) return;
  const at = rows.findIndex((row) => row === document.activeElement || row.contains(document.activeElement));
  const next = at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, at + by));
  rows[next]?.focus();
}
