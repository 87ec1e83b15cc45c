"""Exact methods: an answer with a proven bound."""
