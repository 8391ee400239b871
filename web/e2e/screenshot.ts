// Pictures of the console with data in it, for the README and for looking at it. Uses the mock unless STEWARD_URL is set.
import type { Page } from 'playwright-core';
import { openPlace, signIn, until } from './browser';

export interface Shot {
  /** Address below the server; `chat`, `approval` and `turn` are filled in from the story. */
  page: string;
  width: number;
  height: number;
  scheme: 'light' | 'dark';
  file: string;
}

async function ask(page: Page, url: string, text: string, end: string): Promise<string> {
  await page.goto(`${url}/chat`);
  await page.getByLabel('Message', { exact: true }).fill(text);
  await page.keyboard.press('Enter');
  await until(`the turn is ${end}`, async () => (await page.locator(`[data-turn][data-status=${end}]`).count()) > 0, 60_000);
  return new URL(page.url()).pathname;
}

export async function takeShots(shots: Shot[]): Promise<void> {
  const place = await openPlace(2);
  try {
    const context = await place.browser.newContext({ viewport: { width: 1280, height: 800 } });
    const page = await context.newPage();
    await signIn(page, place.link);
    const paths: Record<string, string> = {};
    if (shots.some((shot) => /^(chat|turn|approval|story)$/.test(shot.page)) || place.isMock) {
      await ask(page, place.url, 'Ask me which month the report shall cover', 'waiting');
      await ask(page, place.url, 'Why did the nightly import fail?', 'failed');
      paths.chat = await ask(page, place.url, 'Look through the workspace and tell me what is in it.', 'done');
      paths.turn = (await page.getByRole('link', { name: 'Open turn' }).last().getAttribute('href')) ?? '/turns';
      paths.approval = await ask(page, place.url, 'Please delete the old reports', 'waiting');
    }
    for (const shot of shots) {
      await page.setViewportSize({ width: shot.width, height: shot.height });
      await page.emulateMedia({ colorScheme: shot.scheme });
      await page.goto(place.url + (paths[shot.page] ?? shot.page));
      await page.locator('main h1').first().waitFor();
      await page.waitForTimeout(1000);
      await page.screenshot({ path: shot.file });
    }
  } finally {
    await place.close();
  }
}
