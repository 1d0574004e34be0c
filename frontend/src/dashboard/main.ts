/** The dashboard's pages, complete without this: it makes them move. */

import { runBoard } from "./board";
import { runSites } from "./sites";

const board = document.getElementById("board");
if (board) runBoard(board);

const cards = document.getElementById("cards");
if (cards) runSites(cards);
