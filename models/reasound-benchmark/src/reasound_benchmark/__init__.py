"""Recordings and pictures that Reasound is measured on: data only, read through reasound.checkpoints.catalog."""
