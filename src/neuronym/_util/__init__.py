"""Helpers for every package: files, fonts, messages, parallel tasks, progress bars."""
