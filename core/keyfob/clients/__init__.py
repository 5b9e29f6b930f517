"""Clients: credential → request."""
