/** What every page of ours needs: its elements by name, and numbers and times as the server writes them. */

export function byId(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found;
}

/** Write a text where it differs, if there is such an element. */
export function write(id: string, text: string): void {
  const element = document.getElementById(id);
  if (element && element.textContent !== text) element.textContent = text;
}

const NUMBERS = new Intl.NumberFormat("en");

/** 1,284 */
export const grouped = (n: number): string => NUMBERS.format(n);

/** "1 view", "1,284 views" */
export const counted = (n: number, what = "view"): string => `${grouped(n)} ${what}${n === 1 ? "" : "s"}`;

/** The time of day of a Unix second in UTC, "12:34:41". */
export const clockTime = (at: number): string => new Date(at * 1000).toISOString().slice(11, 19);

/** A part in percent as the server writes it. */
export function percent(part: number, whole: number): string {
  if (!whole || !part) return "0 %";
  const share = (100 * part) / whole;
  if (share < 1) return "< 1 %";
  return share > 99 && share < 100 ? "> 99 %" : `${Math.round(share)} %`;
}

const LOST = "Connection lost, reconnecting…";

/** Say in the element `id` that nothing comes from the server any more, and fade what moves in `root`; or that it comes again. */
export function showConnection(root: HTMLElement, id: string, isStale: boolean, otherwise = ""): void {
  root.classList.toggle("is-stale", isStale);
  write(id, isStale ? LOST : otherwise);
}

const LOCAL_TIME = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });

/** The name of the viewer's time zone at a Unix second, "CET". */
export function zoneName(at: number): string {
  const parts = new Intl.DateTimeFormat("en-GB", { timeZoneName: "short" }).formatToParts(at * 1000);
  return parts.find((part) => part.type === "timeZoneName")?.value ?? "local time";
}

/** Set the page's clock to a Unix second, in the viewer's time zone. */
export function setClock(at: number): void {
  const clock = document.getElementById("clock");
  if (!clock) return;
  clock.textContent = LOCAL_TIME.format(at * 1000);
  clock.setAttribute("datetime", new Date(at * 1000).toISOString());
  write("clock-zone", zoneName(at));
}
