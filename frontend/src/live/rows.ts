/** Tables of names, bars and numbers whose rows change every second, and stay where they are while someone points at them. */

import { grouped, percent } from "./page";

export interface Row {
  name: string;
  views: number;
  href?: string;
}

/** What a name is cut to, as the server does. */
const SHOWN_CHARACTERS = 96;

export class Rows {
  readonly #body: HTMLTableSectionElement;
  readonly #hasShares: boolean;

  /** @param hasShares Whether each row says its part of all, which its bar is of too; else the bar is of the most. */
  constructor(table: HTMLElement, hasShares: boolean) {
    this.#body = table.querySelector("tbody") as HTMLTableSectionElement;
    this.#hasShares = hasShares;
  }

  show(rows: readonly Row[]): void {
    const whole = this.#hasShares
      ? rows.reduce((sum, row) => sum + row.views, 0)
      : Math.max(...rows.map((r) => r.views), 0);
    const isHeld = this.#body.matches(":hover, :focus-within");
    const shown = new Map([...this.#body.rows].map((row) => [row.dataset.name ?? nameOf(row), row]));
    const wanted = rows.map((row) => {
      const found = shown.get(row.name) ?? this.#make(row);
      this.#fill(found, row, whole);
      return found;
    });
    if (isHeld && [...this.#body.rows].length >= wanted.length) return;
    if (wanted.some((row, place) => this.#body.rows[place] !== row) || this.#body.rows.length !== wanted.length) {
      this.#body.replaceChildren(...wanted);
    }
  }

  #make(row: Row): HTMLTableRowElement {
    const made = document.createElement("tr");
    made.dataset.name = row.name;
    const head = document.createElement("th");
    head.scope = "row";
    const name = document.createElement("bdi");
    name.dir = "ltr";
    name.textContent = shownName(row.name);
    if (row.href) {
      const link = document.createElement("a");
      link.href = row.href;
      link.append(name);
      head.append(link);
    } else {
      head.append(name);
    }
    head.insertAdjacentHTML(
      "beforeend",
      '<svg class="share" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true" focusable="false"><rect height="1"/></svg>',
    );
    made.append(head);
    if (this.#hasShares) made.insertCell().className = "soft";
    made.insertCell();
    return made;
  }

  #fill(row: HTMLTableRowElement, { views }: Row, whole: number): void {
    row.querySelector("rect")?.setAttribute("width", (whole ? (100 * views) / whole : 0).toFixed(1));
    const last = row.cells[row.cells.length - 1];
    if (last) last.textContent = grouped(views);
    const share = this.#hasShares ? row.cells[1] : undefined;
    if (share) share.textContent = percent(views, whole);
  }
}

function nameOf(row: HTMLTableRowElement): string {
  return row.querySelector("bdi")?.textContent ?? "";
}

/** A name from outside as it can be shown: what can't be seen, or turns writing around, appears as it would in an address. */
export function shownName(name: string): string {
  const visible = [...name].map((sign) =>
    /[\p{Cc}\p{Cf}\p{Cn}\p{Co}\p{Zl}\p{Zp}]/u.test(sign) ? encodeURIComponent(sign) : sign,
  );
  const text = visible.join("");
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text;
}
