"""The commands of the command line, with their options and what they do; `footfall.cli` has the table of them."""
