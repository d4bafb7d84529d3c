"""Dead letters: what could not be processed, read, repaired and sent once more."""
