/**
 * The live stream of a site, or of one of its pages, for as long as the page is in sight. Each event is the whole state, so
 * nothing need be caught up with. A stream that a browser has given up is opened again after a while that is not the same for all.
 */

/** The past minute at store second `at`, as the server's live.Event has it. */
export interface Moment {
  at: number;
  views: number;
  seconds: number[];
  pages: { page: string; views: number }[];
  today: number;
  total: number;
  visitors: number | null;
  instances: { name: string; views: number }[];
}

export interface Watcher {
  /** A new second. */
  show(moment: Moment): void;
  /** Nothing has come for a while: what is shown is of the past. Or something has come again. */
  stale(isStale: boolean): void;
  /** The server did not take the stream: perhaps the log-in is over. */
  refused(): void;
}

/** Milliseconds without an event after which what is shown is stale, and before a refused stream is tried again. */
const PATIENCE = 3_500;
const AGAIN = [3_000, 9_000] as const;

export function watch(site: string, page: string, watcher: Watcher): void {
  const query = page ? `?page=${encodeURIComponent(page)}` : "";
  const address = `/api/v1/sites/${encodeURIComponent(site)}/live${query}`;
  let source: EventSource | undefined;
  let waiting = 0;
  let again = 0;

  function heard(): void {
    clearTimeout(waiting);
    waiting = setTimeout(() => watcher.stale(true), PATIENCE);
  }

  function open(): void {
    close();
    source = new EventSource(address);
    heard();
    source.onmessage = (event) => {
      heard();
      watcher.stale(false);
      watcher.show(JSON.parse(event.data));
    };
    source.onerror = () => {
      if (source?.readyState !== EventSource.CLOSED) return;
      watcher.refused();
      again = setTimeout(open, AGAIN[0] + Math.random() * (AGAIN[1] - AGAIN[0]));
    };
  }

  function close(): void {
    clearTimeout(waiting);
    clearTimeout(again);
    source?.close();
    source = undefined;
  }

  const look = () => (document.hidden ? close() : open());
  document.addEventListener("visibilitychange", look);
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => event.persisted && look());
  look();
}
