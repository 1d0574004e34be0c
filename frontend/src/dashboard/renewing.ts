/** Reads the page that is open again, and takes parts of it over, without moving anything under a reader's hand. */

/** The page as it is now; undefined where it can't be had. Goes to the log-in where that is over. */
export async function fresh(selector: string): Promise<Document | undefined> {
  let reply: Response;
  try {
    reply = await fetch(location.href, { headers: { Accept: "text/html" } });
  } catch {
    return undefined;
  }
  if (reply.redirected && new URL(reply.url).pathname === "/login") {
    location.assign(reply.url);
    return undefined;
  }
  if (!reply.ok) return undefined;
  const read = new DOMParser().parseFromString(await reply.text(), "text/html");
  return read.querySelector(selector) ? read : undefined;
}

/** Put what a selector finds in the page read again in place of what it finds here, unless someone is at it. */
export function swap(read: Document, selector: string): void {
  const old = document.querySelector(selector);
  const made = read.querySelector(selector);
  if (!old || !made || old.contains(document.activeElement) || holdsSelection(old)) return;
  old.replaceWith(document.adoptNode(made));
}

function holdsSelection(element: Element): boolean {
  const selection = getSelection();
  return Boolean(selection && !selection.isCollapsed && selection.anchorNode && element.contains(selection.anchorNode));
}
