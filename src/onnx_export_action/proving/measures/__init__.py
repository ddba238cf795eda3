"""How far two answers are apart, and how far they may be."""
