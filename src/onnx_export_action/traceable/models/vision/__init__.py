"""What is special about single models of images, a file each."""
