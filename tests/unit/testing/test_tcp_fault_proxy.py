"""Each fault of the TCP proxy does what it says and only that, between real sockets, and heal() ends it."""

from __future__ import annotations

import array
import asyncio
import contextlib
import gc
import http.client
import http.server
import socket
import struct
import threading

import pytest

from tenaudit import ConfigurationError
from tenaudit.testing.proxy import (
    Bandwidth,
    Corrupt,
    CutAfter,
    Delay,
    HalfOpen,
    Slice,
    TcpFaultProxy,
    run_in_thread,
)

DEADLINE = 10.0


def run(main):
    """Run *main* with a deadline, and fail if it leaves a task, a socket or a transport behind."""

    async def watched():
        await asyncio.wait_for(main(), DEADLINE)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(watched())
    gc.collect()


class Client:
    """A raw non-blocking socket: what it reads is what the kernel got, in order."""

    def __init__(self, sock):
        self.sock = sock

    async def send(self, data):
        await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def receive(self, limit=65536):
        return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self.sock, limit), DEADLINE)

    async def exactly(self, size):
        data = bytearray()
        while len(data) < size:
            piece = await self.receive(size - len(data))
            if not piece:
                break
            data += piece
        return bytes(data)

    async def rest(self):
        data = b""
        while piece := await self.receive():
            data += piece
        return data

    def finish(self):
        self.sock.shutdown(socket.SHUT_WR)


@contextlib.asynccontextmanager
async def connected(proxy):
    with socket.socket() as sock:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, (proxy.host, proxy.port))
        yield Client(sock)


class Server:
    """A real server on a free port; `talks` counts its connections, `errors` keeps how they ended."""

    def __init__(self, handle):
        self.handle = handle
        self.talks = 0
        self.errors = asyncio.Queue()
        self.heard = asyncio.Queue()
        self.tasks = []

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.talk, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self.server.close()
        await asyncio.wait_for(asyncio.gather(*self.tasks), DEADLINE)
        await self.server.wait_closed()

    async def talk(self, reader, writer):
        self.talks += 1
        self.tasks.append(asyncio.current_task())
        error = None
        try:
            await self.handle(self, reader, writer)
        except ConnectionError as caught:
            error = caught
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        self.errors.put_nowait(error)


async def echo(server, reader, writer):
    while data := await reader.read(65536):
        server.heard.put_nowait(data)
        writer.write(data)
        await writer.drain()


async def answer_at_end(server, reader, writer):
    """Reads to the client's FIN, then answers: works only where half-close does."""
    data = await reader.read(-1)
    writer.write(b"got:" + data)
    await writer.drain()


async def hundred(server, reader, writer):
    """Sends a hundred bytes and ends."""
    writer.write(bytes(range(100)))
    await writer.drain()
    writer.write_eof()
    await reader.read(-1)


@contextlib.asynccontextmanager
async def proxied(handle, **options):
    """A server that runs *handle*, and a proxy before it."""
    async with Server(handle) as server, TcpFaultProxy("127.0.0.1", server.port, **options) as proxy:
        yield server, proxy


class ManualSleep:
    """A sleep that ends when the test says so."""

    def __init__(self):
        self.asked = asyncio.Queue()

    async def __call__(self, seconds):
        over = asyncio.get_running_loop().create_future()
        self.asked.put_nowait((seconds, over))
        await over

    async def next(self):
        return await asyncio.wait_for(self.asked.get(), DEADLINE)


class InstantSleep:
    """A sleep that takes no time and remembers what was asked."""

    def __init__(self):
        self.asked = []

    async def __call__(self, seconds):
        self.asked.append(seconds)
        await asyncio.sleep(0)


async def settled(proxy):
    """Loop turns until no byte has moved for a hundred of them."""
    before, quiet = -1, 0
    while quiet < 100:
        await asyncio.sleep(0)
        now = proxy.stats().downstream_bytes
        quiet = quiet + 1 if now == before and now else 0
        before = now


