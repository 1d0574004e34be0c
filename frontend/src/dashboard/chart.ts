/**
 * The chart of a period: bars of views that hold the bars of visitors, and the period before as a line. Its numbers are those of
 * the table below it, which is there without scripts too; places and lengths are those of the server's drawing, which it replaces.
 */

import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { byId, counted, grouped, zoneName } from "../live/page";

/** Lines of the scale above the ground, as in web/dashboard/charts.py. */
const LINES = 4;
const STEPS = [1, 2, 2.5, 5, 10] as const;
const NAMES = 7;
const BAR = 0.76;

interface Point {
  at: number;
  views: number;
  visitors: number | null;
  before: number | null;
}

export class Chart {
  readonly #place = byId("plot");
  readonly #tip = document.createElement("div");
  #points: Point[] = [];
  #tier = "hour";
  #isOpen = true;
  #plot: uPlot | undefined;
  /** Views that have come since the table was read. */
  #more = 0;

  constructor() {
    this.#tip.className = "tip";
    this.#tip.hidden = true;
    this.#tip.setAttribute("aria-hidden", "true");
    this.read();
    new ResizeObserver(() => this.#resize()).observe(this.#place);
    for (const query of ["(prefers-color-scheme: dark)", "(prefers-contrast: more)"]) {
      matchMedia(query).addEventListener("change", () => this.#draw());
    }
  }

  /** Read the table again, and draw it. */
  read(): void {
    this.#tier = byId("history").dataset.tier ?? "hour";
    this.#isOpen = byId("history").dataset.open === "yes";
    this.#points = [...byId("points").querySelectorAll<HTMLTableRowElement>("tbody tr")].map((row) => {
      const [views, visitors, before] = [1, 2, 3].map((cell) => numberIn(row.cells[cell]));
      return { at: Number(row.dataset.at), views: views ?? 0, visitors: visitors ?? null, before: before ?? null };
    });
    this.#more = 0;
    for (const [place, row] of [...byId("points").querySelectorAll<HTMLTableRowElement>("tbody tr")].entries()) {
      const head = row.cells[0];
      const point = this.#points[place];
      if (head && point) head.textContent = this.#name(point.at);
    }
    this.#headZone();
    this.#draw();
  }

