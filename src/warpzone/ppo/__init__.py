"""Proximal policy optimisation, to be read in one sitting: losses, policy, rollout, update.

Knows no Mario, no file and no run directory.
"""
