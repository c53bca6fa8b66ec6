"""What money is: google.type.Money on the wire, exact decimals in between, rounded to the coins there are."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

from google.type import money_pb2

_NANOS = Decimal(10**9)


def pack(amount: Decimal, currency_code: str) -> money_pb2.Money:
    """Return an amount as a message."""
    units = int(amount)
    return money_pb2.Money(currency_code=currency_code, units=units, nanos=int((amount - units) * _NANOS))


def unpack(money: money_pb2.Money) -> Decimal:
    """Return the amount of a message, whatever its currency."""
    return Decimal(money.units) + Decimal(money.nanos) / _NANOS


def rounded(amount: Decimal, coin: Decimal) -> Decimal:
    """Return the amount in whole coins, half of one counting as one."""
    return (amount / coin).quantize(Decimal(1), ROUND_HALF_UP) * coin
