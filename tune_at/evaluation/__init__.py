"""What a network gets right, clean and attacked."""
