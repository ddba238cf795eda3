"""The inputs on which both sides are run: the grid, and samples of the user."""
