"""The socket at which a server listens, from its first to its last connection."""

import contextlib
import ctypes
import socket
import struct

# Classic BPF, as Linux takes it; see packet(7), socket(7) and include/uapi/linux/bpf_common.h.
_ATTACH_FILTER = 26  # SO_ATTACH_FILTER, which Python does not name.
_TCP_FLAGS, _SYN = 13, 0x02  # A byte of the header, and its bit in the first packet of a client.
_NO_NEW_CONNECTIONS = (
    (0x30, 0, 0, _TCP_FLAGS),  # Load that byte.
    (0x45, 0, 1, _SYN),  # Where the bit is not set, leave out the next instruction.
    (0x06, 0, 0, 0),  # Drop the packet.
    (0x06, 0, 0, 0xFFFFFFFF),  # Let it pass.
)


def open_listener(host: str, port: int) -> socket.socket:
    """A socket that is bound before the model is loaded, and listens after `share_port`."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise ValueError(f"--host={host} is no address of this host: {error}.") from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        # Of sockets that share it several may be bound to a port until one of them listens.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    except OSError as error:
        listener.close()
        raise ValueError(
            f"--port={port} cannot be opened on --host={host}: {error.strerror}. Choose another"
            " one, or end the program that has it."
        ) from error
    return listener


def share_port(listener: socket.socket) -> None:
    """Called before it listens: the next server may then take the port although connections of
    this one are still remembered."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)


def address_of(listener: socket.socket) -> str:
    """The URL of what is served there."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def refuse_new_connections(listener: socket.socket) -> None:
    """Lets no client begin to connect, while those that have begun go on.

    Closing a listener resets the connections that the system has made and the process has not
    taken yet: their requests would be lost. Under this filter there come to be none; a client
    that tries repeats its first packet after a second, and finds the port closed. Where the
    system has no such filter, closing is all that there is.
    """
    program = b"".join(struct.pack("HBBI", *each) for each in _NO_NEW_CONNECTIONS)
    instructions = ctypes.create_string_buffer(program)
    value = struct.pack("HL", len(_NO_NEW_CONNECTIONS), ctypes.addressof(instructions))
    with contextlib.suppress(OSError):  # Not Linux, or a sandbox without it.
        listener.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, value)
