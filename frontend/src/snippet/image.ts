/** What takes the place of `fetch` in a browser that has none: an image. */

import type { Fetch } from "./footfall";

/** Asks for the pixel instead of the address. An image that comes has been counted or dropped; any other answer is a failure. */
export const fetchImage: Fetch = (address) =>
  new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => resolve({ status: 200 });
    image.onerror = () => reject(new Error("no image"));
    image.src = address.href.replace("/count?", "/count.gif?");
  });
