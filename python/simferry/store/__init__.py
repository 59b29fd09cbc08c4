"""Where runs are kept: a folder each, here or in an object store."""
