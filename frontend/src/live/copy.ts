/** Buttons that copy what is shown: `data-copy` names the element. Without scripts nobody sees them, and a click selects the text. */

const SAID_FOR = 2_000;

export function runCopyButtons(): void {
  for (const button of document.querySelectorAll<HTMLButtonElement>("button[data-copy]")) {
    const shown = document.getElementById(button.dataset.copy ?? "");
    if (!shown) continue;
    const said = document.createElement("span");
    said.className = "aside";
    said.setAttribute("role", "status");
    button.after(said);
    button.classList.add("is-ready");
    const word = button.textContent;
    let again = 0;
    button.addEventListener("click", async () => {
      const isCopied = await copy(shown);
      button.textContent = said.textContent = isCopied ? "Copied" : "Press Ctrl+C";
      clearTimeout(again);
      again = setTimeout(() => {
        button.textContent = word;
        said.textContent = "";
      }, SAID_FOR);
    });
  }
}

/** Copy an element's text, or at least select it; whether it was copied. Browsers have a clipboard for pages from HTTPS alone. */
async function copy(shown: HTMLElement): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(shown.textContent ?? "");
    return true;
  } catch {
    getSelection()?.selectAllChildren(shown);
    return document.execCommand("copy");
  }
}
