/**
 * Moves the minute dial that the server has drawn. The scale, the lengths and the sizes are those of web/dial.py; the browser
 * tests hold the two against each other.
 */

import { byId, clockTime, counted, grouped } from "./page";
import type { Moment } from "./stream";

const TURN = 60;
const LONGEST_BAR = 60;
const SHORTEST_BAR = 3;
const LEAST_FULL_VIEWS = 5;
const SCALE_STEPS = [10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100] as const;
const OPACITY = { fresh: 1, old: 0.2 } as const;
const NUMBER_RADIUS = 118;
const LARGEST_NUMBER = 96;
const CAPTION_DROPS = [37, 60] as const;
const CAPTION_FOOT = 62;
const DIGIT_EM = 0.61;
const COMMA_EM = 0.28;
const HEIGHT_EM = 0.73;

export class Dial {
  readonly #svg = byId("dial");
  readonly #bars = [...this.#svg.querySelectorAll<SVGRectElement>(".bars rect")];
  readonly #hand = this.#svg.querySelector(".hand");
  readonly #number = this.#svg.querySelector(".number");
  readonly #captions = [...this.#svg.querySelectorAll(".caption")];
  readonly #summary = document.getElementById("summary");
  readonly #past: string;

  /** @param past What the window is called: "past minute". */
  constructor(past: string) {
    this.#past = past;
  }

  show({ at, views, seconds }: Moment): void {
    const newest = seconds.slice(-TURN);
    const full = fullViews(Math.max(...newest, 0));
    this.#bars.forEach((bar, position) => {
      const age = (((at - position) % TURN) + TURN) % TURN;
      const n = newest[newest.length - 1 - age] ?? 0;
      bar.setAttribute("height", String(barLength(n, full)));
      bar.setAttribute("opacity", String(barOpacity(age)));
      bar.classList.toggle("newest", age === 0);
    });
    this.#hand?.setAttribute("transform", `rotate(${(at % TURN) * (360 / TURN)})`);
    this.#write(views);
    this.#svg.setAttribute("aria-label", `${counted(views)} in the ${this.#past}`);
    if (this.#summary) this.#summary.textContent = summary(at, newest);
    const rim = document.getElementById("full");
    if (rim) rim.textContent = grouped(full);
  }

  /** The number in the middle, as large as it may be. */
  #write(views: number): void {
    const text = grouped(views);
    if (this.#number?.textContent === text) return;
    const size = numberSize(text);
    const baseline = (size * HEIGHT_EM - CAPTION_FOOT) / 2;
    this.#number?.setAttribute("font-size", size.toFixed(1));
    this.#number?.setAttribute("y", baseline.toFixed(1));
    if (this.#number) this.#number.textContent = text;
    this.#captions.forEach((caption, line) => {
      caption.setAttribute("y", (baseline + (CAPTION_DROPS[line] ?? 0)).toFixed(1));
    });
    if (this.#captions[0]) this.#captions[0].textContent = `${views === 1 ? "view" : "views"} in the`;
  }
}

function fullViews(peak: number): number {
  if (peak <= LEAST_FULL_VIEWS) return LEAST_FULL_VIEWS;
  const power = 10 ** (String(peak).length - 1);
  for (const step of SCALE_STEPS) {
    const full = Math.floor((step * power) / 10);
    if (full >= peak) return full;
  }
  return peak;
}

function barLength(views: number, full: number): number {
  if (views <= 0) return 0;
  return Math.round(Math.max(SHORTEST_BAR, LONGEST_BAR * Math.min(1, views / full)) * 10) / 10;
}

function barOpacity(age: number): number {
  return Math.round((OPACITY.fresh - ((OPACITY.fresh - OPACITY.old) * age) / (TURN - 1)) * 100) / 100;
}

function numberSize(number: string): number {
  const width = [...number].reduce((sum, sign) => sum + (sign === "," ? COMMA_EM : DIGIT_EM), 0);
  const a = (width / 2) ** 2 + (HEIGHT_EM / 2) ** 2;
  const b = (HEIGHT_EM * CAPTION_FOOT) / 2;
  const c = (CAPTION_FOOT / 2) ** 2 - NUMBER_RADIUS ** 2;
  const size = (-b + Math.sqrt(b * b - 4 * a * c)) / (2 * a);
  return Math.floor(Math.min(size, LARGEST_NUMBER) * 10) / 10;
}

/** The bars in one sentence, for readers who do not see them. */
function summary(at: number, seconds: readonly number[]): string {
  const most = Math.max(...seconds, 0);
  if (!most) return "No second had a view.";
  const second = at - (seconds.length - 1 - seconds.lastIndexOf(most));
  const quiet = seconds.filter((n) => n === 0).length;
  return (
    `The busiest second was ${clockTime(second)} UTC with ${counted(most)}; ` +
    `the newest has ${counted(seconds.at(-1) ?? 0)}; ${quiet} of ${seconds.length} had none.`
  );
}
