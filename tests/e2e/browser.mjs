// The pages in a real browser:  node browser.mjs TOOLS CHROMIUM PAGES SHOTS
//
// PAGES is a folder with report.html, hostile.html and comment.html. Every page is looked at light, dark and at phone width:
// nothing is loaded, nothing runs, nothing is wider than the window, axe-core (WCAG 2 A and AA) finds nothing, the keyboard
// reaches everything. Screenshots of the first and the last go to SHOTS.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const [tools, chromium, pages, shots] = process.argv.slice(2);
const require = createRequire(path.join(tools, 'browser/package.json'));
const puppeteer = require('puppeteer-core');
const axe = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const failures = [];
let passed = 0;
const check = (condition, what) => {
  if (condition) passed += 1;
  else {
    failures.push(what);
    console.log(`  ✗ ${what}`);
  }
};

const browser = await puppeteer.launch({ executablePath: chromium, args: ['--no-sandbox', '--disable-gpu', '--hide-scrollbars'] });
const looks = [
  ['light', 1200, 'light'],
  ['dark', 1200, 'dark'],
  ['phone', 390, 'light'],
];
for (const name of ['report', 'hostile', 'comment']) {
  for (const [look, width, scheme] of looks) {
    const where = `${name}, ${look}`;
    const page = await browser.newPage();
    await page.setViewport({ width, height: 900, isMobile: look === 'phone', hasTouch: look === 'phone' });
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
    const asked = [];
    const said = [];
    page.on('request', (request) => asked.push(request.url()));
    page.on('console', (message) => said.push(message.text()));
    page.on('pageerror', (error) => said.push(String(error)));
    await page.goto(`file://${path.resolve(pages, `${name}.html`)}`, { waitUntil: 'load' });
    if (name !== 'comment') {
      check(asked.length === 1, `${where}: it loads nothing (${asked.slice(1)})`);
      check(said.length === 0, `${where}: nothing is wrong or runs (${said})`);
    }
    check(await page.evaluate(() => window.pwned === undefined), `${where}: no text of a report runs`);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    check(wide <= 0, `${where}: nothing is wider than the window (${wide} px)`);
    // The page forbids scripts, also those of a test: they come by the protocol, not by an element.
    await page.evaluate(axe);
    const found = await page.evaluate(async () => {
      const result = await axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'] });
      return result.violations.map((v) => `${v.id}: ${v.nodes.length} × ${v.nodes[0].html.slice(0, 120)}`);
    });
    if (name !== 'comment') check(found.length === 0, `${where}: accessible (${found.join('; ')})`);
    if (name === 'report' && look === 'light') await keyboard(page, where);
    if (name !== 'hostile') {
      await page.evaluate(() => window.scrollTo(0, 0));
      const height = Math.min(await page.evaluate(() => document.documentElement.scrollHeight), look === 'phone' ? 1800 : 1600);
      await page.screenshot({ path: path.join(shots, `${name}-${look}.png`), clip: { x: 0, y: 0, width, height } });
    }
    if (name === 'report' && look === 'light') {
      const most = await page.evaluate(() => {
        const figures = (section) => section.querySelectorAll('figure').length;
        return [...document.querySelectorAll('section[id]')].sort((a, b) => figures(b) - figures(a))[0].id;
      });
      const element = await page.$(`#${most} .pictures`);
      await element.screenshot({ path: path.join(shots, 'report-pictures.png') });
    }
    await page.close();
  }
}

async function keyboard(page, where) {
  const active = () => page.evaluate(() => document.activeElement.textContent.trim().slice(0, 40));
  await page.keyboard.press('Tab');
  check((await active()) === 'Skip to the results', `${where}: the first stop of the keyboard skips to the results`);
  await page.keyboard.press('Enter');
  check(page.url().endsWith('#main'), `${where}: and does so`);
  let opened = false;
  for (let i = 0; i < 200 && !opened; i += 1) {
    await page.keyboard.press('Tab');
    if (await page.evaluate(() => document.activeElement.tagName === 'SUMMARY')) {
      await page.keyboard.press('Enter');
      opened = await page.evaluate(() => document.activeElement.parentElement.open);
    }
  }
  check(opened, `${where}: what is folded opens by the keyboard`);
}

await browser.close();
console.log(`browser: ${passed} passed, ${failures.length} failed`);
process.exit(failures.length ? 1 : 0);
