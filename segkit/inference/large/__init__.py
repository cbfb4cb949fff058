"""Images too large for the memory: read, predicted and written by windows."""
