// Starts the console: the theme first, then the shell.
import { mount } from 'svelte';
import App from './app.svelte';
import './app.css';
import { showTheme } from './lib/kept';
import { startKeys } from './lib/keys.svelte';
import { startRouter } from './lib/router.svelte';

showTheme();
startRouter();
startKeys();
const target = document.getElementById('app');
if (target !== null) mount(App, { target });
