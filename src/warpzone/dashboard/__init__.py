"""Runs, games and maps in a browser, served on this machine.

Only reads; knows no trainer, and nothing imports it but the command line.
"""
