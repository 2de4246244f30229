"""Texts to states: pretrained hosts and static tables."""

from plait._lazy import exports

STEPS = {
    "StaticTable": "plait.encoders.static",
    "Transformer": "plait.encoders.transformer",
}
NAMES = STEPS | {
    "scaled_queries": "plait.encoders.interventions",
    "reordered": "plait.encoders.interventions",
    "intervene": "plait.encoders.interventions",
    "attention_sees": "plait.encoders.interventions",
    "KeysValues": "plait.encoders.keys_values",
    "change_keys_values": "plait.encoders.keys_values",
    "next_token_losses": "plait.encoders.keys_values",
    "read_keys_values": "plait.encoders.keys_values",
    "Reading": "plait.encoders.tuning",
    "TunedHost": "plait.encoders.tuning",
}

__getattr__, __dir__ = exports(__name__, NAMES)
