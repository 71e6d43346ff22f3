"""Views of run directories: the dashboard, what its pages show, and films and maps of trainings."""
