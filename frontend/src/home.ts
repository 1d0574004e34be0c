/**
 * The home page, moving: its dial follows the page's own stream, its list that of the whole site. The server sends this only where
 * the browser may ask for the numbers as well; the page never loads itself again, for that would be a view.
 */

import { runCopyButtons } from "./live/copy";
import { Dial } from "./live/dial";
import { byId, clockTime, counted, grouped, showConnection, write } from "./live/page";
import { Rows } from "./live/rows";
import { type Moment, watch } from "./live/stream";

const TURN = 60;

runCopyButtons();

const home = document.querySelector<HTMLElement>("main.home");
if (home) {
  const { site = "", page = "", past = "" } = home.dataset;
  const dial = new Dial(past);
  const rows = new Rows(byId("pages"), false);
  const most = Number(home.dataset.rows);
  const nothing = { refused: () => {} };
  const quiet = {
    stale: (isStale: boolean) => showConnection(home, "trouble", isStale),
    ...nothing,
  };

  watch(site, page, {
    ...quiet,
    show(moment) {
      dial.show(moment);
      showSeconds(moment);
      document.title = document.title.replace(/^[\d,]+ views?/, counted(moment.views));
      write("clock", clockTime(moment.at));
      write("today", grouped(moment.today));
      write("total", grouped(moment.total));
    },
  });

  watch(site, "", {
    stale() {},
    ...nothing,
    show(moment) {
      rows.show(moment.pages.slice(0, most).map((row) => ({ name: row.page, views: row.views })));
      write("site-views", grouped(moment.views));
    },
  });
}

/** The list of the bars, newest first. */
function showSeconds({ at, seconds }: Moment): void {
  const newest = seconds.slice(-TURN).reverse();
  for (const [age, item] of [...byId("seconds").children].entries()) {
    const [time, views] = [item.querySelector("time"), item.querySelector("b")];
    if (time) time.textContent = clockTime(at - age);
    if (views) views.textContent = grouped(newest[age] ?? 0);
  }
}
