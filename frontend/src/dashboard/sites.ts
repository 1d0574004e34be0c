/** The list of sites: its numbers are read again every other second while it is in sight. */

import { byId, showConnection } from "../live/page";
import { fresh } from "./renewing";

const RENEW = 2_000;

/** What changes in a card. */
const CHANGING = [".card-number", ".card-facts", ".spark"];

export function runSites(cards: HTMLElement): void {
  let isBusy = false;
  setInterval(async () => {
    if (document.hidden || isBusy) return;
    isBusy = true;
    const read = await fresh("#cards");
    isBusy = false;
    showConnection(byId("sites"), "trouble", !read);
    if (!read) return;
    for (const card of cards.querySelectorAll<HTMLAnchorElement>(".card")) {
      const made = read.querySelector(`.card[href="${CSS.escape(card.getAttribute("href") ?? "")}"]`);
      for (const selector of made ? CHANGING : []) {
        const now = made?.querySelector(selector);
        if (now) card.querySelector(selector)?.replaceWith(document.adoptNode(now));
      }
    }
  }, RENEW);
}

/** Say beside the field what a pasted address will be called; the server decides (`site_name` in rules.py). */
export function runPreview(field: HTMLInputElement): void {
  const said = byId("site-preview");
  const name = said.querySelector("b");
  const show = () => {
    const host = hostOf(field.value.trim());
    said.hidden = !host || host === field.value.trim();
    if (name) name.textContent = host;
  };
  field.addEventListener("input", show);
}

/** The host that an address names, without the ports that browsers leave out; "" where it names none. */
function hostOf(written: string): string {
  const hasScheme = /^https?:\/\//i.test(written);
  if (!written || /\s/.test(written) || (!hasScheme && /^[a-z][a-z0-9+.-]*:\/\//i.test(written))) return "";
  try {
    const host = new URL(hasScheme ? written : `https://${written}`).host.replace(/\.(?=$|:)/, "");
    return hasScheme ? host : host.replace(/:80$/, "");
  } catch {
    return "";
  }
}
