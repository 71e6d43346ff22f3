"""A run as one HTML file that holds everything it shows.

Serves nothing; knows no browser's requests and no training while it goes on.
"""
