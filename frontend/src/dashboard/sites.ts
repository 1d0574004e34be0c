/** The list of sites: its numbers are read anew every other second, as long as it is in sight. */

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
