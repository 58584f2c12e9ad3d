"""The far side of every provider on loopback, for tests, the demo and benchmarks. Production never imports this."""

from notifications.stand_ins.device import Device
from notifications.stand_ins.ledger import Accepted
from notifications.stand_ins.server import StandIn, stand_in

__all__ = ["Accepted", "Device", "StandIn", "stand_in"]
