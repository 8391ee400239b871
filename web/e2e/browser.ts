// A fresh Chromium against the real server (STEWARD_URL, STEWARD_LINK) or, without these, against the mock.
import { chromium, type Browser, type Page } from 'playwright-core';
import { startMock, type Mock } from './mock-server';

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export interface Place {
  browser: Browser;
  url: string;
  link: string;
  isMock: boolean;
  close(): Promise<void>;
}

export async function openPlace(tokenMs?: number): Promise<Place> {
  const realUrl = process.env.STEWARD_URL;
  let mock: Mock | undefined;
  if (!realUrl) mock = await startMock({ dist: new URL('../dist', import.meta.url).pathname, tokenMs });
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', headless: true, args: FLAGS });
  return {
    browser,
    url: mock?.url ?? realUrl ?? '',
    link: mock?.link ?? process.env.STEWARD_LINK ?? realUrl ?? '',
    isMock: mock !== undefined,
    async close() {
      await browser.close();
      await mock?.close();
    },
  };
}

/** Polls a condition; `waitForFunction` cannot run under the console's policy. */
export async function until(what: string, isTrue: () => Promise<boolean>, timeoutMs = 15_000): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (Date.now() < end) {
    if (await isTrue()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`gave up waiting until ${what}`);
}

/** Signs in by the link and waits for the shell. */
export async function signIn(page: Page, link: string): Promise<void> {
  await page.goto(link);
  await page.locator('nav').first().waitFor({ state: 'attached' });
  await page.locator('main h1').first().waitFor();
}
