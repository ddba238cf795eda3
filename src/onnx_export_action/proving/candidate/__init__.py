"""The side of the file: it runs every case in its runtime and is judged."""
