import { expect, test } from 'vitest';
import { places } from './keys.svelte';
import { loadPage, match, routes } from './router.svelte';

test('addresses find their page and what stands in them', () => {
  expect(match('/')?.entry.folder).toBe('today');
  expect(match('/chat/')?.entry.folder).toBe('chat');
  expect(match('/chat/a%2Fb')?.params).toEqual({ session: 'a/b' });
  expect(match('/turns/tu1')).toMatchObject({ entry: { folder: 'turn' }, params: { id: 'tu1' } });
  expect(match('/nothing')).toBeNull();
});

test('every place of the navigation leads to a page that exists', async () => {
  for (const place of places) expect(match(place.path), place.path).not.toBeNull();
  for (const route of routes) await expect(loadPage(route.folder), route.folder).resolves.toBeDefined();
  expect(new Set(places.map((place) => place.letter)).size).toBe(places.length);
  // Each page is compiled here for the first time, which takes its time on a busy machine.
}, 30_000);
