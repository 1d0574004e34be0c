/** The page of a site that has no view yet: it becomes the dashboard with the first one. */

import { byId, showConnection, write } from "../live/page";
import { watch } from "../live/stream";
import { fresh, swap } from "./renewing";

/** Milliseconds between two looks at what came and was not counted, and before the dashboard takes over. */
const RENEW = 5_000;
const READ_FOR = 1_200;

export function runWaiting(waiting: HTMLElement): void {
  byId("again").classList.add("is-needless");
  let isOver = false;

  watch(waiting.dataset.site ?? "", "", {
    show(moment) {
      if (isOver || !moment.total) return;
      isOver = true;
      waiting.classList.add("is-over");
      write("wait", "The first view is here");
      setTimeout(() => location.reload(), READ_FOR);
    },
    stale(isStale) {
      if (!isOver) showConnection(waiting, "wait", isStale, "Waiting for the first view");
    },
    refused: () => void renew(),
  });

  async function renew(): Promise<void> {
    const read = document.hidden || isOver ? undefined : await fresh("#waiting");
    if (read) swap(read, "#drops");
  }
  setInterval(renew, RENEW);
}
