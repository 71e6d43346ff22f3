"""Lists of actions for `JoypadSpace`, by the names that gym-super-mario-bros has for them."""

from warpzone.smb import actions as _ours

RIGHT_ONLY: list[list[str]] = [names or ["NOOP"] for names in _ours.RIGHT_ONLY]
SIMPLE_MOVEMENT: list[list[str]] = [names or ["NOOP"] for names in _ours.SIMPLE_MOVEMENT]
COMPLEX_MOVEMENT: list[list[str]] = [names or ["NOOP"] for names in _ours.COMPLEX_MOVEMENT]

__all__ = ["COMPLEX_MOVEMENT", "RIGHT_ONLY", "SIMPLE_MOVEMENT"]
