"""What a sweep decides: which trials start, go on, stop or take over. Knows no Ray."""
