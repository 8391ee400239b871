// Browser stories of the console: the first minute of a person, with the strict policy on and no accessibility violation.
// Against a real server the messages go to its model, so only what holds for any model is asked of the answers there.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { openPlace, signIn, until, type Place } from './browser';

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const texts = {
  plain: process.env.STEWARD_E2E_PLAIN ?? 'Look through the workspace',
  approve: process.env.STEWARD_E2E_APPROVE ?? 'Please delete the old reports (approve)',
  slow: process.env.STEWARD_E2E_SLOW ?? 'Count slowly, please: slow',
};

let place: Place;
let context: BrowserContext;
let page: Page;
const complaints: string[] = [];

beforeAll(async () => {
  place = await openPlace();
  context = await place.browser.newContext({ viewport: { width: 1280, height: 800 } });
  page = await context.newPage();
  page.on('console', (message) => {
    if (/Content Security Policy|Trusted|Refused to/i.test(message.text())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  // First without the link, as someone who comes by the address: the link pasted there later must be enough.
  await page.goto(place.url);
  await page.getByRole('button', { name: 'Sign in' }).waitFor();
  expect(await violations(page)).toEqual([]);
  await signIn(page, place.link);
});
afterEach(() => expect(complaints).toEqual([]));
afterAll(() => place?.close());

async function send(text: string): Promise<void> {
  await page.getByLabel('Message', { exact: true }).fill(text);
  await page.keyboard.press('Enter');
}
async function newChat(): Promise<void> {
  await page.goto(`${place.url}/chat`);
  await page.getByLabel('Message', { exact: true }).waitFor();
}
const lastTurn = () => page.locator('[data-turn]').last();
const status = async (): Promise<string | null> => ((await lastTurn().count()) === 0 ? null : lastTurn().getAttribute('data-status'));

async function violations(target: Page): Promise<string[]> {
  // Through the debugger's own world, so that the page's policy stays as strict as it is.
  const session = await target.context().newCDPSession(target);
  await session.send('Runtime.evaluate', { expression: axeSource });
  const run = `axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })
    .then((result) => JSON.stringify(result.violations.map((one) => one.id + ': ' + one.nodes.map((node) => node.target + ' ' + node.failureSummary).join(' | '))))`;
  const { result } = await session.send('Runtime.evaluate', { expression: run, awaitPromise: true });
  await session.detach();
  return JSON.parse(String(result.value)) as string[];
}

test('a one-time link signs in and leaves no secret in the address', async () => {
  await page.getByRole('link', { name: 'Today' }).first().waitFor();
  expect(page.url()).not.toContain('signin');
  await expect.poll(() => page.locator('main h1').first().textContent()).toBe('Today');
});

test('a message streams its answer token by token and shows its tool calls', async () => {
  await newChat();
  await send(texts.plain);
  const lengths = new Set<number>();
  await until(
    'the turn is done',
    async () => {
      if ((await lastTurn().count()) > 0) lengths.add(((await lastTurn().textContent()) ?? '').length);
      return (await status()) === 'done';
    },
    50_000,
  );
  if (place.isMock) {
    expect(lengths.size).toBeGreaterThan(4);
    const call = lastTurn().locator('[data-call]').first();
    await call.locator('summary').click();
    await expect.poll(() => call.textContent()).toContain('notes/week.md');
    await expect.poll(() => lastTurn().textContent()).toContain('claude-sonnet');
  }
});

test('a reload in the middle shows the running turn, and Stop ends it', async () => {
  await newChat();
  await send(texts.slow);
  await until('the answer grows', async () => ((await lastTurn().textContent()) ?? '').length > 60, 40_000);
  await page.reload();
  await lastTurn().waitFor();
  await until('the running turn is back', async () => ((await lastTurn().textContent()) ?? '').length > 60);
  if (place.isMock) {
    await send('a word in between');
    await expect.poll(() => lastTurn().textContent()).toContain('a word in between');
  }
  await page.keyboard.press('Control+.');
  await until('the turn is stopped', async () => (await status()) === 'stopped');
});

test('an approval is answered in the flow, after it has stood still', async () => {
  await newChat();
  await send(texts.approve);
  const card = page.locator('[data-approval]').last();
  await card.waitFor({ timeout: 40_000 });
  const allow = card.getByRole('button', { name: 'Allow once' });
  await until('the card is armed', async () => (await card.getAttribute('data-armed')) === 'true');
  await allow.click();
  await until('the turn is over', async () => (await status()) === 'done', 40_000);
  expect(await card.textContent()).toContain('Allowed');
});

test('the inspector shows steps, context and calls', async () => {
  await lastTurn().getByRole('link', { name: 'Open turn' }).click();
  await page.locator('[data-step]').first().waitFor();
  await page.locator('[data-step]').first().getByText('What was in context').click();
  await expect.poll(() => page.locator('[data-step]').first().textContent()).toMatch(/tokens|Tokens/);
  expect(await page.locator('[data-step] [data-call]').count()).toBeGreaterThan(0);
});

test('keys go, find and explain', async () => {
  await page.locator('main h1').first().focus();
  await page.keyboard.press('g');
  await page.keyboard.press('a');
  await expect.poll(() => page.url()).toContain('/approvals');
  await page.keyboard.press('Control+k');
  await page.getByRole('combobox').fill('costs');
  await page.keyboard.press('Enter');
  await expect.poll(() => page.url()).toContain('/costs');
  await page.locator('main h1').first().waitFor();
  await page.keyboard.press('?');
  await page.getByRole('dialog').waitFor();
  await page.keyboard.press('Escape');
  await expect.poll(() => page.getByRole('dialog').count()).toBe(0);
});

test('every page of the navigation opens without an error', async () => {
  for (const path of [
    '/',
    '/chat',
    '/approvals',
    '/approvals?tab=history',
    '/turns',
    '/agents',
    ...(place.isMock ? ['/performance', '/performance?by=team'] : []),
    '/routes',
    '/models',
    '/costs',
    '/keys',
    '/settings',
  ]) {
    await page.goto(place.url + path);
    await page.locator('main h1').first().waitFor();
    await page.waitForLoadState('load');
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await page.locator('main [role=alert]').allTextContents(), path).toEqual([]);
  }
});

/** An open chat that asks for an approval, where the model is ours to script. */
async function chatWithCard(): Promise<string> {
  if (place.isMock) {
    await newChat();
    await send(texts.approve);
    await page.locator('[data-approval]').last().waitFor();
  }
  return page.url();
}
/** What only the mock has something to show on. */
const scripted = ['/routes/default', '/routes?request=req_1', '/performance'];

test.each(['light', 'dark'] as const)('there is no accessibility violation in %s', async (colorScheme) => {
  const chat = await chatWithCard();
  await page.emulateMedia({ colorScheme });
  const paths = ['/turns', '/approvals', '/', '/settings', '/routes', '/models', '/costs', '/keys', ...(place.isMock ? scripted : [])];
  for (const address of [chat, ...paths.map((path) => place.url + path)]) {
    await page.goto(address);
    await page.locator('main h1').first().waitFor();
    await new Promise((resolve) => setTimeout(resolve, 800));
    expect(await violations(page), address).toEqual([]);
  }
});

test('nothing is cut off or out of reach on a screen of 320 pixels', async () => {
  const chat = await chatWithCard();
  await page.setViewportSize({ width: 320, height: 640 });
  try {
    const paths = ['/turns', '/', '/settings', '/routes', ...(place.isMock ? scripted : [])];
    for (const address of [chat, ...paths.map((path) => place.url + path)]) {
      await page.goto(address);
      await page.locator('main h1').first().waitFor();
      await new Promise((resolve) => setTimeout(resolve, 600));
      expect(await page.evaluate(() => document.documentElement.scrollWidth), address).toBeLessThanOrEqual(320);
      expect(await violations(page), address).toEqual([]);
    }
  } finally {
    await page.setViewportSize({ width: 1280, height: 800 });
  }
});

test('a route shows how its targets stand, and a rollout is rolled back and undone with a reason', async ({ skip }) => {
  skip(!place.isMock, 'a rollout of a real server is not ours to move');
  await page.goto(`${place.url}/routes`);
  await page.getByRole('link', { name: 'default', exact: true }).click();
  await expect.poll(() => page.locator('[data-target]').count()).toBe(3);
  await expect.poll(() => page.locator('[data-target="local/small"]').textContent()).toContain('Out of use');
  await expect.poll(() => page.locator('[data-gate=ttft_p95]').textContent()).toContain('Not known yet');

  await page.locator('main h1').first().focus();
  await page.keyboard.press('Shift+R');
  const dialog = page.getByRole('dialog');
  await dialog.waitFor();
  expect(await violations(page)).toEqual([]);
  const confirm = dialog.getByRole('button', { name: 'Roll back' });
  expect(await confirm.isDisabled()).toBe(true);
  await dialog.getByLabel(/^Reason/).fill('answers got slow');
  await confirm.click();
  await expect.poll(() => page.locator('[data-rollout]').getAttribute('data-rollout')).toBe('rolled_back');
  await expect.poll(() => page.locator('[data-rollout]').textContent()).toContain('answers got slow');

  await page.getByRole('button', { name: 'Undo' }).click();
  await dialog.getByRole('button', { name: 'Change share' }).click();
  await expect.poll(() => page.locator('[data-rollout]').getAttribute('data-rollout')).toBe('running');

  await page.getByRole('button', { name: 'Change share' }).click();
  await dialog.waitFor();
  expect(await violations(page)).toEqual([]);
  await dialog.getByRole('button', { name: '25 %' }).click();
  await dialog.getByLabel(/^Reason/).fill('all gates look well');
  await dialog.getByRole('button', { name: 'Change share' }).click();
  await expect.poll(() => page.locator('[data-rollout] .number').textContent()).toBe('25 %');
});

test('a request says why it went where it went', async ({ skip }) => {
  skip(!place.isMock, 'the records of a real server are its own');
  await page.goto(`${place.url}/routes`);
  await page.getByLabel('Id of a request').fill('nothing');
  await page.keyboard.press('Enter');
  await expect.poll(() => page.locator('main').textContent()).toContain('There is no record of “nothing”');
  await page.getByLabel('Id of a request').fill('req_1');
  await page.keyboard.press('Enter');
  await expect.poll(() => page.locator('[data-record]').textContent()).toContain('openai/gpt-5 answered');
  expect(await page.locator('[data-record]').textContent()).toContain('529');
  await page.getByRole('button', { name: 'Compute again' }).click();
  await expect.poll(() => page.locator('[data-record]').textContent()).toContain('The same order comes out.');
});

test('performance says with a word and a number whether answers are fast enough, and for whom not', async ({ skip }) => {
  skip(!place.isMock, 'what a real server measures is its own');
  const verdict = (): Promise<string | null> => page.locator('.gauge').getAttribute('data-verdict');
  await page.goto(`${place.url}/performance`);
  await expect.poll(verdict).toBe('good');
  expect(await page.locator('.gauge').textContent()).toContain('96.3 %');
  await page.getByRole('link', { name: 'cheap', exact: true }).click();
  await expect.poll(verdict).toBe('risk');
  await page.getByRole('link', { name: 'drafts', exact: true }).click();
  await expect.poll(verdict).toBe('few');
  expect(await page.locator('.gauge').textContent()).toContain('Too few to judge');
  await page.getByRole('combobox', { name: 'By' }).selectOption('model');
  await expect.poll(() => page.locator('[data-performance]').getAttribute('data-performance')).toBe('anthropic/claude-sonnet-4-5');
  const chart = page.getByRole('figure', { name: 'Time to first token' });
  await chart.getByRole('button', { name: 'Show as table' }).click();
  await expect.poll(() => chart.locator('tbody tr').count()).toBeGreaterThan(0);
  expect(await violations(page)).toEqual([]);
  await page.getByRole('combobox', { name: 'By' }).selectOption('team');
  await expect.poll(() => page.locator('main').textContent()).toContain('No model call in this time.');
});

test('a lost session asks to sign in over the page and keeps the draft', async ({ skip }) => {
  skip(!place.isMock, 'only the mock can lose a session at a given moment');
  await newChat();
  await page.getByLabel('Message', { exact: true }).fill('half a thought');
  await page.evaluate(() => fetch('/api/test/sign-out', { method: 'POST' }));
  // A request on its way may open the sign-in before the click gets there; either way it must open.
  await page
    .getByRole('link', { name: 'Turns' })
    .first()
    .click({ timeout: 1000 })
    .catch(() => {});
  const dialog = page.getByRole('dialog');
  await dialog.waitFor();
  await dialog.getByLabel('Key', { exact: true }).check();
  await dialog.getByLabel(/sk-steward/).fill('sk-steward-mock');
  await dialog.getByRole('button', { name: 'Sign in' }).click();
  await expect.poll(() => page.getByRole('dialog').count()).toBe(0);
  await page.getByRole('link', { name: 'Chat', exact: true }).first().click();
  await expect.poll(() => page.getByLabel('Message', { exact: true }).inputValue()).toBe('half a thought');
});

test('eight tabs share one event stream and a closed leader hands it over', async ({ skip }) => {
  skip(!place.isMock, 'only the mock counts its streams');
  const streams = async (): Promise<number> => ((await (await fetch(`${place.url}/api/test/streams`)).json()) as { count: number }).count;
  await page.goto(`${place.url}/approvals`);
  const tabs = await Promise.all(Array.from({ length: 7 }, () => context.newPage()));
  for (const tab of tabs) {
    await tab.goto(`${place.url}/approvals`);
    await expect.poll(() => tab.locator('.link').first().textContent()).toContain('Live');
  }
  await expect.poll(streams).toBe(1);
  await page.close();
  await expect.poll(streams, { timeout: 5000 }).toBe(1);
  page = tabs[0] as Page;
  await expect.poll(() => page.locator('.link').first().textContent()).toContain('Live');
  await Promise.all(tabs.slice(1).map((tab) => tab.close()));
});

test('the policy is really on: a script that writes HTML is refused', async () => {
  const refusal = await page.evaluate(() => {
    try {
      document.body.insertAdjacentHTML('beforeend', '<i>x</i>');
      return 'written';
    } catch {
      return 'refused';
    }
  });
  expect(refusal).toBe('refused');
  complaints.length = 0;
});
