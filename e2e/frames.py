"""Ethernet frames to TCP streams: enough of a decoder to look for text that segments cut in two."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable, Iterator

ETHERNET = 14
IPV4, IPV6, TCP = 0x0800, 0x86DD, 6

Flow = tuple[str, int, str, int]  # source address and port, destination address and port


def tcp_streams(frames: Iterable[bytes]) -> dict[Flow, bytes]:
    """The bytes of each direction of each connection, in order; what was sent twice appears once."""
    segments: dict[Flow, dict[int, bytes]] = {}
    for flow, sequence, payload in _segments(frames):
        parts = segments.setdefault(flow, {})
        if len(payload) > len(parts.get(sequence, b"")):
            parts[sequence] = payload
    return {flow: _joined(parts) for flow, parts in segments.items()}


def tcp_flows(frames: Iterable[bytes]) -> set[Flow]:
    """Every direction of every connection that had a segment, with or without bytes."""
    return {flow for flow, _, _ in _segments(frames)}


def tcp_opened(frames: Iterable[bytes]) -> set[Flow]:
    """Every connection that somebody tried to open, from the side that did."""
    syn, ack = 0x02, 0x10
    return {flow for flow, flags, _, _ in _parsed(frames) if flags & (syn | ack) == syn}


def _segments(frames: Iterable[bytes]) -> Iterator[tuple[Flow, int, bytes]]:
    return ((flow, sequence, payload) for flow, _, sequence, payload in _parsed(frames))


def _parsed(frames: Iterable[bytes]) -> Iterator[tuple[Flow, int, int, bytes]]:
    """Each TCP segment's flow, flags, sequence number and payload."""
    for frame in frames:
        (kind,) = struct.unpack_from("!H", frame, 12)
        packet = frame[ETHERNET:]
        if kind == IPV4 and packet[9] == TCP:
            (length,) = struct.unpack_from("!H", packet, 2)
            source, target = ipaddress.IPv4Address(packet[12:16]), ipaddress.IPv4Address(packet[16:20])
            segment = packet[(packet[0] & 15) * 4 : length]
        elif kind == IPV6 and packet[6] == TCP:
            (length,) = struct.unpack_from("!H", packet, 4)
            source, target = ipaddress.IPv6Address(packet[8:24]), ipaddress.IPv6Address(packet[24:40])  # type: ignore[assignment]
            segment = packet[40 : 40 + length]
        else:
            continue
        source_port, target_port, sequence = struct.unpack_from("!HHI", segment)
        payload = segment[(segment[12] >> 4) * 4 :]
        yield (str(source), source_port, str(target), target_port), segment[13], sequence, payload


def _joined(parts: dict[int, bytes]) -> bytes:
    """Segments by sequence number; overlaps are cut, and a gap is closed, so that nothing is hidden by it."""
    stream = bytearray()
    reached: int | None = None
    for sequence in sorted(parts):
        payload = parts[sequence]
        if reached is not None and sequence < reached:
            payload = payload[reached - sequence :]
        stream += payload
        reached = max(reached or 0, sequence + len(parts[sequence]))
    return bytes(stream)
