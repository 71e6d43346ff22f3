"""Makes known: environments to Gymnasium, games to whoever asks for one by name, and where to look
for the ROM of Super Mario Bros. to whoever names none.

`import warpzone` does so, and the command before it begins with what it was asked for.
"""

from __future__ import annotations


def register() -> None:
    """Makes them known; a second time nothing happens."""
    import gymnasium

    from warpzone import games  # noqa: F401 - they are known once it is imported
    from warpzone.smb import rom, starts  # noqa: F401 - as are a ROM and where its levels begin

    faces = {"Mario": "warpzone.smb.env:MarioEnv", "Game": "warpzone.nes.game_env:GameEnv"}
    vectors = {"Mario": "warpzone.smb.vector_env", "Game": "warpzone.nes.game_vector_env"}
    for name, face in faces.items():
        if f"warpzone/{name}-v0" not in gymnasium.registry:
            gymnasium.register(
                id=f"warpzone/{name}-v0",
                entry_point=face,
                vector_entry_point=f"{vectors[name]}:make_registered",
                order_enforce=True,
            )
