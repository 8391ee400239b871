// The few things this browser keeps: theme, drafts, key and announcement switches. Never a secret; sign-out clears all.

const PREFIX = 'steward:';

export function kept(name: string): string {
  try {
    return localStorage.getItem(PREFIX + name) ?? '';
  } catch {
    return '';
  }
}

export function keep(name: string, value: string): void {
  try {
    if (value === '') localStorage.removeItem(PREFIX + name);
    else localStorage.setItem(PREFIX + name, value);
  } catch {
    // Storage may be full or forbidden; then a draft lives as long as the page.
  }
}

export function forget(): void {
  try {
    for (const key of Object.keys(localStorage)) if (key.startsWith(PREFIX)) localStorage.removeItem(key);
  } catch {
    // Nothing was kept where nothing may be.
  }
}

export type Theme = 'system' | 'light' | 'dark';

export function theme(): Theme {
  const value = kept('theme');
  return value === 'light' || value === 'dark' ? value : 'system';
}

export function setTheme(value: Theme): void {
  keep('theme', value === 'system' ? '' : value);
  showTheme();
}

export function showTheme(): void {
  const value = theme();
  if (value === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = value;
}
