"""Finite problems that are their tables: a user's own MDP or POMDP."""
