"""Routing: entries → plugin."""