  /** Show so many views more than the table has in the bucket that is still open. */
  add(more: number): void {
    if (!this.#isOpen || more === this.#more || !this.#plot) return;
    this.#more = more;
    if (this.#peak() > this.#full()) this.#draw();
    else this.#plot.setData(this.#columns(), false);
    this.#plot.redraw();
  }

  #views(place: number): number {
    const isLast = place === this.#points.length - 1;
    return (this.#points[place]?.views ?? 0) + (isLast && this.#isOpen ? this.#more : 0);
  }

  #columns(): uPlot.AlignedData {
    return [
      this.#points.map((_, place) => place),
      this.#points.map((_, place) => this.#views(place)),
      this.#points.map((point, place) => Math.min(point.visitors ?? 0, this.#views(place))),
    ];
  }

  #peak(): number {
    return Math.max(...this.#points.map((point, place) => Math.max(this.#views(place), point.before ?? 0)), 0);
  }

  #full(): number {
    return (this.#plot?.scales.y?.max as number | undefined) ?? 0;
  }

  #draw(): void {
    this.#plot?.destroy();
    if (!this.#points.length) return;
    const style = getComputedStyle(document.documentElement);
    const colour = (name: string) => style.getPropertyValue(name).trim();
    const rem = Number.parseFloat(style.fontSize);
    const step = lineStep(this.#peak());
    const last = this.#points.length - 1;
    const bars = (fill: string, open: string) =>
      uPlot.paths.bars?.({
        size: [BAR, Number.POSITIVE_INFINITY],
        disp: {
          fill: { unit: 3, values: () => this.#points.map((_, n) => (n === last && this.#isOpen ? open : fill)) },
        },
      }) as uPlot.Series.PathBuilder;
    const font = `${0.75 * rem}px ${getComputedStyle(document.body).fontFamily}`;
    const axis = { stroke: colour("--soft"), font, ticks: { show: false }, gap: 0 };
    const [names, texts] = this.#names();
    const plot = new uPlot(
      {
        ...this.#size(),
        padding: [0.5 * rem, 0, 0, 0],
        legend: { show: false },
        cursor: { y: false, x: false, points: { show: false }, drag: { x: false, y: false } },
        scales: {
          x: { time: false, range: [-0.5, last + 0.5] },
          y: { range: [0, step * LINES] },
        },
        series: [
          {},
          {
            paths: bars(colour("--mark"), colour("--mark")),
            points: { show: false },
            fill: colour("--mark"),
            width: 0,
          },
          { paths: bars(colour("--ink"), colour("--hand")), points: { show: false }, fill: colour("--ink"), width: 0 },
        ],
        axes: [
          { ...axis, size: 2 * rem, gap: 0.55 * rem, grid: { show: false }, splits: () => names, values: () => texts },
          {
            ...axis,
            side: 1,
            size: 3.5 * rem,
            align: 2,
            splits: () => [...Array(LINES + 1).keys()].map((line) => line * step),
            values: (_, lines) => lines.map(grouped),
            grid: { stroke: colour("--line"), width: 1 },
            gap: 3.5 * rem,
          },
        ],
        hooks: {
          draw: [(u) => this.#drawBefore(u, colour("--soft"))],
          setCursor: [(u) => this.#point(u)],
        },
      },
      this.#columns(),
      this.#place,
    );
    plot.over.append(this.#tip);
    this.#plot = plot;
    this.#place.classList.add("is-drawn");
  }

  /** The period before: a step for each of its buckets. */
  #drawBefore(u: uPlot, stroke: string): void {
    if (!this.#points.some((point) => point.before)) return;
    const { ctx } = u;
    ctx.save();
    ctx.beginPath();
    this.#points.forEach((point, place) => {
      const y = Math.round(u.valToPos(point.before ?? 0, "y", true)) + 0.5;
      ctx.lineTo(u.valToPos(place - 0.5, "x", true), y);
      ctx.lineTo(u.valToPos(place + 0.5, "x", true), y);
    });
    ctx.strokeStyle = stroke;
    ctx.lineWidth = 1.5 * devicePixelRatio;
    ctx.setLineDash([2 * devicePixelRatio, 3 * devicePixelRatio]);
    ctx.stroke();
    ctx.restore();
  }

  /** What is under the pointer, in words. */
  #point(u: uPlot): void {
    const place = u.cursor.idx;
    const point = place === null || place === undefined ? undefined : this.#points[place];
    this.#tip.hidden = !point || (u.cursor.left ?? -1) < 0;
    if (!point || place === null || place === undefined || this.#tip.hidden) return;
    const lines = [counted(this.#views(place))];
    if (point.visitors !== null) lines.push(counted(point.visitors, "visitor"));
    if (point.before !== null) lines.push(`${counted(point.before)} in the previous period`);
    const head = document.createElement("b");
    head.textContent = this.#name(point.at);
    this.#tip.replaceChildren(
      head,
      ...lines.map((line) => Object.assign(document.createElement("span"), { textContent: line })),
    );
    const middle = u.valToPos(place, "x");
    const half = this.#tip.offsetWidth / 2;
    const left = Math.min(Math.max(middle - half, 0), u.over.clientWidth - 2 * half);
    this.#tip.style.transform = `translate(${Math.round(left)}px, 0)`;
  }

  /** Where names stand below the chart, and the names: hours in the viewer's zone, days and months in UTC. */
  #names(): [number[], string[]] {
    const places = [...this.#points.keys()];
    if (this.#tier === "hour" && this.#points.length > 48) {
      const days = places.filter((place) => new Date((this.#points[place]?.at ?? 0) * 1000).getHours() === 0);
      const every = Math.ceil(days.length / NAMES);
      const named = days.filter((_, n) => n % every === 0);
      return [named, named.map((place) => DAY_HERE.format((this.#points[place]?.at ?? 0) * 1000))];
    }
    const room = this.#place.clientWidth < 600 ? 4 : NAMES;
    const every = Math.max(1, Math.ceil(places.length / room));
    const named = places.filter((place) => place % every === Math.floor(every / 2));
    return [
      named,
      named.map((place) => (FORMS[this.#tier]?.short ?? HOUR).format((this.#points[place]?.at ?? 0) * 1000)),
    ];
  }

  #name(at: number): string {
    return (FORMS[this.#tier]?.long ?? HOUR_AND_DAY).format(at * 1000);
  }

  /** Say of which zone hours are. */
  #headZone(): void {
    const first = this.#points[0];
    if (this.#tier !== "hour" || !first) return;
    const zone = zoneName(first.at);
    byId("zone").textContent = `Hours are in your time zone, ${zone}; days begin at 0:00 UTC.`;
    const head = byId("points").querySelector("thead th");
    if (head) head.textContent = `Hour, ${zone}`;
  }

  #size(): { width: number; height: number } {
    return { width: this.#place.clientWidth, height: this.#place.clientHeight };
  }

  #resize(): void {
    if (this.#plot && this.#plot.width !== this.#place.clientWidth) this.#draw();
  }
}

const HOUR = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const HOUR_AND_DAY = new Intl.DateTimeFormat("en-GB", {
  weekday: "short",
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
});
const DAY_HERE = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short" });
const UTC_DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
const UTC_WEEKDAY = new Intl.DateTimeFormat("en-GB", {
  weekday: "short",
  day: "numeric",
  month: "short",
  timeZone: "UTC",
});
const UTC_MONTH = new Intl.DateTimeFormat("en-GB", { month: "short", year: "numeric", timeZone: "UTC" });

const FORMS: Readonly<Record<string, { short: Intl.DateTimeFormat; long: Intl.DateTimeFormat }>> = {
  hour: { short: HOUR, long: HOUR_AND_DAY },
  day: { short: UTC_DAY, long: UTC_WEEKDAY },
  month: { short: UTC_MONTH, long: UTC_MONTH },
};

function numberIn(cell: HTMLTableCellElement | undefined): number | null {
  const text = cell?.textContent?.trim();
  return text ? Number(text) : null;
}

/** How many views lie between two lines of the scale, as web/dashboard/charts.py has it. */
function lineStep(peak: number): number {
  if (peak <= LINES) return 1;
  const power = 10 ** (String(Math.floor((peak - 1) / LINES)).length - 1);
  return STEPS.map((step) => step * power).find((step) => Number.isInteger(step) && step * LINES >= peak) ?? peak;
}
