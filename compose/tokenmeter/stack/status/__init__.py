"""How every part of a stack is: asked of each part itself, side by side, within a second whoever does not answer."""
