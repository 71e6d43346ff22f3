"""Runs, games and maps in a browser, served on this machine.

Only reads; nothing else imports it but the command line.
"""
