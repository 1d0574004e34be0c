/**
 * The second file of the snippet: what only some pages need. The core loads it where there are counters on the page, where a
 * visitor wishes not to be counted, and where the browser lacks `fetch`.
 */

import { Counters } from "./counters";
import { fetchImage } from "./image";
import { acknowledgeWish } from "./notice";

function begin(): void {
  const { footfall } = window;
  if (!footfall?.count || footfall.fetch) return; // no core, or begun already
  footfall.fetch = fetchImage;
  acknowledgeWish();
  addEventListener("hashchange", acknowledgeWish);
  new Counters(footfall.own);
}

// Where the page names this file in a tag of its own, the core may come later.
if (window.footfall?.count) begin();
else addEventListener("load", begin);
