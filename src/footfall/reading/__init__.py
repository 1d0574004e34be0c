"""What is read of the counts: live, shared between those who ask at the same moment, and the ledger of what was received."""
