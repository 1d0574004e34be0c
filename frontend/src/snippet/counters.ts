/**
 * The counters in a page: `<span data-footfall="minute|today|total">`, and the elements of busuanzi by their ids. They show the
 * numbers of the page that is open (`data-of` names another, or "site"), and are left as they are where these can't be read.
 * Those with `data-live` follow the stream as long as the page is in sight.
 */

import type { Own, Send } from "./footfall";
import { type Moment, type Numbers, openStream, readNumbers, WHOLE_SITE } from "./numbers";

const COUNTERS = "[data-footfall],[id^=busuanzi_value_]";

/** Milliseconds: between two looks at whether the page's own view has been counted, and how often that is looked at. */
const PATIENCE = 200;
const LOOKS = 15;

/** Milliseconds between two readings of what the stream does not tell, and of everything where there is no stream. */
const READ_AGAIN = 5_000;

const WORDS: Readonly<Record<string, keyof Numbers>> = {
  minute: "views",
  today: "today",
  total: "total",
  pv: "total",
  uv: "visitors",
};

/** What of which page an element shows. */
interface Shown {
  page: string;
  what: keyof Numbers | undefined;
}

export class Counters {
  readonly #tag: HTMLScriptElement;
  readonly #openPage: () => string;
  readonly #waiting: ReadonlySet<Send>;
  readonly #streams = new Map<string, EventSource>();
  #page = "";
  #soon = 0;
  #readAt = 0;

  constructor(own: Own) {
    [this.#tag, this.#openPage, this.#waiting] = own;
    new MutationObserver((changes) => this.#changed(changes)).observe(document, { childList: true, subtree: true });
    addEventListener("pageshow", (event) => event.persisted && this.fillSoon());
    addEventListener("pagehide", () => this.#close());
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#close() : this.fillSoon()));
    setInterval(() => this.#readOn(), READ_AGAIN);
    this.fillSoon();
  }

  /** Fill all counters, if possible once the view that is under way has been counted. */
  fillSoon(looks = LOOKS): void {
    clearTimeout(this.#soon);
    if (this.#waiting.size && looks > 0) {
      this.#soon = setTimeout(() => this.fillSoon(looks - 1), PATIENCE);
    } else {
      this.#fill([...document.querySelectorAll<HTMLElement>(COUNTERS)]);
    }
  }

  #fill(elements: HTMLElement[]): void {
    this.#page = this.#openPage();
    this.#readAt = Date.now();
    const pages = new Map<string, HTMLElement[]>();
    for (const element of elements) {
      const { page } = this.#shown(element);
      pages.set(page, [...(pages.get(page) || []), element]);
    }
    for (const [page, group] of pages) {
      void readNumbers(this.#tag, page).then((numbers) => {
        for (const element of group) this.#show(element, numbers || {});
      });
    }
    this.#follow();
  }

  /** What an element is to show; another page than the one it was filled for may be open by now. */
  #shown(element: HTMLElement): Shown {
    const { footfall: word, of } = element.dataset;
    if (word !== undefined) {
      return { page: of === "site" ? WHOLE_SITE : of || this.#openPage(), what: WORDS[word] };
    }
    const [, whose, kind = ""] = /^busuanzi_value_(page|site)_(pv|uv)$/.exec(element.id) || [];
    return { page: whose === "page" ? this.#openPage() : WHOLE_SITE, what: WORDS[kind] };
  }

  #show(element: HTMLElement, numbers: Partial<Numbers>): void {
    const { what } = this.#shown(element);
    const number = what && numbers[what];
    if (number === undefined) return;
    if (element.textContent !== `${number}`) element.textContent = `${number}`;
    // busuanzi's pages hide the words around a number until it is there.
    const container = document.getElementById(element.id.replace("_value_", "_container_"));
    if (container && container !== element) container.style.display = "inline";
  }

  /** Elements have come, or another page has been opened without loading it. */
  #changed(changes: MutationRecord[]): void {
    const isNew = (node: Node) => node instanceof Element && (node.matches(COUNTERS) || node.querySelector(COUNTERS));
    if (this.#page !== this.#openPage() || changes.some((change) => [...change.addedNodes].some(isNew))) {
      this.fillSoon();
    }
  }

  #live(): HTMLElement[] {
    return [...document.querySelectorAll<HTMLElement>("[data-footfall][data-live]")];
  }

  /** Have one stream open for each page that live counters show, and no other. */
  #follow(): void {
    const wanted = new Set(document.hidden ? [] : this.#live().map((element) => this.#shown(element).page));
    for (const [page, stream] of this.#streams) {
      if (!wanted.has(page)) {
        stream.close();
        this.#streams.delete(page);
      }
    }
    for (const page of wanted) {
      if (this.#streams.has(page)) continue;
      const stream = openStream(this.#tag, page);
      stream.onmessage = (event: MessageEvent<string>) => this.#moment(page, JSON.parse(event.data));
      this.#streams.set(page, stream);
    }
  }

  #moment(page: string, { views, seconds }: Moment): void {
    const live = this.#live().filter((element) => this.#shown(element).page === page);
    for (const element of live) {
      if (element.dataset.footfall === "minute") this.#show(element, { views });
    }
    const others = live.filter((element) => element.dataset.footfall !== "minute");
    if (others.length && Date.now() - this.#readAt > READ_AGAIN && seconds.slice(-10).some(Boolean)) this.#fill(others);
  }

  /** Read where a stream was refused: a browser does not ask for it again. */
  #readOn(): void {
    const refused = this.#live().filter(
      (element) => this.#streams.get(this.#shown(element).page)?.readyState === EventSource.CLOSED,
    );
    if (refused.length && !document.hidden) this.#fill(refused);
  }

  #close(): void {
    for (const stream of this.#streams.values()) stream.close();
    this.#streams.clear();
  }
}
