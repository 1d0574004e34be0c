/**
 * What the two files of the snippet share: the core leaves it on `window.footfall`, the second file takes it from there.
 * Pages may rely on `count` alone.
 */

/** A view made by hand. */
export interface HandMadeView {
  /** The page's path, as in `/report.pdf`; the page that is open without it. */
  path?: string;
  /** The URL that the visitor came from, of which only scheme and host are sent. */
  referrer?: string;
  /** A query string, of which `ref` and what begins with `utm_` are sent. */
  campaign?: string;
}

/** Sends one view, unless it has been acknowledged or given up. */
export type Send = (isLeaving?: boolean) => void;

/** As much of `fetch` as the core needs. */
export type Fetch = (address: URL, options: { keepalive: boolean }) => Promise<{ status: number }>;

/** The snippet's tag; the page that is open, as it is counted; what sends the views that have been neither acknowledged nor given up. */
export type Own = readonly [tag: HTMLScriptElement, page: () => string, waiting: ReadonlySet<Send>];

export interface Footfall {
  /** Counts a view. Nothing is counted for those who are not to be counted. */
  count(view?: HandMadeView): void;
  /** What the second file needs. */
  readonly own: Own;
  /** Where the browser has no `fetch`: what takes its place. The second file sets it. */
  fetch?: Fetch;
}

declare global {
  interface Window {
    footfall?: Footfall;
  }
  interface Document {
    /** https://wicg.github.io/nav-speculation/prerendering.html */
    readonly prerendering?: boolean;
  }
  interface Navigator {
    /** https://w3c.github.io/gpc/ */
    readonly globalPrivacyControl?: boolean;
  }
}
