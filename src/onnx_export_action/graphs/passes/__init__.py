"""Passes over graphs, a file each, named by what it ensures."""
