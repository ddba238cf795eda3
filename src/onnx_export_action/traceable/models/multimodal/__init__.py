"""What is special about single models of several modalities, a file each."""
