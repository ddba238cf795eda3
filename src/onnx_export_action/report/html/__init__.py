"""Results as one HTML page: its content, its charts, and their rendering."""
