"""What instances share through the store: the sites, the salts that visitors are told apart with, and the instances."""
