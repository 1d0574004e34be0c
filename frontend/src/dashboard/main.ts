/** The dashboard's pages, complete without this: it makes them move. */

import { runCopyButtons } from "../live/copy";
import { runBoard } from "./board";
import { runPreview, runSites } from "./sites";
import { runWaiting } from "./waiting";

runCopyButtons();

const board = document.getElementById("board");
if (board) runBoard(board);

const waiting = document.getElementById("waiting");
if (waiting) runWaiting(waiting);

const cards = document.getElementById("cards");
if (cards) runSites(cards);

const site = document.querySelector<HTMLInputElement>("input#site");
if (site) runPreview(site);
