"""What commands of the command line do that is more than a few lines. `footfall.cli` has their options."""
