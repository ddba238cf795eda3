"""The versions of packages with which this project is tried, and the page that says what came of it."""
