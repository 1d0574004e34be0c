/**
 * Counts the views of the page that carries its tag: each when it is seen, and once, whatever becomes of the first try.
 * It keeps nothing in the browser but the visitor's wish not to be counted, and sends nothing that tells visitors apart. What
 * only some pages need is in spans.ts. Its size is a promise (build.mjs), so it says things in few words.
 */

import type { Fetch, Footfall, HandMadeView, Send } from "./footfall";

/**
 * Milliseconds from its first sending until a view is given up. With its event id it may be sent again within the server's
 * FOOTFALL_EVENT_ID_TTL, 600 s by default; a minute of that is for the way.
 */
const LAST_RETRY = 540_000;

// An element with the id "footfall" is window.footfall, too.
if (!(window.footfall || ({} as Partial<Footfall>)).count) {
  // A module is nobody's currentScript.
  const tag = (document.currentScript || document.querySelector("[data-site][type=module]")) as HTMLScriptElement;
  const set = tag.dataset;
  const waiting = new Set<Send>();

  /** The page whose view was counted last, as long as it is open. */
  let counted: string | undefined;

  /** What only the first view brings. */
  let arrival: HandMadeView = { referrer: document.referrer, campaign: location.search };

  /** "#footfall-off" if the visitor does not want to be counted. */
  let wish: string | undefined;

  let spans: Promise<unknown> | undefined;

  const page = () =>
    set.path ||
    location.pathname +
      ("query" in set ? location.search : "") +
      // What begins with a slash is a route: that of #/route and #!/route, and nothing of #heading.
      ("hash" in set ? location.hash.match(/\/.*|$/) : "");

  const count = ({ path = page(), referrer = "", campaign = "" }: HandMadeView = {}) => {
    if (
      wish === "#footfall-off" ||
      document.querySelector("[data-no-track]") ||
      ("respectDnt" in set && (navigator.doNotTrack === "1" || navigator.globalPrivacyControl))
    )
      return;
    const fields = {
      s: set.site,
      p: path,
      w: innerWidth,
      l: navigator.language,
      r: referrer.split("/", 3).join("/"),
      u: (campaign.match(/\b(utm_\w+|ref)=[^&]+/g) || []).join("&"),
      b: navigator.webdriver || "",
      e: crypto.getRandomValues(new Uint32Array(4)).join("-"),
    };
    const query = new URLSearchParams(fields as object as Record<string, string>);
    // biome-ignore lint/style/useTemplate: two bytes less
    const address = new URL("count?" + query, set.server || tag.src);
    let sentAt = 0;
    let pause = 0;
    const send = async (isLeaving?: boolean) => {
      // What has not been sent is kept however long the browser is offline.
      if (navigator.onLine && waiting.has(send)) {
        sentAt ||= Date.now();
        // Unsigned, so that a view is also given up if the clock was set back.
        if ((Date.now() - sentAt) >>> 0 > LAST_RETRY) waiting.delete(send);
        else {
          try {
            // A beacon does not tell whether it arrived, so a page that comes back sends the view again.
            if (isLeaving) navigator.sendBeacon(address);
            else if (
              (await ((window.fetch || (window.footfall as Footfall).fetch) as Fetch)(address, { keepalive: true }))
                .status < 429
            )
              waiting.delete(send);
          } catch {}
          pause += 3e3 * Math.random();
          setTimeout(send, pause);
          look();
        }
      }
    };
    waiting.add(send);
    send();
  };

  /** Sees whether there is a view to count, and whether the page needs the second file. */
  const look = ({ persisted }: { persisted?: boolean } = {}) => {
    const hash = location.hash;
    const isWish = /^#footfall-o/.test(hash);
    try {
      wish = isWish ? hash : localStorage.footfall; // the second file keeps it
    } catch {} // nothing can be kept here: it holds for this page
    if (persisted) counted = "";
    if (!document.hidden && !document.prerendering && counted !== page()) {
      counted = page();
      count(arrival);
      arrival = {};
    }
    // A page that checks the integrity of scripts names the second file itself.
    if (
      !spans &&
      !tag.integrity &&
      (isWish || !window.fetch || document.querySelector("[data-footfall],[id^=busuanzi_]"))
    )
      spans = import(new URL("footfall-spans.js", tag.src) as unknown as string);
  };

  // Without a fetch of either kind a send fails, and is tried again when the second file has brought one.
  window.footfall = { count, own: [tag, page, waiting] };
  for (const name of ["pushState", "replaceState"] as const) {
    const original = history[name];
    history[name] = (...state) => {
      original.apply(history, state);
      look();
    };
  }
  // Capturing, since visibilitychange does not bubble everywhere.
  for (const name of ["visibilitychange", "prerenderingchange", "pageshow", "popstate"])
    addEventListener(name, look as EventListener, true);
  try {
    // Tells of every way to another page, those of the Navigation API and of routers that took pushState before us included.
    navigation.addEventListener("currententrychange", look as EventListener);
  } catch {} // an older browser has no such API
  for (const name of ["online", "pagehide"])
    addEventListener(name, () => {
      for (const send of waiting) send(name > "p"); // pagehide
    });
  look();
}
