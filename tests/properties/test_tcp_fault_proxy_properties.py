"""Properties of the TCP fault proxy: whatever the chunking, bytes arrive as the armed faults say and not otherwise."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenaudit.testing.proxy import Bandwidth, Corrupt, CutAfter, Delay, HalfOpen, Slice, TcpFaultProxy

DEADLINE = 20.0

chunkings = st.lists(st.binary(min_size=1, max_size=3000), max_size=8)
buffers = st.sampled_from([1, 7, 4096, 64 * 1024])
corruptions = st.one_of(
    st.builds(Corrupt, every=st.integers(1, 500), seed=st.integers(0, 9)),
    st.builds(Corrupt, at=st.integers(0, 5000), seed=st.integers(0, 9)),
)
harmless = st.one_of(
    st.builds(Delay, st.floats(0, 10), st.floats(0, 10), st.integers(0, 9)),
    st.builds(Slice, st.integers(50, 500), st.floats(0, 10)),
    st.builds(Bandwidth, st.integers(2000, 100_000)),
)
several = settings(max_examples=30, deadline=None)


class Sleeps:
    """Takes no time; `total` adds up what was asked."""

    def __init__(self):
        self.total = 0.0

    async def __call__(self, seconds):
        self.total += seconds
        await asyncio.sleep(0)


async def say(sock, chunks):
    loop = asyncio.get_running_loop()
    for chunk in chunks:
        await loop.sock_sendall(sock, chunk)
        await asyncio.sleep(0)
    sock.shutdown(socket.SHUT_WR)


async def hear(sock):
    """All bytes up to FIN or RST, and whether it was an RST."""
    data = b""
    while True:
        try:
            piece = await asyncio.get_running_loop().sock_recv(sock, 65536)
        except ConnectionResetError:
            return data, True
        if not piece:
            return data, False
        data += piece


@contextlib.asynccontextmanager
async def both_ends(**options):
    """A proxy and the two sockets it joins."""
    loop = asyncio.get_running_loop()
    with socket.socket() as listening, socket.socket() as client:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.setblocking(False)
        client.setblocking(False)
        async with TcpFaultProxy(*listening.getsockname(), **options) as proxy:
            await loop.sock_connect(client, (proxy.host, proxy.port))
            server, _ = await loop.sock_accept(listening)
            with server:
                yield proxy, client, server
    assert asyncio.all_tasks() == {asyncio.current_task()}


def exchange(up, down, faults=(), **options):
    """What server and client heard, and the proxy's counters, with *faults* (each with a direction) armed."""

    async def main():
        async with both_ends(**options) as (proxy, client, server):
            for fault, direction in faults:
                proxy.inject(fault, direction)
            async with asyncio.timeout(DEADLINE):
                _, _, at_server, at_client = await asyncio.gather(
                    say(client, up), say(server, down), hear(server), hear(client)
                )
            return at_server, at_client, proxy.stats()

    return asyncio.run(main())


@several
@given(up=chunkings, down=chunkings, buffer_bytes=buffers)
def test_clean_mode_is_transparent_both_ways(up, down, buffer_bytes):
    at_server, at_client, stats = exchange(up, down, buffer_bytes=buffer_bytes)
    assert at_server == (b"".join(up), False)
    assert at_client == (b"".join(down), False)
    assert (stats.upstream_bytes, stats.downstream_bytes) == (len(at_server[0]), len(at_client[0]))
    assert not any(stats.faults.values())


@several
@given(up=chunkings, down=chunkings, faults=st.lists(harmless, max_size=3), buffer_bytes=buffers)
def test_delay_slice_and_bandwidth_change_no_byte(up, down, faults, buffer_bytes):
    armed = [(fault, "both") for fault in faults]
    at_server, at_client, _ = exchange(up, down, armed, buffer_bytes=max(64, buffer_bytes), sleep=Sleeps())
    assert at_server == (b"".join(up), False)
    assert at_client == (b"".join(down), False)


