// What can be measured of how the page looks: contrast and visible focus.

import { check } from "./harness.mjs";

/** Runs in the page: returns texts whose contrast with what is behind them is below 4.5 (WCAG AA), or 3 when large. */
export function contrast() {
  const parse = (colour) => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const known = new Map();
  const rgba = (colour) => {
    if (!known.has(colour)) known.set(colour, parse(colour));
    return known.get(colour);
  };
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  const poor = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = walk.nextNode(); text; text = walk.nextNode()) {
    const node = text.parentElement;
    if (!text.nodeValue.trim() || !node || node.closest("noscript, [hidden], :disabled, .hear-only, .skip") || !node.getClientRects().length) continue;
    const style = getComputedStyle(node);
    if (style.visibility === "hidden") continue;
    const [front, back] = [light(rgba(style.color)), light(behind(node))];
    const ratio = (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
    const large = Number.parseFloat(style.fontSize) >= 24;
    if (ratio < (large ? 3 : 4.5)) poor.push(`"${text.nodeValue.trim().slice(0, 30)}" ${ratio.toFixed(2)}`);
  }
  return poor;
}

/** Walks through the page with Tab: whatever has the focus must show it. */
export async function focusVisible(page, steps) {
  await page.evaluate(() => document.activeElement?.blur());
  for (let step = 0; step < steps; step += 1) {
    await page.keyboard.press("Tab");
    const found = await page.evaluate(() => {
      const node = document.activeElement;
      if (!node || node === document.body) return { shown: true, name: "" };
      const style = getComputedStyle(node);
      const ring = style.outlineStyle !== "none" && Number.parseFloat(style.outlineWidth) >= 1;
      const form = node.closest(".composer");
      return { shown: ring || (form && getComputedStyle(form).boxShadow !== "none"), name: node.outerHTML.slice(0, 120) };
    });
    check(found.shown, `the focus is not visible on ${found.name}`);
  }
}