def reset_on_close(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def heard(server):
    return await asyncio.wait_for(server.heard.get(), DEADLINE)


async def assert_clean(proxy):
    """A new connection carries a round trip."""
    async with connected(proxy) as client:
        await client.send(b"still well?")
        assert await client.exactly(11) == b"still well?"


# -- clean mode ----------------------------------------------------------------------------------------------


def test_clean_echoes_and_counts():
    async def main():
        async with proxied(echo) as (_server, proxy):
            assert proxy.address == f"127.0.0.1:{proxy.port}"
            async with connected(proxy) as client:
                await client.send(b"hello")
                assert await client.exactly(5) == b"hello"
                stats = proxy.stats()
            assert (stats.accepted, stats.live, stats.upstream_bytes, stats.downstream_bytes) == (1, 1, 5, 5)
            assert not any(stats.faults.values())
            await proxy.until(lambda stats: stats.live == 0)

    run(main)


def test_half_close_passes_through():
    async def main():
        async with proxied(answer_at_end) as (_server, proxy), connected(proxy) as client:
            await client.send(b"abc")
            client.finish()
            assert await client.rest() == b"got:abc"

    run(main)


def test_a_name_is_resolved():
    async def main():
        async with Server(echo) as server, TcpFaultProxy("localhost", server.port) as proxy:
            await assert_clean(proxy)

    run(main)


def test_a_reset_by_either_peer_reaches_the_other():
    async def abort(server, reader, writer):
        await reader.readexactly(1)
        reset_on_close(writer.get_extra_info("socket"))

    async def main():
        async with proxied(abort) as (server, proxy), connected(proxy) as client:
            await client.send(b"x")
            with pytest.raises(ConnectionResetError):
                await client.receive()
        async with proxied(echo) as (server, proxy):
            async with connected(proxy) as client:
                await client.send(b"x")
                await client.exactly(1)
                reset_on_close(client.sock)
            assert isinstance(await server.errors.get(), ConnectionResetError)

    run(main)


# -- delay ---------------------------------------------------------------------------------------------------


def test_delay_holds_one_direction_until_its_time_is_over():
    async def main():
        sleep = ManualSleep()
        async with proxied(echo, sleep=sleep) as (_server, proxy):
            proxy.delay(0.25, direction="upstream")
            async with connected(proxy) as client:
                await client.send(b"ping")
                seconds, over = await sleep.next()
                assert seconds == 0.25
                assert proxy.stats().upstream_bytes == 0
                assert proxy.stats().faults["delay"] == 1
                over.set_result(None)
                assert await client.exactly(4) == b"ping"
                assert sleep.asked.empty()  # the way back was not delayed

    run(main)


def test_delay_jitters_by_its_seed():
    async def main():
        sleep = InstantSleep()
        async with proxied(echo, sleep=sleep) as (_server, proxy):
            proxy.delay(1.0, jitter=0.5, seed=7, direction="downstream")
            async with connected(proxy) as client:
                for _ in range(4):
                    await client.send(b"ping")
                    await client.exactly(4)
        fault = Delay(1.0, 0.5, seed=7)
        assert sleep.asked == [fault.seconds_for(read) for read in range(4)]
        assert len(set(sleep.asked)) == 4
        assert all(1.0 <= seconds < 1.5 for seconds in sleep.asked)
        assert sleep.asked != [Delay(1.0, 0.5, seed=8).seconds_for(read) for read in range(4)]

    run(main)


def test_heal_lets_delayed_bytes_flow_at_once():
    async def main():
        sleep = ManualSleep()
        async with proxied(echo, sleep=sleep) as (_server, proxy):
            proxy.delay(3600)
            async with connected(proxy) as client:
                await client.send(b"ping")
                _, over = await sleep.next()
                proxy.heal()
                assert await client.exactly(4) == b"ping"
                assert over.cancelled()
            await assert_clean(proxy)
            assert sleep.asked.empty()

    run(main)


def test_an_error_of_the_injected_sleep_ends_the_connection():
    async def broken(seconds):
        raise ConnectionError("sleep is broken")

    async def main():
        async with proxied(echo, sleep=broken) as (_server, proxy):
            proxy.delay(1, direction="upstream")
            async with connected(proxy) as client:
                await client.send(b"ping")
                with pytest.raises(ConnectionResetError):
                    await client.receive()

    run(main)


# -- cut -----------------------------------------------------------------------------------------------------


def test_cut_resets_live_connections_and_leaves_new_ones_alone():
    async def main():
        async with proxied(echo) as (server, proxy):
            async with connected(proxy) as client:
                await client.send(b"x")
                await client.exactly(1)
                proxy.cut()
                assert proxy.stats().live == 0
                with pytest.raises(ConnectionResetError):
                    await client.receive()
            assert isinstance(await server.errors.get(), ConnectionResetError)
            assert proxy.stats().faults["cut"] == 1
            await assert_clean(proxy)

    run(main)


def test_cut_can_end_with_fin():
    async def main():
        async with proxied(echo) as (server, proxy):
            async with connected(proxy) as client:
                await client.send(b"x")
                await client.exactly(1)
                proxy.cut(ending="close")
                assert await client.receive() == b""
            assert await server.errors.get() is None

    run(main)


def test_cut_right_after_accept_closes_the_socket():
    async def main():
        async with proxied(echo) as (_server, proxy), connected(proxy) as client:
            await proxy.until(lambda stats: stats.accepted == 1)
            proxy.cut()
            with pytest.raises(ConnectionResetError):
                await client.receive()

    run(main)


@pytest.mark.parametrize("size", [0, 1, 42, 100])
def test_cut_after_delivers_so_many_bytes_and_resets(size):
    async def main():
        async with proxied(hundred) as (_server, proxy):
            proxy.cut(after=size, direction="downstream")
            async with connected(proxy) as client:
                assert await client.exactly(size) == bytes(range(size))
                with pytest.raises(ConnectionResetError):
                    await client.receive()
            assert proxy.stats().downstream_bytes == size
            assert proxy.stats().faults["cut"] == 1
            proxy.heal()
            async with connected(proxy) as client:
                assert await client.exactly(101) == bytes(range(100))

    run(main)


def test_cut_after_can_truncate_with_fin_and_spares_shorter_streams():
    async def main():
        async with proxied(hundred) as (_server, proxy):
            proxy.cut(after=10, ending="close", direction="downstream")
            async with connected(proxy) as client:
                assert await client.rest() == bytes(range(10))
            proxy.cut(after=101, direction="downstream")
            async with connected(proxy) as client:
                assert await client.exactly(101) == bytes(range(100))

    run(main)


def test_cut_after_counts_from_the_moment_it_is_armed():
    async def main():
        async with proxied(echo) as (_server, proxy), connected(proxy) as client:
            await client.send(b"twelve bytes")
            await client.exactly(12)
            proxy.cut(after=3, direction="downstream")
            await client.send(b"abcdef")
            assert await client.exactly(3) == b"abc"
            with pytest.raises(ConnectionResetError):
                await client.receive()

    run(main)


# -- half-open -----------------------------------------------------------------------------------------------


def test_half_open_is_silent_until_heal_and_loses_nothing():
    async def main():
        async with proxied(echo) as (server, proxy), connected(proxy) as client:
            await client.send(b"before")
            await client.exactly(6)
            await heard(server)
            proxy.half_open()
            await client.send(b"held")
            await proxy.until(lambda stats: stats.faults["half_open"] == 1)
            answer = asyncio.ensure_future(client.exactly(4))
            await asyncio.sleep(0)
            stats = proxy.stats()
            assert (stats.upstream_bytes, stats.live, answer.done()) == (6, 1, False)
            assert server.heard.empty()
            proxy.heal()
            assert await answer == b"held"

    run(main)


def test_half_open_downstream_lets_the_request_through():
    async def main():
        async with proxied(echo) as (server, proxy):
            proxy.half_open(direction="downstream")
            async with connected(proxy) as client:
                await client.send(b"ask")
                assert await heard(server) == b"ask"
                await proxy.until(lambda stats: stats.faults["half_open"] == 1)
                assert proxy.stats().downstream_bytes == 0
                with pytest.raises(BlockingIOError):
                    client.sock.recv(1)
                proxy.heal()
                assert await client.exactly(3) == b"ask"

    run(main)


def test_half_open_stops_reading_so_that_tcp_pushes_back():
    async def count(server, reader, writer):
        total = 0
        while data := await reader.read(65536):
            total += len(data)
        writer.write(str(total).encode())
        await writer.drain()

    async def main():
        async with proxied(count) as (_server, proxy):
            proxy.half_open(direction="upstream")
            async with connected(proxy) as client:
                sent, blocked = 0, False
                while not blocked and sent < 256 * 2**20:
                    try:
                        sent += client.sock.send(bytes(65536))
                    except BlockingIOError:
                        blocked = True
                    await asyncio.sleep(0)
                assert blocked
                await proxy.until(lambda stats: stats.faults["half_open"] == 1)
                assert proxy.stats().upstream_bytes == 0
                proxy.heal()
                client.finish()
                assert await client.rest() == str(sent).encode()

    run(main)


def test_half_open_holds_bytes_already_read_and_the_fin():
    async def main():
        sleep = ManualSleep()
        async with proxied(answer_at_end, sleep=sleep) as (_, proxy), connected(proxy) as client:
            proxy.delay(1, direction="upstream")
            proxy.corrupt(every=1, direction="upstream")
            await client.send(b"read")
            _, over = await sleep.next()
            client.finish()
            proxy.half_open(direction="upstream")
            over.set_result(None)
            await proxy.until(lambda stats: stats.faults["half_open"] == 1)
            assert proxy.stats().upstream_bytes == 0
            proxy.heal()
            assert await client.rest() == b"got:read"  # clean: nothing was corrupted while it was held

    run(main)


def test_half_open_leaves_arriving_bytes_unread():
    async def main():
        sleep = ManualSleep()
        async with proxied(echo, sleep=sleep) as (_, proxy), connected(proxy) as client:
            proxy.delay(1)
            proxy.half_open()
            await client.send(b"unread")
            await proxy.until(lambda stats: stats.faults["half_open"] == 1)
            assert proxy.stats().faults["delay"] == 0  # a delay starts with the read
            proxy.heal()
            assert await client.exactly(6) == b"unread"
            assert sleep.asked.empty()

    run(main)


def test_half_open_stops_in_the_middle_of_a_blocked_write():
    speech = array.array("I", range(4 * 2**20)).tobytes()  # more than the kernel holds, no two words alike

    async def lecture(server, reader, writer):
        writer.write(speech)
        await writer.drain()
        writer.write_eof()
        await reader.read(-1)

    async def main():
        async with proxied(lecture, buffer_bytes=4 * 2**20) as (_, proxy), connected(proxy) as client:
            await settled(proxy)  # the client does not read: the proxy is stuck with a part of its buffer
            proxy.half_open(direction="downstream")
            passed = proxy.stats().downstream_bytes
            assert 0 < passed < len(speech)
            start = await client.exactly(passed)
            await proxy.until(lambda stats: stats.faults["half_open"] == 1)
            assert proxy.stats().downstream_bytes == passed
            proxy.heal()
            assert start + await client.exactly(len(speech) - passed) == speech

    run(main)


# -- slice and bandwidth -------------------------------------------------------------------------------------


def test_slice_delivers_pieces_with_a_pause_between():
    async def main():
        sleep = ManualSleep()
        async with proxied(echo, sleep=sleep) as (server, proxy):
            proxy.slice(2, pause=0.5, direction="upstream")
            async with connected(proxy) as client:
                await client.send(b"abcdef")
                assert await heard(server) == b"ab"
                for piece in (b"cd", b"ef"):
                    seconds, over = await sleep.next()
                    assert seconds == 0.5
                    assert server.heard.empty()
                    over.set_result(None)
                    assert await heard(server) == piece
                assert await client.exactly(6) == b"abcdef"
                assert proxy.stats().faults["slice"] == 3
                proxy.heal()
                await client.send(b"abcdef")
                assert await heard(server) == b"abcdef"

    run(main)


def test_heal_in_the_middle_of_slices_sends_the_rest_whole():
    async def main():
        sleep = ManualSleep()
        async with proxied(echo, sleep=sleep) as (server, proxy):
            proxy.inject(Slice(2, pause=3600), "upstream")
            async with connected(proxy) as client:
                await client.send(b"abcdefgh")
                assert await heard(server) == b"ab"
                await sleep.next()
                proxy.heal()
                assert await heard(server) == b"cdefgh"
                assert await client.exactly(8) == b"abcdefgh"
                assert sleep.asked.empty()

    run(main)


def test_heal_in_the_turn_between_two_slices_leaves_no_pause_behind():
    async def main():
        sleep = ManualSleep()
        async with proxied(echo, sleep=sleep) as (_, proxy), connected(proxy) as client:
            proxy.slice(1, pause=3600, direction="upstream")
            await client.send(b"ab")
            await proxy.until(lambda stats: stats.upstream_bytes == 1)
            proxy.heal()
            assert await client.exactly(2) == b"ab"
            assert sleep.asked.empty()

    run(main)


def test_bandwidth_pauses_before_each_quantum():
    async def main():
        sleep = ManualSleep()
        async with proxied(echo, sleep=sleep) as (server, proxy):
            proxy.bandwidth(100, direction="upstream")
            async with connected(proxy) as client:
                await client.send(b"0123456789ab")
                for piece in (b"01234", b"56789", b"ab"):
                    seconds, over = await sleep.next()
                    assert seconds == len(piece) / 100
                    assert server.heard.empty()
                    over.set_result(None)
                    assert await heard(server) == piece
                assert proxy.stats().faults["bandwidth"] == 3
                proxy.heal()
                await client.send(b"free")
                assert await heard(server) == b"free"

    run(main)


# -- corrupt -------------------------------------------------------------------------------------------------


def differing_bits(left, right):
    return [
        (offset, (one ^ other).bit_count())
        for offset, (one, other) in enumerate(zip(left, right, strict=True))
        if one != other
    ]


def test_corrupt_flips_one_bit_a_block_in_its_direction_only():
    async def main():
        sent = bytes(range(100))
        async with proxied(echo) as (server, proxy):
            proxy.corrupt(every=30, seed=3, direction="downstream")
            async with connected(proxy) as client:
                await client.send(sent)
                got = await client.exactly(100)
                assert await heard(server) == sent
                assert differing_bits(sent, got) == [(29, 1), (59, 1), (89, 1)]
                assert got == Corrupt(every=30, seed=3).apply(sent)
                assert proxy.stats().faults["corrupt"] == 3
                proxy.heal()
                await client.send(sent)
                assert await client.exactly(100) == sent

    run(main)


def test_corrupt_at_an_offset_hits_one_byte_counted_from_arming():
    async def main():
        async with proxied(echo) as (server, proxy), connected(proxy) as client:
            await client.send(b"12345")
            await client.exactly(5)
            await heard(server)
            fault = Corrupt(at=2)
            for _ in range(2):  # the same fault armed again counts again
                proxy.inject(fault, "upstream")
                await client.send(b"abcdefgh")
                assert differing_bits(b"abcdefgh", await heard(server)) == [(2, 1)]
                await client.exactly(8)

    run(main)


def test_a_second_fault_of_a_kind_replaces_the_first_and_kinds_combine():
    async def main():
        sleep = InstantSleep()
        async with proxied(echo, sleep=sleep) as (_server, proxy):
            for fault in (Corrupt(at=0), Corrupt(at=3), Slice(1), Bandwidth(1000), Delay(2)):
                proxy.inject(fault, "upstream")
            async with connected(proxy) as client:
                await client.send(b"abcd")
                assert await client.exactly(4) == Corrupt(at=3).apply(b"abcd")
            assert sleep.asked == [2, 0.001, 0.001, 0.001, 0.001]

    run(main)


# -- refuse and nowhere --------------------------------------------------------------------------------------


def test_refuse_refuses_new_connections_keeps_live_ones_and_its_port():
    async def main():
        async with proxied(echo) as (_server, proxy):
            port = proxy.port
            async with connected(proxy) as client:
                await client.send(b"a")
                await client.exactly(1)
                proxy.refuse()
                proxy.refuse()
                with pytest.raises(ConnectionRefusedError):
                    async with connected(proxy):
                        pass
                await client.send(b"b")
                assert await client.exactly(1) == b"b"
                assert proxy.stats().faults["refuse"] == 1
            proxy.heal()
            proxy.heal()
            assert proxy.port == port
            await assert_clean(proxy)

    run(main)


def test_accept_nowhere_accepts_without_calling_the_target_until_heal():
    async def main():
        async with proxied(echo) as (server, proxy):
            proxy.accept_nowhere()
            async with connected(proxy) as client:
                await client.send(b"anyone?")
                await proxy.until(lambda stats: stats.faults["accept_nowhere"] == 1)
                assert (server.talks, proxy.stats().live) == (0, 1)
                proxy.heal()
                assert await client.exactly(7) == b"anyone?"

    run(main)


# -- bounds and lifetime -------------------------------------------------------------------------------------


def test_one_connection_too_many_is_reset():
    async def main():
        async with Server(echo) as server, TcpFaultProxy("127.0.0.1", server.port, max_connections=1) as proxy:
            async with connected(proxy) as first:
                await first.send(b"a")
                await first.exactly(1)
                with pytest.raises(ConnectionResetError):  # by the connect or by the read
                    async with connected(proxy) as second:
                        await second.receive()
                assert (proxy.stats().rejected, proxy.stats().accepted, server.talks) == (1, 2, 1)
            await proxy.until(lambda stats: stats.live == 0)
            await assert_clean(proxy)

    run(main)


def test_a_target_that_is_down_resets_the_client():
    async def main():
        with socket.socket() as reserved:
            reserved.bind(("127.0.0.1", 0))
            async with TcpFaultProxy("127.0.0.1", reserved.getsockname()[1]) as proxy:
                with pytest.raises(ConnectionResetError):
                    async with connected(proxy) as client:
                        await client.receive()
                assert proxy.stats().unreachable == 1

    run(main)


def test_a_target_that_never_accepts_runs_into_the_connect_timeout():
    async def main():
        with contextlib.ExitStack() as stack:
            full = stack.enter_context(socket.socket())
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            for _ in range(4):  # fills the backlog: the kernel drops further SYNs
                filler = stack.enter_context(socket.socket())
                filler.setblocking(False)
                filler.connect_ex(full.getsockname())
            async with TcpFaultProxy(*full.getsockname(), connect_timeout=0.02) as proxy:
                with pytest.raises(ConnectionResetError):
                    async with connected(proxy) as client:
                        await client.receive()
                assert proxy.stats().unreachable == 1

    run(main)


@pytest.mark.parametrize("fault", [None, HalfOpen(), Delay(3600), Bandwidth(1), CutAfter(1000)], ids=str)
def test_aclose_ends_everything_whatever_is_armed(fault):
    async def main():
        async with Server(echo) as server:
            proxy = TcpFaultProxy("127.0.0.1", server.port)
            await proxy.start()
            if fault:
                proxy.inject(fault)
            async with connected(proxy) as client:
                await client.send(b"on the way")
                await proxy.until(lambda stats: stats.live == 1)
                await proxy.aclose()
                await proxy.aclose()
                assert proxy.stats().live == 0
                with contextlib.suppress(ConnectionResetError):  # a black hole leaves unread bytes behind
                    await client.rest()
                with pytest.raises(ConnectionRefusedError):
                    async with connected(proxy):
                        pass
            proxy.heal()
            with pytest.raises(ConnectionRefusedError):
                async with connected(proxy):
                    pass

    run(main)


def test_aclose_has_a_deadline_even_if_a_sleep_will_not_be_cancelled():
    async def main():
        test, asleep, wake = asyncio.all_tasks(), asyncio.Event(), asyncio.Event()

        async def stubborn(seconds):
            asleep.set()
            while not wake.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await wake.wait()

        async with Server(echo) as server:
            proxy = TcpFaultProxy("127.0.0.1", server.port, sleep=stubborn, close_timeout=0.01)
            await proxy.start()
            proxy.delay(1, direction="upstream")
            async with connected(proxy) as client:
                await client.send(b"x")
                await asleep.wait()
                with pytest.raises(TimeoutError, match=r"1 connections did not end within 0\.01 s"):
                    await proxy.aclose()
                assert await client.receive() == b""
            wake.set()
            await asyncio.wait(asyncio.all_tasks() - test, timeout=DEADLINE)

    run(main)


def test_start_is_once_and_port_comes_with_it():
    async def main():
        proxy = TcpFaultProxy("127.0.0.1", 9)
        with pytest.raises(ConfigurationError, match="before start"):
            _ = proxy.port
        async with proxy:
            with pytest.raises(ConfigurationError, match="running"):
                await proxy.start()
        with pytest.raises(ConfigurationError, match="closed"):
            await proxy.start()

    run(main)


def test_until_has_a_deadline():
    async def main():
        async with TcpFaultProxy("127.0.0.1", 9) as proxy:
            with pytest.raises(TimeoutError):
                await proxy.until(lambda stats: stats.accepted == 1, deadline=0.01)

    run(main)


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: Delay(-1), "seconds"),
        (lambda: Delay(float("nan")), "seconds"),
        (lambda: Delay(1, jitter=-1), "jitter"),
        (lambda: Slice(0), "max_bytes"),
        (lambda: Slice(1, pause=-1), "pause"),
        (lambda: Bandwidth(0), "bytes_per_second"),
        (lambda: CutAfter(-1), "size"),
        (lambda: CutAfter(1, ending="bang"), "ending"),
        (Corrupt, "every and at"),
        (lambda: Corrupt(every=1, at=1), "every and at"),
        (lambda: Corrupt(every=0), "every"),
        (lambda: Corrupt(at=-1), "at"),
        (lambda: TcpFaultProxy("127.0.0.1", 0), "target_port"),
        (lambda: TcpFaultProxy("127.0.0.1", 1, buffer_bytes=0), "buffer_bytes"),
        (lambda: TcpFaultProxy("127.0.0.1", 1, max_connections=0), "max_connections"),
        (lambda: TcpFaultProxy("127.0.0.1", 1, connect_timeout=0), "connect_timeout"),
        (lambda: TcpFaultProxy("127.0.0.1", 1, close_timeout=0), "close_timeout"),
        (lambda: TcpFaultProxy("127.0.0.1", 1).inject(Slice(1), "sideways"), "direction"),
        (lambda: TcpFaultProxy("127.0.0.1", 1).cut(ending="bang"), "ending"),
    ],
)
def test_bad_input_names_its_field(make, field):
    with pytest.raises(ConfigurationError, match=field):
        make()


