"""What a SQLite file keeps of visits as sums: traits, visitors and presence."""
