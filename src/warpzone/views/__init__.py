"""What is looked at in a browser: runs, games and maps."""
