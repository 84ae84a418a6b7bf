"""Families of score distributions besides the truncated normal, one a file with its fit."""
