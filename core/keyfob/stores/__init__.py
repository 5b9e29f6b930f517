"""Stores: where records live."""
