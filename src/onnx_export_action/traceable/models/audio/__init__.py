"""What is special about single models of sound, a file each."""
