/** Where the numbers of a page, or of its whole site, are read. The addresses of the server stand here and nowhere else. */

/** Instead of a page: all pages of the site together. */
export const WHOLE_SITE = "";

/** What a reading says of itself; `visitors` only where the server counts them. */
export interface Numbers {
  views: number;
  today: number;
  total: number;
  visitors?: number;
}

/** What an event of the stream says, as far as it is used: views in the window, and of each of its seconds, oldest first. */
export interface Moment {
  views: number;
  seconds: number[];
}

function address({ dataset, src }: HTMLScriptElement, path: string, page: string): string {
  const found = new URL(path, dataset.server || src);
  if (page !== WHOLE_SITE) found.searchParams.set("page", page);
  return found.href;
}

function site({ dataset }: HTMLScriptElement): string {
  return encodeURIComponent(dataset.site || "");
}

/** The numbers of a page; undefined where they can't be read, or not by everyone. */
export async function readNumbers(tag: HTMLScriptElement, page: string): Promise<Numbers | undefined> {
  try {
    const reply = await fetch(address(tag, `counter/${site(tag)}.json`, page));
    return reply.ok ? await reply.json() : undefined;
  } catch {
    return undefined;
  }
}

/** The stream of a page's past minute. */
export function openStream(tag: HTMLScriptElement, page: string): EventSource {
  return new EventSource(address(tag, `api/v1/sites/${site(tag)}/live`, page));
}
