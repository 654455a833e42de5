// Opens a page of `rcaffe report` in a real browser and looks for what only a browser finds.
//
//     npm install playwright
//     node tests/browser/check.mjs report.html [FOLDER]
//
// At 1280 and 390 pixels, light and dark: no message on the console, no error, no request beyond the file, nothing wider than the
// window; zoom by dragging, values under the cursor, means, the logarithmic loss, each x axis, back to the whole run. FOLDER takes
// a screenshot of each. CHROMIUM names the browser's program where playwright has not brought one. The tests that `cargo test` runs
// need no browser.
import { chromium } from "playwright";
import { mkdirSync } from "node:fs";
import { resolve } from "node:path";

const [file, folder] = process.argv.slice(2);
if (!file) { console.error("usage: node check.mjs REPORT.html [FOLDER]"); process.exit(2); }
if (folder) mkdirSync(folder, { recursive: true });
const problems = [];
const expect = (holds, what) => { if (!holds) problems.push(what); };

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || undefined, args: ["--no-sandbox"] });
for (const width of [1280, 390]) {
  for (const colorScheme of ["light", "dark"]) {
    const phone = width < 600, where = `${width} px, ${colorScheme}: `;
    const context = await browser.newContext({
      viewport: { width, height: 900 }, colorScheme, hasTouch: phone, isMobile: phone, deviceScaleFactor: phone ? 2 : 1,
    });
    const page = await context.newPage();
    page.on("console", message => problems.push(where + "console: " + message.text()));
    page.on("pageerror", error => problems.push(where + "error: " + error.message));
    page.on("request", request => expect(/^(file|data):/.test(request.url()), where + "request: " + request.url()));
    await page.goto("file://" + resolve(file));
    await page.waitForSelector(".u-over");
    const wider = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    expect(wider <= 0, where + `wider than the window by ${wider} px`);
    const panels = await page.locator(".panel:visible").count(), canvases = await page.locator(".panel:visible canvas").count();
    expect(panels > 0 && panels === canvases, where + `${canvases} curves in ${panels} panels`);
    if (folder) await page.screenshot({ path: `${folder}/${width}-${colorScheme}.png`, fullPage: true });
    if (!phone) await use(page, where);
    await context.close();
  }
}
await browser.close();
for (const problem of problems) console.error(problem);
console.log(problems.length ? `${problems.length} problems` : "no problems");
process.exit(problems.length ? 1 : 0);

// What a reader does with a mouse.
async function use(page, where) {
  const state = () => page.evaluate(() => JSON.parse(sessionStorage.getItem(location.pathname)));
  const box = await page.locator("#panel0 .u-over").boundingBox();
  await page.mouse.move(box.x + box.width * 0.2, box.y + 80);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.5, box.y + 90, { steps: 5 });
  await page.mouse.up();
  await page.waitForTimeout(100);
  expect((await state()).zoom?.length === 2 && await page.locator("#reset").isEnabled(), where + "dragging does not zoom");
  await page.mouse.move(box.x + box.width * 0.6, box.y + 100);
  await page.waitForTimeout(100);
  const shown = await page.locator("#panel0 .u-value").first().innerText();
  expect(/\d/.test(shown), where + `no value under the cursor: ${shown}`);
  await page.locator("#smooth").fill("11");
  await page.locator("#log").check();
  if (folder) await page.screenshot({ path: `${folder}/zoomed-${where.includes("dark") ? "dark" : "light"}.png` });
  await page.locator("#reset").click();
  expect((await state()).zoom === null, where + "the whole run does not come back");
  for (const button of await page.locator("#over button").all()) {
    await button.click();
    await page.waitForTimeout(100);
    expect(await page.locator(".panel:visible canvas").count() > 0, where + "no curve over " + await button.innerText());
  }
  await page.reload();
  await page.waitForSelector(".u-over");
  expect((await state()).smooth === 11, where + "what was chosen does not survive a reload");
}
