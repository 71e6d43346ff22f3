"""A run as one HTML file that holds everything it shows.

Serves nothing and needs no training.
"""
