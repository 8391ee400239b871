// The router: history API, one lazy import a page, scroll and focus restored, the title announced by the page's h1.
import type { Component } from 'svelte';
import type { MessageKey } from './t';

export interface PageProps {
  params: Record<string, string>;
  query: URLSearchParams;
}

export interface RouteEntry {
  pattern: RegExp;
  folder: string;
  title: MessageKey;
}

export const routes: RouteEntry[] = [
  { pattern: /^\/$/, folder: 'today', title: 'nav.today' },
  { pattern: /^\/chat(?:\/(?<session>[^/]+))?$/, folder: 'chat', title: 'nav.chat' },
  { pattern: /^\/approvals(?:\/(?<id>[^/]+))?$/, folder: 'approvals', title: 'nav.approvals' },
  { pattern: /^\/turns$/, folder: 'turns', title: 'nav.turns' },
  { pattern: /^\/turns\/(?<id>[^/]+)$/, folder: 'turn', title: 'nav.turn' },
  { pattern: /^\/agents$/, folder: 'agents', title: 'nav.agents' },
  { pattern: /^\/performance$/, folder: 'performance', title: 'nav.performance' },
  { pattern: /^\/routes(?:\/(?<name>[^/]+))?$/, folder: 'routes', title: 'nav.routes' },
  { pattern: /^\/models$/, folder: 'models', title: 'nav.models' },
  { pattern: /^\/costs$/, folder: 'costs', title: 'nav.costs' },
  { pattern: /^\/keys$/, folder: 'keys', title: 'nav.keys' },
  { pattern: /^\/settings$/, folder: 'settings', title: 'nav.settings' },
];

const pages = import.meta.glob<{ default: Component<PageProps> }>('../routes/*/page.svelte');

/** The page of a folder, fetched once; also called on hover, so that a click finds it there. */
export function loadPage(folder: string): Promise<{ default: Component<PageProps> }> {
  const page = pages[`../routes/${folder}/page.svelte`];
  return page === undefined ? Promise.reject(new Error(`no page ${folder}`)) : page();
}

/** Which page an address is, with what stands in it. */
export function match(path: string): { entry: RouteEntry; params: Record<string, string> } | null {
  const clean = path.length > 1 ? path.replace(/\/+$/, '') : path;
  for (const entry of routes) {
    const found = entry.pattern.exec(clean);
    if (found === null) continue;
    const params: Record<string, string> = {};
    for (const [name, value] of Object.entries(found.groups ?? {})) if (value !== undefined) params[name] = decodeURIComponent(value);
    return { entry, params };
  }
  return null;
}

class Location {
  path = $state(location.pathname);
  search = $state(location.search);
  readonly query = $derived(new URLSearchParams(this.search));
}

export const here = new Location();

/** Goes to an address of the console. `replace` leaves no step back, and neither moves focus nor scrolls. */
export function go(address: string, how: 'push' | 'replace' = 'push'): void {
  if (how === 'replace') history.replaceState(history.state, '', address);
  else {
    history.replaceState({ ...history.state, scroll: scrollY }, '');
    history.pushState({}, '', address);
  }
  const isSamePath = here.path === location.pathname;
  here.path = location.pathname;
  here.search = location.search;
  if (how === 'push') requestAnimationFrame(() => arrive(isSamePath ? undefined : 0));
}

function arrive(scroll: number | undefined): void {
  document.querySelector<HTMLElement>('main h1')?.focus({ preventScroll: true });
  if (scroll !== undefined) scrollTo(0, scroll);
}

function ownLink(event: Event): HTMLAnchorElement | null {
  const link = event.target instanceof Element ? event.target.closest('a') : null;
  return link !== null && link.origin === location.origin && link.target === '' && !link.hasAttribute('download') ? link : null;
}

/** Starts to answer clicks on links and the browser's back and forward. */
export function startRouter(): void {
  addEventListener('popstate', (event: PopStateEvent) => {
    here.path = location.pathname;
    here.search = location.search;
    const scroll = Number((event.state as { scroll?: number } | null)?.scroll ?? 0);
    setTimeout(() => arrive(scroll), 60);
  });
  document.addEventListener('click', (event) => {
    const link = ownLink(event);
    const isPlain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    if (
      link === null ||
      !isPlain ||
      event.defaultPrevented ||
      link.pathname.startsWith('/api/') ||
      link.getAttribute('href')?.startsWith('#')
    )
      return;
    event.preventDefault();
    go(link.pathname + link.search);
  });
  document.addEventListener('pointerover', (event) => {
    const link = ownLink(event);
    const found = link === null ? null : match(link.pathname);
    if (found !== null) void loadPage(found.entry.folder).catch(() => {});
  });
}
