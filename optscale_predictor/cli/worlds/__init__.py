"""Worlds that ``optscale demo`` runs on: a world is a value, one file each; the run is the same function for all."""
