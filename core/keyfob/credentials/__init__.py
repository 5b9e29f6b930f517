"""Credentials: plugin → credential."""
