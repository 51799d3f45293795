"""Networks: an MLP, a UNet, and the one Transformer, whose mask decides which family it serves."""

from minigen.networks.denoisers import MLP, Conditioning, PixelAttention, UNet
from minigen.networks.transformer import (
    PatchTransformer,
    TokenTransformer,
    Transformer,
    block_mask,
    causal_mask,
)
from minigen.networks.window import Window
