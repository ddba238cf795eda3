"""Processes of their own for what runs a model: starting, asking and ending them."""
