"""Configuration: files → entries."""
