"""Solvers and policies inside a user's planning loop: simulation, rolling horizon, demonstrations."""
