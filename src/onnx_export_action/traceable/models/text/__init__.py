"""What is special about single models of text, a file each."""
