"""Proximal policy optimisation, to be read in one sitting: config, losses, policy, rollout, update.

Knows no game, level, file or run directory, and imports nothing of `training`, `smb` or `nes`:
environments are a protocol (`rollout.VectorEnv`), whose tasks are told apart by number.
"""