@several
@given(up=chunkings, rate=st.integers(2000, 100_000))
def test_bandwidth_asks_for_the_time_its_bytes_take(up, rate):
    sleeps = Sleeps()
    exchange(up, [], [(Bandwidth(rate), "upstream")], sleep=sleeps)
    assert sleeps.total == pytest.approx(sum(map(len, up)) / rate)


@several
@given(up=chunkings, down=chunkings, fault=corruptions, buffer_bytes=buffers)
def test_corrupt_depends_on_seed_and_offset_alone(up, down, fault, buffer_bytes):
    faults = [(fault, "upstream"), (Slice(100), "upstream")]
    at_server, at_client, stats = exchange(up, down, faults, buffer_bytes=max(64, buffer_bytes))
    sent = b"".join(up)
    flipped = [one ^ other for one, other in zip(sent, at_server[0], strict=True)]
    hit = [offset for offset, bits in enumerate(flipped) if bits]
    if fault.every is None:
        assert hit == ([fault.at] if fault.at < len(sent) else [])
    else:
        assert hit == list(range(fault.every - 1, len(sent), fault.every))
    assert all(flipped[offset].bit_count() == 1 for offset in hit)
    assert at_server[0] == fault.apply(sent)  # whatever the chunks were
    assert stats.faults["corrupt"] == len(hit)
    assert at_client == (b"".join(down), False)


@given(data=st.binary(max_size=200), fault=corruptions, split=st.integers(0, 200))
def test_corrupt_is_its_own_inverse_and_independent_of_splits(data, fault, split):
    whole = fault.apply(data)
    assert fault.apply(whole) == data
    assert fault.apply(data[:split]) + fault.apply(data[split:], start=min(split, len(data))) == whole
    assert [offset for offset in range(len(data)) if fault.mask(offset)] == list(fault.hits(0, len(data)))


@several
@given(down=chunkings, size=st.integers(0, 6000), ending=st.sampled_from(["reset", "close"]), buffer_bytes=buffers)
def test_cut_after_passes_a_prefix_of_exactly_that_size(down, size, ending, buffer_bytes):
    async def main():
        fault = CutAfter(size, ending)
        async with both_ends(buffer_bytes=buffer_bytes) as (proxy, client, server):
            proxy.inject(fault, "downstream")
            saying = asyncio.ensure_future(say(server, down))
            async with asyncio.timeout(DEADLINE):
                heard = await hear(client)
                await asyncio.gather(saying, return_exceptions=True)  # a cut peer cannot finish its speech
            return heard, proxy.stats()

    (data, reset), stats = asyncio.run(main())
    sent = b"".join(down)
    cut = bool(sent) and len(sent) >= size
    assert data == sent[:size]
    assert reset == (cut and ending == "reset")
    assert stats.faults["cut"] == int(cut)


@several
@given(
    steps=st.lists(
        st.one_of(harmless, st.just(HalfOpen()), st.just("heal"), st.binary(min_size=1, max_size=500)),
        max_size=15,
    ),
    direction=st.sampled_from(["upstream", "downstream", "both"]),
)
def test_after_any_history_heal_delivers_every_byte_in_order(steps, direction):
    async def main():
        loop = asyncio.get_running_loop()
        sent = b""
        async with both_ends(sleep=Sleeps()) as (proxy, client, server):
            hearing = asyncio.ensure_future(hear(server))
            for step in steps:
                if isinstance(step, bytes):
                    await loop.sock_sendall(client, step)
                    sent += step
                elif step == "heal":
                    proxy.heal()
                else:
                    proxy.inject(step, direction)
                await asyncio.sleep(0)
            proxy.heal()
            client.shutdown(socket.SHUT_WR)
            async with asyncio.timeout(DEADLINE):
                assert await hearing == (sent, False)

    asyncio.run(main())
