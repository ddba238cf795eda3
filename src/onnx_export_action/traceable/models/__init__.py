"""What is special about one model, a file each."""
