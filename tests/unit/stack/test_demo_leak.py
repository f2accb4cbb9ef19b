"""The demo's leaked key, with the real watch and topics in memory: what is rare for a new key is told."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console

from support.watched import World, billing
from tokenmeter.events import UsageEvent
from tokenmeter.flow.watch.settings import Settings
from tokenmeter.stack.demo_leak import CALLS, CUSTOMER, INPUT_TOKENS, TELL_WAIT_S, Leak

BEGIN_S = 20_605 * 86400
PRICE = 5e-6 * INPUT_TOKENS


def told(price: float) -> tuple[bool, str]:
    """What ``tell`` answers and prints when each of the thief's calls costs ``price``, beside ordinary new keys."""
    world, now = World(Settings(), begin_s=BEGIN_S), [0.0]
    leak = Leak(world.log, lambda: now[0])

    def send(events: Iterable[UsageEvent]) -> None:
        ordinary = [billing(BEGIN_S, f"customer {number}", None, 20) for number in range(30)]
        (key,) = {(event.customer_id, event.api_key_id) for event in events}
        assert key == (CUSTOMER, leak.key)
        world.write(BEGIN_S, [*ordinary, billing(BEGIN_S, *key, CALLS, price=price)])
        world.write(BEGIN_S + 60, ordinary)

    def wait(seconds: float) -> None:
        now[0] += seconds
        if now[0] == 30:
            world.owner().page(world.end())

    leak.begin(send)
    console = Console(record=True, width=200)
    return leak.tell(console, lambda: None, wait), console.export_text()


def test_the_leaked_key_is_told_with_the_command_that_explains_it() -> None:
    answer, said = told(PRICE)
    assert answer
    assert "alert: CRITICAL key key_leaked_" in said and "which is rare for a new one" in said
    assert "told 30 s after its calls; tokenmeter alerts explain " in said


def test_control_a_key_that_spends_as_new_ones_do_is_not_told_and_the_demo_says_so() -> None:
    answer, said = told(0.01)
    assert not answer
    assert f"nothing told within {TELL_WAIT_S:.0f} s" in said
