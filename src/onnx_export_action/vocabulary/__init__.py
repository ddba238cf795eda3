"""The words that all rooms share. Nothing here imports another room."""
