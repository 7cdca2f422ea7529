"""Scoring restored images against the truth, and the reports of it."""
