"""Learners: each trains a policy within a budget, on one problem or on a distribution."""
