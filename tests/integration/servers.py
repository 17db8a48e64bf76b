"""The servers that the dialogues talk to. A name is `server` or `server/listener`."""
from harness import Server

LISTENERS = ("mx", "lmtp", "lmtp_unix", "proxy", "xclient", "implicit")

# No client is exempt here, and every bound is small enough to be met by a test.
STRICT_LIMITS = {
    "unlimited_from": ["10.255.0.0/16"],
    "message_octets_max": 4000,
    "recipients_max": 3,
    "connections_max": 8,
    "connections_per_network_max": 4,
    "errors_max": 5,
    "idle_commands_max": 12,
    "transactions_max": 4,
    "command_octets_max": 1024,
}


def mx():
    return Server(listeners=LISTENERS)


def strict():
    return Server({"limits": STRICT_LIMITS})


def normalize():
    return Server({"smtp": {"bare_line_endings": "normalize"}})


def exempt():
    return Server({"smtp": {"bare_line_endings_exempt": ["127.0.0.9/32"]}})


def hasty():
    """Waits two seconds for anything, and greets late."""
    return Server({"limits": {"command_timeout_s": 2, "data_timeout_s": 2, "session_timeout_s": 6}})


def shy():
    return Server({"smtp": {"greeting_delay_ms": 700, "early_talker": "reject", "greeting_delay_exempt": ["127.0.0.9/32"]}})


def private():
    return Server({"tls": {"required": True}, "over_quota": "refuse"})


ALL = {"mx": mx, "strict": strict, "normalize": normalize, "exempt": exempt, "hasty": hasty, "shy": shy, "private": private}


def add_to(suite):
    for name, maker in ALL.items():
        suite.shared(name, maker)


def find(suite, name):
    """The server, and the listener to connect to."""
    if name in ALL:
        return suite.server(name), "mx"
    if name in LISTENERS:
        return suite.server("mx"), name
    raise ValueError(f"no server {name}")