# -- on a thread ---------------------------------------------------------------------------------------------


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_):
        pass


@pytest.fixture
def web():
    with http.server.HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join(DEADLINE)


def get(proxy):
    with contextlib.closing(http.client.HTTPConnection(proxy.host, proxy.port, timeout=DEADLINE)) as client:
        client.request("GET", "/")
        return client.getresponse().read()


def test_a_sync_test_drives_the_proxy_from_its_own_thread(web):
    with run_in_thread("127.0.0.1", web, sleep=InstantSleep()) as proxy:
        assert proxy.address == f"{proxy.host}:{proxy.port}"
        assert get(proxy) == b"hello"
        proxy.delay(5)
        proxy.slice(3)
        assert get(proxy) == b"hello"
        proxy.cut(after=20, direction="downstream")
        with pytest.raises(ConnectionResetError):
            get(proxy)
        proxy.cut(after=0, direction="downstream", ending="close")
        with pytest.raises(http.client.RemoteDisconnected):
            get(proxy)
        proxy.heal()
        assert get(proxy) == b"hello"
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            get(proxy)
        proxy.heal()
        proxy.accept_nowhere()
        with socket.create_connection((proxy.host, proxy.port), DEADLINE) as client:
            proxy.until(lambda stats: stats.faults["accept_nowhere"] == 1)
            proxy.cut()
            with pytest.raises(ConnectionResetError):
                client.recv(1)
        proxy.heal()
        assert get(proxy) == b"hello"
        assert proxy.stats().faults["delay"] >= 2
        with pytest.raises(TimeoutError):
            proxy.until(lambda stats: stats.rejected == 1, deadline=0.01)
    assert "tenaudit-fault-proxy" not in {thread.name for thread in threading.enumerate()}
    with pytest.raises(ConnectionRefusedError):
        get(proxy)
    gc.collect()


def test_a_bad_argument_is_raised_in_the_calling_thread():
    with pytest.raises(ConfigurationError, match="target_port"), run_in_thread("127.0.0.1", 0):
        pass


def test_the_thread_ends_when_the_block_raises(web):
    with pytest.raises(ZeroDivisionError), run_in_thread("127.0.0.1", web):
        raise ZeroDivisionError
    assert "tenaudit-fault-proxy" not in {thread.name for thread in threading.enumerate()}
