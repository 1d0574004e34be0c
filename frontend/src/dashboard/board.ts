/** A site's dashboard: the past minute from the stream, second by second, and the period, read again once a minute. */

import { Dial } from "../live/dial";
import { byId, grouped, setClock, showConnection, write } from "../live/page";
import { Rows } from "../live/rows";
import { type Moment, watch } from "../live/stream";
import { Chart } from "./chart";
import { fresh, swap } from "./renewing";

/** Milliseconds between two readings of the period. */
const RENEW = 60_000;

/** What is taken over from a page that was read again. */
const RENEWED = ["#history .figures", "#points", "#top", "#history .panels", "#history .ledger"];

/** As many pages are in an event: one that is missing from a shorter list has no views. */
const PAGES_IN_EVENT = 20;

export function runBoard(board: HTMLElement): void {
  const { site = "", page = "", past = "" } = board.dataset;
  const dial = new Dial(past);
  const chart = new Chart();
  const history = byId("history");
  const busiest = document.getElementById("busiest");
  const busiestRows = busiest && new Rows(busiest, false);
  const instances = document.getElementById("instances");
  const instanceRows = instances && new Rows(instances, true);
  const most = busiest ? Number(busiest.dataset.rows) : 0;
  let views = Number(history.dataset.views);
  let base = Number(history.dataset.total);

  function hrefOf(path: string): string {
    const address = new URL(location.href);
    address.searchParams.set("page", path);
    return address.pathname + address.search;
  }

  function show(moment: Moment): void {
    dial.show(moment);
    setClock(moment.at);
    document.title = document.title.replace(/^[\d,]+/, grouped(moment.views));
    write("today", grouped(moment.today));
    write("total", grouped(moment.total));
    if (moment.visitors !== null) write("here", grouped(moment.visitors));
    busiestRows?.show(
      moment.pages.slice(0, most).map((row) => ({ name: row.page, views: row.views, href: hrefOf(row.page) })),
    );
    byIdHidden("quiet", moment.pages.length > 0);
    if (moment.instances.length) instanceRows?.show(moment.instances);
    showLive(moment);
    if (history.dataset.open === "yes") {
      const more = Math.max(0, moment.total - base);
      chart.add(more);
      write("period-views", grouped(views + more));
    }
  }

  watch(site, page, {
    show,
    stale(isStale) {
      showConnection(board, "trouble", isStale);
    },
    refused() {
      void renew();
    },
  });

  async function renew(): Promise<void> {
    const read = document.hidden ? undefined : await fresh("#history");
    if (!read) return;
    for (const selector of RENEWED) swap(read, selector);
    const now = read.querySelector<HTMLElement>("#history");
    Object.assign(history.dataset, now?.dataset);
    views = Number(history.dataset.views);
    base = Number(history.dataset.total);
    chart.read();
  }
  setInterval(renew, RENEW);
}

/** The live column of the pages of the period. */
function showLive({ pages }: Moment): void {
  const live = new Map(pages.map((row) => [row.page, row.views]));
  const isCut = pages.length >= PAGES_IN_EVENT;
  for (const row of document.querySelectorAll<HTMLTableRowElement>("#top tr[data-page]")) {
    const cell = row.querySelector<HTMLElement>(".live");
    if (!cell) continue;
    const n = live.get(row.dataset.page ?? "");
    const text = n === undefined && isCut ? `≤ ${grouped(pages.at(-1)?.views ?? 0)}` : grouped(n ?? 0);
    if (cell.textContent !== text) cell.textContent = text;
    cell.classList.toggle("nil", !n);
  }
}

function byIdHidden(id: string, isHidden: boolean): void {
  const element = document.getElementById(id);
  if (element) element.hidden = isHidden;
}
