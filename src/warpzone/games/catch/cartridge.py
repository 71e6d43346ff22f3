"""The cartridge: its program, and its tiles."""

from __future__ import annotations

from pathlib import Path

from warpzone.files import write_atomically
from warpzone.nes.assembler import assemble, image

PROGRAM = """
paddle = $10        ; left edge in px
ball_x = $11
ball_y = $12
ones = $14          ; of the score, a digit each
tens = $15
hundreds = $16
lives = $17
state = $18         ; 0: title, 1: play, 2: over
random = $19
held = $1B          ; A B select start up down left right, from bit 7 on
sprites = $0200

reset:
  sei
  cld
  ldx #$FF
  txs
  lda #0
  sta $2000
  sta $2001
  jsr wait_for_vblank
  jsr wait_for_vblank
  lda #$3F
  sta $2006
  lda #0
  sta $2006
  ldx #0
colours:
  lda palette,x
  sta $2007
  inx
  cpx #32
  bne colours
  lda #$20
  sta $2006
  lda #0
  sta $2006
  ldx #0
  ldy #4
clear:
  sta $2007
  inx
  bne clear
  dey
  bne clear
  lda #$F0
hide:
  sta sprites,x
  inx
  bne hide
  lda #1
  sta random
  lda #120
  sta paddle
  lda #$80
  sta $2000
forever:
  jmp forever

wait_for_vblank:
  lda $2002
  bpl wait_for_vblank
  rts

nmi:
  lda #>sprites
  sta $4014
  lda #$20
  sta $2006
  lda #$42
  sta $2006
  lda hundreds
  jsr digit
  lda tens
  jsr digit
  lda ones
  jsr digit
  lda #$20
  sta $2006
  lda #$5C
  sta $2006
  lda lives
  jsr digit
  lda #0
  sta $2005
  sta $2005
  lda #$1E
  sta $2001
  lda #1
  sta $4016
  lda #0
  sta $4016
  ldx #8
buttons:
  lda $4016
  lsr
  rol held
  dex
  bne buttons
  jsr draw_random
  lda state
  cmp #1
  beq play
  lda held
  and #$10
  beq shown
  lda #1              ; Start begins a game
  sta state
  lda #3
  sta lives
  lda #0
  sta ones
  sta tens
  sta hundreds
  jsr new_ball
play:
  lda held
  and #2
  beq not_left
  lda paddle
  cmp #8
  bcc not_left
  sbc #4
  sta paddle
not_left:
  lda held
  and #1
  beq not_right
  lda paddle
  cmp #228
  bcs not_right
  adc #4
  sta paddle
not_right:
  lda ball_y
  clc
  adc #3
  sta ball_y
  cmp #200
  bcc shown
  lda ball_x
  clc
  adc #8
  sec
  sbc paddle
  cmp #24             ; the ball touches the paddle
  bcs missed
  inc ones
  lda ones
  cmp #10
  bne caught
  lda #0
  sta ones
  inc tens
  lda tens
  cmp #10
  bne caught
  lda #0
  sta tens
  inc hundreds
caught:
  jsr new_ball
  jmp shown
missed:
  jsr new_ball
  dec lives
  bne shown
  lda #2
  sta state
shown:
  lda ball_y
  sta sprites
  lda #12
  sta sprites+1
  lda ball_x
  sta sprites+3
  lda #208
  sta sprites+4
  sta sprites+8
  lda #13
  sta sprites+5
  sta sprites+9
  lda #1
  sta sprites+6
  sta sprites+10
  lda paddle
  sta sprites+7
  clc
  adc #8
  sta sprites+11
irq:
  rti

digit:
  clc
  adc #1              ; tile 1 shows 0
  sta $2007
  rts

new_ball:
  lda #24
  sta ball_y
  jsr draw_random
  and #$F8
  cmp #240
  bcc fits
  lda #120
fits:
  sta ball_x
  rts

draw_random:          ; a shift register, into which goes what the player holds
  lda random
  lsr
  bcc drawn
  eor #$B8
drawn:
  eor held
  bne kept
  lda #1              ; from 0 it would not get away
kept:
  sta random
  rts

palette:
  byte $0F,$30,$10,$00,$0F,$30,$10,$00,$0F,$30,$10,$00,$0F,$30,$10,$00
  byte $0F,$27,$16,$30,$0F,$2A,$1A,$30,$0F,$30,$10,$00,$0F,$30,$10,$00
"""

_DIGITS = [
    "75557",
    "26227",
    "71747",
    "71717",
    "55711",
    "74717",
    "74757",
    "71222",
    "75757",
    "75717",
]  # five rows of three pixels, an octal figure each


def tiles() -> bytes:
    """Returns the tiles: an empty one, the ten digits, one more that is empty, a ball, a block."""
    digits = [bytes([0, *(int(row, 8) << 4 for row in rows), 0, 0]) + bytes(8) for rows in _DIGITS]
    ball = bytes([0x3C, 0x7E, 0xFF, 0xFF, 0xFF, 0xFF, 0x7E, 0x3C]) + bytes(8)
    block = bytes([0xFF] * 8) + bytes(8)
    return b"".join([bytes(16), *digits, bytes(16), ball, block])


def cartridge(path: Path | None = None) -> bytes:
    """Returns the iNES file, and writes it to `path`, if one is given.

    Raises:
        FileError: it cannot be written.
    """
    program, names = assemble(PROGRAM, 0x8000)
    data = image(program, tiles(), nmi=names["nmi"], reset=names["reset"], irq=names["irq"])
    if path is not None:
        write_atomically(path, data)
    return data
