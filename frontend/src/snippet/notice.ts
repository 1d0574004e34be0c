/** Tells a visitor that their wish, #footfall-off or #footfall-on, has been heard. */

/** Milliseconds that the notice stays. */
const SHOWN = 8_000;

/** Show the notice where the address holds such a wish; without it, do nothing. */
export function acknowledgeWish(): void {
  if (!/^#footfall-o/.test(location.hash)) return;
  const isOff = location.hash === "#footfall-off";
  let isKept = true;
  try {
    if (isOff) localStorage.footfall = location.hash;
    else localStorage.removeItem("footfall");
    // What is kept need not stand in the address any longer, from where the core would note it again.
    history.replaceState(history.state, "", location.pathname + location.search);
  } catch {
    isKept = false;
  }
  const notice = document.createElement("div");
  notice.setAttribute("role", "status");
  notice.textContent = isOff
    ? "Footfall: your views of this site are not counted, as long as this browser keeps its data."
    : "Footfall: your views of this site are counted again.";
  if (!isKept)
    notice.textContent = "Footfall: this browser keeps nothing for this site, so it can't keep your wish either.";
  // Set one by one, which no content security policy forbids.
  Object.assign(notice.style, {
    position: "fixed",
    inset: "auto 16px 16px",
    maxWidth: "32em",
    margin: "0 auto",
    padding: "12px 16px",
    background: "#fbfaf6",
    color: "#16181d",
    border: "1px solid #16181d",
    font: "16px/1.4 system-ui, sans-serif",
    zIndex: "2147483647",
  });
  document.body.append(notice);
  setTimeout(() => notice.remove(), SHOWN);
}
