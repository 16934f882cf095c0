"""Studies: from a YAML file to validated trials, and the folder of a sweep."""
