// A browser for tests that are written elsewhere: it runs each line of its input as a script with
// `page`, and answers with a line of JSON. It ends with its input.

import { createInterface } from "node:readline";
import axe from "axe-core";
import { chromium } from "playwright-core";

const [url, colorScheme, patience] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  // Tests are run by root in a network of their own, on machines without a graphics card.
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const page = await browser.newPage({ colorScheme, viewport: { width: 1440, height: 900 }, ignoreHTTPSErrors: true });
// Other tests have browsers, too.
page.setDefaultTimeout(60_000 * Number(patience));
const problems = [];
page.on("pageerror", (error) => problems.push(String(error)));
page.on("console", (message) => message.type() === "error" && problems.push(message.text()));

/** What is wrong for those who see or move differently, as axe finds it. */
async function violations() {
  // The page's own policy forbids scripts from elsewhere; the browser's tools are not bound by it.
  if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(axe.source);
  const result = await page.evaluate(() => window.axe.run());
  return result.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html.slice(0, 160)).join(" | ")}`);
}

/**
 * Opens the page. The links of a new namespace may still give themselves addresses; what the
 * browser has begun to load it then gives up.
 */
async function open(attempts) {
  try {
    await page.goto(url);
  } catch (error) {
    if (attempts === 0 || !String(error).includes("ERR_NETWORK_CHANGED")) throw error;
    problems.length = 0;
    await open(attempts - 1);
  }
}

const AsyncFunction = (async () => {}).constructor;
await open(5);
console.log(JSON.stringify({ value: await page.title() }));
for await (const line of createInterface({ input: process.stdin })) {
  const script = new AsyncFunction("page", "violations", "problems", JSON.parse(line));
  const answer = await script(page, violations, problems).then(
    (value) => ({ value: value ?? null }),
    (error) => ({ error: String(error) }),
  );
  console.log(JSON.stringify(answer));
}
await browser.close();
