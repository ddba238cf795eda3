"""One verdict over many results, alone or against a base. It compares numbers, never text."""
